"""Frameworks, agents and what is allocated where; the indices between them are kept consistent here.

Rules:
- An agent's resources are free or allocated to a slot; the tree counts the same allocations by role.
- An agent is dirty when a cycle could grant something of it that the last one could not.
- A slot exists while its framework is subscribed in the role or has something in it, and takes part while it is subscribed,
  unsuppressed and its framework is active.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.allocator.agents import HAS_GPUS, IS_REMOTE, Agent
from merismos.core.allocator.filters import Expiries, sweep
from merismos.core.allocator.quota import Quotas
from merismos.core.allocator.slots import Framework, SlotTable
from merismos.core.allocator.tree import Minimum, RoleTree, Slot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from merismos.core.allocator.settings import AllocatorSettings
    from merismos.core.kernel import Prng
    from merismos.model.quota import Quota
    from merismos.model.resources import Resources


def minimum_of(alternatives: Sequence[dict[str, int]]) -> Minimum:
    """Return alternatives of a smallest offer in the form that masks are kept by."""
    return tuple(tuple(sorted(one.items())) for one in alternatives)


class Cluster:
    """Everything that is known, and the agents that a cycle should look at.

    Shapes: `waiting` agents that were kept from a framework with too many unanswered offers.
    """

    def __init__(self, settings: AllocatorSettings, prng: Prng) -> None:
        self.settings = settings
        self.minimum = minimum_of(settings.min_allocatable)
        self.tree = RoleTree(
            random_roles=prng if settings.role_sorter == "random" else None,
            random_frameworks=prng if settings.framework_sorter == "random" else None,
            excluded=settings.fair_sharing_excluded,
        )
        self.table = SlotTable()
        self.frameworks: dict[str, Framework] = {}
        self.agents: dict[str, Agent] = {}
        self.expiries = Expiries()
        self.dirty: dict[Agent, None] = {}
        self.quotas = Quotas(self.dirty)
        self.all_dirty = False
        self.waiting: dict[Agent, None] = {}
        self._full: dict[Framework, None] = {}
        self._full_at = 0
        self.whitelist = None if settings.whitelist is None else dict.fromkeys(settings.whitelist)

    # ------------------------------------------------------------ slots
    def framework(self, framework_id: str) -> Framework:
        """Return a framework, made inactive and without roles where it isn't known yet."""
        found = self.frameworks.get(framework_id)
        if found is None:
            found = self.frameworks[framework_id] = Framework(framework_id)
        return found

    def slot(self, framework: Framework, role: str) -> Slot:
        """Return a framework's slot in a role, made where there is none."""
        slot = framework.slots.get(role)
        if slot is None:
            slot = framework.slots[role] = self.tree.add_slot(framework, role)
            self.table.assign(slot)
            self._constrain(slot)
        return slot

    def seat(self, slot: Slot) -> None:
        """Let a slot take part if it may, and sit out if it may not; forget it once it has no reason to exist."""
        takes_part = slot.subscribed and not slot.suppressed and slot.framework.active
        if takes_part and not slot.mask:
            self.tree.enter(slot)
            self.all_dirty = True
        elif slot.mask and not takes_part:
            self.tree.leave(slot)
            self.release_waiting()
        if not slot.subscribed and not slot.places:
            self.table.retire(slot)
            self.tree.remove_slot(slot)
            del slot.framework.slots[slot.role]
            self._recycle()

    def describe_again(self, slot: Slot) -> None:
        """Read a framework's capabilities, smallest offers and constraints again; filters stay."""
        self.table.undescribe(slot)
        self.table.describe(slot)
        for agent in self.agents.values():
            agent.denied &= ~slot.bit
            agent.seen = None
        self._constrain(slot)
        self.all_dirty = True

    def unfilter(self, slot: Slot) -> None:
        """Clear every filter of a slot, by giving it a bit that no agent knows."""
        if not slot.filtered_ever:
            return
        takes_part = bool(slot.mask)
        if takes_part:
            self.tree.leave(slot)
        self.table.retire(slot)
        self.table.assign(slot)
        self._constrain(slot)
        if takes_part:
            self.tree.enter(slot)
            self.all_dirty = True
        self._recycle()

    def _constrain(self, slot: Slot) -> None:
        condition = self.table.constrained.get(slot)
        if condition is None:
            return
        bit = slot.bit
        for agent in self.agents.values():
            if not condition.admits(agent.attributes, agent.hostname, agent.region, agent.zone):
                agent.denied |= bit
                agent.seen = None

    def _recycle(self) -> None:
        if self.table.should_recycle():
            bits = self.table.recycle()
            for agent in self.agents.values():
                sweep(agent, bits)

    # ------------------------------------------------------------ agents
    def add(self, agent: Agent) -> None:
        """Let a new agent be offered."""
        self.learn(agent.total)
        self.tree.grow(agent.total)
        self.agents[agent.id] = agent
        self._place(agent)
        self.dirty[agent] = None
        if self.quotas.roles:
            self.quotas.come(agent)

    def resize(self, agent: Agent, total: Resources) -> None:
        """Give an agent another total, and read its attributes again."""
        self.learn(total)
        before = agent.total
        self.tree.shrink(before)
        self.tree.grow(total)
        agent.resize(total)
        agent.refusals = []
        self._place(agent)
        self.dirty[agent] = None
        if self.quotas.roles:
            self.quotas.resize(agent, before)

    def remove(self, agent: Agent) -> None:
        """Forget an agent with all that is allocated of it."""
        del self.agents[agent.id]
        self.dirty.pop(agent, None)
        self.waiting.pop(agent, None)
        if self.quotas.roles:
            self.quotas.go(agent)
        agent.refusals = []
        for slot, count in list(agent.held.items()):
            self.settle_offers(agent, slot, count)
        for slot, resources in list(agent.allocated.items()):
            self.tree.charge(slot, -self.tree.allocation(resources))
            slot.places -= 1
            if not slot.subscribed:
                self.seat(slot)
        self.tree.shrink(agent.total)

    def _place(self, agent: Agent) -> None:
        """Read what an agent's attributes, domain and total mean for who may be offered it."""
        agent.kind = HAS_GPUS if agent.total.gpus_milli else 0
        region = self.settings.region
        if region is not None and agent.region is not None and agent.region != region:
            agent.kind |= IS_REMOTE
        agent.listed = self.whitelist is None or agent.hostname in self.whitelist
        agent.offered = agent.active and agent.listed
        agent.denied = 0
        for slot, condition in self.table.constrained.items():
            if not condition.admits(agent.attributes, agent.hostname, agent.region, agent.zone):
                agent.denied |= slot.bit
        agent.seen = None

    def learn(self, resources: Resources) -> None:
        """Take note of new scalar names."""
        if self.tree.learn(resources):
            for agent in self.agents.values():
                agent.seen = None

    def release_waiting(self) -> None:
        """Look again at the agents that were kept from frameworks with too many offers."""
        if self.waiting:
            self.dirty.update(self.waiting)
            self.waiting.clear()

    # ------------------------------------------------------------ resources
    def take_used(self, agent: Agent, slot: Slot, resources: Resources) -> None:
        """Charge resources that may be more than what is free."""
        agent.take(slot, resources)
        self.tree.charge(slot, self.tree.allocation(resources))
        agent.recount()
        if self.quotas.roles:
            self.quotas.use(agent, slot.role, resources)

    def give_back(self, agent: Agent, slot: Slot, resources: Resources) -> None:
        """Free resources that a slot has."""
        tree = self.tree
        agent.give_back(slot, resources)
        tree.charge(slot, -(agent.allocation if resources is agent.seen else tree.allocation(resources)))
        self.dirty[agent] = None
        if self.quotas.roles:
            self.quotas.give_back(agent, slot.role, resources)

    # ------------------------------------------------------------ quota
    def set_quotas(self, changes: Mapping[str, Quota]) -> None:
        """Let roles have other quotas, and look at every agent again."""
        self.quotas.set(changes, self.agents.values())
        self.all_dirty = True

    def set_offered(self, agent: Agent) -> None:
        """Follow whether an agent is active and listed."""
        agent.offered = agent.active and agent.listed
        if self.quotas.roles:
            self.quotas.follow(agent)

    # ------------------------------------------------------------ offers
    def held_max(self) -> int:
        """Return how many unanswered offers a framework may hold while others could use the agents."""
        return self.settings.offers_held_max or max(1, -(-len(self.agents) // 2))

    def count_full(self) -> None:
        """Find out who holds too many unanswered offers, where a change of the cluster moved the bound."""
        most = self.held_max()
        if most != self._full_at:
            self._full_at = most
            self._full = {one: None for one in self.frameworks.values() if one.held >= most}
            self.release_waiting()

    def forget(self, framework: Framework) -> None:
        """Forget a framework that has nothing and no slots."""
        del self.frameworks[framework.id]
        self._full.pop(framework, None)

    def capped(self) -> int:
        """Return the bits of the frameworks that hold too many unanswered offers."""
        mask = 0
        for framework in self._full:
            mask |= framework.mask
        return mask

    def grant(self, agent: Agent, slot: Slot, resources: Resources) -> bool:
        """Move free resources to a slot and count an unanswered offer; return whether its framework now holds as many as it may."""
        agent.take(slot, resources)
        held = agent.held
        held[slot] = held.get(slot, 0) + 1
        framework = slot.framework
        framework.held += 1
        if framework.held < self._full_at:
            return False
        self._full[framework] = None
        return True

    def settle_offers(self, agent: Agent, slot: Slot, count: int) -> None:
        """Count offers of an agent as answered."""
        held = agent.held.get(slot, 0)
        count = min(count, held)
        if not count:
            return
        if held > count:
            agent.held[slot] = held - count
        else:
            del agent.held[slot]
        framework = slot.framework
        framework.held -= count
        if framework in self._full and framework.held < self._full_at:
            del self._full[framework]
            self.release_waiting()
