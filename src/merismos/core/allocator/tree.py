"""The role tree: which roles there are, what each has, and which framework comes first in fair order.

Rules:
- A role's frameworks hang below it. Once a role has subroles too, its own frameworks move below a virtual child named `.` of
  weight 1, which competes with the subroles, as in Mesos.
- A node's allocation is the sum of all below it, offered and used alike, reserved or not. It is kept at every change; the order
  of siblings follows at `settle`, so that resources that go and come between two cycles cost no sorting.
- The crown are the nodes at the top that have no siblings, such as the only role there is. As they come first whatever they have,
  a cycle charges them once, at its end.
- Shares are fractions of the whole cluster. When the cluster changes, a large tree follows at most once per batch interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from merismos.core.allocator.order import FIELD_BITS, Node, Scale, Siblings, fields_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from merismos.core.allocator.slots import Framework
    from merismos.core.kernel import Prng
    from merismos.model.resources import Resources

NODES_RESCALED_AT_ONCE: Final = 100
_VIRTUAL_LEAF: Final = "."


class Slot(Node):
    """A framework in a role: what offers are made to; one bit in every mask.

    Shapes: `bit` is a power of two, a new one after each REVIVE; `chain` the roles above, the nearest first; `minimum` the
    alternatives that replace the cluster's smallest offer, None where they don't; `places` counts its entries on agents.
    """

    __slots__ = ("bit", "chain", "filtered_ever", "framework", "minimum", "places", "role", "subscribed", "suppressed")

    def __init__(self, framework: Framework, role: str, siblings: Siblings) -> None:
        super().__init__(framework.id, siblings)
        self.framework = framework
        self.role = role
        self.bit = 0
        self.chain: tuple[RoleNode, ...] = ()
        self.minimum: Minimum | None = None
        self.subscribed = False
        self.suppressed = False
        self.filtered_ever = False
        self.places = 0


Minimum = tuple[tuple[tuple[str, int], ...], ...]


class RoleNode(Node):
    """A role of the tree, or the virtual leaf of a role that has subroles."""

    __slots__ = ("leaf", "parent", "path", "slots", "subroles")

    def __init__(self, path: str, name: str, parent: RoleNode | None, siblings: Siblings, children: Siblings) -> None:
        super().__init__(name, siblings, children)
        self.path = path
        self.parent = parent
        self.leaf: RoleNode | None = None
        self.slots: dict[str, Slot] = {}  # by framework id; on the role itself, never on its virtual leaf
        self.subroles: dict[str, RoleNode] = {}

    def chain(self) -> tuple[RoleNode, ...]:
        """Return every node that a charge to this role's frameworks counts for, the nearest first."""
        nodes: list[RoleNode] = [] if self.leaf is None else [self.leaf]
        node: RoleNode | None = self
        while node is not None:
            nodes.append(node)
            node = node.parent
        return tuple(nodes)


