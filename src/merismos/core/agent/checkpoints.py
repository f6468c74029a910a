"""What an agent writes down, so that the next one goes on where it ended.

Rules: each thing has a key, and under it the records of what became of it, in order; a key that is dropped takes its records with it.
A change is made where the state changes; the machine takes a turn's changes and lets nothing out before they are written.
What a power cut must not undo (our id, a task's end) makes the whole turn durable.
Instants are those of the machine's monotonic clock: nothing that they are for outlives a reboot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.protocol.link import TaskRecord

if TYPE_CHECKING:
    from merismos.ports.checkpoints import Change

AGENT = "agent"


class Record(msgspec.Struct, array_like=True, gc=False, tag=True):
    """One thing that happened."""


class AgentKnown(Record):
    """The id under which masters know the agent, what it said about itself (JSON of AgentInfo), and the machine's boot id."""

    agent_id: str
    info: bytes
    boot_id: str


class FrameworkKnown(Record):
    """A framework that runs something here (JSON of FrameworkInfo)."""

    framework_id: str
    framework: bytes
    shutting_down: bool


class TaskTaken(Record):
    """A task will be run here (JSON of TaskInfo). `holder`: what its container is launched in; empty: its URIs come first."""

    framework_id: str
    task: bytes
    role: str
    container_id: str
    holder: str


class GroupTaskTaken(Record):
    """A task of a group will be run here, in a container nested in its executor's; otherwise as `TaskTaken`."""

    framework_id: str
    executor_id: str
    group: str
    task: bytes
    role: str
    container_id: str
    holder: str


class LaunchBegun(Record):
    """All is fetched; from now on a process may be there."""

    holder: str


class Granted(Record):
    """What a task or an executor has that nobody else has: GPUs, by their numbers, and a class of network traffic, 0 for none."""

    gpus: tuple[int, ...]
    classid: int = 0


class ContainerRuns(Record):
    """A process is there; `complete_at` is when it has to be over."""

    pid: int
    started_wall_s: float
    complete_at: float | None


class KillBegun(Record):
    """A task is being ended: TERM at `at`, KILL at `due_at`."""

    reason: str | None
    at: float
    due_at: float
    state: str = ""


class ExecutorTaken(Record):
    """A custom executor will be run here (JSON of ExecutorInfo)."""

    framework_id: str
    executor: bytes
    role: str
    container_id: str


class ExecutorTaskTaken(Record):
    """A task belongs to a custom executor (JSON of TaskInfo); `group` is that of tasks that it was given together with."""

    framework_id: str
    executor_id: str
    task: bytes
    role: str
    group: str = ""


class NestedTaken(Record):
    """A container that an operator asked for (JSON of CommandInfo, and of ContainerInfo where it has one); its id is dotted."""

    container_id: str
    directory: str
    command: bytes
    container: bytes = b""


class NestedEnded(Record):
    """It is gone; `status` is in wait(2) form."""

    status: int


class UpdateOwed(Record):
    """A scheduler has to hear of this (JSON of TaskStatus)."""

    framework_id: str
    task_id: str
    state: str
    uuid: bytes
    status: bytes


class UpdateAcknowledged(Record):
    """It did."""

    uuid: bytes


class TaskRefused(Record):
    """A task that was not taken, which the master takes for one of this agent's until it hears of it."""

    record: TaskRecord
    framework: bytes


AnyRecord = (
    AgentKnown
    | FrameworkKnown
    | TaskTaken
    | GroupTaskTaken
    | LaunchBegun
    | Granted
    | ContainerRuns
    | ExecutorTaken
    | ExecutorTaskTaken
    | KillBegun
    | NestedTaken
    | NestedEnded
    | UpdateOwed
    | UpdateAcknowledged
    | TaskRefused
)
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(AnyRecord)


def decode(raw: bytes) -> AnyRecord:
    """Return a record.

    Errors: msgspec.DecodeError.
    """
    record: AnyRecord = _DECODER.decode(raw)
    return record


def framework_key(framework_id: str) -> str:
    """Return the key of a framework."""
    return f"framework/{framework_id}"


def task_key(framework_id: str, task_id: str) -> str:
    """Return the key of a task that was taken."""
    return f"task/{framework_id}/{task_id}"


def executor_key(framework_id: str, executor_id: str) -> str:
    """Return the key of a custom executor."""
    return f"executor/{framework_id}/{executor_id}"


def nested_key(container_id: str) -> str:
    """Return the key of a container that an operator asked for."""
    return f"nested/{container_id}"


def stream_key(framework_id: str, task_id: str) -> str:
    """Return the key of what is owed for a task that isn't here."""
    return f"stream/{framework_id}/{task_id}"


class Checkpoints:
    """The changes of a turn, until the machine takes them."""

    __slots__ = ("_changes", "_durable")

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self._durable = False

    def keep(self, key: str, record: Record, *, durable: bool = False) -> None:
        """Add a record under a key."""
        self._changes.append((key, _ENCODER.encode(record)))
        self._durable = self._durable or durable

    def drop(self, key: str) -> None:
        """Forget a key."""
        self._changes.append((key, None))

    def take(self) -> tuple[list[Change], bool]:
        """Return the changes since the last time, and whether a power cut must not undo them."""
        taken = self._changes, self._durable
        self._changes, self._durable = [], False
        return taken
