"""The messages of `mesos/v1/mesos.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

import enum

import msgspec

from merismos.protocol.v1.message import Double, Int32, Int64, Message, UInt32, UInt64


class Status(enum.StrEnum):
    """`mesos.v1.Status`."""

    DRIVER_NOT_STARTED = "DRIVER_NOT_STARTED"
    DRIVER_RUNNING = "DRIVER_RUNNING"
    DRIVER_ABORTED = "DRIVER_ABORTED"
    DRIVER_STOPPED = "DRIVER_STOPPED"


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


class OperationState(enum.StrEnum):
    """`mesos.v1.OperationState`."""

    OPERATION_UNSUPPORTED = "OPERATION_UNSUPPORTED"
    OPERATION_PENDING = "OPERATION_PENDING"
    OPERATION_FINISHED = "OPERATION_FINISHED"
    OPERATION_FAILED = "OPERATION_FAILED"
    OPERATION_ERROR = "OPERATION_ERROR"
    OPERATION_DROPPED = "OPERATION_DROPPED"
    OPERATION_UNREACHABLE = "OPERATION_UNREACHABLE"
    OPERATION_GONE_BY_OPERATOR = "OPERATION_GONE_BY_OPERATOR"
    OPERATION_RECOVERING = "OPERATION_RECOVERING"
    OPERATION_UNKNOWN = "OPERATION_UNKNOWN"


class DrainState(enum.StrEnum):
    """`mesos.v1.DrainState`."""

    UNKNOWN = "UNKNOWN"
    DRAINING = "DRAINING"
    DRAINED = "DRAINED"


class MachineInfo_Mode(enum.StrEnum):
    """`mesos.v1.MachineInfo.Mode`."""

    UP = "UP"
    DRAINING = "DRAINING"
    DOWN = "DOWN"


class FrameworkInfo_Capability_Type(enum.StrEnum):
    """`mesos.v1.FrameworkInfo.Capability.Type`."""

    UNKNOWN = "UNKNOWN"
    REVOCABLE_RESOURCES = "REVOCABLE_RESOURCES"
    TASK_KILLING_STATE = "TASK_KILLING_STATE"
    GPU_RESOURCES = "GPU_RESOURCES"
    SHARED_RESOURCES = "SHARED_RESOURCES"
    PARTITION_AWARE = "PARTITION_AWARE"
    MULTI_ROLE = "MULTI_ROLE"
    RESERVATION_REFINEMENT = "RESERVATION_REFINEMENT"
    REGION_AWARE = "REGION_AWARE"


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


class MasterInfo_Capability_Type(enum.StrEnum):
    """`mesos.v1.MasterInfo.Capability.Type`."""

    UNKNOWN = "UNKNOWN"
    AGENT_UPDATE = "AGENT_UPDATE"
    AGENT_DRAINING = "AGENT_DRAINING"
    QUOTA_V2 = "QUOTA_V2"


class AgentInfo_Capability_Type(enum.StrEnum):
    """`mesos.v1.AgentInfo.Capability.Type`."""

    UNKNOWN = "UNKNOWN"
    MULTI_ROLE = "MULTI_ROLE"
    HIERARCHICAL_ROLE = "HIERARCHICAL_ROLE"
    RESERVATION_REFINEMENT = "RESERVATION_REFINEMENT"
    RESOURCE_PROVIDER = "RESOURCE_PROVIDER"
    RESIZE_VOLUME = "RESIZE_VOLUME"
    AGENT_OPERATION_FEEDBACK = "AGENT_OPERATION_FEEDBACK"
    AGENT_DRAINING = "AGENT_DRAINING"
    TASK_RESOURCE_LIMITS = "TASK_RESOURCE_LIMITS"


class CSIPluginContainerInfo_Service(enum.StrEnum):
    """`mesos.v1.CSIPluginContainerInfo.Service`."""

    UNKNOWN = "UNKNOWN"
    CONTROLLER_SERVICE = "CONTROLLER_SERVICE"
    NODE_SERVICE = "NODE_SERVICE"


class Value_Type(enum.StrEnum):
    """`mesos.v1.Value.Type`."""

    SCALAR = "SCALAR"
    RANGES = "RANGES"
    SET = "SET"
    TEXT = "TEXT"


class Resource_ReservationInfo_Type(enum.StrEnum):
    """`mesos.v1.Resource.ReservationInfo.Type`."""

    UNKNOWN = "UNKNOWN"
    STATIC = "STATIC"
    DYNAMIC = "DYNAMIC"


class Resource_DiskInfo_Source_Type(enum.StrEnum):
    """`mesos.v1.Resource.DiskInfo.Source.Type`."""

    UNKNOWN = "UNKNOWN"
    PATH = "PATH"
    MOUNT = "MOUNT"
    BLOCK = "BLOCK"
    RAW = "RAW"


class Offer_Operation_Type(enum.StrEnum):
    """`mesos.v1.Offer.Operation.Type`."""

    UNKNOWN = "UNKNOWN"
    LAUNCH = "LAUNCH"
    LAUNCH_GROUP = "LAUNCH_GROUP"
    RESERVE = "RESERVE"
    UNRESERVE = "UNRESERVE"
    CREATE = "CREATE"
    DESTROY = "DESTROY"
    GROW_VOLUME = "GROW_VOLUME"
    SHRINK_VOLUME = "SHRINK_VOLUME"
    CREATE_DISK = "CREATE_DISK"
    DESTROY_DISK = "DESTROY_DISK"


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


class Environment_Variable_Type(enum.StrEnum):
    """`mesos.v1.Environment.Variable.Type`."""

    UNKNOWN = "UNKNOWN"
    VALUE = "VALUE"
    SECRET = "SECRET"


class Secret_Type(enum.StrEnum):
    """`mesos.v1.Secret.Type`."""

    UNKNOWN = "UNKNOWN"
    REFERENCE = "REFERENCE"
    VALUE = "VALUE"


class Image_Type(enum.StrEnum):
    """`mesos.v1.Image.Type`."""

    APPC = "APPC"
    DOCKER = "DOCKER"


class MountPropagation_Mode(enum.StrEnum):
    """`mesos.v1.MountPropagation.Mode`."""

    UNKNOWN = "UNKNOWN"
    HOST_TO_CONTAINER = "HOST_TO_CONTAINER"
    BIDIRECTIONAL = "BIDIRECTIONAL"


class Volume_Mode(enum.StrEnum):
    """`mesos.v1.Volume.Mode`."""

    RW = "RW"
    RO = "RO"


class Volume_Source_Type(enum.StrEnum):
    """`mesos.v1.Volume.Source.Type`."""

    UNKNOWN = "UNKNOWN"
    DOCKER_VOLUME = "DOCKER_VOLUME"
    HOST_PATH = "HOST_PATH"
    SANDBOX_PATH = "SANDBOX_PATH"
    SECRET = "SECRET"
    CSI_VOLUME = "CSI_VOLUME"


class Volume_Source_SandboxPath_Type(enum.StrEnum):
    """`mesos.v1.Volume.Source.SandboxPath.Type`."""

    UNKNOWN = "UNKNOWN"
    SELF = "SELF"
    PARENT = "PARENT"


class Volume_Source_CSIVolume_VolumeCapability_AccessMode_Mode(enum.StrEnum):
    """`mesos.v1.Volume.Source.CSIVolume.VolumeCapability.AccessMode.Mode`."""

    UNKNOWN = "UNKNOWN"
    SINGLE_NODE_WRITER = "SINGLE_NODE_WRITER"
    SINGLE_NODE_READER_ONLY = "SINGLE_NODE_READER_ONLY"
    MULTI_NODE_READER_ONLY = "MULTI_NODE_READER_ONLY"
    MULTI_NODE_SINGLE_WRITER = "MULTI_NODE_SINGLE_WRITER"
    MULTI_NODE_MULTI_WRITER = "MULTI_NODE_MULTI_WRITER"


class NetworkInfo_Protocol(enum.StrEnum):
    """`mesos.v1.NetworkInfo.Protocol`."""

    IPv4 = "IPv4"
    IPv6 = "IPv6"


class CapabilityInfo_Capability(enum.StrEnum):
    """`mesos.v1.CapabilityInfo.Capability`."""

    UNKNOWN = "UNKNOWN"
    CHOWN = "CHOWN"
    DAC_OVERRIDE = "DAC_OVERRIDE"
    DAC_READ_SEARCH = "DAC_READ_SEARCH"
    FOWNER = "FOWNER"
    FSETID = "FSETID"
    KILL = "KILL"
    SETGID = "SETGID"
    SETUID = "SETUID"
    SETPCAP = "SETPCAP"
    LINUX_IMMUTABLE = "LINUX_IMMUTABLE"
    NET_BIND_SERVICE = "NET_BIND_SERVICE"
    NET_BROADCAST = "NET_BROADCAST"
    NET_ADMIN = "NET_ADMIN"
    NET_RAW = "NET_RAW"
    IPC_LOCK = "IPC_LOCK"
    IPC_OWNER = "IPC_OWNER"
    SYS_MODULE = "SYS_MODULE"
    SYS_RAWIO = "SYS_RAWIO"
    SYS_CHROOT = "SYS_CHROOT"
    SYS_PTRACE = "SYS_PTRACE"
    SYS_PACCT = "SYS_PACCT"
    SYS_ADMIN = "SYS_ADMIN"
    SYS_BOOT = "SYS_BOOT"
    SYS_NICE = "SYS_NICE"
    SYS_RESOURCE = "SYS_RESOURCE"
    SYS_TIME = "SYS_TIME"
    SYS_TTY_CONFIG = "SYS_TTY_CONFIG"
    MKNOD = "MKNOD"
    LEASE = "LEASE"
    AUDIT_WRITE = "AUDIT_WRITE"
    AUDIT_CONTROL = "AUDIT_CONTROL"
    SETFCAP = "SETFCAP"
    MAC_OVERRIDE = "MAC_OVERRIDE"
    MAC_ADMIN = "MAC_ADMIN"
    SYSLOG = "SYSLOG"
    WAKE_ALARM = "WAKE_ALARM"
    BLOCK_SUSPEND = "BLOCK_SUSPEND"
    AUDIT_READ = "AUDIT_READ"
    PERFMON = "PERFMON"
    BPF = "BPF"
    CHECKPOINT_RESTORE = "CHECKPOINT_RESTORE"


class LinuxInfo_IpcMode(enum.StrEnum):
    """`mesos.v1.LinuxInfo.IpcMode`."""

    UNKNOWN = "UNKNOWN"
    PRIVATE = "PRIVATE"
    SHARE_PARENT = "SHARE_PARENT"


class RLimitInfo_RLimit_Type(enum.StrEnum):
    """`mesos.v1.RLimitInfo.RLimit.Type`."""

    UNKNOWN = "UNKNOWN"
    RLMT_AS = "RLMT_AS"
    RLMT_CORE = "RLMT_CORE"
    RLMT_CPU = "RLMT_CPU"
    RLMT_DATA = "RLMT_DATA"
    RLMT_FSIZE = "RLMT_FSIZE"
    RLMT_LOCKS = "RLMT_LOCKS"
    RLMT_MEMLOCK = "RLMT_MEMLOCK"
    RLMT_MSGQUEUE = "RLMT_MSGQUEUE"
    RLMT_NICE = "RLMT_NICE"
    RLMT_NOFILE = "RLMT_NOFILE"
    RLMT_NPROC = "RLMT_NPROC"
    RLMT_RSS = "RLMT_RSS"
    RLMT_RTPRIO = "RLMT_RTPRIO"
    RLMT_RTTIME = "RLMT_RTTIME"
    RLMT_SIGPENDING = "RLMT_SIGPENDING"
    RLMT_STACK = "RLMT_STACK"


class ContainerInfo_Type(enum.StrEnum):
    """`mesos.v1.ContainerInfo.Type`."""

    DOCKER = "DOCKER"
    MESOS = "MESOS"


class ContainerInfo_DockerInfo_Network(enum.StrEnum):
    """`mesos.v1.ContainerInfo.DockerInfo.Network`."""

    HOST = "HOST"
    BRIDGE = "BRIDGE"
    NONE = "NONE"
    USER = "USER"


class CgroupInfo_Blkio_Operation(enum.StrEnum):
    """`mesos.v1.CgroupInfo.Blkio.Operation`."""

    UNKNOWN = "UNKNOWN"
    TOTAL = "TOTAL"
    READ = "READ"
    WRITE = "WRITE"
    SYNC = "SYNC"
    ASYNC = "ASYNC"
    DISCARD = "DISCARD"


class DiscoveryInfo_Visibility(enum.StrEnum):
    """`mesos.v1.DiscoveryInfo.Visibility`."""

    FRAMEWORK = "FRAMEWORK"
    CLUSTER = "CLUSTER"
    EXTERNAL = "EXTERNAL"


class FrameworkID(Message, kw_only=True):
    """The id of a framework, given by the master."""

    value: str


class OfferID(Message, kw_only=True):
    """The id of an offer, unique for ever."""

    value: str


class AgentID(Message, kw_only=True):
    """The id of an agent, given by the master when it is first admitted."""

    value: str


class TaskID(Message, kw_only=True):
    """The id of a task, chosen by its framework and unique within it."""

    value: str


class ExecutorID(Message, kw_only=True):
    """The id of an executor, chosen by its framework."""

    value: str


class ContainerID(Message, kw_only=True):
    """The id of a container; a nested one names its parent."""

    value: str
    parent: ContainerID | None = None


class ResourceProviderID(Message, kw_only=True):
    """`mesos.v1.ResourceProviderID`."""

    value: str


class OperationID(Message, kw_only=True):
    """`mesos.v1.OperationID`."""

    value: str


class TimeInfo(Message, kw_only=True):
    """`mesos.v1.TimeInfo`."""

    nanoseconds: Int64


class DurationInfo(Message, kw_only=True):
    """`mesos.v1.DurationInfo`."""

    nanoseconds: Int64


class Address(Message, kw_only=True):
    """`mesos.v1.Address`."""

    hostname: str | None = None
    ip: str | None = None
    port: Int32


class URL(Message, kw_only=True):
    """`mesos.v1.URL`."""

    scheme: str
    address: Address
    path: str | None = None
    query: list[Parameter] = []
    fragment: str | None = None


class Unavailability(Message, kw_only=True):
    """`mesos.v1.Unavailability`."""

    start: TimeInfo
    duration: DurationInfo | None = None


class MachineID(Message, kw_only=True):
    """`mesos.v1.MachineID`."""

    hostname: str | None = None
    ip: str | None = None


class MachineInfo(Message, kw_only=True):
    """`mesos.v1.MachineInfo`."""

    id: MachineID
    mode: MachineInfo_Mode | None = None
    unavailability: Unavailability | None = None


class FrameworkInfo(Message, kw_only=True):
    """What a framework says about itself when it subscribes."""

    user: str
    name: str
    id: FrameworkID | None = None
    failover_timeout: Double = msgspec.field(default_factory=lambda: 0.0)
    checkpoint: bool = msgspec.field(default_factory=lambda: False)
    role: str | None = None
    roles: list[str] = []
    hostname: str | None = None
    principal: str | None = None
    webui_url: str | None = None
    capabilities: list[FrameworkInfo_Capability] = []
    labels: Labels | None = None
    offer_filters: dict[str, OfferFilters] = {}


class FrameworkInfo_Capability(Message, kw_only=True):
    """`mesos.v1.FrameworkInfo.Capability`."""

    type: FrameworkInfo_Capability_Type | None = None


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

    command: CommandInfo


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
    command: CommandInfo | None = None
    http: HealthCheck_HTTPCheckInfo | None = None
    tcp: HealthCheck_TCPCheckInfo | None = None


class HealthCheck_HTTPCheckInfo(Message, kw_only=True):
    """`mesos.v1.HealthCheck.HTTPCheckInfo`."""

    protocol: NetworkInfo_Protocol = msgspec.field(default_factory=lambda: NetworkInfo_Protocol.IPv4)
    scheme: str | None = None
    port: UInt32
    path: str | None = None
    statuses: list[UInt32] = []


class HealthCheck_TCPCheckInfo(Message, kw_only=True):
    """`mesos.v1.HealthCheck.TCPCheckInfo`."""

    protocol: NetworkInfo_Protocol = msgspec.field(default_factory=lambda: NetworkInfo_Protocol.IPv4)
    port: UInt32


class KillPolicy(Message, kw_only=True):
    """How a task is killed: the grace between the polite and the forced signal."""

    grace_period: DurationInfo | None = None


class CommandInfo(Message, kw_only=True):
    """What to run: a shell line or an argv, with environment and files to fetch."""

    uris: list[CommandInfo_URI] = []
    environment: Environment | None = None
    shell: bool = msgspec.field(default_factory=lambda: True)
    value: str | None = None
    arguments: list[str] = []
    user: str | None = None


class CommandInfo_URI(Message, kw_only=True):
    """`mesos.v1.CommandInfo.URI`."""

    value: str
    executable: bool | None = None
    extract: bool = msgspec.field(default_factory=lambda: True)
    cache: bool | None = None
    output_file: str | None = None


class ExecutorInfo(Message, kw_only=True):
    """The process that runs the tasks of a framework on an agent."""

    type: ExecutorInfo_Type | None = None
    executor_id: ExecutorID
    framework_id: FrameworkID | None = None
    command: CommandInfo | None = None
    container: ContainerInfo | None = None
    resources: list[Resource] = []
    name: str | None = None
    source: str | None = None
    data: bytes | None = None
    discovery: DiscoveryInfo | None = None
    shutdown_grace_period: DurationInfo | None = None
    labels: Labels | None = None


class DomainInfo(Message, kw_only=True):
    """`mesos.v1.DomainInfo`."""

    fault_domain: DomainInfo_FaultDomain | None = None


class DomainInfo_FaultDomain(Message, kw_only=True):
    """`mesos.v1.DomainInfo.FaultDomain`."""

    region: DomainInfo_FaultDomain_RegionInfo
    zone: DomainInfo_FaultDomain_ZoneInfo


class DomainInfo_FaultDomain_RegionInfo(Message, kw_only=True):
    """`mesos.v1.DomainInfo.FaultDomain.RegionInfo`."""

    name: str


class DomainInfo_FaultDomain_ZoneInfo(Message, kw_only=True):
    """`mesos.v1.DomainInfo.FaultDomain.ZoneInfo`."""

    name: str


class MasterInfo(Message, kw_only=True):
    """Where the leading master is."""

    id: str
    ip: UInt32
    port: UInt32
    pid: str | None = None
    hostname: str | None = None
    version: str | None = None
    address: Address | None = None
    domain: DomainInfo | None = None
    capabilities: list[MasterInfo_Capability] = []


class MasterInfo_Capability(Message, kw_only=True):
    """`mesos.v1.MasterInfo.Capability`."""

    type: MasterInfo_Capability_Type | None = None


class AgentInfo(Message, kw_only=True):
    """What an agent says about itself."""

    hostname: str
    port: Int32 = msgspec.field(default_factory=lambda: 5051)
    resources: list[Resource] = []
    attributes: list[Attribute] = []
    id: AgentID | None = None
    domain: DomainInfo | None = None


class AgentInfo_Capability(Message, kw_only=True):
    """`mesos.v1.AgentInfo.Capability`."""

    type: AgentInfo_Capability_Type | None = None


class CSIPluginContainerInfo(Message, kw_only=True):
    """`mesos.v1.CSIPluginContainerInfo`."""

    services: list[CSIPluginContainerInfo_Service] = []
    command: CommandInfo | None = None
    resources: list[Resource] = []
    container: ContainerInfo | None = None


class CSIPluginEndpoint(Message, kw_only=True):
    """`mesos.v1.CSIPluginEndpoint`."""

    csi_service: CSIPluginContainerInfo_Service
    endpoint: str


class CSIPluginInfo(Message, kw_only=True):
    """`mesos.v1.CSIPluginInfo`."""

    type: str
    name: str = msgspec.field(default_factory=lambda: "default")
    containers: list[CSIPluginContainerInfo] = []
    endpoints: list[CSIPluginEndpoint] = []
    target_path_root: str | None = None
    target_path_exists: bool | None = None


class ResourceProviderInfo(Message, kw_only=True):
    """`mesos.v1.ResourceProviderInfo`."""

    id: ResourceProviderID | None = None
    attributes: list[Attribute] = []
    type: str
    name: str
    default_reservations: list[Resource_ReservationInfo] = []
    storage: ResourceProviderInfo_Storage | None = None


class ResourceProviderInfo_Storage(Message, kw_only=True):
    """`mesos.v1.ResourceProviderInfo.Storage`."""

    plugin: CSIPluginInfo
    reconciliation_interval_seconds: Double | None = None


class Value(Message, kw_only=True):
    """A value of an attribute or a resource."""

    type: Value_Type
    scalar: Value_Scalar | None = None
    ranges: Value_Ranges | None = None
    set: Value_Set | None = None
    text: Value_Text | None = None


class Value_Scalar(Message, kw_only=True):
    """`mesos.v1.Value.Scalar`."""

    value: Double


class Value_Range(Message, kw_only=True):
    """`mesos.v1.Value.Range`."""

    begin: UInt64
    end: UInt64


class Value_Ranges(Message, kw_only=True):
    """`mesos.v1.Value.Ranges`."""

    range: list[Value_Range] = []


class Value_Set(Message, kw_only=True):
    """`mesos.v1.Value.Set`."""

    item: list[str] = []


class Value_Text(Message, kw_only=True):
    """`mesos.v1.Value.Text`."""

    value: str


class Attribute(Message, kw_only=True):
    """A fact about an agent that frameworks may choose by."""

    name: str
    type: Value_Type
    scalar: Value_Scalar | None = None
    ranges: Value_Ranges | None = None
    set: Value_Set | None = None
    text: Value_Text | None = None


class Resource(Message, kw_only=True):
    """An amount of one kind, with its reservations, disk and sharing."""

    provider_id: ResourceProviderID | None = None
    name: str
    type: Value_Type
    scalar: Value_Scalar | None = None
    ranges: Value_Ranges | None = None
    set: Value_Set | None = None
    role: str | None = None
    allocation_info: Resource_AllocationInfo | None = None
    reservation: Resource_ReservationInfo | None = None
    reservations: list[Resource_ReservationInfo] = []
    disk: Resource_DiskInfo | None = None
    revocable: Resource_RevocableInfo | None = None
    shared: Resource_SharedInfo | None = None


class Resource_AllocationInfo(Message, kw_only=True):
    """`mesos.v1.Resource.AllocationInfo`."""

    role: str | None = None


class Resource_ReservationInfo(Message, kw_only=True):
    """`mesos.v1.Resource.ReservationInfo`."""

    type: Resource_ReservationInfo_Type | None = None
    role: str | None = None
    principal: str | None = None
    labels: Labels | None = None


class Resource_DiskInfo(Message, kw_only=True):
    """`mesos.v1.Resource.DiskInfo`."""

    persistence: Resource_DiskInfo_Persistence | None = None
    volume: Volume | None = None
    source: Resource_DiskInfo_Source | None = None


class Resource_DiskInfo_Persistence(Message, kw_only=True):
    """`mesos.v1.Resource.DiskInfo.Persistence`."""

    id: str
    principal: str | None = None


class Resource_DiskInfo_Source(Message, kw_only=True):
    """`mesos.v1.Resource.DiskInfo.Source`."""

    type: Resource_DiskInfo_Source_Type
    path: Resource_DiskInfo_Source_Path | None = None
    mount: Resource_DiskInfo_Source_Mount | None = None
    vendor: str | None = None
    id: str | None = None
    metadata: Labels | None = None
    profile: str | None = None


class Resource_DiskInfo_Source_Path(Message, kw_only=True):
    """`mesos.v1.Resource.DiskInfo.Source.Path`."""

    root: str | None = None


class Resource_DiskInfo_Source_Mount(Message, kw_only=True):
    """`mesos.v1.Resource.DiskInfo.Source.Mount`."""

    root: str | None = None


class Resource_RevocableInfo(Message, kw_only=True):
    """`mesos.v1.Resource.RevocableInfo`."""


class Resource_SharedInfo(Message, kw_only=True):
    """`mesos.v1.Resource.SharedInfo`."""


class TrafficControlStatistics(Message, kw_only=True):
    """`mesos.v1.TrafficControlStatistics`."""

    id: str
    backlog: UInt64 | None = None
    bytes: UInt64 | None = None
    drops: UInt64 | None = None
    overlimits: UInt64 | None = None
    packets: UInt64 | None = None
    qlen: UInt64 | None = None
    ratebps: UInt64 | None = None
    ratepps: UInt64 | None = None
    requeues: UInt64 | None = None


class IpStatistics(Message, kw_only=True):
    """`mesos.v1.IpStatistics`."""

    Forwarding: Int64 | None = None
    DefaultTTL: Int64 | None = None
    InReceives: Int64 | None = None
    InHdrErrors: Int64 | None = None
    InAddrErrors: Int64 | None = None
    ForwDatagrams: Int64 | None = None
    InUnknownProtos: Int64 | None = None
    InDiscards: Int64 | None = None
    InDelivers: Int64 | None = None
    OutRequests: Int64 | None = None
    OutDiscards: Int64 | None = None
    OutNoRoutes: Int64 | None = None
    ReasmTimeout: Int64 | None = None
    ReasmReqds: Int64 | None = None
    ReasmOKs: Int64 | None = None
    ReasmFails: Int64 | None = None
    FragOKs: Int64 | None = None
    FragFails: Int64 | None = None
    FragCreates: Int64 | None = None


class IcmpStatistics(Message, kw_only=True):
    """`mesos.v1.IcmpStatistics`."""

    InMsgs: Int64 | None = None
    InErrors: Int64 | None = None
    InCsumErrors: Int64 | None = None
    InDestUnreachs: Int64 | None = None
    InTimeExcds: Int64 | None = None
    InParmProbs: Int64 | None = None
    InSrcQuenchs: Int64 | None = None
    InRedirects: Int64 | None = None
    InEchos: Int64 | None = None
    InEchoReps: Int64 | None = None
    InTimestamps: Int64 | None = None
    InTimestampReps: Int64 | None = None
    InAddrMasks: Int64 | None = None
    InAddrMaskReps: Int64 | None = None
    OutMsgs: Int64 | None = None
    OutErrors: Int64 | None = None
    OutDestUnreachs: Int64 | None = None
    OutTimeExcds: Int64 | None = None
    OutParmProbs: Int64 | None = None
    OutSrcQuenchs: Int64 | None = None
    OutRedirects: Int64 | None = None
    OutEchos: Int64 | None = None
    OutEchoReps: Int64 | None = None
    OutTimestamps: Int64 | None = None
    OutTimestampReps: Int64 | None = None
    OutAddrMasks: Int64 | None = None
    OutAddrMaskReps: Int64 | None = None


class TcpStatistics(Message, kw_only=True):
    """`mesos.v1.TcpStatistics`."""

    RtoAlgorithm: Int64 | None = None
    RtoMin: Int64 | None = None
    RtoMax: Int64 | None = None
    MaxConn: Int64 | None = None
    ActiveOpens: Int64 | None = None
    PassiveOpens: Int64 | None = None
    AttemptFails: Int64 | None = None
    EstabResets: Int64 | None = None
    CurrEstab: Int64 | None = None
    InSegs: Int64 | None = None
    OutSegs: Int64 | None = None
    RetransSegs: Int64 | None = None
    InErrs: Int64 | None = None
    OutRsts: Int64 | None = None
    InCsumErrors: Int64 | None = None


class UdpStatistics(Message, kw_only=True):
    """`mesos.v1.UdpStatistics`."""

    InDatagrams: Int64 | None = None
    NoPorts: Int64 | None = None
    InErrors: Int64 | None = None
    OutDatagrams: Int64 | None = None
    RcvbufErrors: Int64 | None = None
    SndbufErrors: Int64 | None = None
    InCsumErrors: Int64 | None = None
    IgnoredMulti: Int64 | None = None


class SNMPStatistics(Message, kw_only=True):
    """`mesos.v1.SNMPStatistics`."""

    ip_stats: IpStatistics | None = None
    icmp_stats: IcmpStatistics | None = None
    tcp_stats: TcpStatistics | None = None
    udp_stats: UdpStatistics | None = None


class DiskStatistics(Message, kw_only=True):
    """`mesos.v1.DiskStatistics`."""

    source: Resource_DiskInfo_Source | None = None
    persistence: Resource_DiskInfo_Persistence | None = None
    limit_bytes: UInt64 | None = None
    used_bytes: UInt64 | None = None


class ResourceStatistics(Message, kw_only=True):
    """A snapshot of what a container uses."""

    timestamp: Double
    processes: UInt32 | None = None
    threads: UInt32 | None = None
    cpus_user_time_secs: Double | None = None
    cpus_system_time_secs: Double | None = None
    cpus_limit: Double | None = None
    cpus_soft_limit: Double | None = None
    cpus_nr_periods: UInt32 | None = None
    cpus_nr_throttled: UInt32 | None = None
    cpus_throttled_time_secs: Double | None = None
    mem_total_bytes: UInt64 | None = None
    mem_total_memsw_bytes: UInt64 | None = None
    mem_kmem_usage_bytes: UInt64 | None = None
    mem_kmem_tcp_usage_bytes: UInt64 | None = None
    mem_limit_bytes: UInt64 | None = None
    mem_soft_limit_bytes: UInt64 | None = None
    mem_file_bytes: UInt64 | None = None
    mem_anon_bytes: UInt64 | None = None
    mem_cache_bytes: UInt64 | None = None
    mem_rss_bytes: UInt64 | None = None
    mem_mapped_file_bytes: UInt64 | None = None
    mem_swap_bytes: UInt64 | None = None
    mem_unevictable_bytes: UInt64 | None = None
    mem_low_pressure_counter: UInt64 | None = None
    mem_medium_pressure_counter: UInt64 | None = None
    mem_critical_pressure_counter: UInt64 | None = None
    disk_limit_bytes: UInt64 | None = None
    disk_used_bytes: UInt64 | None = None
    disk_statistics: list[DiskStatistics] = []
    blkio_statistics: CgroupInfo_Blkio_Statistics | None = None
    perf: PerfStatistics | None = None
    net_rx_packets: UInt64 | None = None
    net_rx_bytes: UInt64 | None = None
    net_rx_errors: UInt64 | None = None
    net_rx_dropped: UInt64 | None = None
    net_tx_packets: UInt64 | None = None
    net_tx_bytes: UInt64 | None = None
    net_tx_errors: UInt64 | None = None
    net_tx_dropped: UInt64 | None = None
    net_tx_rate_limit: UInt64 | None = None
    net_tx_burst_rate_limit: UInt64 | None = None
    net_tx_burst_size: UInt64 | None = None
    net_rx_rate_limit: UInt64 | None = None
    net_rx_burst_rate_limit: UInt64 | None = None
    net_rx_burst_size: UInt64 | None = None
    net_rate_statistics: ResourceStatistics_RateStatistics | None = None
    net_ephemeral_ports: Value_Range | None = None
    net_tcp_rtt_microsecs_p50: Double | None = None
    net_tcp_rtt_microsecs_p90: Double | None = None
    net_tcp_rtt_microsecs_p95: Double | None = None
    net_tcp_rtt_microsecs_p99: Double | None = None
    net_tcp_active_connections: Double | None = None
    net_tcp_time_wait_connections: Double | None = None
    net_traffic_control_statistics: list[TrafficControlStatistics] = []
    net_snmp_statistics: SNMPStatistics | None = None


class ResourceStatistics_RatePercentiles(Message, kw_only=True):
    """`mesos.v1.ResourceStatistics.RatePercentiles`."""

    min: UInt64 | None = None
    max: UInt64 | None = None
    p50: UInt64 | None = None
    p90: UInt64 | None = None
    p95: UInt64 | None = None
    p99: UInt64 | None = None
    p999: UInt64 | None = None
    p9999: UInt64 | None = None
    samples: UInt64 | None = None


class ResourceStatistics_RateStatistics(Message, kw_only=True):
    """`mesos.v1.ResourceStatistics.RateStatistics`."""

    rx_rate: ResourceStatistics_RatePercentiles | None = None
    rx_packet_rate: ResourceStatistics_RatePercentiles | None = None
    rx_drop_rate: ResourceStatistics_RatePercentiles | None = None
    rx_error_rate: ResourceStatistics_RatePercentiles | None = None
    tx_rate: ResourceStatistics_RatePercentiles | None = None
    tx_packet_rate: ResourceStatistics_RatePercentiles | None = None
    tx_drop_rate: ResourceStatistics_RatePercentiles | None = None
    tx_error_rate: ResourceStatistics_RatePercentiles | None = None
    sampling_window_secs: Double | None = None
    sampling_interval_secs: Double | None = None


class ResourceUsage(Message, kw_only=True):
    """`mesos.v1.ResourceUsage`."""

    executors: list[ResourceUsage_Executor] = []
    total: list[Resource] = []


class ResourceUsage_Executor(Message, kw_only=True):
    """`mesos.v1.ResourceUsage.Executor`."""

    executor_info: ExecutorInfo
    allocated: list[Resource] = []
    statistics: ResourceStatistics | None = None
    container_id: ContainerID
    tasks: list[ResourceUsage_Executor_Task] = []


class ResourceUsage_Executor_Task(Message, kw_only=True):
    """`mesos.v1.ResourceUsage.Executor.Task`."""

    name: str
    id: TaskID
    resources: list[Resource] = []
    labels: Labels | None = None


class PerfStatistics(Message, kw_only=True):
    """`mesos.v1.PerfStatistics`."""

    timestamp: Double
    duration: Double
    cycles: UInt64 | None = None
    stalled_cycles_frontend: UInt64 | None = None
    stalled_cycles_backend: UInt64 | None = None
    instructions: UInt64 | None = None
    cache_references: UInt64 | None = None
    cache_misses: UInt64 | None = None
    branches: UInt64 | None = None
    branch_misses: UInt64 | None = None
    bus_cycles: UInt64 | None = None
    ref_cycles: UInt64 | None = None
    cpu_clock: Double | None = None
    task_clock: Double | None = None
    page_faults: UInt64 | None = None
    minor_faults: UInt64 | None = None
    major_faults: UInt64 | None = None
    context_switches: UInt64 | None = None
    cpu_migrations: UInt64 | None = None
    alignment_faults: UInt64 | None = None
    emulation_faults: UInt64 | None = None
    l1_dcache_loads: UInt64 | None = None
    l1_dcache_load_misses: UInt64 | None = None
    l1_dcache_stores: UInt64 | None = None
    l1_dcache_store_misses: UInt64 | None = None
    l1_dcache_prefetches: UInt64 | None = None
    l1_dcache_prefetch_misses: UInt64 | None = None
    l1_icache_loads: UInt64 | None = None
    l1_icache_load_misses: UInt64 | None = None
    l1_icache_prefetches: UInt64 | None = None
    l1_icache_prefetch_misses: UInt64 | None = None
    llc_loads: UInt64 | None = None
    llc_load_misses: UInt64 | None = None
    llc_stores: UInt64 | None = None
    llc_store_misses: UInt64 | None = None
    llc_prefetches: UInt64 | None = None
    llc_prefetch_misses: UInt64 | None = None
    dtlb_loads: UInt64 | None = None
    dtlb_load_misses: UInt64 | None = None
    dtlb_stores: UInt64 | None = None
    dtlb_store_misses: UInt64 | None = None
    dtlb_prefetches: UInt64 | None = None
    dtlb_prefetch_misses: UInt64 | None = None
    itlb_loads: UInt64 | None = None
    itlb_load_misses: UInt64 | None = None
    branch_loads: UInt64 | None = None
    branch_load_misses: UInt64 | None = None
    node_loads: UInt64 | None = None
    node_load_misses: UInt64 | None = None
    node_stores: UInt64 | None = None
    node_store_misses: UInt64 | None = None
    node_prefetches: UInt64 | None = None
    node_prefetch_misses: UInt64 | None = None


class OfferFilters(Message, kw_only=True):
    """Offers that a framework does not want to see."""

    min_allocatable_resources: OfferFilters_MinAllocatableResources | None = None


class OfferFilters_ResourceQuantities(Message, kw_only=True):
    """`mesos.v1.OfferFilters.ResourceQuantities`."""

    quantities: dict[str, Value_Scalar] = {}


class OfferFilters_MinAllocatableResources(Message, kw_only=True):
    """`mesos.v1.OfferFilters.MinAllocatableResources`."""

    quantities: list[OfferFilters_ResourceQuantities] = []


class Request(Message, kw_only=True):
    """Resources that a framework would like to be offered."""

    agent_id: AgentID | None = None
    resources: list[Resource] = []


class Offer(Message, kw_only=True):
    """Resources of one agent, offered to one framework."""

    id: OfferID
    framework_id: FrameworkID
    agent_id: AgentID
    hostname: str
    url: URL | None = None
    domain: DomainInfo | None = None
    resources: list[Resource] = []
    attributes: list[Attribute] = []
    executor_ids: list[ExecutorID] = []
    unavailability: Unavailability | None = None
    allocation_info: Resource_AllocationInfo | None = None


class Offer_Operation(Message, kw_only=True):
    """One thing to do with the resources of accepted offers."""

    type: Offer_Operation_Type | None = None
    id: OperationID | None = None
    launch: Offer_Operation_Launch | None = None
    launch_group: Offer_Operation_LaunchGroup | None = None
    reserve: Offer_Operation_Reserve | None = None
    unreserve: Offer_Operation_Unreserve | None = None
    create: Offer_Operation_Create | None = None
    destroy: Offer_Operation_Destroy | None = None
    grow_volume: Offer_Operation_GrowVolume | None = None
    shrink_volume: Offer_Operation_ShrinkVolume | None = None
    create_disk: Offer_Operation_CreateDisk | None = None
    destroy_disk: Offer_Operation_DestroyDisk | None = None


class Offer_Operation_Launch(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.Launch`."""

    task_infos: list[TaskInfo] = []


