"""What an agent knows: its settings, frameworks, executors and tasks, and the indices over them.

Rules: a command task has an executor of its own id, built into the agent; a container belongs to one executor. An executor
is active until its container is gone, a task until its terminal update is acknowledged. A task of a group has a container of its
own, nested in its executor's.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from merismos.core.agent.checkpoints import Checkpoints
from merismos.core.containers.cgroup_plan import CgroupSettings
from merismos.core.containers.device_plan import DeviceNode
from merismos.core.containers.docker_plan import DockerSettings
from merismos.core.containers.gpu_plan import GpuSettings
from merismos.core.containers.image_plan import DEFAULT_CAPABILITIES, PulledImage
from merismos.core.containers.linux_info import IsolatorSettings
from merismos.core.containers.lxc_plan import LxcSettings
from merismos.core.kernel import Deadlines, Effect, Prng
from merismos.core.status_updates import StatusUpdates
from merismos.protocol.link import DrainAgent, ExitedExecutor, TaskRecord
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.agent.checks_state import Check
    from merismos.core.agent.events import Limitation
    from merismos.core.agent.executors_state import Executor
    from merismos.core.agent.nested_state import Nested

COMPLETED_FRAMEWORKS_MAX = 50
NANOS = 1_000_000_000
CAPABILITIES = (
    "MULTI_ROLE",
    "HIERARCHICAL_ROLE",
    "RESERVATION_REFINEMENT",
    "AGENT_DRAINING",
)


class AgentSettings(msgspec.Struct, kw_only=True):
    """What the flags said, and what the machine is.

    Shapes: `info` is AgentInfo without id; `pid` is `slave(1)@ip:port`; `environment` are NAME=value for every task; `strict`,
    `cleanup` and `additive` are --strict, --recover=cleanup and --reconfiguration_policy=additive; without `cgroups` nothing is limited; `domain_socket` is where executors are served beside the port, empty for nowhere;
    `images`: containers may be made of images, and have these capabilities;
    `native`, `docker` and `lxc` say which containerizers there are; `networks`: containers may join networks of CNI; without `gpus` they are a number like any other; `image_devices` are in every container of an image.
    """

    info: mesos.AgentInfo
    ip: str
    port: int
    pid: str
    version: str
    work_dir: str
    capabilities: list[str] = msgspec.field(default_factory=lambda: list(CAPABILITIES))
    environment: list[str] = []
    switch_user: bool = False
    domain_socket: str = ""
    registration_backoff_s: float = 1.0
    kill_grace_s: float = 5.0
    kill_grace_text: str = "5secs"
    recovery_timeout_text: str = "15mins"
    gc_delay_s: float = 7 * 86400.0
    gc_disk_headroom: float = 0.1
    completed_executors_max: int = 150
    executor_registration_timeout_s: float = 60.0
    executor_registration_timeout_text: str = "1mins"
    executor_reregistration_timeout_s: float = 2.0
    executor_reregistration_timeout_text: str = "2secs"
    strict: bool = True
    cleanup: bool = False
    additive: bool = False
    cgroups: CgroupSettings | None = None
    images: bool = False
    sandbox_directory: str = "/mnt/mesos/sandbox"
    bounding_capabilities: tuple[str, ...] = DEFAULT_CAPABILITIES
    effective_capabilities: tuple[str, ...] | None = None
    native: bool = True
    docker: DockerSettings | None = None
    networks: bool = False
    lxc: LxcSettings | None = None
    gpus: GpuSettings | None = None
    isolators: IsolatorSettings = IsolatorSettings()
    image_devices: tuple[DeviceNode, ...] = ()


class Phase(enum.Enum):
    """How far the container of a task is."""

    FETCHING = enum.auto()
    LAUNCHING = enum.auto()
    RUNNING = enum.auto()
    ENDED = enum.auto()


class Task:
    """One task and its container: its own, or the one of the custom executor that runs it.

    Shapes: `group` is the same for the tasks of one group, empty for others; `image` is None until it is pulled; `networks` are those that its container joined; `awaited` counts what is still being fetched or pulled, `prepared` says that nothing is; `delivered` says that its executor was sent it; `uuids` are those of the updates its executor sent; `gpus` are the numbers of those that it has; `classid` is its container's class of network traffic, 0 for none.
    """

    __slots__ = (
        "acknowledged",
        "awaited",
        "checks",
        "classid",
        "complete_at",
        "container_id",
        "delivered",
        "directory",
        "ended_at",
        "executor",
        "executor_id",
        "framework_id",
        "gpus",
        "group",
        "holder",
        "image",
        "info",
        "ip",
        "kill_at",
        "kill_due_at",
        "kill_grace_s",
        "kill_reason",
        "kill_state",
        "killing",
        "limitation",
        "networks",
        "phase",
        "pid",
        "prepared",
        "raw",
        "rendering",
        "role",
        "started_wall_s",
        "state",
        "statuses",
        "task_id",
        "uuids",
    )

    def __init__(self, framework_id: str, info: mesos.TaskInfo, raw: bytes, role: str) -> None:
        self.framework_id = framework_id
        self.task_id = info.task_id.value
        self.executor_id = self.task_id
        self.info = info
        self.raw = raw
        self.role = role
        self.state = "TASK_STAGING"
        self.statuses: list[bytes] = []
        self.phase = Phase.FETCHING
        self.container_id = ""
        self.directory = ""
        self.holder = ""
        self.pid = 0
        self.killing = False
        self.kill_reason: str | None = None  # what is told of its end, where that isn't plainly a kill
        self.kill_state = ""
        self.kill_at = 0.0
        self.kill_due_at = 0.0
        self.complete_at: float | None = None
        self.ended_at = 0.0
        self.started_wall_s = 0.0
        self.acknowledged = False
        self.rendering: object = None
        self.executor: Executor | None = None
        self.delivered = False
        self.kill_grace_s: float | None = None
        self.uuids: dict[bytes, None] = {}
        self.checks: list[Check] = []
        self.group = ""
        self.prepared = False
        self.limitation: Limitation | None = None
        self.awaited = 0
        self.image: PulledImage | None = None
        self.ip = ""
        self.networks: tuple[mesos.NetworkInfo, ...] = ()
        self.gpus: tuple[int, ...] = ()
        self.classid = 0

    def is_custom(self) -> bool:
        """Say whether a custom executor runs the task."""
        return self.executor is not None and not self.executor.is_builtin

    def shares_cgroup(self) -> bool:
        """Say whether the task counts for its executor's cgroup, as each of a group does unless it says otherwise."""
        if self.executor is None or not self.executor.is_builtin:
            return False
        linux = None if self.info.container is None else self.info.container.linux_info
        return linux is None or linux.share_cgroups

    def cgroup_id(self) -> str:
        """Return the container whose cgroup the task's processes are in."""
        if self.executor is not None and self.shares_cgroup():
            return self.executor.container_id
        return self.container_id

    def is_over(self) -> bool:
        """Say whether nothing more happens to the task."""
        return self.phase is Phase.ENDED


