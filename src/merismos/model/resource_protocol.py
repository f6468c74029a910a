"""Resources as messages: in and out of the wire's two reservation formats.

In, all three ways of writing a reservation are accepted, mixed freely between entries, and `allocation_info` is set aside. Out,
the caller names the format and the role that the resources are allocated to:
- `refinement=True`: unreserved entries bare, the stack in `reservations` (frameworks with RESERVATION_REFINEMENT, agent_info);
- `refinement=False`: `role`, and `reservation` for a dynamic one (frameworks without it);
- `endpoint=True`: both at once, as operator endpoints print them.
A refined stack can't be said in the old format; it keeps its `reservations` in all three.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from merismos.model.identity import (
    CPUS,
    DISK,
    GPUS,
    MEM,
    Disk,
    DiskSource,
    Identity,
    IdentityKey,
    Labels,
    Reservation,
    Root,
    SourceType,
    Value,
    ValueType,
    VolumeDetails,
    identity_of,
    is_had_whole,
)
from merismos.model.ranges import Ranges, ranges_of
from merismos.model.rejection import Rejection
from merismos.model.resource_rules import resource_fault
from merismos.model.resource_text import format_resource
from merismos.model.resources import EMPTY, Resources
from merismos.model.roles import DEFAULT_ROLE
from merismos.model.scalars import to_milli
from merismos.model.sets import ItemSet
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from collections.abc import Iterable

_SCALAR: Final = mesos.Value_Type.SCALAR
_TYPES: Final[dict[str, ValueType]] = {"SCALAR": "SCALAR", "RANGES": "RANGES", "SET": "SET"}
_SOURCES: Final[dict[str, SourceType]] = {"PATH": "PATH", "MOUNT": "MOUNT", "BLOCK": "BLOCK", "RAW": "RAW"}
_WELL_KNOWN: Final[dict[str, Identity]] = {identity.name: identity for identity in (CPUS, MEM, DISK, GPUS)}


class DecodedResources(msgspec.Struct, frozen=True, gc=False):
    """What a list of Resource messages says.

    Shapes: `allocation_roles` are the distinct roles of the entries' `allocation_info`, in their order; `unallocated` says
    whether some entry names none; `count` is how many entries there were, empty ones included.
    """

    resources: Resources
    allocation_roles: tuple[str, ...]
    unallocated: bool
    count: int


def from_protocol(wire: Iterable[mesos.Resource], *, allocation_role: str | None = None) -> Resources | Rejection:
    """Return the sum of the messages, without the roles that they are allocated to.

    Errors: Rejection `resources_invalid` with Mesos' message, which names `allocation_role` for an entry that names none.
    """
    decoded = decode_protocol(wire, allocation_role=allocation_role)
    return decoded if isinstance(decoded, Rejection) else decoded.resources


def decode_protocol(
    wire: Iterable[mesos.Resource], *, allocation_role: str | None = None
) -> DecodedResources | Rejection:
    """Return the sum of the messages together with what they say about allocation.

    Errors: as `from_protocol`.
    """
    amounts: dict[Identity, Any] = {}
    roles: dict[str | None, None] = {}
    count = 0
    for resource in wire:
        fault = resource_fault(resource)
        if fault is not None:
            text = format_resource(resource, allocation_role=allocation_role)
            return Rejection("resources_invalid", f"Resource '{text}' is invalid: {fault}")
        count += 1
        allocation = resource.allocation_info
        roles[None if allocation is None else allocation.role] = None
        identity, amount = _entry_of(resource)
        if amount:
            have = amounts.get(identity)
            amounts[identity] = amount if have is None else have + amount
    unallocated = None in roles
    return DecodedResources(
        Resources(amounts) if amounts else EMPTY,
        tuple(role for role in roles if role is not None),
        unallocated,
        count,
    )


def _entry_of(resource: mesos.Resource) -> tuple[Identity, Value]:
    value = _value_of(resource)
    disk = resource.disk
    role = resource.role
    reserved = resource.reservations or (role is not None and role != DEFAULT_ROLE)
    if disk is None and not reserved and resource.revocable is None and resource.provider_id is None:
        known = _WELL_KNOWN.get(resource.name) if resource.type == _SCALAR else None
        return known or identity_of(IdentityKey(resource.name, _TYPES[resource.type])), value
    kept = None if disk is None else _disk_of(disk)
    shared = resource.shared is not None
    whole = value if is_had_whole(kept, shared=shared) else None
    key = IdentityKey(
        resource.name,
        _TYPES[resource.type],
        _stack_of(resource) if reserved else (),
        kept,
        None if resource.provider_id is None else resource.provider_id.value,
        resource.revocable is not None,
        shared,
        whole,
    )
    identity = identity_of(key, None if disk is None else _details_of(disk))
    return identity, value if whole is None else int(bool(value))


def _value_of(resource: mesos.Resource) -> Value:
    if resource.scalar is not None:
        return to_milli(resource.scalar.value)
    if resource.ranges is not None:
        return ranges_of((one.begin, one.end) for one in resource.ranges.range)
    assert resource.set is not None, "resource_fault lets no entry without a value through"
    return ItemSet(resource.set.item)


def _stack_of(resource: mesos.Resource) -> tuple[Reservation, ...]:
    if resource.reservations:
        return tuple(
            Reservation(
                "STATIC" if layer.type == mesos.Resource_ReservationInfo_Type.STATIC else "DYNAMIC",
                layer.role or "",
                layer.principal,
                _labels_of(layer.labels),
            )
            for layer in resource.reservations
        )
    role = resource.role or ""
    made = resource.reservation
    if made is None:
        return (Reservation("STATIC", role),)
    return (Reservation("DYNAMIC", role, made.principal, _labels_of(made.labels)),)


def _labels_of(labels: mesos.Labels | None) -> Labels | None:
    if labels is None:
        return None
    return tuple(
        sorted(((label.key, label.value) for label in labels.labels), key=lambda pair: (pair[0], pair[1] or ""))
    )


def _disk_of(disk: mesos.Resource_DiskInfo) -> Disk:
    source = disk.source
    kept = None
    if source is not None:
        kept = DiskSource(
            _SOURCES[source.type],
            None if source.path is None else Root(source.path.root),
            None if source.mount is None else Root(source.mount.root),
            source.vendor,
            source.id,
            _labels_of(source.metadata),
            source.profile,
        )
    return Disk(kept, None if disk.persistence is None else disk.persistence.id)


def _details_of(disk: mesos.Resource_DiskInfo) -> VolumeDetails | None:
    principal = None if disk.persistence is None else disk.persistence.principal
    return None if principal is None and disk.volume is None else VolumeDetails(principal, disk.volume)


def to_protocol(
    resources: Resources,
    *,
    allocation_role: str | None = None,
    refinement: bool = True,
    endpoint: bool = False,
) -> list[mesos.Resource]:
    """Return the entries as messages, in their order, allocated to `allocation_role` if one is given.

    Shapes: an entry that is only had whole appears once a copy, a shared one once.
    """
    allocation = None if allocation_role is None else mesos.Resource_AllocationInfo(role=allocation_role)
    flat = endpoint or not refinement
    wire: list[mesos.Resource] = []
    for identity, value, copies in resources:
        resource = _message_of(identity, value)
        resource.allocation_info = allocation
        if not identity.plain:
            _describe(resource, identity)
        if flat:
            _flatten(resource, identity, keep_stack=endpoint)
        wire.append(resource)
        if copies > 1 and not identity.shared:
            wire.extend([resource] * (copies - 1))
    return wire


def format_resources(resources: Resources, *, allocation_role: str | None = None) -> str:
    """Return all entries as Mesos prints them in messages, separated by `; `; `{}` when there are none."""
    messages = to_protocol(resources, allocation_role=allocation_role)
    return "; ".join(format_resource(message) for message in messages) or "{}"


def _message_of(identity: Identity, value: Value) -> mesos.Resource:
    if isinstance(value, int):
        return mesos.Resource(name=identity.name, type=_SCALAR, scalar=mesos.Value_Scalar(value=value / 1000))
    if isinstance(value, Ranges):
        ranges = [mesos.Value_Range(begin=begin, end=end) for begin, end in value]
        return mesos.Resource(name=identity.name, type=mesos.Value_Type.RANGES, ranges=mesos.Value_Ranges(range=ranges))
    return mesos.Resource(name=identity.name, type=mesos.Value_Type.SET, set=mesos.Value_Set(item=list(value)))


def _describe(resource: mesos.Resource, identity: Identity) -> None:
    resource.reservations = [
        mesos.Resource_ReservationInfo(
            type=mesos.Resource_ReservationInfo_Type(layer.type),
            role=layer.role,
            principal=layer.principal,
            labels=_labels_message(layer.labels),
        )
        for layer in identity.reservations
    ]
    if identity.disk is not None:
        resource.disk = _disk_message(identity.disk, identity.details)
    if identity.provider_id is not None:
        resource.provider_id = mesos.ResourceProviderID(value=identity.provider_id)
    if identity.revocable:
        resource.revocable = mesos.Resource_RevocableInfo()
    if identity.shared:
        resource.shared = mesos.Resource_SharedInfo()


def _flatten(resource: mesos.Resource, identity: Identity, *, keep_stack: bool) -> None:
    stack = identity.reservations
    if not stack:
        resource.role = DEFAULT_ROLE
        return
    if len(stack) > 1:
        return
    layer = stack[0]
    resource.role = layer.role
    if layer.type == "DYNAMIC":
        resource.reservation = mesos.Resource_ReservationInfo(
            principal=layer.principal,
            labels=_labels_message(layer.labels),
        )
    if not keep_stack:
        resource.reservations = []


def _labels_message(labels: Labels | None) -> mesos.Labels | None:
    if labels is None:
        return None
    return mesos.Labels(labels=[mesos.Label(key=key, value=value) for key, value in labels])


def _disk_message(disk: Disk, details: VolumeDetails | None) -> mesos.Resource_DiskInfo:
    message = mesos.Resource_DiskInfo(volume=None if details is None else details.volume)
    if disk.persistence_id is not None:
        message.persistence = mesos.Resource_DiskInfo_Persistence(
            id=disk.persistence_id,
            principal=None if details is None else details.principal,
        )
    source = disk.source
    if source is not None:
        message.source = mesos.Resource_DiskInfo_Source(
            type=mesos.Resource_DiskInfo_Source_Type(source.type),
            path=None if source.path is None else mesos.Resource_DiskInfo_Source_Path(root=source.path.root),
            mount=None if source.mount is None else mesos.Resource_DiskInfo_Source_Mount(root=source.mount.root),
            vendor=source.vendor,
            id=source.id,
            metadata=_labels_message(source.metadata),
            profile=source.profile,
        )
    return message
