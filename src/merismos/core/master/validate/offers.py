"""Which offers may be spent together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.model.rejection import Rejection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from merismos.core.master.state import Framework, Master, Offer
    from merismos.protocol.v1 import mesos


def validate_offers(master: Master, framework: Framework, offer_ids: Sequence[mesos.OfferID]) -> Rejection | None:
    """Return why `framework` can't spend these offers in one ACCEPT, None when it can."""
    if not offer_ids:
        return _refuse("No offers specified")
    first: Offer | None = None
    seen: dict[str, None] = {}
    for offer_id in offer_ids:
        offer = master.offers.get(offer_id.value)
        if offer is None:
            return _refuse(f"Offer {offer_id.value} is no longer valid")
        if offer.framework is not framework:
            return _refuse(
                f"Offer {offer.id} has invalid framework {offer.framework.id} while framework {framework.id} is expected"
            )
        if first is None:
            first = offer
            if len(offer_ids) == 1:
                return None
        if offer.id in seen:
            return _refuse(f"Duplicate offer {offer.id} in offer list")
        seen[offer.id] = None
        if offer.agent is not first.agent:
            return _refuse(
                f"Aggregated offers must belong to one single agent. Offer {offer.id} uses agent {offer.agent.id}"
                f" and agent {first.agent.id}"
            )
        if offer.role != first.role:
            return _refuse(
                f"Aggregated offers must be allocated to the same role. Offer {offer.id} uses role '{offer.role}' but"
                f" another is using role '{first.role}'"
            )
    return None


def _refuse(message: str) -> Rejection:
    return Rejection("offers_invalid", message)
