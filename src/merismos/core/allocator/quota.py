"""The quotas that are set: what each role with one has, what its guarantee still asks for, what an offer may hold.

Rules:
- A role consumes, with all below it, what is offered and allocated, and what is reserved to it, allocated or not. Only scalars
  that aren't revocable count. What is reserved to a role above counts for the roles below it as it is allocated to them.
- An offer takes no role past its limit, nor into what guarantees further down that limit still ask for.
- Headroom is what all guarantees together still ask for. No offer takes of what is spare, which is free, unreserved and of an agent
  that is offered, so much that less than the headroom remains, unless it goes to a guarantee itself.
- An agent of which quota kept something back is looked at again once something was freed that could change that.
- While no quota is set nothing is counted here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from merismos.model.quota import NO_QUOTA
from merismos.model.resources import EMPTY, Resources
from merismos.model.roles import ancestors, is_in_subtree
from merismos.model.scalars import MILLI

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from merismos.core.allocator.agents import Agent
    from merismos.model.identity import Identity
    from merismos.model.quota import Quota

_NO_BOUND: Final = 1 << 62


class QuotaRole:
    """A role with a quota; the root, without a path, stands above all of them.

    Shapes: by name, in thousandths: `consumed`; `below` what the roles with quota right below still ask for; `required` what this
    one does, theirs included.
    """

    __slots__ = ("below", "consumed", "guarantees", "limits", "parent", "path", "required")

    def __init__(self, path: str, parent: QuotaRole | None, quota: Quota | None = None) -> None:
        self.path = path
        self.parent = parent
        self.guarantees: Mapping[str, int] = {} if quota is None else quota.guarantees
        self.limits: Mapping[str, int] = {} if quota is None else quota.limits
        self.consumed: dict[str, int] = {}
        self.below: dict[str, int] = {}
        self.required: dict[str, int] = {}

    def settle(self, name: str) -> None:
        """Follow a change of what is consumed, or asked for below, of one name."""
        asked = self.guarantees.get(name, 0) - self.consumed.get(name, 0)
        required = max(asked, self.below.get(name, 0))
        change = required - self.required.get(name, 0)
        if change and self.parent is not None:
            self.required[name] = required
            self.parent.below[name] = self.parent.below.get(name, 0) + change
            if self.parent.parent is not None:
                self.parent.settle(name)

    def is_hungry(self) -> bool:
        """Whether its guarantee asks for something that no role below asks for."""
        return any(
            milli - self.consumed.get(name, 0) > self.below.get(name, 0) for name, milli in self.guarantees.items()
        )


class Offerable(msgspec.Struct, gc=False):
    """What quota leaves of some resources for one role.

    Shapes: `guaranteed` whether it helps a guarantee; `cut` the names of which there is less, each with the role whose limit it is;
    the root stands for the headroom.
    """

    resources: Resources
    guaranteed: bool
    cut: dict[str, QuotaRole]


class _Room:
    """How much of one name a role may still be offered."""

    __slots__ = ("headroom", "limits", "promised", "root")

    def __init__(self, quotas: Quotas, chain: tuple[QuotaRole, ...], name: str) -> None:
        self.root = quotas.root
        self.limits: list[tuple[QuotaRole, int]] = []
        promised = 0
        for role in chain:
            # What the other roles below keep asking for, however much this one gets.
            others = role.below.get(name, 0) - promised
            limit = role.limits.get(name)
            if limit is not None:
                self.limits.append((role, max(0, limit - role.consumed.get(name, 0) - others)))
            promised = role.required.get(name, 0) - others
        self.promised = promised
        required = self.root.below.get(name, 0)
        surplus = max(0, quotas.spare.get(name, 0) - required)
        self.headroom = promised + surplus if required else _NO_BOUND

    def bound(self, owner: str | None) -> tuple[int, QuotaRole]:
        """Return how much may be offered of what is reserved to `owner`, None for nobody, and what sets the bound."""
        most, by = (self.headroom if owner is None else _NO_BOUND), self.root
        for role, left in self.limits:
            if left < most and (owner is None or not is_in_subtree(owner, role.path)):
                most, by = left, role
        return most, by

    def spend(self, owner: str | None, milli: int) -> None:
        if owner is None:
            self.headroom -= milli
        self.limits = [
            (role, left if owner is not None and is_in_subtree(owner, role.path) else left - milli)
            for role, left in self.limits
        ]


class Quotas:
    """Every role with a quota, and what quota keeps back.

    Shapes: `spare` by name; `withheld` the agents of which something was kept back; `quotas` what was set.
    """

    def __init__(self, dirty: dict[Agent, None]) -> None:
        self.quotas: dict[str, Quota] = {}
        self.roles: dict[str, QuotaRole] = {}
        self.root = QuotaRole("", None)
        self.spare: dict[str, int] = {}
        self.withheld: dict[Agent, None] = {}
        self._dirty = dirty
        self._spare_of: dict[Agent, dict[str, int]] = {}
        self._chains: dict[str, tuple[QuotaRole, ...]] = {}
        self._cut_by: dict[QuotaRole, None] = {}

    def set(self, changes: Mapping[str, Quota], agents: Iterable[Agent]) -> None:
        """Let roles have other quotas; one that says nothing takes a role's away."""
        for role, quota in changes.items():
            self.quotas.pop(role, None)
            if quota != NO_QUOTA:
                self.quotas[role] = quota
        self.roles = {}
        self.root = QuotaRole("", None)
        self.spare = {}
        self.withheld.clear()
        self._spare_of = {}
        self._chains = {}
        self._cut_by = {}
        for path, one in sorted(self.quotas.items()):  # a role above comes before those below it
            above = next((self.roles[name] for name in ancestors(path) if name in self.roles), self.root)
            self.roles[path] = QuotaRole(path, above, one)
        for entry in self.roles.values():
            for name in entry.guarantees:
                entry.settle(name)
        if self.roles:
            for agent in agents:
                self.come(agent)

    def chain(self, role: str) -> tuple[QuotaRole, ...]:
        """Return the roles with quota that `role` counts for, the nearest first."""
        found = self._chains.get(role)
        if found is None:
            paths = [role, *ancestors(role)]
            found = self._chains[role] = tuple(self.roles[path] for path in paths if path in self.roles)
        return found

    # ------------------------------------------------------------ accounts
    def come(self, agent: Agent) -> None:
        """Count an agent, with all that is reserved and allocated of it."""
        self._count_reserved(agent.total, 1)
        for slot, resources in agent.allocated.items():
            self._charge(slot.role, resources, 1)
        self.follow(agent)

    def go(self, agent: Agent) -> None:
        """Count an agent no more."""
        self._count_reserved(agent.total, -1)
        for slot, resources in agent.allocated.items():
            self._charge(slot.role, resources, -1)
        self._set_spare(agent, {})
        del self._spare_of[agent]
        self.withheld.pop(agent, None)
        self.release(None)

    def resize(self, agent: Agent, before: Resources) -> None:
        """Follow an agent's other total."""
        self._count_reserved(before, -1)
        self._count_reserved(agent.total, 1)
        self.follow(agent)

    def follow(self, agent: Agent) -> None:
        """Count what is spare of an agent as it is now."""
        self._look(agent)
        self.release(None)

    def take(self, agent: Agent, role: str, resources: Resources) -> None:
        """Count a grant."""
        self._charge(role, resources, 1)
        self._look(agent)

    def give_back(self, agent: Agent, role: str, resources: Resources) -> None:
        """Count what is freed."""
        self._charge(role, resources, -1)
        self._look(agent)
        self.release(role)

    def use(self, agent: Agent, role: str, resources: Resources) -> None:
        """Count what an agent came with."""
        self._charge(role, resources, 1)
        self.follow(agent)

    def release(self, role: str | None) -> None:
        """Look again at the agents of which something was kept back, if what `role` freed (None: anything) can matter."""
        if not self.withheld:
            return
        cut_by = self._cut_by
        if role is None or self.root in cut_by or any(one in cut_by for one in self.chain(role)):
            self._dirty.update(self.withheld)
            self.withheld.clear()
            cut_by.clear()

    def withhold(self, agent: Agent, by: Iterable[QuotaRole]) -> None:
        """Remember that something of an agent was kept back."""
        self.withheld[agent] = None
        for role in by:
            self._cut_by[role] = None

    def _charge(self, role: str, resources: Resources, sign: int) -> None:
        chain = self.chain(role)
        if not chain:
            return
        for one in chain:
            for name, milli in _charged(one.path, resources):
                one.consumed[name] = one.consumed.get(name, 0) + sign * milli
                one.settle(name)

    def _count_reserved(self, total: Resources, sign: int) -> None:
        for identity, milli in _scalars(total):
            if identity.reservations:
                for one in self.chain(identity.reservations[-1].role):
                    one.consumed[identity.name] = one.consumed.get(identity.name, 0) + sign * milli
                    one.settle(identity.name)

    def _look(self, agent: Agent) -> None:
        spare: dict[str, int] = {}
        if agent.offered:
            for identity, milli in _scalars(agent.free):
                if not identity.reservations:
                    spare[identity.name] = spare.get(identity.name, 0) + milli
        self._set_spare(agent, spare)

    def _set_spare(self, agent: Agent, spare: dict[str, int]) -> None:
        total = self.spare
        for name, milli in self._spare_of.get(agent, {}).items():
            total[name] -= milli
        for name, milli in spare.items():
            total[name] = total.get(name, 0) + milli
        self._spare_of[agent] = spare

    # ------------------------------------------------------------ what an offer may hold
    def shrink(self, role: str, resources: Resources) -> Offerable:
        """Return what quota leaves of `resources` for `role`; what isn't cut is the very same object."""
        chain = self.chain(role)
        if not chain and not any(self.root.below.values()):
            return Offerable(resources, guaranteed=False, cut={})
        rooms: dict[str, _Room] = {}
        kept: dict[Identity, Any] = {}
        cut: dict[str, QuotaRole] = {}
        guaranteed = False
        for identity, amount in resources.amounts.items():
            if identity.type != "SCALAR" or identity.revocable:
                kept[identity] = amount
                continue
            name, owner = identity.name, identity.reservation_role
            room = rooms.get(name)
            if room is None:
                room = rooms[name] = _Room(self, chain, name)
            most, by = room.bound(owner)
            unit = MILLI if name == "gpus" else 1
            if identity.whole is not None:
                assert isinstance(identity.whole, int), "a scalar"
                unit = identity.whole
            has = amount if identity.whole is None else amount * unit
            taken = has if has <= most else most // unit * unit
            if taken:
                kept[identity] = taken if identity.whole is None else taken // unit
                guaranteed = guaranteed or (owner is None and room.promised > 0)
                room.spend(owner, taken)
            if taken < has:
                cut[name] = by
        if not cut:
            return Offerable(resources, guaranteed, cut)
        return Offerable(Resources(kept) if kept else EMPTY, guaranteed, cut)

    def most(self, role: str, names: Iterable[str]) -> dict[str, int]:
        """Return how much of each name an agent with any amount, nothing of it reserved, could be offered at."""
        chain = self.chain(role)
        return {name: _Room(self, chain, name).bound(None)[0] for name in names}

    # ------------------------------------------------------------ what offers are in the way
    def exceeds(self, role: str, resources: Resources) -> bool:
        """Return whether some role is past a limit, and `role` giving `resources` back would help."""
        return any(
            one.consumed.get(name, 0) > one.limits.get(name, _NO_BOUND)
            for one in self.chain(role)
            for name, _ in _charged(one.path, resources)
        )

    def is_in_the_way(self, role: str, resources: Resources) -> bool:
        """Return whether headroom lacks something that `role` would free by giving `resources` back."""
        chain = self.chain(role)
        for identity, milli in _scalars(resources):
            name = identity.name
            lacks = self.root.below.get(name, 0) > self.spare.get(name, 0)
            beyond = all(one.consumed.get(name, 0) - milli >= one.guarantees.get(name, 0) for one in chain)
            if lacks and beyond and not identity.reservations:
                return True
        return False


