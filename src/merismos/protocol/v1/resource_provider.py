"""The messages of `mesos/v1/resource_provider/resource_provider.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

import enum

from merismos.protocol.v1 import mesos_ids, mesos_offers, mesos_resources
from merismos.protocol.v1.message import Message


class Event_Type(enum.StrEnum):
    """`mesos.v1.resource_provider.Event.Type`."""

    UNKNOWN = "UNKNOWN"
    SUBSCRIBED = "SUBSCRIBED"
    APPLY_OPERATION = "APPLY_OPERATION"
    PUBLISH_RESOURCES = "PUBLISH_RESOURCES"
    ACKNOWLEDGE_OPERATION_STATUS = "ACKNOWLEDGE_OPERATION_STATUS"
    RECONCILE_OPERATIONS = "RECONCILE_OPERATIONS"
    TEARDOWN = "TEARDOWN"


class Call_Type(enum.StrEnum):
    """`mesos.v1.resource_provider.Call.Type`."""

    UNKNOWN = "UNKNOWN"
    SUBSCRIBE = "SUBSCRIBE"
    UPDATE_OPERATION_STATUS = "UPDATE_OPERATION_STATUS"
    UPDATE_STATE = "UPDATE_STATE"
    UPDATE_PUBLISH_RESOURCES_STATUS = "UPDATE_PUBLISH_RESOURCES_STATUS"


class Call_UpdatePublishResourcesStatus_Status(enum.StrEnum):
    """`mesos.v1.resource_provider.Call.UpdatePublishResourcesStatus.Status`."""

    UNKNOWN = "UNKNOWN"
    OK = "OK"
    FAILED = "FAILED"


class Event(Message, kw_only=True):
    """What an agent tells a resource provider."""

    type: Event_Type | None = None
    subscribed: Event_Subscribed | None = None
    apply_operation: Event_ApplyOperation | None = None
    publish_resources: Event_PublishResources | None = None
    acknowledge_operation_status: Event_AcknowledgeOperationStatus | None = None
    reconcile_operations: Event_ReconcileOperations | None = None


class Event_Subscribed(Message, kw_only=True):
    """`mesos.v1.resource_provider.Event.Subscribed`."""

    provider_id: mesos_ids.ResourceProviderID


class Event_ApplyOperation(Message, kw_only=True):
    """`mesos.v1.resource_provider.Event.ApplyOperation`."""

    framework_id: mesos_ids.FrameworkID | None = None
    info: mesos_offers.Offer_Operation
    operation_uuid: mesos_ids.UUID
    resource_version_uuid: mesos_ids.UUID


class Event_PublishResources(Message, kw_only=True):
    """`mesos.v1.resource_provider.Event.PublishResources`."""

    uuid: mesos_ids.UUID
    resources: list[mesos_resources.Resource] = []


class Event_AcknowledgeOperationStatus(Message, kw_only=True):
    """`mesos.v1.resource_provider.Event.AcknowledgeOperationStatus`."""

    status_uuid: mesos_ids.UUID
    operation_uuid: mesos_ids.UUID


class Event_ReconcileOperations(Message, kw_only=True):
    """`mesos.v1.resource_provider.Event.ReconcileOperations`."""

    operation_uuids: list[mesos_ids.UUID] = []


class Call(Message, kw_only=True):
    """What a resource provider asks of its agent."""

    resource_provider_id: mesos_ids.ResourceProviderID | None = None
    type: Call_Type | None = None
    subscribe: Call_Subscribe | None = None
    update_operation_status: Call_UpdateOperationStatus | None = None
    update_state: Call_UpdateState | None = None
    update_publish_resources_status: Call_UpdatePublishResourcesStatus | None = None


class Call_Subscribe(Message, kw_only=True):
    """`mesos.v1.resource_provider.Call.Subscribe`."""

    resource_provider_info: mesos_resources.ResourceProviderInfo


class Call_UpdateOperationStatus(Message, kw_only=True):
    """`mesos.v1.resource_provider.Call.UpdateOperationStatus`."""

    framework_id: mesos_ids.FrameworkID | None = None
    status: mesos_offers.OperationStatus
    latest_status: mesos_offers.OperationStatus | None = None
    operation_uuid: mesos_ids.UUID


class Call_UpdateState(Message, kw_only=True):
    """`mesos.v1.resource_provider.Call.UpdateState`."""

    operations: list[mesos_offers.Operation] = []
    resources: list[mesos_resources.Resource] = []
    resource_version_uuid: mesos_ids.UUID


class Call_UpdatePublishResourcesStatus(Message, kw_only=True):
    """`mesos.v1.resource_provider.Call.UpdatePublishResourcesStatus`."""

    uuid: mesos_ids.UUID
    status: Call_UpdatePublishResourcesStatus_Status
