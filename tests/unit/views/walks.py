"""Walks of a cluster: frameworks come and go, tasks start and end, agents get lost and come back, an operator looks on."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st

from merismos.core.master.state import Task
from merismos.core.master.statuses import whole_statuses
from merismos.core.master.views import operator, v0
from merismos.model.task_states import TERMINAL
from merismos.protocol import link
from unit.master.rig import Json, Peer, Rig, Scheduler, framework_info, launch, task
from unit.views.scene import EXECUTOR, FLAGS, connect_agent, joined, return_agent

ROLES = ("a", "a/b", "c")
NEXT_STATE = {"TASK_STAGING": "TASK_STARTING", "TASK_STARTING": "TASK_RUNNING", "TASK_RUNNING": "TASK_KILLING"}
STEPS = (
    "add_agent",
    "subscribe",
    "launch",
    "launch_in_executor",
    "advance_task",
    "end_task",
    "tear_down",
    "lose_agent",
    "return_agent",
    "wait",
)

walks = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 5)), min_size=12, max_size=40)


class Walk:
    """A cluster after some steps, the last of them seen by an operator who came in between."""

    def __init__(self, before: list[tuple[str, int]], after: list[tuple[str, int]]) -> None:
        self.rig = Rig()
        self.reads = v0.Reads(self.rig.master, FLAGS)
        self.names = 0
        self.uuids = 0
        self.peers: dict[str, tuple[Peer, int]] = {}  # by agent id: its link and its number
        self.lost: dict[str, int] = {}
        for step, which in [("add_agent", 0), ("subscribe", 0), *before]:
            getattr(self, step)(which)
        self.events = self.rig.watch()
        self.snapshot: Json = joined(operator.subscribed(self.reads))["subscribed"]["get_state"]
        for step, which in after:
            getattr(self, step)(which)

    def number(self) -> int:
        self.names += 1
        return self.names

    def schedulers(self) -> list[Scheduler]:
        return [one for one in self.rig.schedulers.values() if one.is_open and one.id in self.rig.master.frameworks]

    def tasks(self) -> list[Task]:
        return [
            task
            for framework in self.rig.master.frameworks.values()
            for task in framework.tasks.values()
            if task.agent.id in self.peers and task.state not in TERMINAL
        ]

    def add_agent(self, _which: int) -> None:
        number = self.number()
        peer = connect_agent(self.rig, f"host-{number}", number)
        self.peers[peer.id] = (peer, number)

    def subscribe(self, which: int) -> None:
        self.rig.subscribe(framework_info(f"framework-{self.number()}", roles=(ROLES[which % 3],)))

    def launch(self, which: int, **more: object) -> None:
        for scheduler in self.schedulers():
            for offer in scheduler.offers():
                name = f"t-{self.number()}"
                need = f"cpus:{0.1 * (which + 1):.1f};mem:32"
                scheduler.accept([offer], launch(task(name, offer, need=need, **more)))
                return
        self.wait(0)

    def launch_in_executor(self, which: int) -> None:
        self.launch(which, executor=EXECUTOR, command=None)

    def advance_task(self, which: int) -> None:
        self._report(which, None)

    def end_task(self, which: int) -> None:
        self._report(which, ("TASK_FINISHED", "TASK_FAILED", "TASK_KILLED")[which % 3])

    def _report(self, which: int, state: str | None) -> None:
        tasks = self.tasks()
        if not tasks:
            return
        one = tasks[which % len(tasks)]
        to = state or NEXT_STATE.get(one.state, "TASK_KILLED")
        self.uuids += 1
        peer, _ = self.peers[one.agent.id]
        peer.update(one.framework.id, one.id, to, uuid=self.uuids.to_bytes(16, "big"))
        for scheduler in self.schedulers():
            if scheduler.id == one.framework.id:
                scheduler.acknowledge(scheduler.statuses()[-1])

    def tear_down(self, which: int) -> None:
        schedulers = self.schedulers()
        if schedulers:
            schedulers[which % len(schedulers)].call("TEARDOWN")

    def lose_agent(self, which: int) -> None:
        if self.peers:
            agent_id = list(self.peers)[which % len(self.peers)]
            peer, number = self.peers.pop(agent_id)
            peer.close()
            self.lost[agent_id] = number
            for _ in range(80):
                self.wait(0)

    def return_agent(self, which: int) -> None:
        """An agent is back with the tasks and executors that it had; one that forgot its executors comes, too."""
        if not self.lost:
            return
        agent_id = list(self.lost)[which % len(self.lost)]
        number = self.lost.pop(agent_id)
        tasks = [
            task
            for framework in self.rig.master.frameworks.values()
            for task in framework.unreachable_tasks.values()
            if task.agent.id == agent_id and (which or not task.executor_id)
        ]
        records = [as_reported(task) for task in tasks]
        executors = dict.fromkeys(task.framework.id for task in tasks if task.executor_id)
        peer = return_agent(
            self.rig,
            agent_id,
            f"host-{number}",
            number,
            tasks=records,
            executors=[link.ExecutorRecord(framework_id, msgspec.json.encode(EXECUTOR)) for framework_id in executors],
        )
        self.peers[agent_id] = (peer, number)

    def wait(self, _which: int) -> None:
        """A second passes; agents answer pings."""
        self.rig.advance(1.0)
        for peer, _ in self.peers.values():
            if peer.is_open:
                for ping in peer.of(link.Ping):
                    peer.send(link.Pong(ping.sequence))
                peer.messages[:] = [message for message in peer.messages if not isinstance(message, link.Ping)]


def as_reported(task: Task) -> link.TaskRecord:
    """What the agent of an unreachable task says of it: the state before the master gave it up."""
    before = whole_statuses(task)[:-1]
    if not before:
        return link.TaskRecord(task.framework.id, task.info, task.role, "TASK_STAGING")
    state = msgspec.json.decode(before[-1])["state"]
    return link.TaskRecord(task.framework.id, task.info, task.role, state, before[-1])
