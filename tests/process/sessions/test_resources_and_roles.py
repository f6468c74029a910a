"""FEATURES 1A as a sceptical user would check it, on real processes."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import pytest

from process.sessions.cluster import Cluster
from process.sessions.scheduler import PATH, Scheduler, amounts_of, framework_info, get, operate, scalars
from process.sessions.streams import QUIET_S, WAIT_S_MAX, Json, Stream

pytestmark = pytest.mark.process


def _agent(cluster: Cluster, agent_id: str) -> Json:
    found: Json = next(one for one in get(cluster.port, "/state")["slaves"] if one["id"] == agent_id)
    return found


def test_a1_an_agents_resources_and_attributes_are_exactly_what_its_flags_say(racks: Cluster) -> None:
    agent = racks.agent_of("one")
    with Scheduler(racks.port) as scheduler:
        offer = scheduler.offer(lambda offer: offer["hostname"] == "one")
    amounts = {"cpus": 2.5, "mem": 512.0, "disk": 64.0}
    ranges = [{"begin": 31000, "end": 31010}, {"begin": 32000, "end": 32000}]
    attributes = [
        {"name": "rack", "type": "TEXT", "text": {"value": "r1"}},
        {"name": "level", "type": "SCALAR", "scalar": {"value": 10.0}},
    ]
    (listed,) = (
        one
        for one in operate(racks.port, "GET_AGENTS")["get_agents"]["agents"]
        if one["agent_info"]["hostname"] == "one"
    )
    for said in (offer["resources"], listed["total_resources"], listed["agent_info"]["resources"]):
        assert amounts_of(said) == amounts
        assert next(one["ranges"]["range"] for one in said if one["name"] == "ports") == ranges
        assert next(one["set"]["item"] for one in said if one["name"] == "bugs") == ["a", "b"]
        assert len(said) == len(amounts) + 2
    assert offer["attributes"] == listed["agent_info"]["attributes"] == attributes
    state = _agent(racks, agent.id)
    assert state["resources"] == {**amounts, "gpus": 0.0, "ports": "[31000-31010, 32000-32000]", "bugs": "{a, b}"}
    assert state["attributes"] == {"rack": "r1", "level": 10.0}


def test_a2_ten_tasks_of_a_tenth_use_exactly_one_cpu_and_give_exactly_one_back(cluster: Cluster) -> None:
    names = [f"tenth-{number}" for number in range(10)]
    with Scheduler(cluster.port) as scheduler:
        offer = scheduler.offer()
        scheduler.launch(offer, *(scheduler.task(name, offer, "sleep 60") for name in names))
        for name in names:
            scheduler.update(name, "TASK_RUNNING")
        assert _agent(cluster, cluster.agents[0].id)["used_resources"]["cpus"] == 1.0
        for name in names:
            scheduler.kill(name)
        for name in names:
            scheduler.update(name, "TASK_KILLED")
        # All of the agent comes again, no thousandth more or less.
        given_back = 0.0
        while given_back < 3.9995:
            given_back += amounts_of(scheduler.offer()["resources"]).get("cpus", 0.0)
        assert round(given_back, 6) == 4.0
        assert _agent(cluster, cluster.agents[0].id)["used_resources"]["cpus"] == 0.0


def test_a3_a_framework_is_offered_resources_in_each_of_its_roles(racks: Cluster) -> None:
    with Scheduler(racks.port, framework_info("a", "b")) as scheduler:
        roles = {scheduler.offer()["allocation_info"]["role"]}
        while roles != {"a", "b"}:
            offer = scheduler.offer()
            assert {one["allocation_info"]["role"] for one in offer["resources"]} == {offer["allocation_info"]["role"]}
            roles.add(offer["allocation_info"]["role"])


@pytest.mark.parametrize(
    ("role", "why"),
    [("-x", "start with a hyphen"), (".", "'.'"), ("a//b", "a//b"), ("a b", "whitespace"), ("/a", "/a"), ("..", "..")],
)
def test_a3_an_invalid_role_is_refused_with_a_clear_error(cluster: Cluster, role: str, why: str) -> None:
    body = {"type": "SUBSCRIBE", "subscribe": {"framework_info": framework_info(role)}}
    stream = Stream(cluster.port, PATH, body)
    stream.until_over()
    stream.close()
    (event,) = stream.events
    assert event["type"] == "ERROR"
    assert event["error"]["message"].startswith("'FrameworkInfo.roles' contains invalid role: ")
    assert role in event["error"]["message"] or why in event["error"]["message"]


def test_a4_sub_roles_share_their_parents_part_and_the_tree_shows_sums(cluster: Cluster) -> None:
    with (
        Scheduler(cluster.port, framework_info("eng/web")) as web,
        Scheduler(cluster.port, framework_info("eng/db")) as db,
    ):
        offer = web.offer()
        web.launch(offer, web.task("web", offer, "sleep 60", cpus=1.0, mem=100), refuse_s=60)
        offer = db.offer()
        db.launch(offer, db.task("db", offer, "sleep 60", cpus=0.5, mem=50), refuse_s=60)
        web.update("web", "TASK_RUNNING")
        db.update("db", "TASK_RUNNING")
        roles = {one["name"]: one for one in get(cluster.port, "/roles")["roles"]}
        assert roles["eng/web"]["allocated"]["cpus"] == 1.0
        assert roles["eng/db"]["allocated"]["cpus"] == 0.5
        assert roles["eng"]["allocated"]["cpus"] == 1.5
        assert roles["eng"]["allocated"]["mem"] == 150.0
        assert roles["eng"]["frameworks"] == []
        assert "eng" in {one["name"] for one in operate(cluster.port, "GET_ROLES")["get_roles"]["roles"]}


class Greedy:
    """Takes every offer and fills it with short tasks, each a fifteenth of the agent in every scalar, and again as they end."""

    def __init__(self, port: int, role: str) -> None:
        self.scheduler = Scheduler(port, framework_info(role, name=role))
        self.running = 0
        self.finished = 0
        self._numbers = itertools.count()

    def step(self) -> None:
        """Answer what has come."""
        stream = self.scheduler.stream
        stream.read(time.monotonic() + 0.003)
        pending, stream.pending = stream.pending, []
        for event in pending:
            if event["type"] == "OFFERS":
                for offer in event["offers"]["offers"]:
                    self._fill(offer)
            elif event["type"] == "UPDATE":
                status = event["update"]["status"]
                self.scheduler.acknowledge(status)
                self.running -= status["state"] == "TASK_FINISHED"
                self.finished += status["state"] == "TASK_FINISHED"
                assert status["state"] in {"TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"}, status

    def _fill(self, offer: Json) -> None:
        count = int(amounts_of(offer["resources"]).get("cpus", 0) / 0.266)
        tasks = [self._task(offer) for _ in range(count)]
        self.running += count
        if tasks:
            self.scheduler.launch(offer, *tasks)
        else:
            self.scheduler.decline(offer, 0.0)

    def _task(self, offer: Json) -> Json:
        number = next(self._numbers)
        task_id = f"{self.scheduler.info['name']}-{number}"
        # Unlike ends, and far apart as seen by a busy machine: what becomes free at one instant on one agent is one offer, so it
        # is never shared.
        task = self.scheduler.task(task_id, offer, f"sleep 0.{20 + 2 * (number * 7 % 23)}", cpus=0.266, mem=136)
        return task | {"resources": [*task["resources"], *scalars(disk=273)]}


def test_a8_two_greedy_roles_of_weights_one_and_two_settle_at_one_to_two(cluster: Cluster) -> None:
    light, heavy = Greedy(cluster.port, "light"), Greedy(cluster.port, "heavy")
    with light.scheduler, heavy.scheduler:
        # The first came to an empty cluster and has all of it; what counts is where the two settle. Counted in tasks that have
        # ended, since a busy machine takes longer for the same.
        changed_at = time.monotonic()
        until = changed_at + 3 * WAIT_S_MAX
        has = {"light": 0.0, "heavy": 0.0}
        while (ended := light.finished + heavy.finished) < 230:
            now = time.monotonic()
            assert now < until, f"only {ended} tasks have ended"
            if ended > 60:
                has["light"] += light.running * (now - changed_at)
                has["heavy"] += heavy.running * (now - changed_at)
            changed_at = now
            light.step()
            heavy.step()
        share = has["light"] / sum(has.values())
        assert share == pytest.approx(1 / 3, abs=0.03), f"the light role has {share:.3f} of what the two have"
        weights = {one["name"]: one["weight"] for one in get(cluster.port, "/roles")["roles"]}
        assert (weights["light"], weights["heavy"]) == (1.0, 2.0)


def test_a11_a_new_agent_is_offered_long_before_the_next_batch(tmp_path: Path) -> None:
    with Cluster(tmp_path, "--allocation_interval=30secs", agents=()) as cluster, Scheduler(cluster.port) as scheduler:
        assert not scheduler.offers_come(QUIET_S)
        (agent,) = cluster.start_agents([])
        known_at = time.monotonic()
        assert scheduler.offer()["agent_id"]["value"] == agent.id
        assert time.monotonic() - known_at < 5.0
        snapshot = get(cluster.port, "/metrics/snapshot")
        assert snapshot["allocator/mesos/allocation_runs"] >= 1
        assert snapshot["allocator/mesos/allocation_run_ms"] > 0, json.dumps(snapshot)[:2000]