class Offer_Operation_LaunchGroup(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.LaunchGroup`."""

    executor: ExecutorInfo
    task_group: TaskGroupInfo


class Offer_Operation_Reserve(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.Reserve`."""

    source: list[Resource] = []
    resources: list[Resource] = []


class Offer_Operation_Unreserve(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.Unreserve`."""

    resources: list[Resource] = []


class Offer_Operation_Create(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.Create`."""

    volumes: list[Resource] = []


class Offer_Operation_Destroy(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.Destroy`."""

    volumes: list[Resource] = []


class Offer_Operation_GrowVolume(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.GrowVolume`."""

    volume: Resource
    addition: Resource


class Offer_Operation_ShrinkVolume(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.ShrinkVolume`."""

    volume: Resource
    subtract: Value_Scalar


class Offer_Operation_CreateDisk(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.CreateDisk`."""

    source: Resource
    target_type: Resource_DiskInfo_Source_Type
    target_profile: str | None = None


class Offer_Operation_DestroyDisk(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.DestroyDisk`."""

    source: Resource


class InverseOffer(Message, kw_only=True):
    """A request of the master that a framework gives resources back."""

    id: OfferID
    url: URL | None = None
    framework_id: FrameworkID
    agent_id: AgentID | None = None
    unavailability: Unavailability
    resources: list[Resource] = []


class TaskInfo(Message, kw_only=True):
    """A task as its framework describes it."""

    name: str
    task_id: TaskID
    agent_id: AgentID
    resources: list[Resource] = []
    executor: ExecutorInfo | None = None
    command: CommandInfo | None = None
    container: ContainerInfo | None = None
    health_check: HealthCheck | None = None
    check: CheckInfo | None = None
    kill_policy: KillPolicy | None = None
    data: bytes | None = None
    labels: Labels | None = None
    discovery: DiscoveryInfo | None = None
    max_completion_time: DurationInfo | None = None
    limits: dict[str, Value_Scalar] = {}


class TaskGroupInfo(Message, kw_only=True):
    """Tasks that are launched together or not at all."""

    tasks: list[TaskInfo] = []


class Task(Message, kw_only=True):
    """A task as the cluster knows it."""

    name: str
    task_id: TaskID
    framework_id: FrameworkID
    executor_id: ExecutorID | None = None
    agent_id: AgentID
    state: TaskState
    resources: list[Resource] = []
    statuses: list[TaskStatus] = []
    status_update_state: TaskState | None = None
    status_update_uuid: bytes | None = None
    labels: Labels | None = None
    discovery: DiscoveryInfo | None = None
    container: ContainerInfo | None = None
    health_check: HealthCheck | None = None
    kill_policy: KillPolicy | None = None
    user: str | None = None
    limits: dict[str, Value_Scalar] = {}


class TaskResourceLimitation(Message, kw_only=True):
    """`mesos.v1.TaskResourceLimitation`."""

    resources: list[Resource] = []


class UUID(Message, kw_only=True):
    """`mesos.v1.UUID`."""

    value: bytes


class Operation(Message, kw_only=True):
    """An operation on resources as the cluster knows it."""

    framework_id: FrameworkID | None = None
    agent_id: AgentID | None = None
    info: Offer_Operation
    latest_status: OperationStatus
    statuses: list[OperationStatus] = []
    uuid: UUID


class OperationStatus(Message, kw_only=True):
    """One update of the state of an operation."""

    operation_id: OperationID | None = None
    state: OperationState
    message: str | None = None
    converted_resources: list[Resource] = []
    uuid: UUID | None = None
    agent_id: AgentID | None = None
    resource_provider_id: ResourceProviderID | None = None


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

    task_id: TaskID
    state: TaskState
    message: str | None = None
    source: TaskStatus_Source | None = None
    reason: TaskStatus_Reason | None = None
    data: bytes | None = None
    agent_id: AgentID | None = None
    executor_id: ExecutorID | None = None
    timestamp: Double | None = None
    uuid: bytes | None = None
    healthy: bool | None = None
    check_status: CheckStatusInfo | None = None
    labels: Labels | None = None
    container_status: ContainerStatus | None = None
    unreachable_time: TimeInfo | None = None
    limitation: TaskResourceLimitation | None = None


class Filters(Message, kw_only=True):
    """For how long the remaining resources are not offered again."""

    refuse_seconds: Double = msgspec.field(default_factory=lambda: 5.0)


class Environment(Message, kw_only=True):
    """Environment variables of a process."""

    variables: list[Environment_Variable] = []


class Environment_Variable(Message, kw_only=True):
    """`mesos.v1.Environment.Variable`."""

    name: str
    type: Environment_Variable_Type = msgspec.field(default_factory=lambda: Environment_Variable_Type.VALUE)
    value: str | None = None
    secret: Secret | None = None


class Parameter(Message, kw_only=True):
    """`mesos.v1.Parameter`."""

    key: str
    value: str


class Parameters(Message, kw_only=True):
    """`mesos.v1.Parameters`."""

    parameter: list[Parameter] = []


class Credential(Message, kw_only=True):
    """`mesos.v1.Credential`."""

    principal: str
    secret: str | None = None


class Credentials(Message, kw_only=True):
    """`mesos.v1.Credentials`."""

    credentials: list[Credential] = []


class Secret(Message, kw_only=True):
    """`mesos.v1.Secret`."""

    type: Secret_Type | None = None
    reference: Secret_Reference | None = None
    value: Secret_Value | None = None


class Secret_Reference(Message, kw_only=True):
    """`mesos.v1.Secret.Reference`."""

    name: str
    key: str | None = None


class Secret_Value(Message, kw_only=True):
    """`mesos.v1.Secret.Value`."""

    data: bytes


class RateLimit(Message, kw_only=True):
    """`mesos.v1.RateLimit`."""

    qps: Double | None = None
    principal: str
    capacity: UInt64 | None = None


class RateLimits(Message, kw_only=True):
    """`mesos.v1.RateLimits`."""

    limits: list[RateLimit] = []
    aggregate_default_qps: Double | None = None
    aggregate_default_capacity: UInt64 | None = None


class Image(Message, kw_only=True):
    """A container image."""

    type: Image_Type
    appc: Image_Appc | None = None
    docker: Image_Docker | None = None
    cached: bool = msgspec.field(default_factory=lambda: True)


class Image_Appc(Message, kw_only=True):
    """`mesos.v1.Image.Appc`."""

    name: str
    id: str | None = None
    labels: Labels | None = None


class Image_Docker(Message, kw_only=True):
    """`mesos.v1.Image.Docker`."""

    name: str
    credential: Credential | None = None
    config: Secret | None = None


class MountPropagation(Message, kw_only=True):
    """`mesos.v1.MountPropagation`."""

    mode: MountPropagation_Mode | None = None


class Volume(Message, kw_only=True):
    """A directory made visible inside a container."""

    mode: Volume_Mode
    container_path: str
    host_path: str | None = None
    image: Image | None = None
    source: Volume_Source | None = None


class Volume_Source(Message, kw_only=True):
    """`mesos.v1.Volume.Source`."""

    type: Volume_Source_Type | None = None
    docker_volume: Volume_Source_DockerVolume | None = None
    host_path: Volume_Source_HostPath | None = None
    sandbox_path: Volume_Source_SandboxPath | None = None
    secret: Secret | None = None
    csi_volume: Volume_Source_CSIVolume | None = None


class Volume_Source_DockerVolume(Message, kw_only=True):
    """`mesos.v1.Volume.Source.DockerVolume`."""

    driver: str | None = None
    name: str
    driver_options: Parameters | None = None


class Volume_Source_HostPath(Message, kw_only=True):
    """`mesos.v1.Volume.Source.HostPath`."""

    path: str
    mount_propagation: MountPropagation | None = None


class Volume_Source_SandboxPath(Message, kw_only=True):
    """`mesos.v1.Volume.Source.SandboxPath`."""

    type: Volume_Source_SandboxPath_Type | None = None
    path: str


class Volume_Source_CSIVolume(Message, kw_only=True):
    """`mesos.v1.Volume.Source.CSIVolume`."""

    plugin_name: str
    static_provisioning: Volume_Source_CSIVolume_StaticProvisioning | None = None


class Volume_Source_CSIVolume_VolumeCapability(Message, kw_only=True):
    """`mesos.v1.Volume.Source.CSIVolume.VolumeCapability`."""

    block: Volume_Source_CSIVolume_VolumeCapability_BlockVolume | None = None
    mount: Volume_Source_CSIVolume_VolumeCapability_MountVolume | None = None
    access_mode: Volume_Source_CSIVolume_VolumeCapability_AccessMode


class Volume_Source_CSIVolume_VolumeCapability_BlockVolume(Message, kw_only=True):
    """`mesos.v1.Volume.Source.CSIVolume.VolumeCapability.BlockVolume`."""


class Volume_Source_CSIVolume_VolumeCapability_MountVolume(Message, kw_only=True):
    """`mesos.v1.Volume.Source.CSIVolume.VolumeCapability.MountVolume`."""

    fs_type: str | None = None
    mount_flags: list[str] = []


class Volume_Source_CSIVolume_VolumeCapability_AccessMode(Message, kw_only=True):
    """`mesos.v1.Volume.Source.CSIVolume.VolumeCapability.AccessMode`."""

    mode: Volume_Source_CSIVolume_VolumeCapability_AccessMode_Mode


class Volume_Source_CSIVolume_StaticProvisioning(Message, kw_only=True):
    """`mesos.v1.Volume.Source.CSIVolume.StaticProvisioning`."""

    volume_id: str
    volume_capability: Volume_Source_CSIVolume_VolumeCapability
    node_stage_secrets: dict[str, Secret] = {}
    node_publish_secrets: dict[str, Secret] = {}
    volume_context: dict[str, str] = {}


class NetworkInfo(Message, kw_only=True):
    """A network that a container joins."""

    ip_addresses: list[NetworkInfo_IPAddress] = []
    name: str | None = None
    groups: list[str] = []
    labels: Labels | None = None
    port_mappings: list[NetworkInfo_PortMapping] = []


class NetworkInfo_IPAddress(Message, kw_only=True):
    """`mesos.v1.NetworkInfo.IPAddress`."""

    protocol: NetworkInfo_Protocol = msgspec.field(default_factory=lambda: NetworkInfo_Protocol.IPv4)
    ip_address: str | None = None


class NetworkInfo_PortMapping(Message, kw_only=True):
    """`mesos.v1.NetworkInfo.PortMapping`."""

    host_port: UInt32
    container_port: UInt32
    protocol: str | None = None


class CapabilityInfo(Message, kw_only=True):
    """`mesos.v1.CapabilityInfo`."""

    capabilities: list[CapabilityInfo_Capability] = []


class SeccompInfo(Message, kw_only=True):
    """`mesos.v1.SeccompInfo`."""

    profile_name: str | None = None
    unconfined: bool | None = None


class LinuxInfo(Message, kw_only=True):
    """`mesos.v1.LinuxInfo`."""

    capability_info: CapabilityInfo | None = None
    bounding_capabilities: CapabilityInfo | None = None
    effective_capabilities: CapabilityInfo | None = None
    share_pid_namespace: bool | None = None
    seccomp: SeccompInfo | None = None
    ipc_mode: LinuxInfo_IpcMode | None = None
    shm_size: UInt32 | None = None
    share_cgroups: bool = msgspec.field(default_factory=lambda: True)


class RLimitInfo(Message, kw_only=True):
    """`mesos.v1.RLimitInfo`."""

    rlimits: list[RLimitInfo_RLimit] = []


class RLimitInfo_RLimit(Message, kw_only=True):
    """`mesos.v1.RLimitInfo.RLimit`."""

    type: RLimitInfo_RLimit_Type | None = None
    hard: UInt64 | None = None
    soft: UInt64 | None = None


class TTYInfo(Message, kw_only=True):
    """`mesos.v1.TTYInfo`."""

    window_size: TTYInfo_WindowSize | None = None


class TTYInfo_WindowSize(Message, kw_only=True):
    """`mesos.v1.TTYInfo.WindowSize`."""

    rows: UInt32
    columns: UInt32


class ContainerInfo(Message, kw_only=True):
    """How a task or executor is isolated."""

    type: ContainerInfo_Type
    volumes: list[Volume] = []
    hostname: str | None = None
    docker: ContainerInfo_DockerInfo | None = None
    mesos: ContainerInfo_MesosInfo | None = None
    network_infos: list[NetworkInfo] = []
    linux_info: LinuxInfo | None = None
    rlimit_info: RLimitInfo | None = None
    tty_info: TTYInfo | None = None


class ContainerInfo_DockerInfo(Message, kw_only=True):
    """`mesos.v1.ContainerInfo.DockerInfo`."""

    image: str
    network: ContainerInfo_DockerInfo_Network = msgspec.field(
        default_factory=lambda: ContainerInfo_DockerInfo_Network.HOST
    )
    port_mappings: list[ContainerInfo_DockerInfo_PortMapping] = []
    privileged: bool = msgspec.field(default_factory=lambda: False)
    parameters: list[Parameter] = []
    force_pull_image: bool | None = None
    volume_driver: str | None = None


class ContainerInfo_DockerInfo_PortMapping(Message, kw_only=True):
    """`mesos.v1.ContainerInfo.DockerInfo.PortMapping`."""

    host_port: UInt32
    container_port: UInt32
    protocol: str | None = None


class ContainerInfo_MesosInfo(Message, kw_only=True):
    """`mesos.v1.ContainerInfo.MesosInfo`."""

    image: Image | None = None


class ContainerStatus(Message, kw_only=True):
    """What is known of a running container."""

    container_id: ContainerID | None = None
    network_infos: list[NetworkInfo] = []
    cgroup_info: CgroupInfo | None = None
    executor_pid: UInt32 | None = None


class CgroupInfo(Message, kw_only=True):
    """`mesos.v1.CgroupInfo`."""

    net_cls: CgroupInfo_NetCls | None = None


class CgroupInfo_Blkio(Message, kw_only=True):
    """`mesos.v1.CgroupInfo.Blkio`."""


class CgroupInfo_Blkio_Value(Message, kw_only=True):
    """`mesos.v1.CgroupInfo.Blkio.Value`."""

    op: CgroupInfo_Blkio_Operation | None = None
    value: UInt64 | None = None


class CgroupInfo_Blkio_CFQ(Message, kw_only=True):
    """`mesos.v1.CgroupInfo.Blkio.CFQ`."""


class CgroupInfo_Blkio_CFQ_Statistics(Message, kw_only=True):
    """`mesos.v1.CgroupInfo.Blkio.CFQ.Statistics`."""

    device: Device_Number | None = None
    sectors: UInt64 | None = None
    time: UInt64 | None = None
    io_serviced: list[CgroupInfo_Blkio_Value] = []
    io_service_bytes: list[CgroupInfo_Blkio_Value] = []
    io_service_time: list[CgroupInfo_Blkio_Value] = []
    io_wait_time: list[CgroupInfo_Blkio_Value] = []
    io_merged: list[CgroupInfo_Blkio_Value] = []
    io_queued: list[CgroupInfo_Blkio_Value] = []


class CgroupInfo_Blkio_Throttling(Message, kw_only=True):
    """`mesos.v1.CgroupInfo.Blkio.Throttling`."""


class CgroupInfo_Blkio_Throttling_Statistics(Message, kw_only=True):
    """`mesos.v1.CgroupInfo.Blkio.Throttling.Statistics`."""

    device: Device_Number | None = None
    io_serviced: list[CgroupInfo_Blkio_Value] = []
    io_service_bytes: list[CgroupInfo_Blkio_Value] = []


class CgroupInfo_Blkio_Statistics(Message, kw_only=True):
    """`mesos.v1.CgroupInfo.Blkio.Statistics`."""

    cfq: list[CgroupInfo_Blkio_CFQ_Statistics] = []
    cfq_recursive: list[CgroupInfo_Blkio_CFQ_Statistics] = []
    throttling: list[CgroupInfo_Blkio_Throttling_Statistics] = []


class CgroupInfo_NetCls(Message, kw_only=True):
    """`mesos.v1.CgroupInfo.NetCls`."""

    classid: UInt32 | None = None


class Labels(Message, kw_only=True):
    """Free key-value pairs; keys may repeat."""

    labels: list[Label] = []


class Label(Message, kw_only=True):
    """`mesos.v1.Label`."""

    key: str
    value: str | None = None


class Port(Message, kw_only=True):
    """`mesos.v1.Port`."""

    number: UInt32
    name: str | None = None
    protocol: str | None = None
    visibility: DiscoveryInfo_Visibility | None = None
    labels: Labels | None = None


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
    labels: Labels | None = None


class WeightInfo(Message, kw_only=True):
    """The share of a role relative to its siblings."""

    weight: Double
    role: str | None = None


class VersionInfo(Message, kw_only=True):
    """`mesos.v1.VersionInfo`."""

    version: str
    build_date: str | None = None
    build_time: Double | None = None
    build_user: str | None = None
    git_sha: str | None = None
    git_branch: str | None = None
    git_tag: str | None = None


class Flag(Message, kw_only=True):
    """`mesos.v1.Flag`."""

    name: str
    value: str | None = None


class Role(Message, kw_only=True):
    """`mesos.v1.Role`."""

    name: str
    weight: Double
    frameworks: list[FrameworkID] = []
    resources: list[Resource] = []


class Metric(Message, kw_only=True):
    """`mesos.v1.Metric`."""

    name: str
    value: Double | None = None


class FileInfo(Message, kw_only=True):
    """`mesos.v1.FileInfo`."""

    path: str
    nlink: Int32 | None = None
    size: UInt64 | None = None
    mtime: TimeInfo | None = None
    mode: UInt32 | None = None
    uid: str | None = None
    gid: str | None = None


class Device(Message, kw_only=True):
    """`mesos.v1.Device`."""

    path: str | None = None
    number: Device_Number | None = None


class Device_Number(Message, kw_only=True):
    """`mesos.v1.Device.Number`."""

    major_number: UInt64
    minor_number: UInt64


class DeviceAccess(Message, kw_only=True):
    """`mesos.v1.DeviceAccess`."""

    device: Device
    access: DeviceAccess_Access


class DeviceAccess_Access(Message, kw_only=True):
    """`mesos.v1.DeviceAccess.Access`."""

    read: bool | None = None
    write: bool | None = None
    mknod: bool | None = None


class DeviceWhitelist(Message, kw_only=True):
    """`mesos.v1.DeviceWhitelist`."""

    allowed_devices: list[DeviceAccess] = []


class DrainConfig(Message, kw_only=True):
    """How an agent is drained."""

    max_grace_period: DurationInfo | None = None
    mark_gone: bool = msgspec.field(default_factory=lambda: False)


class DrainInfo(Message, kw_only=True):
    """The progress of draining an agent."""

    state: DrainState
    config: DrainConfig
