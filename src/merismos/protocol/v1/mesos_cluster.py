"""The messages of `mesos/v1/mesos_cluster.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

import enum

import msgspec

from merismos.protocol.v1 import mesos_ids, mesos_resources, mesos_values
from merismos.protocol.v1.message import Double, Int32, Message, UInt32, UInt64


class Status(enum.StrEnum):
    """`mesos.v1.Status`."""

    DRIVER_NOT_STARTED = "DRIVER_NOT_STARTED"
    DRIVER_RUNNING = "DRIVER_RUNNING"
    DRIVER_ABORTED = "DRIVER_ABORTED"
    DRIVER_STOPPED = "DRIVER_STOPPED"


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


class MachineInfo(Message, kw_only=True):
    """`mesos.v1.MachineInfo`."""

    id: mesos_ids.MachineID
    mode: MachineInfo_Mode | None = None
    unavailability: mesos_ids.Unavailability | None = None


class FrameworkInfo(Message, kw_only=True):
    """What a framework says about itself when it subscribes."""

    user: str
    name: str
    id: mesos_ids.FrameworkID | None = None
    failover_timeout: Double = msgspec.field(default_factory=lambda: 0.0)
    checkpoint: bool = msgspec.field(default_factory=lambda: False)
    role: str | None = None
    roles: list[str] = []
    hostname: str | None = None
    principal: str | None = None
    webui_url: str | None = None
    capabilities: list[FrameworkInfo_Capability] = []
    labels: mesos_ids.Labels | None = None
    offer_filters: dict[str, mesos_values.OfferFilters] = {}


class FrameworkInfo_Capability(Message, kw_only=True):
    """`mesos.v1.FrameworkInfo.Capability`."""

    type: FrameworkInfo_Capability_Type | None = None


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
    address: mesos_ids.Address | None = None
    domain: DomainInfo | None = None
    capabilities: list[MasterInfo_Capability] = []


class MasterInfo_Capability(Message, kw_only=True):
    """`mesos.v1.MasterInfo.Capability`."""

    type: MasterInfo_Capability_Type | None = None


class AgentInfo(Message, kw_only=True):
    """What an agent says about itself."""

    hostname: str
    port: Int32 = msgspec.field(default_factory=lambda: 5051)
    resources: list[mesos_resources.Resource] = []
    attributes: list[mesos_values.Attribute] = []
    id: mesos_ids.AgentID | None = None
    domain: DomainInfo | None = None


class AgentInfo_Capability(Message, kw_only=True):
    """`mesos.v1.AgentInfo.Capability`."""

    type: AgentInfo_Capability_Type | None = None


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
    frameworks: list[mesos_ids.FrameworkID] = []
    resources: list[mesos_resources.Resource] = []


class Metric(Message, kw_only=True):
    """`mesos.v1.Metric`."""

    name: str
    value: Double | None = None


class FileInfo(Message, kw_only=True):
    """`mesos.v1.FileInfo`."""

    path: str
    nlink: Int32 | None = None
    size: UInt64 | None = None
    mtime: mesos_ids.TimeInfo | None = None
    mode: UInt32 | None = None
    uid: str | None = None
    gid: str | None = None


class DrainConfig(Message, kw_only=True):
    """How an agent is drained."""

    max_grace_period: mesos_ids.DurationInfo | None = None
    mark_gone: bool = msgspec.field(default_factory=lambda: False)


class DrainInfo(Message, kw_only=True):
    """The progress of draining an agent."""

    state: DrainState
    config: DrainConfig
