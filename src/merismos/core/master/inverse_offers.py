"""Inverse offers: asking frameworks to leave agents whose machines will be away.

Rules: as long as an agent's machine has an unavailability, each framework that is there and has offers, tasks or executors on it is
asked, again and again: it has one inverse offer at a time, and a new one once its answer's `refuse_seconds` are over. An answer
binds nobody; operators read it. Unanswered ones are rescinded after the time of offers. Answers are not kept over a failover.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.master import counters, machines
from merismos.core.master.accept import refuse_s_of
from merismos.core.master.effects import Respond, SendEvent
from merismos.core.master.state import InverseOffer
from merismos.core.master.views.agents import inverse_offer_v1
from merismos.core.master.views.values import time_info
from merismos.protocol.v1 import allocator, mesos, scheduler

if TYPE_CHECKING:
    from merismos.core.master.state import Agent, Framework, Master
    from merismos.protocol.thin import ThinCall

_DUE = ("inverse_offers", "")
_Status = allocator.InverseOfferStatus_Status


def follow(master: Master, agent: Agent, now: float) -> bool:
    """Take over when an agent's machine will be away; say whether that changed. What was asked and answered before is void."""
    planned = machines.unavailability_of(master, agent)
    if planned == agent.unavailability:
        return False
    withdraw(master, list(agent.inverse_offers.values()), rescind=True)
    agent.inverse_statuses.clear()
    agent.inverse_refused_until.clear()
    agent.unavailability = planned
    if planned is None:
        master.maintenance.agents.pop(agent.id, None)
    else:
        master.maintenance.agents[agent.id] = agent
        master.deadlines.set(_DUE, now)
    return True


def forget(master: Master, agent: Agent) -> None:
    """An agent is no more: nobody need leave it."""
    withdraw(master, list(agent.inverse_offers.values()), rescind=True)
    master.maintenance.agents.pop(agent.id, None)


def forget_framework(master: Master, framework: Framework) -> None:
    """A framework is over: what it answered counts no more."""
    for agent in master.maintenance.agents.values():
        agent.inverse_statuses.pop(framework.id, None)
        agent.inverse_refused_until.pop(framework.id, None)


def ask(master: Master, now: float) -> None:
    """Send the inverse offers that are due; come again with the next batch as long as there is anybody to ask."""
    if not master.maintenance.agents:
        return
    master.deadlines.set(_DUE, now + master.config.allocation_interval_s)
    _rescind_overdue(master, now)
    asked: dict[str, list[mesos.InverseOffer]] = {}
    for agent in master.maintenance.agents.values():
        if agent.link is None or not agent.active:
            continue
        for framework_id in master.allocator.users_of(agent.id):
            framework = master.frameworks[framework_id]
            if framework.active and framework_id not in agent.inverse_offers:
                if agent.inverse_refused_until.get(framework_id, now) > now:
                    continue
                asked.setdefault(framework_id, []).append(_make(master, framework, agent, now))
    for framework_id, messages in asked.items():
        framework = master.frameworks[framework_id]
        assert framework.stream is not None
        counters.count_event(framework, "INVERSE_OFFERS")
        event = scheduler.Event(
            type=scheduler.Event_Type.INVERSE_OFFERS,
            inverse_offers=scheduler.Event_InverseOffers(inverse_offers=messages),
        )
        master.effects.append(SendEvent(framework.stream, event))


def _rescind_overdue(master: Master, now: float) -> None:
    timeout_s = master.config.offer_timeout_s
    overdue = []
    for one in master.inverse_offers.values():
        if timeout_s <= 0 or one.offered_at + timeout_s > now:
            break
        overdue.append(one)
    withdraw(master, overdue, rescind=True)


def _make(master: Master, framework: Framework, agent: Agent, now: float) -> mesos.InverseOffer:
    assert agent.unavailability is not None
    made = InverseOffer(f"{master.id}-O{master.next_offer}", framework, agent, agent.unavailability, now)
    master.next_offer += 1
    master.inverse_offers[made.id] = made
    framework.inverse_offers[made.id] = made
    agent.inverse_offers[framework.id] = made
    return inverse_offer_v1(made)


def withdraw(master: Master, those: list[InverseOffer], *, rescind: bool) -> None:
    """Forget inverse offers; `rescind` tells a scheduler that is there."""
    for one in those:
        _remove(master, one)
        framework = one.framework
        if rescind and framework.stream is not None:
            counters.count_event(framework, "RESCIND_INVERSE_OFFER")
            event = scheduler.Event(
                type=scheduler.Event_Type.RESCIND_INVERSE_OFFER,
                rescind_inverse_offer=scheduler.Event_RescindInverseOffer(inverse_offer_id=mesos.OfferID(value=one.id)),
            )
            master.effects.append(SendEvent(framework.stream, event))


def _remove(master: Master, one: InverseOffer) -> None:
    del master.inverse_offers[one.id]
    del one.framework.inverse_offers[one.id]
    del one.agent.inverse_offers[one.framework.id]


def on_accept_inverse_offers(master: Master, framework: Framework, call: ThinCall, request: int, now: float) -> None:
    """A framework will leave; inverse offers that are no longer valid are passed over."""
    assert call.accept_inverse_offers is not None
    accepted = call.accept_inverse_offers
    master.effects.append(Respond(request, 202))
    _note(master, framework, accepted.inverse_offer_ids, accepted.filters, _Status.ACCEPT, now)


def on_decline_inverse_offers(master: Master, framework: Framework, call: ThinCall, request: int, now: float) -> None:
    """A framework won't leave."""
    assert call.decline_inverse_offers is not None
    declined = call.decline_inverse_offers
    master.effects.append(Respond(request, 202))
    _note(master, framework, declined.inverse_offer_ids, declined.filters, _Status.DECLINE, now)


def _note(
    master: Master,
    framework: Framework,
    ids: list[mesos.OfferID],
    filters: mesos.Filters | None,
    status: _Status,
    now: float,
) -> None:
    refused_until = now + refuse_s_of(filters)
    for offer_id in ids:
        one = framework.inverse_offers.get(offer_id.value)
        if one is None:
            continue
        _remove(master, one)
        one.agent.inverse_statuses[framework.id] = allocator.InverseOfferStatus(
            status=status, framework_id=mesos.FrameworkID(value=framework.id), timestamp=time_info(master, now)
        )
        one.agent.inverse_refused_until[framework.id] = refused_until
