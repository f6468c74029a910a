"""The role tree: which roles there are, what each has, and which framework comes first in fair order.

Rules:
- A role's frameworks hang below it. Once a role has subroles too, its own frameworks move below a virtual child named `.` of
  weight 1, which competes with the subroles, as in Mesos.
- A node's allocation is the sum of all below it, offered and used alike, reserved or not. It is kept at every change; the order
  of siblings follows at `settle`, so that resources that go and come between two cycles cost no sorting.
- Shares are fractions of the whole cluster. When the cluster changes, a large tree follows at most once per batch interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from operator import add, sub
from typing import TYPE_CHECKING, Final

from merismos.core.allocator.order import Node, Siblings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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

    def __init__(self, framework: Framework, role: str, siblings: Siblings, dimensions: int) -> None:
        super().__init__(framework.id, siblings, dimensions)
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

    def __init__(self, path: str, name: str, parent: RoleNode | None, siblings: Siblings, children: Siblings, dimensions: int) -> None:
        super().__init__(name, siblings, dimensions, children=children)
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

    Shapes: `names` the scalar resources of the cluster, in the order in which they were met; vectors run parallel to it.
    """

    def __init__(self, *, random_roles: Prng | None, random_frameworks: Prng | None, excluded: Iterable[str]) -> None:
        self._random_roles = random_roles
        self._random_frameworks = random_frameworks
        self._excluded = dict.fromkeys(excluded)
        self.children = Siblings(random_roles)
        self.mask = 0
        self.roles: dict[str, RoleNode] = {}
        self.weights: dict[str, float] = {}
        self.names = ["cpus", "mem"]
        self.capacity_milli = [0, 0]
        self._zeros = [0, 0]
        self._shared_by = [math.inf, math.inf]  # the capacity that shares are fractions of
        self._size = 0
        self._rescaled_at: float | None = None
        self._capacity_changed = False
        self._stale: dict[Node, None] = {}

    # ------------------------------------------------------------ capacity
    def learn(self, resources: Resources) -> bool:
        """Take note of the scalar names in `resources`; return whether there was a new one."""
        known = len(self.names)
        for entry in resources:
            identity = entry.identity
            if identity.type == "SCALAR" and identity.name not in self.names:
                self.names.append(identity.name)
        added = len(self.names) - known
        if added:
            for vector in (self.capacity_milli, self._zeros, *(node.allocated_milli for node in self.nodes())):
                vector.extend([0] * added)
            self._shared_by.extend([math.inf] * added)
        return added > 0

    def vector(self, resources: Resources) -> tuple[int, ...]:
        """Return the scalar quantities of `resources`, parallel to `names`."""
        return tuple(map(resources.quantities().get, self.names, self._zeros))

    def grow(self, resources: Resources) -> None:
        """Add to what shares are fractions of."""
        self.capacity_milli = list(map(add, self.capacity_milli, self.vector(resources)))
        self._capacity_changed = True

    def shrink(self, resources: Resources) -> None:
        """Take from what shares are fractions of."""
        self.capacity_milli = list(map(sub, self.capacity_milli, self.vector(resources)))
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
        slot = Slot(framework, role, home.children, len(self.names))
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
        node = RoleNode(path, name, parent, siblings, Siblings(self._random_frameworks), len(self.names))
        node.weight = self.weights.get(path, 1.0)
        self.roles[path] = node
        self._size += 1
        if parent is not None:
            parent.subroles[name] = node
        return node

    def _add_leaf(self, node: RoleNode) -> RoleNode:
        assert node.children is not None
        siblings = Siblings(self._random_roles)
        leaf = RoleNode(node.path, _VIRTUAL_LEAF, node, siblings, node.children, len(self.names))
        node.children = siblings
        leaf.mask = node.mask
        leaf.allocated_milli = list(node.allocated_milli)
        leaf.served = node.served
        node.leaf = leaf
        if leaf.mask:
            leaf.siblings.add(leaf, self._shared_by)
        chain = node.chain()
        for slot in node.slots.values():
            slot.chain = chain
        return leaf

    # ------------------------------------------------------------ taking part
    def enter(self, slot: Slot) -> None:
        """Let a slot be offered to."""
        bit = slot.mask = slot.bit
        slot.siblings.add(slot, self._shared_by)
        for node in slot.chain:
            present = node.mask
            node.mask = present | bit
            if present:
                node.siblings.remask(node, bit)
            else:
                node.siblings.add(node, self._shared_by)
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
    def charge(self, slot: Slot, vector: Sequence[int]) -> None:
        """Count resources as allocated to a slot and every role above it."""
        stale = self._stale
        slot.allocated_milli = list(map(add, slot.allocated_milli, vector))
        stale[slot] = None
        for node in slot.chain:
            node.allocated_milli = list(map(add, node.allocated_milli, vector))
            stale[node] = None

    def credit(self, slot: Slot, vector: Sequence[int]) -> None:
        """Count resources as no longer allocated."""
        stale = self._stale
        slot.allocated_milli = list(map(sub, slot.allocated_milli, vector))
        stale[slot] = None
        for node in slot.chain:
            node.allocated_milli = list(map(sub, node.allocated_milli, vector))
            stale[node] = None

    def serve(self, slot: Slot, vector: Sequence[int]) -> None:
        """Charge a grant and put everyone it concerns in its new place, as the next choice depends on it."""
        totals = self._shared_by
        node: Node
        for node in (slot, *slot.chain):
            node.allocated_milli = list(map(add, node.allocated_milli, vector))
            siblings = node.siblings
            siblings.served(node)
            if siblings.size == 1:
                self._stale[node] = None
            else:
                siblings.move(node, totals)

    def first(self, eligible: int) -> Slot:
        """Return the slot of `eligible` that comes first in fair order; there must be one that takes part."""
        siblings: Siblings | None = self.children
        while siblings is not None:
            node = siblings.first(eligible)
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
            self._shared_by = [
                math.inf if not total or name in self._excluded else float(total)
                for name, total in zip(self.names, self.capacity_milli, strict=True)
            ]
            for node in self.nodes():
                if any(node.allocated_milli):
                    self._stale[node] = None
        totals = self._shared_by
        for node in self._stale:
            if node.entry is not None:
                node.siblings.move(node, totals)
        self._stale.clear()

    def _may_rescale(self, now: float, interval_s: float) -> bool:
        if self._rescaled_at is None or now >= self._rescaled_at + interval_s:
            return True
        return self._size <= NODES_RESCALED_AT_ONCE

    def share(self, node: Node) -> float:
        """Return the weighted dominant share of a node, as the order sees it."""
        return node.share(self._shared_by)