class Framework:
    """One framework that runs, or ran, something here."""

    __slots__ = (
        "capabilities",
        "completed",
        "completed_executors",
        "executors",
        "framework_id",
        "info",
        "raw",
        "shutting_down",
        "tasks",
    )

    def __init__(self, framework_id: str, raw: bytes, info: mesos.FrameworkInfo, completed_max: int) -> None:
        self.framework_id = framework_id
        self.tasks: dict[str, Task] = {}
        self.completed: deque[Task] = deque(maxlen=completed_max)
        self.executors: dict[str, Executor] = {}
        self.completed_executors: deque[Executor] = deque(maxlen=completed_max)
        self.shutting_down = False
        self.update(raw, info)

    def update(self, raw: bytes, info: mesos.FrameworkInfo) -> None:
        """Take a newer FrameworkInfo."""
        self.raw = raw
        self.info = info
        self.capabilities = [str(one.type) for one in info.capabilities if one.type is not None]


class Link(enum.Enum):
    """How far the way to the master is."""

    NONE = enum.auto()
    OPENING = enum.auto()
    REGISTERING = enum.auto()
    REGISTERED = enum.auto()


class Registration:
    """Where the master is, and whether it knows us.

    Shapes: `exits_owed` are the executors that ended since we said what we run, told as soon as the master has taken that in.
    """

    __slots__ = (
        "address",
        "agent_id",
        "attempts",
        "epoch",
        "exits_owed",
        "link",
        "links",
        "master_id",
        "ping_limit_s",
        "status",
    )

    def __init__(self) -> None:
        self.agent_id = ""
        self.address: str | None = None
        self.status = Link.NONE
        self.link = 0
        self.links = 0
        self.attempts = 0
        self.epoch = 0
        self.master_id = ""
        self.ping_limit_s = 75.0
        self.exits_owed: list[ExitedExecutor] = []


