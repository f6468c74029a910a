"""The messages of `mesos/v1/mesos_containers.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

import enum

import msgspec

from merismos.protocol.v1 import mesos_ids, mesos_values
from merismos.protocol.v1.message import Message, UInt32, UInt64


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


class CommandInfo(Message, kw_only=True):
    """What to run: a shell line or an argv, with environment and files to fetch."""

    uris: list[CommandInfo_URI] = []
    environment: mesos_values.Environment | None = None
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
    labels: mesos_ids.Labels | None = None


class Image_Docker(Message, kw_only=True):
    """`mesos.v1.Image.Docker`."""

    name: str
    credential: mesos_values.Credential | None = None
    config: mesos_values.Secret | None = None


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
    secret: mesos_values.Secret | None = None
    csi_volume: Volume_Source_CSIVolume | None = None


class Volume_Source_DockerVolume(Message, kw_only=True):
    """`mesos.v1.Volume.Source.DockerVolume`."""

    driver: str | None = None
    name: str
    driver_options: mesos_ids.Parameters | None = None


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
    node_stage_secrets: dict[str, mesos_values.Secret] = {}
    node_publish_secrets: dict[str, mesos_values.Secret] = {}
    volume_context: dict[str, str] = {}


class NetworkInfo(Message, kw_only=True):
    """A network that a container joins."""

    ip_addresses: list[NetworkInfo_IPAddress] = []
    name: str | None = None
    groups: list[str] = []
    labels: mesos_ids.Labels | None = None
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
    parameters: list[mesos_ids.Parameter] = []
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

    container_id: mesos_ids.ContainerID | None = None
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