class RoleTree:
    """All roles with frameworks, their allocations and their order.

    Shapes: `names` the scalar resources of the cluster in the order in which they were met, one field of an allocation each.
    """

    def __init__(self, *, random_roles: Prng | None, random_frameworks: Prng | None, excluded: Iterable[str]) -> None:
        self._random_roles = random_roles
        self._random_frameworks = random_frameworks
        self._excluded = dict.fromkeys(excluded)
        self._scale = Scale()
        self._scale.reset([math.inf, math.inf])
        self.children = Siblings(self._scale, random_roles)
        self.mask = 0
        self.roles: dict[str, RoleNode] = {}
        self.weights: dict[str, float] = {}
        self.names = ["cpus", "mem"]
        self.capacity = 0
        self._size = 0
        self._rescaled_at: float | None = None
        self._capacity_changed = False
        self._stale: dict[Node, None] = {}
        self._crown: list[Node] = []
        self._below_crown = self.children
        self._crown_served = 0
        self._crown_allocated = 0

    # ------------------------------------------------------------ capacity
    def learn(self, resources: Resources) -> bool:
        """Take note of the scalar names in `resources`; return whether there was a new one."""
        known = len(self.names)
        for entry in resources:
            identity = entry.identity
            if identity.type == "SCALAR" and identity.name not in self.names:
                self.names.append(identity.name)
        return len(self.names) > known

    def allocation(self, resources: Resources) -> int:
        """Return the scalar quantities of `resources` as an allocation."""
        get = resources.quantities().get
        allocated = 0
        for name in reversed(self.names):
            allocated = allocated << FIELD_BITS | get(name, 0)
        return allocated

    def quantities(self, allocated: int) -> dict[str, int]:
        """Return an allocation by name, zeros left out."""
        fields = zip(self.names, fields_of(allocated, len(self.names)), strict=True)
        return {name: milli for name, milli in fields if milli}

    def grow(self, resources: Resources) -> None:
        """Add to what shares are fractions of."""
        self.capacity += self.allocation(resources)
        self._capacity_changed = True

    def shrink(self, resources: Resources) -> None:
        """Take from what shares are fractions of."""
        self.capacity -= self.allocation(resources)
        self._capacity_changed = True

    # ------------------------------------------------------------ members
    def nodes(self) -> Iterator[Node]:
        """Return every node, roles before what is below them."""
        for role in self.roles.values():
            yield role
            if role.leaf is not None:
                yield role.leaf
            yield from role.slots.values()

    def add_slot(self, framework: Framework, role: str) -> Slot:
        """Return a new slot of `framework` in `role`; it takes no part until `enter`."""
        node = self._role(role)
        home = node if node.leaf is None else node.leaf
        assert home.children is not None
        slot = Slot(framework, role, home.children)
        slot.chain = node.chain()
        node.slots[framework.id] = slot
        self._size += 1
        return slot

    def remove_slot(self, slot: Slot) -> None:
        """Forget a slot that takes no part and has nothing."""
        node: RoleNode | None = self.roles[slot.role]
        assert node is not None
        self._stale.pop(slot, None)
        del node.slots[slot.framework.id]
        self._size -= 1
        while node is not None and not node.slots and not node.subroles:
            self._stale.pop(node, None)
            if node.leaf is not None:
                self._stale.pop(node.leaf, None)
            del self.roles[node.path]
            self._size -= 1
            if node.parent is not None:
                del node.parent.subroles[node.name]
            node = node.parent

    def _role(self, path: str) -> RoleNode:
        found = self.roles.get(path)
        if found is not None:
            return found
        above, _, name = path.rpartition("/")
        parent = self._role(above) if above else None
        if parent is None:
            siblings = self.children
        else:
            if parent.leaf is None:
                self._add_leaf(parent)
            assert parent.children is not None
            siblings = parent.children
        node = RoleNode(path, name, parent, siblings, Siblings(self._scale, self._random_frameworks))
        node.weight = self.weights.get(path, 1.0)
        self.roles[path] = node
        self._size += 1
        if parent is not None:
            parent.subroles[name] = node
        return node

    def _add_leaf(self, node: RoleNode) -> RoleNode:
        assert node.children is not None
        siblings = Siblings(self._scale, self._random_roles)
        leaf = RoleNode(node.path, _VIRTUAL_LEAF, node, siblings, node.children)
        node.children = siblings
        leaf.mask = node.mask
        leaf.allocated = node.allocated
        leaf.served = node.served
        node.leaf = leaf
        if leaf.mask:
            leaf.siblings.add(leaf)
        chain = node.chain()
        for slot in node.slots.values():
            slot.chain = chain
        return leaf

    # ------------------------------------------------------------ taking part
    def enter(self, slot: Slot) -> None:
        """Let a slot be offered to."""
        bit = slot.mask = slot.bit
        slot.siblings.add(slot)
        for node in slot.chain:
            present = node.mask
            node.mask = present | bit
            if present:
                node.siblings.remask(node, bit)
            else:
                node.siblings.add(node)
        self.mask |= bit

    def leave(self, slot: Slot) -> None:
        """Let a slot be offered to no more."""
        bit = slot.mask
        slot.siblings.remove(slot)
        slot.mask = 0
        for node in slot.chain:
            if node.mask == bit:
                node.siblings.remove(node)
                node.mask = 0
            else:
                node.mask ^= bit
                node.siblings.remask(node, bit)
        self.mask ^= bit

    def subtree_mask(self, role: str) -> int:
        """Return the bits of every slot in `role` or below it."""
        node = self.roles.get(role)
        return 0 if node is None else node.mask

    # ------------------------------------------------------------ charges
    def charge(self, slot: Slot, allocated: int) -> None:
        """Count resources as allocated to a slot and every role above it; negative for what is given back."""
        stale = self._stale
        slot.allocated += allocated
        stale[slot] = None
        for node in slot.chain:
            node.allocated += allocated
            stale[node] = None

    def first(self, eligible: int) -> Slot:
        """Return the slot of `eligible` that comes first in fair order; there must be one that takes part."""
        node = self._below_crown.first(eligible)
        while node.children is not None:
            node = node.children.first(eligible)
        assert type(node) is Slot
        return node

    def serve_first(self, eligible: int, allocated: int) -> Slot:
        """Charge a grant to the slot that comes first, and put all whom it concerns in their new places; return the slot."""
        self._crown_served += 1
        self._crown_allocated += allocated
        node = self._below_crown.serve_first(eligible, allocated)
        siblings = node.children
        while siblings is not None:
            if siblings.size == 1:  # alone, its place is the same whatever it has
                node = siblings.runs[0][0][3]
                node.allocated += allocated
                node.served += 1
            else:
                node = siblings.serve_first(eligible, allocated)
            siblings = node.children
        assert type(node) is Slot
        return node

    # ------------------------------------------------------------ order
    def set_weight(self, role: str, weight: float) -> None:
        """Let `role` weigh `weight` against its siblings, now and whenever it comes."""
        assert weight > 0
        self.weights[role] = weight
        node = self.roles.get(role)
        if node is not None:
            node.weight = weight
            self._stale[node] = None

    def settle(self, now: float, interval_s: float) -> None:
        """Bring the order up to date with allocations, weights and the cluster's size."""
        if self._capacity_changed and self._may_rescale(now, interval_s):
            self._capacity_changed = False
            self._rescaled_at = now
            totals = fields_of(self.capacity, len(self.names))
            self._scale.reset(
                [
                    math.inf if not total or name in self._excluded else float(total)
                    for name, total in zip(self.names, totals, strict=True)
                ]
            )
            for node in self.nodes():
                if node.allocated:
                    self._stale[node] = None
        for node in self._stale:
            if node.entry is not None and node.siblings.size > 1:
                node.siblings.move(node)
        self._stale.clear()
        self._crown.clear()
        below = self.children
        while below.size == 1 and (node := below.runs[0][0][3]).children is not None:
            self._crown.append(node)
            below = node.children
        self._below_crown = below

    def finish(self) -> None:
        """Charge the crown with what the cycle granted below it."""
        for node in self._crown:
            node.allocated += self._crown_allocated
            node.served += self._crown_served
        self._crown_allocated = self._crown_served = 0

    def _may_rescale(self, now: float, interval_s: float) -> bool:
        if self._rescaled_at is None or now >= self._rescaled_at + interval_s:
            return True
        return self._size <= NODES_RESCALED_AT_ONCE

    def share(self, node: Node) -> float:
        """Return the weighted dominant share of a node, as the order sees it."""
        return self._scale.share_of(node.allocated) / node.weight