class Counters(msgspec.Struct):
    """What has happened since the start."""

    tasks_finished: int = 0
    tasks_failed: int = 0
    tasks_killed: int = 0
    tasks_error: int = 0
    tasks_lost: int = 0
    tasks_gone: int = 0
    tasks_dropped: int = 0
    executors_terminated: int = 0
    container_launch_errors: int = 0
    valid_status_updates: int = 0
    invalid_status_updates: int = 0
    valid_framework_messages: int = 0
    invalid_framework_messages: int = 0
    fetches_succeeded: int = 0
    fetches_failed: int = 0


class Agent:
    """The whole state of an agent."""

    __slots__ = (
        "boot_id",
        "checkpoints",
        "checks",
        "completed_frameworks",
        "containers",
        "counters",
        "deadlines",
        "docker_awaited",
        "drain",
        "effects",
        "executors",
        "exiting",
        "frameworks",
        "holder",
        "nested",
        "prng",
        "recovering",
        "refused",
        "registration",
        "sandbox_age_s_max",
        "sandboxes",
        "settings",
        "started_at",
        "unsettled",
        "updates",
        "waiters",
        "wall_offset_s",
    )

    def __init__(self, settings: AgentSettings) -> None:
        self.settings = settings
        self.prng = Prng(0)
        self.deadlines = Deadlines()
        self.wall_offset_s = 0.0
        self.started_at = 0.0
        self.registration = Registration()
        self.frameworks: dict[str, Framework] = {}
        self.completed_frameworks: deque[Framework] = deque(maxlen=COMPLETED_FRAMEWORKS_MAX)
        self.containers: dict[str, Task] = {}
        self.executors: dict[str, Executor] = {}  # custom and default ones, by container id
        self.unsettled: list[Executor] = []  # default ones of which a task has ended in this turn
        self.checks: dict[str, tuple[Task, Check]] = {}  # by the id of the run under way
        self.nested: dict[str, Nested] = {}  # what operators asked for, by its dotted id
        self.waiters: dict[str, list[int]] = {}  # requests that wait for the end of a container
        self.updates = StatusUpdates()
        # what was refused and isn't acknowledged yet, with the framework's FrameworkInfo, by (framework id, task id)
        self.refused: dict[tuple[str, str], tuple[TaskRecord, bytes]] = {}
        self.counters = Counters()
        self.exiting: str | None = None
        self.drain: DrainAgent | None = None  # while operators drain it
        self.checkpoints = Checkpoints()
        self.boot_id = ""
        self.holder = ""
        self.recovering = False
        self.docker_awaited: dict[str, Task] = {}  # tasks of which only Docker knows what became, by container id
        self.sandboxes: deque[tuple[float, str]] = deque()
        self.sandbox_age_s_max = settings.gc_delay_s
        self.effects: list[Effect] = []

    def new_container_id(self) -> str:
        """Return the id of a container that is new."""
        digits = self.prng.uuid_bytes().hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def task(self, framework_id: str, task_id: str) -> Task | None:
        """Return an active task."""
        framework = self.frameworks.get(framework_id)
        return None if framework is None else framework.tasks.get(task_id)

    def tasks(self) -> list[Task]:
        """Return every active task, the oldest first."""
        return [task for framework in self.frameworks.values() for task in framework.tasks.values()]
