"""The messages of `mesos/v1/scheduler/scheduler.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

import enum

from merismos.protocol.v1 import mesos_cluster, mesos_ids, mesos_offers, mesos_resources, mesos_tasks, mesos_values
from merismos.protocol.v1.message import Double, Int32, Message, UInt32


class Event_Type(enum.StrEnum):
    """`mesos.v1.scheduler.Event.Type`."""

    UNKNOWN = "UNKNOWN"
    SUBSCRIBED = "SUBSCRIBED"
    OFFERS = "OFFERS"
    INVERSE_OFFERS = "INVERSE_OFFERS"
    RESCIND = "RESCIND"
    RESCIND_INVERSE_OFFER = "RESCIND_INVERSE_OFFER"
    UPDATE = "UPDATE"
    UPDATE_OPERATION_STATUS = "UPDATE_OPERATION_STATUS"
    MESSAGE = "MESSAGE"
    FAILURE = "FAILURE"
    ERROR = "ERROR"
    HEARTBEAT = "HEARTBEAT"


class Response_Type(enum.StrEnum):
    """`mesos.v1.scheduler.Response.Type`."""

    UNKNOWN = "UNKNOWN"
    RECONCILE_OPERATIONS = "RECONCILE_OPERATIONS"


class AttributeConstraint_Selector_PseudoattributeType(enum.StrEnum):
    """`mesos.v1.scheduler.AttributeConstraint.Selector.PseudoattributeType`."""

    UNKNOWN = "UNKNOWN"
    HOSTNAME = "HOSTNAME"
    REGION = "REGION"
    ZONE = "ZONE"


class Call_Type(enum.StrEnum):
    """`mesos.v1.scheduler.Call.Type`."""

    UNKNOWN = "UNKNOWN"
    SUBSCRIBE = "SUBSCRIBE"
    TEARDOWN = "TEARDOWN"
    ACCEPT = "ACCEPT"
    DECLINE = "DECLINE"
    ACCEPT_INVERSE_OFFERS = "ACCEPT_INVERSE_OFFERS"
    DECLINE_INVERSE_OFFERS = "DECLINE_INVERSE_OFFERS"
    REVIVE = "REVIVE"
    KILL = "KILL"
    SHUTDOWN = "SHUTDOWN"
    ACKNOWLEDGE = "ACKNOWLEDGE"
    ACKNOWLEDGE_OPERATION_STATUS = "ACKNOWLEDGE_OPERATION_STATUS"
    RECONCILE = "RECONCILE"
    RECONCILE_OPERATIONS = "RECONCILE_OPERATIONS"
    MESSAGE = "MESSAGE"
    REQUEST = "REQUEST"
    SUPPRESS = "SUPPRESS"
    UPDATE_FRAMEWORK = "UPDATE_FRAMEWORK"


class Event(Message, kw_only=True):
    """What the master tells a scheduler."""

    type: Event_Type | None = None
    subscribed: Event_Subscribed | None = None
    offers: Event_Offers | None = None
    inverse_offers: Event_InverseOffers | None = None
    rescind: Event_Rescind | None = None
    rescind_inverse_offer: Event_RescindInverseOffer | None = None
    update: Event_Update | None = None
    update_operation_status: Event_UpdateOperationStatus | None = None
    message: Event_Message | None = None
    failure: Event_Failure | None = None
    error: Event_Error | None = None


class Event_Subscribed(Message, kw_only=True):
    """`mesos.v1.scheduler.Event.Subscribed`."""

    framework_id: mesos_ids.FrameworkID
    heartbeat_interval_seconds: Double | None = None
    master_info: mesos_cluster.MasterInfo | None = None


class Event_Offers(Message, kw_only=True):
    """`mesos.v1.scheduler.Event.Offers`."""

    offers: list[mesos_offers.Offer] = []


class Event_InverseOffers(Message, kw_only=True):
    """`mesos.v1.scheduler.Event.InverseOffers`."""

    inverse_offers: list[mesos_offers.InverseOffer] = []


class Event_Rescind(Message, kw_only=True):
    """`mesos.v1.scheduler.Event.Rescind`."""

    offer_id: mesos_ids.OfferID


class Event_RescindInverseOffer(Message, kw_only=True):
    """`mesos.v1.scheduler.Event.RescindInverseOffer`."""

    inverse_offer_id: mesos_ids.OfferID


class Event_Update(Message, kw_only=True):
    """`mesos.v1.scheduler.Event.Update`."""

    status: mesos_tasks.TaskStatus


class Event_UpdateOperationStatus(Message, kw_only=True):
    """`mesos.v1.scheduler.Event.UpdateOperationStatus`."""

    status: mesos_offers.OperationStatus


class Event_Message(Message, kw_only=True):
    """`mesos.v1.scheduler.Event.Message`."""

    agent_id: mesos_ids.AgentID
    executor_id: mesos_ids.ExecutorID
    data: bytes


class Event_Failure(Message, kw_only=True):
    """`mesos.v1.scheduler.Event.Failure`."""

    agent_id: mesos_ids.AgentID | None = None
    executor_id: mesos_ids.ExecutorID | None = None
    status: Int32 | None = None


class Event_Error(Message, kw_only=True):
    """`mesos.v1.scheduler.Event.Error`."""

    message: str


class Response(Message, kw_only=True):
    """`mesos.v1.scheduler.Response`."""

    type: Response_Type | None = None
    reconcile_operations: Response_ReconcileOperations | None = None


class Response_ReconcileOperations(Message, kw_only=True):
    """`mesos.v1.scheduler.Response.ReconcileOperations`."""

    operation_statuses: list[mesos_offers.OperationStatus] = []


class AttributeConstraint(Message, kw_only=True):
    """`mesos.v1.scheduler.AttributeConstraint`."""

    selector: AttributeConstraint_Selector
    predicate: AttributeConstraint_Predicate


class AttributeConstraint_Selector(Message, kw_only=True):
    """`mesos.v1.scheduler.AttributeConstraint.Selector`."""

    pseudoattribute_type: AttributeConstraint_Selector_PseudoattributeType | None = None
    attribute_name: str | None = None


class AttributeConstraint_Predicate(Message, kw_only=True):
    """`mesos.v1.scheduler.AttributeConstraint.Predicate`."""

    exists: AttributeConstraint_Predicate_Exists | None = None
    not_exists: AttributeConstraint_Predicate_NotExists | None = None
    text_equals: AttributeConstraint_Predicate_TextEquals | None = None
    text_not_equals: AttributeConstraint_Predicate_TextNotEquals | None = None
    text_matches: AttributeConstraint_Predicate_TextMatches | None = None
    text_not_matches: AttributeConstraint_Predicate_TextNotMatches | None = None


class AttributeConstraint_Predicate_Exists(Message, kw_only=True):
    """`mesos.v1.scheduler.AttributeConstraint.Predicate.Exists`."""


class AttributeConstraint_Predicate_NotExists(Message, kw_only=True):
    """`mesos.v1.scheduler.AttributeConstraint.Predicate.NotExists`."""


class AttributeConstraint_Predicate_TextEquals(Message, kw_only=True):
    """`mesos.v1.scheduler.AttributeConstraint.Predicate.TextEquals`."""

    value: str


class AttributeConstraint_Predicate_TextNotEquals(Message, kw_only=True):
    """`mesos.v1.scheduler.AttributeConstraint.Predicate.TextNotEquals`."""

    value: str


class AttributeConstraint_Predicate_TextMatches(Message, kw_only=True):
    """`mesos.v1.scheduler.AttributeConstraint.Predicate.TextMatches`."""

    regex: str


class AttributeConstraint_Predicate_TextNotMatches(Message, kw_only=True):
    """`mesos.v1.scheduler.AttributeConstraint.Predicate.TextNotMatches`."""

    regex: str


class OfferConstraints(Message, kw_only=True):
    """Which agents a framework wants offers of, by attribute."""

    role_constraints: dict[str, OfferConstraints_RoleConstraints] = {}


class OfferConstraints_RoleConstraints(Message, kw_only=True):
    """`mesos.v1.scheduler.OfferConstraints.RoleConstraints`."""

    groups: list[OfferConstraints_RoleConstraints_Group] = []


class OfferConstraints_RoleConstraints_Group(Message, kw_only=True):
    """`mesos.v1.scheduler.OfferConstraints.RoleConstraints.Group`."""

    attribute_constraints: list[AttributeConstraint] = []


class Call(Message, kw_only=True):
    """What a scheduler asks of the master."""

    framework_id: mesos_ids.FrameworkID | None = None
    type: Call_Type | None = None
    subscribe: Call_Subscribe | None = None
    accept: Call_Accept | None = None
    decline: Call_Decline | None = None
    accept_inverse_offers: Call_AcceptInverseOffers | None = None
    decline_inverse_offers: Call_DeclineInverseOffers | None = None
    revive: Call_Revive | None = None
    kill: Call_Kill | None = None
    shutdown: Call_Shutdown | None = None
    acknowledge: Call_Acknowledge | None = None
    acknowledge_operation_status: Call_AcknowledgeOperationStatus | None = None
    reconcile: Call_Reconcile | None = None
    reconcile_operations: Call_ReconcileOperations | None = None
    message: Call_Message | None = None
    request: Call_Request | None = None
    suppress: Call_Suppress | None = None
    update_framework: Call_UpdateFramework | None = None


class Call_Subscribe(Message, kw_only=True):
    """`mesos.v1.scheduler.Call.Subscribe`."""

    framework_info: mesos_cluster.FrameworkInfo
    suppressed_roles: list[str] = []
    offer_constraints: OfferConstraints | None = None


class Call_Accept(Message, kw_only=True):
    """`mesos.v1.scheduler.Call.Accept`."""

    offer_ids: list[mesos_ids.OfferID] = []
    operations: list[mesos_offers.Offer_Operation] = []
    filters: mesos_values.Filters | None = None


class Call_Decline(Message, kw_only=True):
    """`mesos.v1.scheduler.Call.Decline`."""

    offer_ids: list[mesos_ids.OfferID] = []
    filters: mesos_values.Filters | None = None


class Call_AcceptInverseOffers(Message, kw_only=True):
    """`mesos.v1.scheduler.Call.AcceptInverseOffers`."""

    inverse_offer_ids: list[mesos_ids.OfferID] = []
    filters: mesos_values.Filters | None = None


class Call_DeclineInverseOffers(Message, kw_only=True):
    """`mesos.v1.scheduler.Call.DeclineInverseOffers`."""

    inverse_offer_ids: list[mesos_ids.OfferID] = []
    filters: mesos_values.Filters | None = None


class Call_Revive(Message, kw_only=True):
    """`mesos.v1.scheduler.Call.Revive`."""

    roles: list[str] = []


class Call_Kill(Message, kw_only=True):
    """`mesos.v1.scheduler.Call.Kill`."""

    task_id: mesos_ids.TaskID
    agent_id: mesos_ids.AgentID | None = None
    kill_policy: mesos_tasks.KillPolicy | None = None


class Call_Shutdown(Message, kw_only=True):
    """`mesos.v1.scheduler.Call.Shutdown`."""

    executor_id: mesos_ids.ExecutorID
    agent_id: mesos_ids.AgentID


class Call_Acknowledge(Message, kw_only=True):
    """`mesos.v1.scheduler.Call.Acknowledge`."""

    agent_id: mesos_ids.AgentID
    task_id: mesos_ids.TaskID
    uuid: bytes


class Call_AcknowledgeOperationStatus(Message, kw_only=True):
    """`mesos.v1.scheduler.Call.AcknowledgeOperationStatus`."""

    agent_id: mesos_ids.AgentID | None = None
    resource_provider_id: mesos_ids.ResourceProviderID | None = None
    uuid: bytes
    operation_id: mesos_ids.OperationID


class Call_Reconcile(Message, kw_only=True):
    """`mesos.v1.scheduler.Call.Reconcile`."""

    tasks: list[Call_Reconcile_Task] = []


class Call_Reconcile_Task(Message, kw_only=True):
    """`mesos.v1.scheduler.Call.Reconcile.Task`."""

    task_id: mesos_ids.TaskID
    agent_id: mesos_ids.AgentID | None = None


class Call_ReconcileOperations(Message, kw_only=True):
    """`mesos.v1.scheduler.Call.ReconcileOperations`."""

    operations: list[Call_ReconcileOperations_Operation] = []


class Call_ReconcileOperations_Operation(Message, kw_only=True):
    """`mesos.v1.scheduler.Call.ReconcileOperations.Operation`."""

    operation_id: mesos_ids.OperationID
    agent_id: mesos_ids.AgentID | None = None
    resource_provider_id: mesos_ids.ResourceProviderID | None = None


class Call_Message(Message, kw_only=True):
    """`mesos.v1.scheduler.Call.Message`."""

    agent_id: mesos_ids.AgentID
    executor_id: mesos_ids.ExecutorID
    data: bytes


class Call_Request(Message, kw_only=True):
    """`mesos.v1.scheduler.Call.Request`."""

    requests: list[mesos_resources.Request] = []


class Call_Suppress(Message, kw_only=True):
    """`mesos.v1.scheduler.Call.Suppress`."""

    roles: list[str] = []


class Call_UpdateFramework(Message, kw_only=True):
    """`mesos.v1.scheduler.Call.UpdateFramework`."""

    framework_info: mesos_cluster.FrameworkInfo
    suppressed_roles: list[str] = []
    offer_constraints: OfferConstraints | None = None


class APIResult(Message, kw_only=True):
    """`mesos.v1.scheduler.APIResult`."""

    status_code: UInt32
    response: Response | None = None
    error: str | None = None
