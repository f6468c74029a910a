"""The records of frameworks: made, changed, removed, and what the allocator is told of each.

Rules: a framework that is removed gets everything taken back first: offers, tasks, executors; its agents are told to end what it
runs. It stays known as completed, so that its id can't come back and its tasks can still be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.master import counters, inverse_offers, offers, publish, registrar, strays, tasks
from merismos.core.master.effects import CloseStream, SendToAgent
from merismos.core.master.state import Framework
from merismos.core.master.validate.framework import has_capability, roles_of
from merismos.model.scalars import to_milli
from merismos.protocol import json, link
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.master.state import Agent, Master

RECONNECT_S = 15.0


def make(info: mesos.FrameworkInfo, framework_id: str, now: float) -> Framework:
    """Return the record of a new framework."""
    framework = Framework(info, framework_id, now)
    adopt(framework, info)
    return framework


def adopt(framework: Framework, info: mesos.FrameworkInfo) -> None:
    """Take over what `info` says."""
    capability = mesos.FrameworkInfo_Capability_Type
    framework.info = info
    framework.info_json = json.encode(info)
    framework.roles = roles_of(info)
    framework.principal = info.principal
    framework.capabilities = {str(claimed.type): None for claimed in info.capabilities if claimed.type is not None}
    framework.partition_aware = has_capability(info, capability.PARTITION_AWARE)
    framework.multi_role = has_capability(info, capability.MULTI_ROLE)
    framework.refinement = has_capability(info, capability.RESERVATION_REFINEMENT)
    own = dict.fromkeys(framework.roles)
    framework.suppressed = {role: None for role in framework.suppressed if role in own}


def add_to_allocator(master: Master, framework: Framework, *, active: bool) -> None:
    """Let the allocator know a new framework."""
    master.allocator.add_framework(
        framework.id,
        framework.roles,
        framework.capabilities,
        suppressed=list(framework.suppressed),
        active=active,
        constraints=framework.offer_constraints,
        min_allocatable=_min_allocatable(framework.info),
    )


def update_in_allocator(master: Master, framework: Framework) -> None:
    """Let the allocator know what changed."""
    master.allocator.update_framework(
        framework.id,
        framework.roles,
        framework.capabilities,
        suppressed=list(framework.suppressed),
        constraints=framework.offer_constraints,
        min_allocatable=_min_allocatable(framework.info),
    )


def _min_allocatable(info: mesos.FrameworkInfo) -> dict[str, list[dict[str, int]]]:
    minimums: dict[str, list[dict[str, int]]] = {}
    for role, filters in info.offer_filters.items():
        if filters.min_allocatable_resources is not None:
            minimums[role] = [
                {name: to_milli(quantity.value) for name, quantity in alternative.quantities.items()}
                for alternative in filters.min_allocatable_resources.quantities
            ]
    return minimums


def withdraw_offers(master: Master, framework: Framework, now: float) -> None:
    """Take back every offer of a framework that nobody can answer any more; no RESCIND is sent."""
    for offer in list(framework.offers.values()):
        offers.take_back(master, offer, now)
    inverse_offers.withdraw(master, list(framework.inverse_offers.values()), rescind=False)


def agents_of(master: Master, framework: Framework) -> list[Agent]:
    """Return the registered agents on which a framework has tasks or executors."""
    found: dict[str, Agent] = {}
    for task in framework.tasks.values():
        found[task.agent.id] = task.agent
    for agent_id, _ in framework.executors:
        agent = master.agents.get(agent_id)
        if agent is not None:
            found[agent_id] = agent
    for agent in master.agents.values():
        if agent.strays and any(stray.framework is framework for stray in agent.strays.values()):
            found[agent.id] = agent
    return list(found.values())


def remove(master: Master, framework: Framework, now: float) -> None:
    """End a framework and all that it has."""
    shutdown = link.ShutdownFramework(framework.id)
    for agent in agents_of(master, framework):
        if agent.link is not None:
            master.effects.append(SendToAgent(agent.link, shutdown))
        strays.drop_all(master, agent, framework, now)
    withdraw_offers(master, framework, now)
    inverse_offers.forget_framework(master, framework)
    tasks.end_all(master, framework, now)
    for (agent_id, _), executor in list(framework.executors.items()):
        tasks.remove_executor(master, master.agents[agent_id], framework, executor, now)
    master.allocator.remove_framework(framework.id)
    master.deadlines.cancel(("failover", framework.id))
    if framework.stream is not None:
        master.effects.append(CloseStream(framework.stream))
        master.streams.pop(framework.stream, None)
        master.heartbeats.cancel(framework.stream)
        framework.stream = None
    framework.active = False
    framework.unregistered_at = now
    del master.frameworks[framework.id]
    removed_at = now + master.wall_offset_s
    master.removed_frameworks[framework.id] = removed_at
    registrar.expect_garbage(master, now)
    registrar.store(master, [("frameworks", framework.id, registrar.number(removed_at))])
    master.completed_frameworks[framework.id] = framework
    while len(master.completed_frameworks) > master.config.max_completed_frameworks:
        master.completed_frameworks.pop(next(iter(master.completed_frameworks))).forget()
    publish.framework_removed(master, framework)


def recover(master: Master, info: mesos.FrameworkInfo, now: float) -> Framework:
    """Make the record of a framework that only an agent has told of.

    Its scheduler has its failover timeout from the election on to come back, and at least the time that any scheduler needs.
    """
    assert info.id is not None
    framework = make(info, info.id.value, now)
    framework.recovered = True
    framework.disconnected_at = now
    master.frameworks[framework.id] = framework
    add_to_allocator(master, framework, active=False)
    master.deadlines.set(
        ("failover", framework.id), max(master.started_at + max(0.0, info.failover_timeout), now + RECONNECT_S)
    )
    publish.framework_added(master, framework)
    counters.count(master, "master/frameworks_recovered")
    return framework
