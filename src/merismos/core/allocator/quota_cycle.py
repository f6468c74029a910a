"""A cycle while some role has a quota: guarantees first, then everybody, and nobody past a limit or into the headroom.

Rules:
- The first stage looks at roles whose guarantee asks for something, and grants only what helps one; the second at everybody. Both
  cut an offer to what quota leaves, and offer the rest of the agent to the next in fair order.
- The cap on unanswered offers doesn't keep a role from its guarantee.
- Roles with the same nearest quota are refused together. What a grant leaves of a bound only shrinks within a cycle, so that a role
  that can't be offered anything of any plain agent isn't asked again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.allocator.agents import entitlements, is_big_enough
from merismos.core.allocator.cycle import Cycle
from merismos.core.allocator.filters import held_by
from merismos.core.allocator.settings import Grant
from merismos.model.resources import EMPTY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from merismos.core.allocator.agents import Agent
    from merismos.core.allocator.cluster import Cluster
    from merismos.core.allocator.quota import Offerable, QuotaRole
    from merismos.core.allocator.tree import Slot
    from merismos.model.resources import Resources


class QuotaCycle(Cycle):
    """What cycles of one cluster with quotas do.

    Shapes: `_groups` the slots by their nearest role with quota; `_spent` those that no plain agent can be offered to,
    `_fed` those that no guarantee asks for.
    """

    __slots__ = ("_fed", "_groups", "_quotas", "_spent")

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._quotas = cluster.quotas
        self._groups: dict[QuotaRole, int] = {}
        self._spent = 0
        self._fed = 0

    def run(self, agents: Iterable[Agent]) -> list[Grant]:
        """Grant what these agents have free, within quota; return the grants."""
        agents = list(agents)
        tree = self._tree
        masks = self.bases()
        self._capped = self._cluster.capped()
        grants = self._grants = []
        self._groups = {}
        self._spent = self._fed = 0
        hungry = 0
        for role in self._quotas.roles.values():
            if role.is_hungry():
                hungry |= tree.subtree_mask(role.path)
        if hungry:
            for agent in agents:
                self._serve(agent, masks[agent.kind] & hungry & ~self._fed, only_guaranteed=True)
        for agent in agents:
            self._serve(agent, masks[agent.kind], only_guaranteed=False)
        tree.finish()
        return grants

    def _serve(self, agent: Agent, eligible: int, *, only_guaranteed: bool) -> None:
        """Grant an agent in parts, until nobody may have or wants the rest."""
        free = agent.free
        if free is EMPTY or not agent.offered:
            return
        tree, quotas = self._tree, self._quotas
        if agent.seen is not free:
            agent.refresh(tree, self._minimum)
        eligible &= ~agent.blocked
        if self._capped and not only_guaranteed and eligible & self._capped:
            eligible = self._within_cap(agent, eligible)
        portions: list[tuple[int, Resources]] = []
        portioned: Resources | None = None
        while eligible and (free := agent.free) is not EMPTY:
            if agent.plain and eligible & self._spent:
                quotas.withhold(agent, ())
                eligible &= ~self._spent
                continue
            if portioned is not free:
                portions = [(eligible, free)] if agent.plain else entitlements(free, eligible, tree, self._table)
                portioned = free
            slot = tree.first(eligible)
            mask, portion = next(one for one in portions if one[0] & slot.bit)
            offer = quotas.shrink(slot.role, portion)
            if offer.cut:
                quotas.withhold(agent, offer.cut.values())
            refused = self._refused(agent, slot, offer, only_guaranteed=only_guaranteed)
            if refused:
                eligible &= ~(refused & mask)
                continue
            self._grant(agent, slot, offer.resources)
            if self._capped and not only_guaranteed and eligible & self._capped:
                eligible = self._within_cap(agent, eligible)

    def _grant(self, agent: Agent, slot: Slot, resources: Resources) -> None:
        self._tree.serve_first(slot.bit, self._tree.allocation(resources))
        if self._cluster.grant(agent, slot, resources):
            self._capped |= slot.framework.mask
        self._quotas.take(agent, slot.role, resources)
        self._grants.append(Grant(slot.name, slot.role, agent.id, resources))

    def _refused(self, agent: Agent, slot: Slot, offer: Offerable, *, only_guaranteed: bool) -> int:
        """Return the slots that can't be offered the same as `slot` either, itself among them; none if it can."""
        group = self._group(slot)
        if only_guaranteed and not offer.guaranteed:
            if not any(role.is_hungry() for role in self._quotas.chain(slot.role)):
                self._fed |= group
            return group
        if not offer.resources:
            return group
        table = self._table
        own = slot.minimum
        minimum = self._minimum if own is None else own
        if not is_big_enough(minimum, offer.resources.quantities()):
            alike = group & (~table.own_minimum if own is None else table.minima[own])
            if offer.cut and agent.plain:
                names = {name for alternative in minimum for name, _ in alternative}
                if not is_big_enough(minimum, self._quotas.most(slot.role, sorted(names))):
                    self._spent |= alike
            return alike
        held = held_by(agent, offer.resources)
        return group & held if held & slot.bit else 0

    def _group(self, slot: Slot) -> int:
        """Return the slots with the same nearest role with quota."""
        chain = self._quotas.chain(slot.role)
        nearest = chain[0] if chain else self._quotas.root
        group = self._groups.get(nearest)
        if group is None:
            tree = self._tree
            group = tree.subtree_mask(nearest.path) if nearest.path else tree.mask
            for role in self._quotas.roles.values():
                if role.parent is nearest:
                    group &= ~tree.subtree_mask(role.path)
            self._groups[nearest] = group
        return group
