"""The messages of `mesos/v1/mesos_offers.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

import enum

from merismos.protocol.v1 import mesos_cluster, mesos_ids, mesos_resources, mesos_tasks, mesos_values
from merismos.protocol.v1.message import Message


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


class Offer(Message, kw_only=True):
    """Resources of one agent, offered to one framework."""

    id: mesos_ids.OfferID
    framework_id: mesos_ids.FrameworkID
    agent_id: mesos_ids.AgentID
    hostname: str
    url: mesos_ids.URL | None = None
    domain: mesos_cluster.DomainInfo | None = None
    resources: list[mesos_resources.Resource] = []
    attributes: list[mesos_values.Attribute] = []
    executor_ids: list[mesos_ids.ExecutorID] = []
    unavailability: mesos_ids.Unavailability | None = None
    allocation_info: mesos_resources.Resource_AllocationInfo | None = None


class Offer_Operation(Message, kw_only=True):
    """One thing to do with the resources of accepted offers."""

    type: Offer_Operation_Type | None = None
    id: mesos_ids.OperationID | None = None
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

    task_infos: list[mesos_tasks.TaskInfo] = []


class Offer_Operation_LaunchGroup(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.LaunchGroup`."""

    executor: mesos_tasks.ExecutorInfo
    task_group: mesos_tasks.TaskGroupInfo


class Offer_Operation_Reserve(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.Reserve`."""

    source: list[mesos_resources.Resource] = []
    resources: list[mesos_resources.Resource] = []


class Offer_Operation_Unreserve(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.Unreserve`."""

    resources: list[mesos_resources.Resource] = []


class Offer_Operation_Create(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.Create`."""

    volumes: list[mesos_resources.Resource] = []


class Offer_Operation_Destroy(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.Destroy`."""

    volumes: list[mesos_resources.Resource] = []


class Offer_Operation_GrowVolume(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.GrowVolume`."""

    volume: mesos_resources.Resource
    addition: mesos_resources.Resource


class Offer_Operation_ShrinkVolume(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.ShrinkVolume`."""

    volume: mesos_resources.Resource
    subtract: mesos_values.Value_Scalar


class Offer_Operation_CreateDisk(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.CreateDisk`."""

    source: mesos_resources.Resource
    target_type: mesos_resources.Resource_DiskInfo_Source_Type
    target_profile: str | None = None


class Offer_Operation_DestroyDisk(Message, kw_only=True):
    """`mesos.v1.Offer.Operation.DestroyDisk`."""

    source: mesos_resources.Resource


class InverseOffer(Message, kw_only=True):
    """A request of the master that a framework gives resources back."""

    id: mesos_ids.OfferID
    url: mesos_ids.URL | None = None
    framework_id: mesos_ids.FrameworkID
    agent_id: mesos_ids.AgentID | None = None
    unavailability: mesos_ids.Unavailability
    resources: list[mesos_resources.Resource] = []


class Operation(Message, kw_only=True):
    """An operation on resources as the cluster knows it."""

    framework_id: mesos_ids.FrameworkID | None = None
    agent_id: mesos_ids.AgentID | None = None
    info: Offer_Operation
    latest_status: OperationStatus
    statuses: list[OperationStatus] = []
    uuid: mesos_ids.UUID


class OperationStatus(Message, kw_only=True):
    """One update of the state of an operation."""

    operation_id: mesos_ids.OperationID | None = None
    state: OperationState
    message: str | None = None
    converted_resources: list[mesos_resources.Resource] = []
    uuid: mesos_ids.UUID | None = None
    agent_id: mesos_ids.AgentID | None = None
    resource_provider_id: mesos_ids.ResourceProviderID | None = None
