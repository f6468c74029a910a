"""An agent's messages come twice, late, over old links and in any order that its links allow: the end is always the same."""

from __future__ import annotations

import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merismos.protocol import link
from unit.master.rig import Peer, Rig, Scheduler, record_of

LIFE = ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
TASKS = ["t-0", "t-1", "t-2"]
STEPS = ["progress", "resend", "acknowledge", "acknowledge first again", "relink", "late", "introduce twice", "hang up"]


class Told:
    """An agent as the link's documents describe it: one unacknowledged update a task at a time, sent again at will."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.peer: Peer = self.rig.agent()
        self.agent_id = self.peer.id
        self.old: list[Peer] = []
        self.read = 0
        self.uuids = itertools.count(1)
        self.scheduler: Scheduler = self.rig.subscribe()
        self.framework_id = self.scheduler.id
        self.scheduler.launch(*TASKS)
        self.states = dict.fromkeys(TASKS, "TASK_STAGING")
        self.owed: dict[str, list[tuple[str, bytes]]] = {task_id: [] for task_id in TASKS}

    def progress(self, task_id: str) -> None:
        done = [*LIFE[: LIFE.index(self.states[task_id]) + 1]] if self.states[task_id] in LIFE else []
        if len(done) == len(LIFE):
            return
        self.states[task_id] = LIFE[len(done)]
        self.owed[task_id].append((self.states[task_id], next(self.uuids).to_bytes(16, "big")))
        if len(self.owed[task_id]) == 1:
            self.resend(task_id)

    def resend(self, task_id: str) -> None:
        if self.owed[task_id]:
            state, uuid = self.owed[task_id][0]
            self.peer.update(self.framework_id, task_id, state, latest=self.states[task_id], uuid=uuid)

    def late(self, task_id: str) -> None:
        for peer in self.old:
            for state in LIFE:
                peer.update(self.framework_id, task_id, state, uuid=b"late" * 4)

    def acknowledge(self, task_id: str, *, first: bool = False) -> None:
        statuses = [one for one in self.scheduler.statuses() if one["task_id"]["value"] == task_id and "uuid" in one]
        if statuses:
            self.scheduler.acknowledge(statuses[0 if first else -1])
        self.listen()

    def listen(self) -> None:
        """Take what the master has acknowledged since, and send what is next."""
        messages, self.read = self.peer.messages[self.read :], len(self.peer.messages)
        for message in messages:
            if not isinstance(message, link.AcknowledgeStatus):
                continue
            owed = self.owed[message.task_id]
            if owed and owed[0][1] == message.uuid:
                del owed[0]
                self.resend(message.task_id)

    def introduction(self) -> list[link.TaskRecord]:
        return [
            record_of(self.framework_id, task_id, self.agent_id, state)
            for task_id, state in self.states.items()
            if self.owed[task_id] or state != LIFE[-1]
        ]

    def relink(self) -> None:
        self.old.append(self.peer)
        self.peer = self.rig.reregister(self.agent_id, tasks=self.introduction())
        assert self.peer.id == self.agent_id
        self.read = 0

    def introduce_twice(self) -> None:
        info = self.rig.master.agents[self.agent_id].info_json
        again = link.ReregisterAgent(
            self.agent_id, info, "1.12.0", "slave(1)@127.0.0.1:5051", tasks=self.introduction()
        )
        self.peer.send(again)

    def hang_up(self) -> None:
        self.old.append(self.peer)
        self.peer.close()
        self.peer = self.rig.reregister(self.agent_id, tasks=self.introduction())
        self.read = 0

    def step(self, what: str, task_id: str) -> None:
        match what:
            case "progress":
                self.progress(task_id)
            case "resend":
                self.resend(task_id)
            case "acknowledge":
                self.acknowledge(task_id)
            case "acknowledge first again":
                self.acknowledge(task_id, first=True)
            case "relink":
                self.relink()
            case "late":
                self.late(task_id)
            case "introduce twice":
                self.introduce_twice()
            case _:
                self.hang_up()

    def finish(self) -> None:
        for task_id in TASKS:
            for _ in LIFE:
                self.progress(task_id)
            for _ in LIFE:
                self.resend(task_id)
                self.acknowledge(task_id)
            assert self.owed[task_id] == []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(TASKS)), max_size=30))
def test_messages_that_come_twice_late_or_in_another_order_do_nothing_twice(steps: list[tuple[str, str]]) -> None:
    told = Told()
    for what, task_id in steps:
        told.step(what, task_id)
    told.finish()
    framework = told.scheduler.record
    assert framework.tasks == {}
    assert told.rig.master.agents[told.agent_id].tasks == {}
    assert sorted(framework.completed_tasks) == TASKS
    assert {task.state for task in framework.completed_tasks.values()} == {"TASK_FINISHED"}
    assert framework.counters["terminal/task_finished"] == len(TASKS)
    assert told.rig.master.metrics["master/tasks_finished"] == len(TASKS)
    for task_id in TASKS:
        states = told.scheduler.states(task_id)
        assert [state for state, _ in itertools.groupby(states)] == LIFE
    told.rig.advance(10)
    assert [offer["quantities"] for offer in told.scheduler.offers()] == [{"cpus": 4000, "mem": 2048_000}]
