"""The resource algebra: an immutable collection of entries that adds, subtracts and compares exactly.

Rules:
- One dictionary from identity to amount, in the order in which entries were first met. An amount is an integer of thousandths,
  a `Ranges` or an `ItemSet`; for an entry that is only had whole (`identity.whole`) it is the number of copies.
- No entry is empty or negative. Subtraction takes what is there: what isn't contained vanishes, as in Mesos. Whoever must not
  lose track asks `contains` first.
- Collections share what they can and are never changed once built; nobody writes to what `quantities` returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from merismos.model.identity import Identity, Value
from merismos.model.ranges import EMPTY_RANGES, Ranges
from merismos.model.scalars import MILLI


class Entry(NamedTuple):
    """One entry as the wire shows it.

    Shapes: `copies` is 1 unless the entry is only had whole.
    Units: a scalar `value` in thousandths.
    """

    identity: Identity
    value: Value
    copies: int


class Resources(msgspec.Struct, gc=False, eq=False, repr_omit_defaults=True):
    """An immutable collection of resources: `+`, `-`, `contains`, `==`, `hash`, truth, `len`, iteration over `Entry`.

    Shapes: built by `resources_of`, `sum_of`, the parsers and the decoders; `EMPTY` is the empty one.
    Units: `*_milli` in thousandths of a CPU, a GPU or a megabyte.
    """

    # Read it, don't write it. Amounts of one identity share one type, which knows +, - and <=; a union would have to be taken
    # apart at each step.
    amounts: dict[Identity, Any] = {}
    _quantities: dict[str, int] | None = None

    def __bool__(self) -> bool:
        return bool(self.amounts)

    def __len__(self) -> int:
        return len(self.amounts)

    def __iter__(self) -> Iterator[Entry]:
        for identity, amount in self.amounts.items():
            whole = identity.whole
            yield Entry(identity, amount, 1) if whole is None else Entry(identity, whole, amount)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Resources) and self.amounts == other.amounts)

    def __ne__(self, other: object) -> bool:
        # A Struct brings its own, which knows nothing of the `__eq__` above.
        return not self == other

    def __hash__(self) -> int:
        return hash(frozenset(self.amounts.items()))

    def __add__(self, other: Resources) -> Resources:
        added = other.amounts
        if not added:
            return self
        if not self.amounts:
            return other
        amounts = self.amounts.copy()
        get = amounts.get
        for identity, amount in added.items():
            have = get(identity)
            amounts[identity] = amount if have is None else have + amount
        return Resources(amounts)

    def __sub__(self, other: Resources) -> Resources:
        amounts = self.amounts.copy()
        get = amounts.get
        for identity, amount in other.amounts.items():
            have = get(identity)
            if have is None:
                continue
            if have <= amount:
                del amounts[identity]
            else:
                amounts[identity] = have - amount
        return Resources(amounts) if amounts else EMPTY

    def contains(self, other: Resources) -> bool:
        """Return whether every entry of `other` can be taken out of this."""
        get = self.amounts.get
        for identity, amount in other.amounts.items():
            have = get(identity)
            if have is None or not amount <= have:
                return False
        return True

    def filter(self, keep: Callable[[Identity], bool]) -> Resources:
        """Return the entries whose identity `keep` accepts, in their order."""
        kept = {identity: amount for identity, amount in self.amounts.items() if keep(identity)}
        if len(kept) == len(self.amounts):
            return self
        return Resources(kept) if kept else EMPTY

    @property
    def is_plain(self) -> bool:
        """Whether nothing in it is reserved, revocable, shared, of a disk or of a provider."""
        return all(identity.plain for identity in self.amounts)

    def unreserved(self) -> Resources:
        """Return what no role has reserved."""
        for identity in self.amounts:
            if identity.reservations:
                return self.filter(lambda identity: not identity.reservations)
        return self

    def reserved(self) -> Resources:
        """Return what some role has reserved."""
        return self.filter(lambda identity: bool(identity.reservations))

    def reserved_to(self, role: str) -> Resources:
        """Return what is reserved to exactly `role`."""
        return self.filter(lambda identity: identity.reservation_role == role)

    def reserved_by_role(self) -> dict[str, Resources]:
        """Return the reserved entries by the role that they are reserved to, in their order."""
        by_role: dict[str, dict[Identity, Any]] = {}
        for identity, amount in self.amounts.items():
            role = identity.reservation_role
            if role is not None:
                by_role.setdefault(role, {})[identity] = amount
        return {role: Resources(amounts) for role, amounts in by_role.items()}

    def allocatable_to(self, role: str) -> Resources:
        """Return what `role` may be offered: unreserved, or reserved to it or to an ancestor of it."""
        for identity in self.amounts:
            if identity.reservations:
                return self.filter(lambda identity: identity.is_allocatable_to(role))
        return self

    def revocable(self) -> Resources:
        """Return what may be taken away from its user at any time."""
        return self.filter(lambda identity: identity.revocable)

    def nonrevocable(self) -> Resources:
        """Return what its user keeps until it gives it back."""
        return self.filter(lambda identity: not identity.revocable)

    def shared(self) -> Resources:
        """Return what several users may have at once."""
        return self.filter(lambda identity: identity.shared)

    def nonshared(self) -> Resources:
        """Return what only one user may have at once."""
        return self.filter(lambda identity: not identity.shared)

    def persistent_volumes(self) -> Resources:
        """Return the volumes whose data outlives tasks."""
        return self.filter(lambda identity: identity.is_persistent_volume)

    def named(self, name: str) -> Resources:
        """Return the entries of one name."""
        return self.filter(lambda identity: identity.name == name)

    def names(self) -> list[str]:
        """Return the names in it, each once, in their order."""
        return list(dict.fromkeys(identity.name for identity in self.amounts))

    def quantities(self) -> Mapping[str, int]:
        """Return how much of each name there is, whoever it is reserved to; counted once and kept.

        Units: thousandths; ranges and sets count their members, a shared entry counts once however many copies there are.
        """
        quantities = self._quantities
        if quantities is None:
            quantities = self._quantities = self._count()
        return quantities

    def _count(self) -> dict[str, int]:
        quantities: dict[str, int] = {}
        for identity, value, copies in self:
            counted = _milli_of(value) if identity.shared else _milli_of(value) * copies
            quantities[identity.name] = quantities.get(identity.name, 0) + counted
        return quantities

    @property
    def cpus_milli(self) -> int:
        """CPUs of every kind."""
        return self.quantities().get("cpus", 0)

    @property
    def mem_milli(self) -> int:
        """Memory of every kind, in thousandths of a megabyte."""
        return self.quantities().get("mem", 0)

    @property
    def disk_milli(self) -> int:
        """Disk of every kind, in thousandths of a megabyte."""
        return self.quantities().get("disk", 0)

    @property
    def gpus_milli(self) -> int:
        """GPUs of every kind."""
        return self.quantities().get("gpus", 0)

    def ranges(self, name: str) -> Ranges:
        """Return all numbers of one name, whoever they are reserved to: `ranges("ports")`."""
        total = EMPTY_RANGES
        for entry in self:
            if entry.identity.name == name and isinstance(entry.value, Ranges):
                total = entry.value if not total else total + entry.value
        return total

    @property
    def ports(self) -> Ranges:
        """Ports of every kind."""
        return self.ranges("ports")


EMPTY: Final = Resources()


def _milli_of(value: Value) -> int:
    return value if isinstance(value, int) else value.size * MILLI


def resources_of(pairs: Iterable[tuple[Identity, Value]]) -> Resources:
    """Return the sum of entries; empty ones are dropped.

    Shapes: the value of an entry that is only had whole is a number of copies.
    """
    amounts: dict[Identity, Any] = {}
    for identity, amount in pairs:
        if not amount:
            continue
        have = amounts.get(identity)
        amounts[identity] = amount if have is None else have + amount
    return Resources(amounts) if amounts else EMPTY


def sum_of(parts: Iterable[Resources]) -> Resources:
    """Return the sum of many collections, without building one between every two."""
    amounts: dict[Identity, Any] = {}
    get = amounts.get
    for part in parts:
        for identity, amount in part.amounts.items():
            have = get(identity)
            amounts[identity] = amount if have is None else have + amount
    return Resources(amounts) if amounts else EMPTY
