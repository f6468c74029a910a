"""What an agent knows of one executor, custom or default: its container, its stream, its tasks.

Rules: an executor is active until its container is gone; it is subscribed while it has a stream. A task is its own until the
task's terminal update is acknowledged; of those that are over it remembers the newest, so that what it repeats is known.
A default executor is built into the agent: it has a sandbox, in which those of its tasks lie, but no process and no stream.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import TYPE_CHECKING

from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.agent.events import Limitation
    from merismos.core.agent.state import Task
    from merismos.core.containers.image_plan import PulledImage

COMPLETED_TASKS_MAX = 200


class ExecutorPhase(enum.Enum):
    """How far an executor is."""

    FETCHING = enum.auto()
    REGISTERING = enum.auto()
    RUNNING = enum.auto()
    TERMINATING = enum.auto()
    ENDED = enum.auto()


class Executor:
    """One executor.

    Shapes: `is_builtin`: it is a default one; `recovered` says that an earlier agent started it; `info` has its framework's id and the role of its resources filled in; `stream` is None while it isn't subscribed;
    `classid` is its container's class of network traffic, 0 for none; `gpus` are those of its own, its tasks have theirs;
    `end_reason`, `end_message` and `limitation` are what its tasks hear when it is gone; `gpus` are those of its own, its tasks have theirs;
    `awaited` counts what is still being fetched or pulled, `image` is None until it is pulled.
    """

    __slots__ = (
        "awaited",
        "classid",
        "completed",
        "container_id",
        "directory",
        "end_message",
        "end_reason",
        "ended_at",
        "executor_id",
        "framework_id",
        "gpus",
        "image",
        "info",
        "is_builtin",
        "limitation",
        "networks",
        "phase",
        "pid",
        "raw",
        "recovered",
        "role",
        "started_wall_s",
        "stream",
        "tasks",
    )

    def __init__(self, framework_id: str, info: mesos.ExecutorInfo, raw: bytes, role: str) -> None:
        self.framework_id = framework_id
        self.executor_id = info.executor_id.value
        self.info = info
        self.is_builtin = info.type is mesos.ExecutorInfo_Type.DEFAULT
        self.raw = raw
        self.role = role
        self.container_id = ""
        self.directory = ""
        self.pid = 0
        self.phase = ExecutorPhase.FETCHING
        self.stream: int | None = None
        self.tasks: dict[str, Task] = {}
        self.completed: deque[Task] = deque(maxlen=COMPLETED_TASKS_MAX)
        self.end_reason = "REASON_EXECUTOR_TERMINATED"
        self.end_message = "Executor terminated"
        self.limitation: Limitation | None = None
        self.networks: tuple[mesos.NetworkInfo, ...] = ()
        self.started_wall_s = 0.0
        self.recovered = False
        self.ended_at = 0.0
        self.gpus: tuple[int, ...] = ()
        self.classid = 0
        self.awaited = 0
        self.image: PulledImage | None = None

    def limit(self, limitation: Limitation | None) -> None:
        """Know what it took too much of, if it did: its tasks fail for that."""
        if limitation is not None:
            self.limitation = limitation
            self.end_reason, self.end_message = limitation.reason, limitation.message

    def every_gpu(self) -> list[int]:
        """Return the GPUs of the executor and of its tasks."""
        return [*self.gpus, *(index for task in self.live_tasks() for index in task.gpus)]

    def shares_cgroup(self) -> bool:
        """Say whether tasks of a default executor are in a cgroup of the executor's."""
        return self.is_builtin and any(task.shares_cgroup() for task in self.live_tasks())

    def live_tasks(self) -> list[Task]:
        """Return the tasks that are not over, the oldest first."""
        return [task for task in self.tasks.values() if not task.is_over()]

    def completed_task(self, task_id: str) -> Task | None:
        """Return a task that is over and acknowledged, if it is still remembered."""
        return next((task for task in self.completed if task.task_id == task_id), None)
