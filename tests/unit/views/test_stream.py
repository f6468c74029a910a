"""What an operator knows who asked once and followed the events since: the same as who asks again."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from unit.master.rig import Json
from unit.views.scene import read_operator, return_agent
from unit.views.walks import Walk, walks

Key = tuple[str, str]


class Follower:
    """Tasks, frameworks and agents, kept up to date by events alone."""

    def __init__(self, state: Json) -> None:
        lists = state["get_tasks"]
        self.tasks = {key_of(task): task for name in ("tasks", "completed_tasks") for task in lists[name]}
        self.unreachable = {key_of(task): task for task in lists["unreachable_tasks"]}
        frameworks = state["get_frameworks"]
        self.frameworks = {id_of(entry): entry["framework_info"] for entry in frameworks["frameworks"]}
        self.completed = {id_of(entry): entry["framework_info"] for entry in frameworks["completed_frameworks"]}
        self.agents = {
            agent["agent_info"]["id"]["value"]: agent["agent_info"] for agent in state["get_agents"]["agents"]
        }

    def follow(self, event: Json) -> None:
        kind = event["type"]
        body: Any = event.get(kind.lower())
        if kind == "TASK_ADDED":
            self.unreachable.pop(key_of(body["task"]), None)
            self.tasks[key_of(body["task"])] = body["task"]
        elif kind == "TASK_UPDATED":
            self._update(body)
        elif kind in {"FRAMEWORK_ADDED", "FRAMEWORK_UPDATED"}:
            self.frameworks[id_of(body["framework"])] = body["framework"]["framework_info"]
        elif kind == "FRAMEWORK_REMOVED":
            info = body["framework_info"]
            del self.frameworks[info["id"]["value"]]
            self.completed[info["id"]["value"]] = info
            gone = [key for key in self.unreachable if key[0] == info["id"]["value"]]
            self.tasks |= {key: self.unreachable.pop(key) for key in gone}
        elif kind == "AGENT_ADDED":
            self.agents[body["agent"]["agent_info"]["id"]["value"]] = body["agent"]["agent_info"]
        elif kind == "AGENT_REMOVED":
            del self.agents[body["agent_id"]["value"]]

    def _update(self, body: Json) -> None:
        status = body["status"]
        key = (body["framework_id"]["value"], status["task_id"]["value"])
        if key in self.unreachable:
            self.tasks[key] = self.unreachable.pop(key)
        task = self.tasks[key]
        task["state"] = body["state"]
        statuses = task.setdefault("statuses", [])
        if statuses and statuses[-1]["state"] == status["state"]:
            statuses.pop()
        statuses.append(status)
        if "uuid" in status:
            task["status_update_state"], task["status_update_uuid"] = status["state"], status["uuid"]
        if "unreachable_time" in status:
            self.unreachable[key] = self.tasks.pop(key)


def key_of(task: Json) -> Key:
    return task["framework_id"]["value"], task["task_id"]["value"]


def id_of(framework: Json) -> str:
    return str(framework["framework_info"]["id"]["value"])


@given(before=walks, after=walks)
@settings(max_examples=60, deadline=None)
def test_a_state_kept_by_events_equals_the_state_read(
    before: list[tuple[str, int]], after: list[tuple[str, int]]
) -> None:
    walk = Walk(before, after)
    follower = Follower(walk.snapshot)
    for event in walk.events:
        follower.follow(event)
    read = Follower(read_operator(walk.reads, "GET_STATE", walk.rig.now)["get_state"])
    assert follower.tasks == read.tasks
    assert follower.unreachable == read.unreachable
    assert follower.frameworks == read.frameworks
    assert follower.completed == read.completed
    # As in Mesos nobody is told of an agent that became unreachable but by its tasks: those who follow may know one too many.
    assert {agent: follower.agents[agent] for agent in read.agents} == read.agents
    assert set(follower.agents) - set(read.agents) <= set(walk.rig.master.unreachable_agents)


def test_an_operator_hears_of_a_task_that_its_returned_agent_does_not_know() -> None:
    walk = Walk([], [("launch", 0), ("advance_task", 0), ("lose_agent", 0)])
    (agent_id,) = walk.lost
    return_agent(walk.rig, agent_id, "host-1", walk.lost[agent_id])
    assert [event["task_updated"]["state"] for event in walk.events if event["type"] == "TASK_UPDATED"][
        -1
    ] == "TASK_GONE"