def consumption(role: str, agents: Iterable[Agent], offers: Iterable[tuple[str, Resources]]) -> dict[str, int]:
    """Return what counts for `role`, counted anew and without `offers`."""
    total: dict[str, int] = {}
    for agent in agents:
        for identity, milli in _scalars(agent.total):
            if identity.reservations and is_in_subtree(identity.reservations[-1].role, role):
                total[identity.name] = total.get(identity.name, 0) + milli
        for slot, resources in agent.allocated.items():
            if is_in_subtree(slot.role, role):
                for name, milli in _charged(role, resources):
                    total[name] = total.get(name, 0) + milli
    for holder, resources in offers:
        if is_in_subtree(holder, role):
            for name, milli in _charged(role, resources):
                total[name] -= milli
    return {name: milli for name, milli in total.items() if milli}


def _charged(role: str, resources: Resources) -> Iterator[tuple[str, int]]:
    """Yield what of an allocation to `role`, or below it, counts for it besides its reservations."""
    for identity, milli in _scalars(resources):
        owner = identity.reservation_role
        if owner is None or not is_in_subtree(owner, role):
            yield identity.name, milli


def _scalars(resources: Resources) -> Iterator[tuple[Identity, int]]:
    for identity, value, copies in resources:
        if identity.type == "SCALAR" and not identity.revocable:
            assert isinstance(value, int), "a scalar's value"
            yield identity, value * copies
