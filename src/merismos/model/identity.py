"""What makes two resource entries the same: name, type, reservations, disk, provider, revocable, shared.

Entries of one identity add up; entries of different identities lie side by side. Identities are interned: equal ones are one
object, so that the algebra's dictionaries hash and compare by address. Two things Mesos says about disks shape this file:
- How a volume is mounted, and who created it, isn't part of what it is: a task may name any container path. Identities with a
  DiskInfo therefore can't be interned; `DiskIdentity` compares by key and carries such details along.
- Some entries are only ever had whole: MOUNT and BLOCK disks, RAW disks with an id, persistent volumes, everything shared.
  Their amount belongs to the identity (`whole`), and what is counted is copies.
The role that a resource is allocated to is no part of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from weakref import WeakValueDictionary

import msgspec

from merismos.model.ranges import Ranges
from merismos.model.roles import is_strict_subrole
from merismos.model.sets import ItemSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from merismos.protocol.v1 import mesos

ValueType = Literal["SCALAR", "RANGES", "SET"]
ReservationType = Literal["STATIC", "DYNAMIC"]
SourceType = Literal["PATH", "MOUNT", "BLOCK", "RAW"]
Value: TypeAlias = int | Ranges | ItemSet
Labels: TypeAlias = tuple[tuple[str, str | None], ...]


class Reservation(msgspec.Struct, frozen=True, gc=False):
    """One layer of a reservation stack; None tells an unset field from an empty one.

    Shapes: `labels` sorted, as their order carries no meaning.
    """

    type: ReservationType
    role: str
    principal: str | None = None
    labels: Labels | None = None


class Root(msgspec.Struct, frozen=True, gc=False):
    """Where a PATH or MOUNT disk is found on the agent; None when the agent doesn't say."""

    root: str | None = None


class DiskSource(msgspec.Struct, frozen=True, gc=False):
    """The device or directory that a disk entry is taken from."""

    type: SourceType
    path: Root | None = None
    mount: Root | None = None
    vendor: str | None = None
    id: str | None = None
    metadata: Labels | None = None
    profile: str | None = None


class Disk(msgspec.Struct, frozen=True, gc=False):
    """The part of a DiskInfo that says which disk it is."""

    source: DiskSource | None = None
    persistence_id: str | None = None


class VolumeDetails(msgspec.Struct, frozen=True, gc=False):
    """The part of a DiskInfo that says how it is used: who created the volume and where it is mounted."""

    principal: str | None = None
    volume: mesos.Volume | None = None


class Identity:
    """One kind of resource; interned (but for disks), so `is` decides equality. Made by `identity_of`.

    Shapes: `reservations` outermost ancestor first; `whole` is the amount of an entry that is only had whole, else None.
    """

    __slots__ = (
        "__weakref__",
        "disk",
        "name",
        "plain",
        "provider_id",
        "reservations",
        "revocable",
        "shared",
        "type",
        "whole",
    )

    def __init__(self, key: IdentityKey) -> None:
        self.name = key.name
        self.type: ValueType = key.type
        self.reservations = key.reservations
        self.disk = key.disk
        self.provider_id = key.provider_id
        self.revocable = key.revocable
        self.shared = key.shared
        self.whole = key.whole
        self.plain = key == IdentityKey(key.name, key.type)

    @property
    def key(self) -> IdentityKey:
        """Everything that tells this identity from another, as a value."""
        return IdentityKey(
            self.name,
            self.type,
            self.reservations,
            self.disk,
            self.provider_id,
            self.revocable,
            self.shared,
            self.whole,
        )

    @property
    def details(self) -> VolumeDetails | None:
        """How the volume is used, for entries that say so."""
        return None

    @property
    def reservation_role(self) -> str | None:
        """The role that may use it: that of the innermost reservation, None when unreserved."""
        return self.reservations[-1].role if self.reservations else None

    @property
    def is_dynamically_reserved(self) -> bool:
        """Whether its innermost reservation was made at run time and can be undone."""
        return bool(self.reservations) and self.reservations[-1].type == "DYNAMIC"

    @property
    def is_persistent_volume(self) -> bool:
        """Whether it is a volume whose data outlives tasks."""
        return self.disk is not None and self.disk.persistence_id is not None

    def is_allocatable_to(self, role: str) -> bool:
        """Return whether `role` may be offered it: unreserved, or reserved to that role or to an ancestor of it."""
        owner = self.reservation_role
        return owner is None or owner == role or is_strict_subrole(role, owner)

    def __reduce__(self) -> tuple[Callable[..., Identity], tuple[IdentityKey, VolumeDetails | None]]:
        return identity_of, (self.key, self.details)

    def __repr__(self) -> str:
        return f"Identity({self.name})" if self.plain else f"Identity({self.key!r})"


class IdentityKey(msgspec.Struct, frozen=True, gc=False):
    """The value behind an Identity."""

    name: str
    type: ValueType
    reservations: tuple[Reservation, ...] = ()
    disk: Disk | None = None
    provider_id: str | None = None
    revocable: bool = False
    shared: bool = False
    whole: Value | None = None


class DiskIdentity(Identity):
    """An identity with a DiskInfo: it carries how the volume is used, which two equal ones may disagree about."""

    __slots__ = ("_details", "_hash", "_key")

    def __init__(self, key: IdentityKey, details: VolumeDetails | None) -> None:
        super().__init__(key)
        self._key = key
        self._hash = hash(key)
        self._details = details

    @property
    def details(self) -> VolumeDetails | None:
        """How the volume is used."""
        return self._details

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, DiskIdentity) and self._key == other._key)

    def __hash__(self) -> int:
        return self._hash


_interned: Final[WeakValueDictionary[IdentityKey, Identity]] = WeakValueDictionary()


def identity_of(key: IdentityKey, details: VolumeDetails | None = None) -> Identity:
    """Return the identity of `key`: the same object for the same key, unless it has a disk."""
    if key.disk is not None:
        return DiskIdentity(key, details)
    found = _interned.get(key)
    if found is None:
        found = _interned[key] = Identity(key)
    return found


CPUS: Final = identity_of(IdentityKey("cpus", "SCALAR"))
MEM: Final = identity_of(IdentityKey("mem", "SCALAR"))
DISK: Final = identity_of(IdentityKey("disk", "SCALAR"))
GPUS: Final = identity_of(IdentityKey("gpus", "SCALAR"))
PORTS: Final = identity_of(IdentityKey("ports", "RANGES"))


def is_had_whole(disk: Disk | None, *, shared: bool) -> bool:
    """Return whether an entry can't be split: shared, or a persistent volume, or a disk of its own."""
    if shared:
        return True
    if disk is None:
        return False
    if disk.persistence_id is not None:
        return True
    source = disk.source
    return source is not None and (
        source.type in {"MOUNT", "BLOCK"} or (source.type == "RAW" and source.id is not None)
    )
