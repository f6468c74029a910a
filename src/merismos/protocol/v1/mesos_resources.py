"""The messages of `mesos/v1/mesos_resources.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

import enum

import msgspec

from merismos.protocol.v1 import mesos_containers, mesos_ids, mesos_values
from merismos.protocol.v1.message import Double, Message


class CSIPluginContainerInfo_Service(enum.StrEnum):
    """`mesos.v1.CSIPluginContainerInfo.Service`."""

    UNKNOWN = "UNKNOWN"
    CONTROLLER_SERVICE = "CONTROLLER_SERVICE"
    NODE_SERVICE = "NODE_SERVICE"


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


class CSIPluginContainerInfo(Message, kw_only=True):
    """`mesos.v1.CSIPluginContainerInfo`."""

    services: list[CSIPluginContainerInfo_Service] = []
    command: mesos_containers.CommandInfo | None = None
    resources: list[Resource] = []
    container: mesos_containers.ContainerInfo | None = None


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

    id: mesos_ids.ResourceProviderID | None = None
    attributes: list[mesos_values.Attribute] = []
    type: str
    name: str
    default_reservations: list[Resource_ReservationInfo] = []
    storage: ResourceProviderInfo_Storage | None = None


class ResourceProviderInfo_Storage(Message, kw_only=True):
    """`mesos.v1.ResourceProviderInfo.Storage`."""

    plugin: CSIPluginInfo
    reconciliation_interval_seconds: Double | None = None


class Resource(Message, kw_only=True):
    """An amount of one kind, with its reservations, disk and sharing."""

    provider_id: mesos_ids.ResourceProviderID | None = None
    name: str
    type: mesos_values.Value_Type
    scalar: mesos_values.Value_Scalar | None = None
    ranges: mesos_values.Value_Ranges | None = None
    set: mesos_values.Value_Set | None = None
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
    labels: mesos_ids.Labels | None = None


class Resource_DiskInfo(Message, kw_only=True):
    """`mesos.v1.Resource.DiskInfo`."""

    persistence: Resource_DiskInfo_Persistence | None = None
    volume: mesos_containers.Volume | None = None
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
    metadata: mesos_ids.Labels | None = None
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


class Request(Message, kw_only=True):
    """Resources that a framework would like to be offered."""

    agent_id: mesos_ids.AgentID | None = None
    resources: list[Resource] = []
