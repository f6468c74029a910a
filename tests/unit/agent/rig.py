"""An agent's core with a master and containers that the test plays itself; time is a number that the test moves."""

from __future__ import annotations

import json
from collections import deque
from typing import Any, TypeVar

from merismos.core.agent import effects, events
from merismos.core.agent.machine import AgentMachine
from merismos.core.agent.state import Agent, AgentSettings
from merismos.core.kernel import Effect, Event, TimerFired
from merismos.protocol import link
from merismos.protocol.v1 import mesos

E = TypeVar("E", bound=Effect)
M = TypeVar("M", bound=link.Message)
FRAMEWORK = "F"
WALL_OFFSET_S = 1_000_000.0


def framework_info(*capabilities: str, **fields: object) -> bytes:
    entries = [{"type": name} for name in capabilities]
    return json.dumps(
        {"user": "root", "name": "f", "id": {"value": FRAMEWORK}, "capabilities": entries, **fields}
    ).encode()


def task(task_id: str, command: object = "sleep 1", **fields: object) -> bytes:
    resource = {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}}
    info: dict[str, object] = {
        "name": task_id,
        "task_id": {"value": task_id},
        "agent_id": {"value": "S0"},
        "resources": [resource],
        "command": {"value": command} if isinstance(command, str) else command,
        **fields,
    }
    return json.dumps({name: value for name, value in info.items() if value is not None}).encode()


def seconds(number: float) -> dict[str, int]:
    return {"nanoseconds": int(number * 1e9)}


class Rig:
    def __init__(self, *, started: events.Started | None = None, now: float = 100.0, **settings: Any) -> None:  # noqa: ANN401 - any of AgentSettings
        self.now = now
        self.done: list[Effect] = []
        self.checkpoints: list[effects.Checkpoint] = []
        settings.setdefault("info", mesos.AgentInfo(hostname="host", port=5051))
        self.machine = AgentMachine(
            AgentSettings(
                ip="10.0.0.1",
                port=5051,
                pid="slave(1)@10.0.0.1:5051",
                version="1.12.0",
                work_dir="/w",
                **settings,
            )
        )
        self.handle(started or events.Started(1, WALL_OFFSET_S))

    @classmethod
    def registered(cls, **settings: Any) -> Rig:  # noqa: ANN401 - likewise
        rig = cls(**settings)
        rig.handle(events.MasterDetected("m:5050"))
        rig.open_link()
        rig.receive(link.AgentRegistered("S0"))
        rig.take()
        return rig

    @property
    def state(self) -> Agent:
        return self.machine.state

    def handle(self, event: Event) -> None:
        """Let the machine take an event, on a disk that writes at once."""
        waiting = deque(self.machine.handle(event, self.now))
        while waiting:
            effect = waiting.popleft()
            if isinstance(effect, effects.Checkpoint):
                self.checkpoints.append(effect)
                waiting.extend(self.machine.handle(events.Checkpointed(effect.sequence), self.now))
            else:
                self.done.append(effect)

    def open_link(self, epoch: int = 1, window_s: float = 0.0) -> None:
        self.handle(events.LinkOpened(self.last(effects.OpenLink).link, epoch, f"master-{epoch}", window_s))

    def receive(self, message: link.AnyMessage) -> None:
        self.handle(events.LinkReceived(self.state.registration.link, message))

    def run(
        self, *tasks: bytes, framework: bytes | None = None, role: str = "eng", starts: list[str] | None = None
    ) -> None:
        """Have tasks run; `starts` are the executors that the master expects to be started, all that are named by default."""
        infos = [json.loads(raw) for raw in tasks]
        ids = [info["task_id"]["value"] for info in infos]
        named = [info["executor"]["executor_id"]["value"] for info in infos if info.get("executor")]
        started = named if starts is None else starts
        self.receive(link.RunTasks(FRAMEWORK, framework or framework_info(), role, list(tasks), ids, started))

    def advance(self, duration_s: float) -> None:
        """Move time, firing what is due at the instants at which it is due."""
        until = self.now + duration_s
        while (at := self.machine.next_deadline()) is not None and at <= until:
            self.now = max(at, self.now)
            self.handle(TimerFired())
        self.now = until

    def of(self, kind: type[E]) -> list[E]:
        return [effect for effect in self.done if isinstance(effect, kind)]

    def last(self, kind: type[E]) -> E:
        return self.of(kind)[-1]

    def sent(self, kind: type[M]) -> list[M]:
        return [effect.message for effect in self.of(effects.SendMessage) if isinstance(effect.message, kind)]

    def updates(self) -> list[dict[str, Any]]:
        return [json.loads(update.status) for update in self.sent(link.UpdateStatus)]

    def take(self) -> list[Effect]:
        taken, self.done = self.done, []
        return taken

    def container(self, task_id: str) -> str:
        task = self.state.task(FRAMEWORK, task_id)
        assert task is not None
        return task.container_id

    def launched(self, task_id: str, pid: int = 4711) -> None:
        self.handle(events.ContainerLaunched(self.container(task_id), pid))

    def exited(self, task_id: str, status: int) -> None:
        self.handle(events.ContainerExited(self.container(task_id), status))

    def acknowledge_all(self) -> list[str]:
        """Acknowledge every update until none follows; return their states in order."""
        states = []
        index = 0
        while index < len(self.sent(link.UpdateStatus)):
            update = self.sent(link.UpdateStatus)[index]
            states.append(update.state)
            self.receive(link.AcknowledgeStatus(update.framework_id, update.task_id, update.uuid))
            index += 1
        return states

    def killed(self) -> tuple[tuple[str, list[bytes]], ...]:
        """Return what the next agent finds written down."""
        records: dict[str, list[bytes]] = {}
        for checkpoint in self.checkpoints:
            for key, record in checkpoint.changes:
                if record is None:
                    records.pop(key, None)
                else:
                    records.setdefault(key, []).append(record)
        return tuple(records.items())

    @classmethod
    def after(cls, before: Rig, *held: events.HeldContainer) -> Rig:
        """Return a registered agent that goes on where `before` was killed, with these containers held."""
        rig = cls(started=events.Started(2, WALL_OFFSET_S, (), before.killed(), (), ""), now=before.now)
        rig.handle(events.ContainersRecovered(before.state.holder, held))
        rig.handle(events.MasterDetected("m:5050"))
        rig.open_link()
        rig.receive(link.AgentRegistered("S0"))
        return rig
