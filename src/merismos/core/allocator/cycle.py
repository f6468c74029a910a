"""One allocation cycle: each dirty agent's free resources to whoever comes first in fair order.

Rules:
- Agents are taken in the order in which they became dirty; a grant is charged before the next choice.
- Who may be offered an agent is one mask; a mask of zero ends its turn. What a mask can't say (portions of agents with reservations,
  other smallest offers) is asked of the chosen slot only.
- A framework with too many unanswered offers is passed over on agents that another framework could use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.allocator.agents import HAS_GPUS, IS_REMOTE, Agent, is_big_enough, offerable
from merismos.core.allocator.settings import Grant
from merismos.model.resources import EMPTY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from merismos.core.allocator.cluster import Cluster


class Cycle:
    """What cycles of one cluster do; what they share is kept from one to the next.

    Shapes: `_bases` who may be offered agents of each kind, filters and constraints apart; `_based_on` the masks it was made of.
    """

    __slots__ = ("_based_on", "_bases", "_capped", "_cluster", "_grants", "_minimum", "_table", "_tree")

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._tree = cluster.tree
        self._table = cluster.table
        self._minimum = cluster.minimum
        self._based_on = (-1, 0, 0)
        self._bases: list[int] = []
        self._capped = 0
        self._grants: list[Grant] = []

    def bases(self) -> list[int]:
        """Return the masks by kind of agent."""
        lacking = self._table.lacking
        everyone, no_gpus, one_region = self._tree.mask, lacking["GPU_RESOURCES"], lacking["REGION_AWARE"]
        if self._based_on != (everyone, no_gpus, one_region):
            self._based_on = (everyone, no_gpus, one_region)
            if not self._cluster.settings.filter_gpu_resources:
                no_gpus = 0
            self._bases = [
                everyone & ~(no_gpus if kind & HAS_GPUS else 0) & ~(one_region if kind & IS_REMOTE else 0)
                for kind in range(HAS_GPUS + IS_REMOTE + 1)
            ]
        return self._bases

    def run(self, agents: Iterable[Agent]) -> list[Grant]:
        """Grant what these agents have free; return the grants."""
        masks, tree, minimum = self.bases(), self._tree, self._minimum
        own_minimum = self._table.own_minimum
        self._capped = self._cluster.capped()
        grants = self._grants = []
        serve_first, charge, announce = tree.serve_first, self._cluster.grant, grants.append
        for agent in agents:
            free = agent.free
            if free is EMPTY or not agent.offered:
                continue
            if agent.seen is not free:
                agent.refresh(tree, minimum)
            eligible = masks[agent.kind]
            blocked = agent.blocked
            if blocked:
                eligible &= ~blocked
            if self._capped and eligible & self._capped:
                eligible = self._within_cap(agent, eligible)
            if own_minimum or not agent.simple:
                if not agent.plain:
                    self._grant_portions(agent, eligible)
                    continue
                eligible = self._without_too_small(agent, eligible)
            if eligible:
                slot = serve_first(eligible, agent.allocation)
                if charge(agent, slot, free):
                    self._capped |= slot.framework.mask
                announce(Grant(slot.name, slot.role, agent.id, free))
        tree.finish()
        return grants

    def _without_too_small(self, agent: Agent, eligible: int) -> int:
        """Return `eligible` without the slots for which a plain agent has too little; only the front of the order is asked."""
        table = self._table
        if not agent.big:
            eligible &= table.own_minimum
        while eligible:
            own = self._tree.first(eligible).minimum
            if own is None or is_big_enough(own, agent.free.quantities()):
                break
            eligible &= ~table.minima[own]
        return eligible

    def _grant_portions(self, agent: Agent, eligible: int) -> None:
        """Grant an agent that some of the slots may have only parts of, until nobody wants the rest."""
        tree = self._tree
        while agent.free is not EMPTY:
            portions = offerable(agent, eligible, tree, self._table, self._minimum)
            willing = 0
            for mask, _ in portions:
                willing |= mask
            if not willing:
                return
            slot = tree.first(willing)
            resources = next(resources for mask, resources in portions if mask & slot.bit)
            tree.serve_first(slot.bit, tree.allocation(resources))
            if self._cluster.grant(agent, slot, resources):
                self._capped |= slot.framework.mask
                eligible = self._within_cap(agent, eligible)
            self._grants.append(Grant(slot.name, slot.role, agent.id, resources))

    def _within_cap(self, agent: Agent, eligible: int) -> int:
        """Return `eligible` without the frameworks that hold too many offers, unless nobody else could use the agent."""
        could_use = self._bases[agent.kind] & ~agent.denied
        alone = self._table.slot_of(could_use & -could_use).framework.mask
        if not could_use & ~alone:
            return eligible
        self._cluster.waiting[agent] = None
        return eligible & ~self._capped
