"""An agent in the v1 operator form and in the v0 form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from merismos.core.master.views import values
from merismos.model.attributes import attributes_to_v0
from merismos.model.resource_protocol import to_protocol
from merismos.model.resource_v0 import to_v0
from merismos.model.resources import sum_of
from merismos.protocol.v1 import master as operator
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.master.state import Agent, Framework, InverseOffer, Master, Offer
    from merismos.model.resources import Resources

_NANOS = 1_000_000_000
AgentV1 = operator.Response_GetAgents_Agent


def agent_v1(master: Master, agent: Agent) -> AgentV1:
    """Return the Agent message of GET_AGENTS and AGENT_ADDED."""
    drain = master.drains.get(agent.id)
    return AgentV1(
        agent_info=agent.info,
        active=agent.active and agent.link is not None,
        deactivated=agent.deactivated,
        version=agent.version or values.WIRE_VERSION,
        pid=agent.pid,
        registered_time=values.time_info(master, agent.registered_at),
        reregistered_time=None if agent.reregistered_at is None else values.time_info(master, agent.reregistered_at),
        total_resources=values.operator_form(agent.total),
        allocated_resources=values.by_role_v1(values.used(agent)),
        offered_resources=values.by_role_v1(values.offered(agent)),
        capabilities=[
            mesos.AgentInfo_Capability(type=mesos.AgentInfo_Capability_Type(name)) for name in agent.capabilities
        ],
        drain_info=None if drain is None else drain.info,
        estimated_drain_start_time=None if drain is None else drain.started,
    )


def agent_summary_v0(master: Master, agent: Agent) -> dict[str, Any]:
    """Return the agent object of /state and, with task counts added, of /state-summary."""
    fields: dict[str, Any] = {
        "id": agent.id,
        "hostname": agent.info.hostname,
        "port": agent.info.port,
        "attributes": attributes_to_v0(agent.info.attributes),
        "pid": agent.pid,
        "registered_time": values.wall_s(master, agent.registered_at),
    }
    if agent.reregistered_at is not None:
        fields["reregistered_time"] = values.wall_s(master, agent.reregistered_at)
    reserved = agent.total.reserved_by_role()
    fields |= {
        "resources": to_v0(agent.total),
        "used_resources": to_v0(values.total_of(values.used(agent))),
        "offered_resources": to_v0(values.total_of(values.offered(agent))),
        "reserved_resources": {role: to_v0(resources) for role, resources in reserved.items()},
        "unreserved_resources": to_v0(agent.total.unreserved()),
        "active": agent.active and agent.link is not None,
        "deactivated": agent.deactivated,
        "version": agent.version or values.WIRE_VERSION,
        "capabilities": agent.capabilities,
    }
    drain = master.drains.get(agent.id)
    if drain is not None and drain.info is not None and drain.started is not None:
        fields |= {
            "drain_info": drain.info,
            "estimated_drain_start_time_seconds": drain.started.nanoseconds / _NANOS,
        }
    return fields


def agent_full_v0(master: Master, agent: Agent) -> dict[str, Any]:
    """Return the agent object of /slaves, which also lists every resource in full."""
    reserved = agent.total.reserved_by_role()
    return agent_summary_v0(master, agent) | {
        "reserved_resources_full": {role: values.operator_form(resources) for role, resources in reserved.items()},
        "unreserved_resources_full": values.operator_form(agent.total.unreserved()),
        "used_resources_full": values.by_role_v1(values.used(agent)),
        "offered_resources_full": values.by_role_v1(values.offered(agent)),
    }


def offer_v1(offer: Offer) -> mesos.Offer:
    """Return an offer as GET_FRAMEWORKS lists it (the scheduler's own copy is rendered by the stream)."""
    info = offer.agent.info
    return mesos.Offer(
        id=mesos.OfferID(value=offer.id),
        framework_id=mesos.FrameworkID(value=offer.framework.id),
        agent_id=mesos.AgentID(value=offer.agent.id),
        hostname=info.hostname,
        url=values.url_of(offer.agent),
        domain=info.domain,
        resources=to_protocol(offer.resources, allocation_role=offer.role),
        attributes=info.attributes,
        executor_ids=executor_ids(offer.framework, offer.agent),
        unavailability=offer.agent.unavailability,
        allocation_info=mesos.Resource_AllocationInfo(role=offer.role),
    )


def inverse_offer_v1(made: InverseOffer) -> mesos.InverseOffer:
    """Return an inverse offer as schedulers and operators see it."""
    return mesos.InverseOffer(
        id=mesos.OfferID(value=made.id),
        url=values.url_of(made.agent),
        framework_id=mesos.FrameworkID(value=made.framework.id),
        agent_id=mesos.AgentID(value=made.agent.id),
        unavailability=made.unavailability,
    )


def executor_ids(framework: Framework, agent: Agent) -> list[mesos.ExecutorID]:
    """Return the framework's executors that already run on the agent."""
    return [
        mesos.ExecutorID(value=executor_id)
        for framework_id, executor_id in agent.executors
        if framework_id == framework.id
    ]


def cluster_total(master: Master) -> Resources:
    """Return the resources of all agents that are connected."""
    return sum_of(agent.total for agent in master.agents.values() if agent.link is not None)
