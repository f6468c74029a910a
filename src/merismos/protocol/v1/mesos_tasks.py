"""The messages of `mesos/v1/mesos_tasks.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

import enum

import msgspec

from merismos.protocol.v1 import mesos_containers, mesos_ids, mesos_resources, mesos_values
from merismos.protocol.v1.message import Double, Int32, Message, UInt32


class TaskState(enum.StrEnum):
    """The states of a task."""

    TASK_STAGING = "TASK_STAGING"
    TASK_STARTING = "TASK_STARTING"
    TASK_RUNNING = "TASK_RUNNING"
    TASK_KILLING = "TASK_KILLING"
    TASK_FINISHED = "TASK_FINISHED"
    TASK_FAILED = "TASK_FAILED"
    TASK_KILLED = "TASK_KILLED"
    TASK_ERROR = "TASK_ERROR"
    TASK_LOST = "TASK_LOST"
    TASK_DROPPED = "TASK_DROPPED"
    TASK_UNREACHABLE = "TASK_UNREACHABLE"
    TASK_GONE = "TASK_GONE"
    TASK_GONE_BY_OPERATOR = "TASK_GONE_BY_OPERATOR"
    TASK_UNKNOWN = "TASK_UNKNOWN"


class CheckInfo_Type(enum.StrEnum):
    """`mesos.v1.CheckInfo.Type`."""

    UNKNOWN = "UNKNOWN"
    COMMAND = "COMMAND"
    HTTP = "HTTP"
    TCP = "TCP"


class HealthCheck_Type(enum.StrEnum):
    """`mesos.v1.HealthCheck.Type`."""

    UNKNOWN = "UNKNOWN"
    COMMAND = "COMMAND"
    HTTP = "HTTP"
    TCP = "TCP"


class ExecutorInfo_Type(enum.StrEnum):
    """`mesos.v1.ExecutorInfo.Type`."""

    UNKNOWN = "UNKNOWN"
    DEFAULT = "DEFAULT"
    CUSTOM = "CUSTOM"


class TaskStatus_Source(enum.StrEnum):
    """`mesos.v1.TaskStatus.Source`."""

    SOURCE_MASTER = "SOURCE_MASTER"
    SOURCE_AGENT = "SOURCE_AGENT"
    SOURCE_EXECUTOR = "SOURCE_EXECUTOR"


class TaskStatus_Reason(enum.StrEnum):
    """`mesos.v1.TaskStatus.Reason`."""

    REASON_COMMAND_EXECUTOR_FAILED = "REASON_COMMAND_EXECUTOR_FAILED"
    REASON_CONTAINER_LAUNCH_FAILED = "REASON_CONTAINER_LAUNCH_FAILED"
    REASON_CONTAINER_LIMITATION = "REASON_CONTAINER_LIMITATION"
    REASON_CONTAINER_LIMITATION_DISK = "REASON_CONTAINER_LIMITATION_DISK"
    REASON_CONTAINER_LIMITATION_MEMORY = "REASON_CONTAINER_LIMITATION_MEMORY"
    REASON_CONTAINER_PREEMPTED = "REASON_CONTAINER_PREEMPTED"
    REASON_CONTAINER_UPDATE_FAILED = "REASON_CONTAINER_UPDATE_FAILED"
    REASON_MAX_COMPLETION_TIME_REACHED = "REASON_MAX_COMPLETION_TIME_REACHED"
    REASON_EXECUTOR_REGISTRATION_TIMEOUT = "REASON_EXECUTOR_REGISTRATION_TIMEOUT"
    REASON_EXECUTOR_REREGISTRATION_TIMEOUT = "REASON_EXECUTOR_REREGISTRATION_TIMEOUT"
    REASON_EXECUTOR_TERMINATED = "REASON_EXECUTOR_TERMINATED"
    REASON_EXECUTOR_UNREGISTERED = "REASON_EXECUTOR_UNREGISTERED"
    REASON_FRAMEWORK_REMOVED = "REASON_FRAMEWORK_REMOVED"
    REASON_GC_ERROR = "REASON_GC_ERROR"
    REASON_INVALID_FRAMEWORKID = "REASON_INVALID_FRAMEWORKID"
    REASON_INVALID_OFFERS = "REASON_INVALID_OFFERS"
    REASON_IO_SWITCHBOARD_EXITED = "REASON_IO_SWITCHBOARD_EXITED"
    REASON_MASTER_DISCONNECTED = "REASON_MASTER_DISCONNECTED"
    REASON_RECONCILIATION = "REASON_RECONCILIATION"
    REASON_RESOURCES_UNKNOWN = "REASON_RESOURCES_UNKNOWN"
    REASON_AGENT_DISCONNECTED = "REASON_AGENT_DISCONNECTED"
    REASON_AGENT_DRAINING = "REASON_AGENT_DRAINING"
    REASON_AGENT_REMOVED = "REASON_AGENT_REMOVED"
    REASON_AGENT_REMOVED_BY_OPERATOR = "REASON_AGENT_REMOVED_BY_OPERATOR"
    REASON_AGENT_REREGISTERED = "REASON_AGENT_REREGISTERED"
    REASON_AGENT_RESTARTED = "REASON_AGENT_RESTARTED"
    REASON_AGENT_UNKNOWN = "REASON_AGENT_UNKNOWN"
    REASON_TASK_KILLED_DURING_LAUNCH = "REASON_TASK_KILLED_DURING_LAUNCH"
    REASON_TASK_CHECK_STATUS_UPDATED = "REASON_TASK_CHECK_STATUS_UPDATED"
    REASON_TASK_HEALTH_CHECK_STATUS_UPDATED = "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED"
    REASON_TASK_GROUP_INVALID = "REASON_TASK_GROUP_INVALID"
    REASON_TASK_GROUP_UNAUTHORIZED = "REASON_TASK_GROUP_UNAUTHORIZED"
    REASON_TASK_INVALID = "REASON_TASK_INVALID"
    REASON_TASK_UNAUTHORIZED = "REASON_TASK_UNAUTHORIZED"
    REASON_TASK_UNKNOWN = "REASON_TASK_UNKNOWN"


class DiscoveryInfo_Visibility(enum.StrEnum):
    """`mesos.v1.DiscoveryInfo.Visibility`."""

    FRAMEWORK = "FRAMEWORK"
    CLUSTER = "CLUSTER"
    EXTERNAL = "EXTERNAL"


class CheckInfo(Message, kw_only=True):
    """A general check of a task: run a command, ask HTTP, or connect by TCP."""

    type: CheckInfo_Type | None = None
    command: CheckInfo_Command | None = None
    http: CheckInfo_Http | None = None
    tcp: CheckInfo_Tcp | None = None
    delay_seconds: Double = msgspec.field(default_factory=lambda: 15.0)
    interval_seconds: Double = msgspec.field(default_factory=lambda: 10.0)
    timeout_seconds: Double = msgspec.field(default_factory=lambda: 20.0)


class CheckInfo_Command(Message, kw_only=True):
    """`mesos.v1.CheckInfo.Command`."""

    command: mesos_containers.CommandInfo


class CheckInfo_Http(Message, kw_only=True):
    """`mesos.v1.CheckInfo.Http`."""

    port: UInt32
    path: str | None = None


class CheckInfo_Tcp(Message, kw_only=True):
    """`mesos.v1.CheckInfo.Tcp`."""

    port: UInt32


class HealthCheck(Message, kw_only=True):
    """A check whose repeated failure kills the task."""

    delay_seconds: Double = msgspec.field(default_factory=lambda: 15.0)
    interval_seconds: Double = msgspec.field(default_factory=lambda: 10.0)
    timeout_seconds: Double = msgspec.field(default_factory=lambda: 20.0)
    consecutive_failures: UInt32 = msgspec.field(default_factory=lambda: 3)
    grace_period_seconds: Double = msgspec.field(default_factory=lambda: 10.0)
    type: HealthCheck_Type | None = None
    command: mesos_containers.CommandInfo | None = None
    http: HealthCheck_HTTPCheckInfo | None = None
    tcp: HealthCheck_TCPCheckInfo | None = None


class HealthCheck_HTTPCheckInfo(Message, kw_only=True):
    """`mesos.v1.HealthCheck.HTTPCheckInfo`."""

    protocol: mesos_containers.NetworkInfo_Protocol = msgspec.field(
        default_factory=lambda: mesos_containers.NetworkInfo_Protocol.IPv4
    )
    scheme: str | None = None
    port: UInt32
    path: str | None = None
    statuses: list[UInt32] = []


class HealthCheck_TCPCheckInfo(Message, kw_only=True):
    """`mesos.v1.HealthCheck.TCPCheckInfo`."""

    protocol: mesos_containers.NetworkInfo_Protocol = msgspec.field(
        default_factory=lambda: mesos_containers.NetworkInfo_Protocol.IPv4
    )
    port: UInt32


class KillPolicy(Message, kw_only=True):
    """How a task is killed: the grace between the polite and the forced signal."""

    grace_period: mesos_ids.DurationInfo | None = None


class ExecutorInfo(Message, kw_only=True):
    """The process that runs the tasks of a framework on an agent."""

    type: ExecutorInfo_Type | None = None
    executor_id: mesos_ids.ExecutorID
    framework_id: mesos_ids.FrameworkID | None = None
    command: mesos_containers.CommandInfo | None = None
    container: mesos_containers.ContainerInfo | None = None
    resources: list[mesos_resources.Resource] = []
    name: str | None = None
    source: str | None = None
    data: bytes | None = None
    discovery: DiscoveryInfo | None = None
    shutdown_grace_period: mesos_ids.DurationInfo | None = None
    labels: mesos_ids.Labels | None = None


class TaskInfo(Message, kw_only=True):
    """A task as its framework describes it."""

    name: str
    task_id: mesos_ids.TaskID
    agent_id: mesos_ids.AgentID
    resources: list[mesos_resources.Resource] = []
    executor: ExecutorInfo | None = None
    command: mesos_containers.CommandInfo | None = None
    container: mesos_containers.ContainerInfo | None = None
    health_check: HealthCheck | None = None
    check: CheckInfo | None = None
    kill_policy: KillPolicy | None = None
    data: bytes | None = None
    labels: mesos_ids.Labels | None = None
    discovery: DiscoveryInfo | None = None
    max_completion_time: mesos_ids.DurationInfo | None = None
    limits: dict[str, mesos_values.Value_Scalar] = {}


class TaskGroupInfo(Message, kw_only=True):
    """Tasks that are launched together or not at all."""

    tasks: list[TaskInfo] = []


class Task(Message, kw_only=True):
    """A task as the cluster knows it."""

    name: str
    task_id: mesos_ids.TaskID
    framework_id: mesos_ids.FrameworkID
    executor_id: mesos_ids.ExecutorID | None = None
    agent_id: mesos_ids.AgentID
    state: TaskState
    resources: list[mesos_resources.Resource] = []
    statuses: list[TaskStatus] = []
    status_update_state: TaskState | None = None
    status_update_uuid: bytes | None = None
    labels: mesos_ids.Labels | None = None
    discovery: DiscoveryInfo | None = None
    container: mesos_containers.ContainerInfo | None = None
    health_check: HealthCheck | None = None
    kill_policy: KillPolicy | None = None
    user: str | None = None
    limits: dict[str, mesos_values.Value_Scalar] = {}


class TaskResourceLimitation(Message, kw_only=True):
    """`mesos.v1.TaskResourceLimitation`."""

    resources: list[mesos_resources.Resource] = []


class CheckStatusInfo(Message, kw_only=True):
    """`mesos.v1.CheckStatusInfo`."""

    type: CheckInfo_Type | None = None
    command: CheckStatusInfo_Command | None = None
    http: CheckStatusInfo_Http | None = None
    tcp: CheckStatusInfo_Tcp | None = None


class CheckStatusInfo_Command(Message, kw_only=True):
    """`mesos.v1.CheckStatusInfo.Command`."""

    exit_code: Int32 | None = None


class CheckStatusInfo_Http(Message, kw_only=True):
    """`mesos.v1.CheckStatusInfo.Http`."""

    status_code: UInt32 | None = None


class CheckStatusInfo_Tcp(Message, kw_only=True):
    """`mesos.v1.CheckStatusInfo.Tcp`."""

    succeeded: bool | None = None


class TaskStatus(Message, kw_only=True):
    """One update of the state of a task."""

    task_id: mesos_ids.TaskID
    state: TaskState
    message: str | None = None
    source: TaskStatus_Source | None = None
    reason: TaskStatus_Reason | None = None
    data: bytes | None = None
    agent_id: mesos_ids.AgentID | None = None
    executor_id: mesos_ids.ExecutorID | None = None
    timestamp: Double | None = None
    uuid: bytes | None = None
    healthy: bool | None = None
    check_status: CheckStatusInfo | None = None
    labels: mesos_ids.Labels | None = None
    container_status: mesos_containers.ContainerStatus | None = None
    unreachable_time: mesos_ids.TimeInfo | None = None
    limitation: TaskResourceLimitation | None = None


class Port(Message, kw_only=True):
    """`mesos.v1.Port`."""

    number: UInt32
    name: str | None = None
    protocol: str | None = None
    visibility: DiscoveryInfo_Visibility | None = None
    labels: mesos_ids.Labels | None = None


class Ports(Message, kw_only=True):
    """`mesos.v1.Ports`."""

    ports: list[Port] = []


class DiscoveryInfo(Message, kw_only=True):
    """How others find a task."""

    visibility: DiscoveryInfo_Visibility
    name: str | None = None
    environment: str | None = None
    location: str | None = None
    version: str | None = None
    ports: Ports | None = None
    labels: mesos_ids.Labels | None = None
