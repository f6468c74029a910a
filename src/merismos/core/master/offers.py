"""Offers: made from the allocator's grants, taken back when nobody may answer them any more.

Rules: an offer is in four places or in none: the master, its framework, its agent, and (as charged) the allocator.
Unanswered offers are rescinded after one time for all, so the oldest offer is always the next to time out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.master import counters
from merismos.core.master.effects import SendEvent, SendOffers
from merismos.core.master.journal import decide
from merismos.core.master.state import Offer
from merismos.protocol.v1 import mesos, scheduler

if TYPE_CHECKING:
    from merismos.core.allocator import Grant
    from merismos.core.master.state import Agent, Framework, Master


def allocate(master: Master, now: float) -> None:
    """Run one allocation cycle and send what it grants."""
    grants = master.allocator.allocate(now)
    if grants:
        send(master, grants, now)


def send(master: Master, grants: list[Grant], now: float) -> None:
    """Make an offer of each grant, one OFFERS event a framework."""
    frameworks, agents, all_offers = master.frameworks, master.agents, master.offers
    prefix = master.id + "-O"
    number = master.next_offer
    batches: dict[str, list[Offer]] = {}
    for grant in grants:
        framework = frameworks[grant.framework_id]
        agent = agents[grant.agent_id]
        offer_id = prefix + str(number)
        number += 1
        offer = Offer(offer_id, framework, agent, grant.role, grant.resources, now)
        all_offers[offer_id] = offer
        framework.offers[offer_id] = offer
        agent.offers[offer_id] = offer
        batch = batches.get(framework.id)
        if batch is None:
            batches[framework.id] = [offer]
        else:
            batch.append(offer)
    master.next_offer = number
    for framework_id, batch in batches.items():
        framework = frameworks[framework_id]
        counts = framework.counters
        counts["events/offers"] = counts.get("events/offers", 0) + 1
        counts["offers/sent"] = counts.get("offers/sent", 0) + len(batch)
        # The allocator grants to active frameworks only, and those have a stream.
        assert framework.stream is not None
        master.effects.append(SendOffers(framework.stream, batch))


def remove(master: Master, offer: Offer) -> None:
    """Forget an offer; its resources stay charged, the caller says to whom they go."""
    del master.offers[offer.id]
    del offer.framework.offers[offer.id]
    del offer.agent.offers[offer.id]
    master.allocator.answered(offer.framework.id, offer.role, offer.agent.id)


def take_back(master: Master, offer: Offer, now: float) -> None:
    """Forget an offer and free its resources at once, without a filter."""
    remove(master, offer)
    master.allocator.recover(offer.framework.id, offer.role, offer.agent.id, offer.resources, now=now)


def rescind(master: Master, offer: Offer, now: float, reason: str, message: str) -> None:
    """Take an offer back from a scheduler that is there."""
    take_back(master, offer, now)
    framework = offer.framework
    decide(framework, now, reason, offer.role, message, offer.agent.id)
    counters.count_offers(framework, "rescinded", 1)
    if framework.stream is not None:
        counters.count_event(framework, "RESCIND")
        event = scheduler.Event(
            type=scheduler.Event_Type.RESCIND,
            rescind=scheduler.Event_Rescind(offer_id=mesos.OfferID(value=offer.id)),
        )
        master.effects.append(SendEvent(framework.stream, event))


def rescind_all_of(master: Master, agent: Agent, now: float, message: str) -> None:
    """Take back every offer of an agent that can't be used now."""
    for offer in list(agent.offers.values()):
        rescind(master, offer, now, "rescinded", message)


def next_timeout(master: Master) -> float | None:
    """Return when the oldest offer times out, None when none does."""
    timeout = master.config.offer_timeout_s
    if timeout <= 0:
        return None
    for offer in master.offers.values():
        return offer.offered_at + timeout
    return None


def rescind_overdue(master: Master, now: float) -> None:
    """Rescind every offer that was left unanswered too long."""
    while (at := next_timeout(master)) is not None and at <= now:
        offer = next(iter(master.offers.values()))
        rescind(master, offer, now, "offer_timeout", "the offer was not answered in time; answer offers or SUPPRESS")


def decline(master: Master, framework: Framework, offer: Offer, now: float, refuse_s: float) -> None:
    """Take back what a framework doesn't want for `refuse_s` seconds."""
    remove(master, offer)
    master.allocator.recover(framework.id, offer.role, offer.agent.id, offer.resources, now=now, refuse_s=refuse_s)
