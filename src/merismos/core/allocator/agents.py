"""What the allocator knows of an agent, and which of its free resources whom may be offered.

Rules:
- `free` is the total without what is allocated. Where more is allocated than there is (the agent came back smaller), nothing of the
  excess is ever free.
- `refresh` keeps what the cycle needs to know about `free`; it is valid while `seen` is the very object that `free` is. A declined
  offer gives the same object back, so nothing is computed again.
- An agent is plain when nothing on it is reserved, revocable, shared or of a disk: it is offered whole or not at all. Of any other
  agent, each role is offered the portion that it may have: unreserved resources, and what is reserved to it or above it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from merismos.core.allocator.filters import Refusal, held_by
from merismos.model.resources import EMPTY, Resources, sum_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from merismos.core.allocator.slots import SlotTable
    from merismos.core.allocator.tree import Minimum, RoleTree, Slot
    from merismos.model.identity import Identity
    from merismos.protocol.v1 import mesos

HAS_GPUS: Final = 1
IS_REMOTE: Final = 2


class Agent:
    """One agent.

    Shapes: `kind` sums HAS_GPUS and IS_REMOTE; `denied` the slots whose constraints exclude it; `blocked` these and, on a plain
    agent, the filtered ones; `held` unanswered offers by slot; `overcommitted`
    whether more is allocated than there is; `big` whether `free` is enough for the cluster's smallest offer;
    `simple` that and plain;
    `allocation` what `free` counts for in shares; `offered` whether it is active and listed.
    """

    __slots__ = (
        "active",
        "allocated",
        "allocation",
        "attributes",
        "big",
        "blocked",
        "denied",
        "free",
        "held",
        "hostname",
        "id",
        "kind",
        "listed",
        "offered",
        "overcommitted",
        "plain",
        "refusals",
        "region",
        "seen",
        "simple",
        "total",
        "zone",
    )

    def __init__(
        self,
        agent_id: str,
        total: Resources,
        attributes: list[mesos.Attribute],
        hostname: str,
        region: str | None,
        zone: str | None,
    ) -> None:
        self.id = agent_id
        self.hostname = hostname
        self.region = region
        self.zone = zone
        self.attributes = attributes
        self.total = total
        self.free = total or EMPTY
        self.plain = total.is_plain
        self.kind = 0
        self.active = True
        self.listed = True
        self.offered = True
        self.overcommitted = False
        self.allocated: dict[Slot, Resources] = {}
        self.held: dict[Slot, int] = {}
        self.denied = 0
        self.blocked = 0
        self.refusals: list[Refusal] = []
        self.seen: Resources | None = None
        self.allocation = 0
        self.big = False
        self.simple = False

    def resize(self, total: Resources) -> None:
        """Take over another total; what is allocated stays so."""
        self.total = total
        self.plain = total.is_plain
        self.recount()

    def recount(self) -> None:
        """Compute `free` from the total and what is allocated."""
        allocated = sum_of(self.allocated.values())
        self.overcommitted = not self.total.contains(allocated)
        self.free = self.total - allocated or EMPTY
        self.seen = None

    def take(self, slot: Slot, resources: Resources) -> None:
        """Move resources from free to a slot."""
        allocated = self.allocated
        have = allocated.get(slot)
        if have is None:
            slot.places += 1
            allocated[slot] = resources
        else:
            allocated[slot] = have + resources
        free = self.free
        self.free = EMPTY if free is resources else free - resources

    def give_back(self, slot: Slot, resources: Resources) -> None:
        """Move resources from a slot to free."""
        have = self.allocated.get(slot)
        assert have is not None, f"nothing of agent {self.id} is allocated to {slot.framework.id} in role {slot.role}"
        rest = EMPTY
        if have is not resources:
            assert have.contains(resources), (
                f"agent {self.id} gets back more than {slot.framework.id} has in role {slot.role}"
            )
            rest = have - resources
        if rest is EMPTY:
            slot.places -= 1
            del self.allocated[slot]
        else:
            self.allocated[slot] = rest
        if self.overcommitted:
            self.recount()
        else:
            self.free = resources if self.free is EMPTY else self.free + resources

    def refresh(self, tree: RoleTree, minimum: Minimum) -> None:
        """Compute what the cycle needs to know about `free`."""
        free = self.free
        self.blocked = self.denied | held_by(self, free) if self.plain else self.denied
        self.allocation = tree.allocation(free)
        self.big = is_big_enough(minimum, free.quantities())
        self.simple = self.plain and self.big
        self.seen = free


def is_big_enough(minimum: Minimum, quantities: Mapping[str, int]) -> bool:
    """Return whether quantities reach one of the alternatives; no alternatives ask for nothing."""
    if not minimum:
        return True
    get = quantities.get
    for alternative in minimum:
        for name, least in alternative:
            if get(name, 0) < least:
                break
        else:
            return True
    return False


_CAPABILITY_OF: Final[tuple[tuple[str, Callable[[Identity], bool]], ...]] = (
    ("REVOCABLE_RESOURCES", lambda identity: identity.revocable),
    ("SHARED_RESOURCES", lambda identity: identity.shared),
    ("RESERVATION_REFINEMENT", lambda identity: len(identity.reservations) > 1),
)


def entitlements(free: Resources, eligible: int, tree: RoleTree, table: SlotTable) -> list[tuple[int, Resources]]:
    """Return who may have what of the resources of an agent that isn't plain: disjoint masks within `eligible`, each with a portion.

    Quota limits have their place here: what they leave of a portion is what the roles of its mask may have.
    """
    portions: list[tuple[int, Resources]] = []
    for role in sorted(free.reserved_by_role(), key=lambda role: -role.count("/")):
        mask = eligible & tree.subtree_mask(role)
        if mask:
            portions.append((mask, free.allocatable_to(role)))
            eligible ^= mask
    if eligible:
        portions.append((eligible, free.unreserved()))
    for capability, needs in _CAPABILITY_OF:
        if any(needs(entry.identity) for entry in free):
            portions = _split(portions, table.lacking[capability], needs)
    return portions


def _split(
    portions: list[tuple[int, Resources]], lacking: int, needs: Callable[[Identity], bool]
) -> list[tuple[int, Resources]]:
    split: list[tuple[int, Resources]] = []
    for mask, resources in portions:
        able, unable = mask & ~lacking, mask & lacking
        if able:
            split.append((able, resources))
        if unable:
            split.append((unable, resources.filter(lambda identity: not needs(identity))))
    return split


def offerable(
    agent: Agent, eligible: int, tree: RoleTree, table: SlotTable, minimum: Minimum
) -> list[tuple[int, Resources]]:
    """Return the entitlements that are worth an offer now: nothing empty, too small or filtered."""
    portions: list[tuple[int, Resources]] = []
    for entitled, resources in entitlements(agent.free, eligible, tree, table):
        if not resources:
            continue
        mask = entitled & ~held_by(agent, resources)
        quantities = resources.quantities()
        if not is_big_enough(minimum, quantities):
            mask &= table.own_minimum
        for own, owners in table.minima.items():
            if mask & owners and not is_big_enough(own, quantities):
                mask &= ~owners
        if mask:
            portions.append((mask, resources))
    return portions
