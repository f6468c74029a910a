"""What a Resource message must look like before it may enter the algebra.

The order of the checks and their messages are Mesos', because schedulers and their tests match on them. Three ways to write a
reservation are accepted: `role` with `reservation` (before refinement), the stack `reservations` (after it), or both where they
agree (as operator endpoints print them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.model.ranges import NUMBER_MAX
from merismos.model.roles import DEFAULT_ROLE, is_strict_subrole, validate_role
from merismos.model.scalars import to_milli
from merismos.protocol.v1.mesos import Resource_DiskInfo_Source_Type as SourceType
from merismos.protocol.v1.mesos import Resource_ReservationInfo_Type as ReservationType
from merismos.protocol.v1.mesos import Value_Type

if TYPE_CHECKING:
    from merismos.protocol.v1 import mesos


def resource_fault(resource: mesos.Resource) -> str | None:
    """Return what is wrong with one Resource message, None when it may be used."""
    if not resource.name:
        return "Empty resource name"
    fault = _value_fault(resource)
    if fault is None and resource.disk is not None:
        fault = _disk_fault(resource.name, resource.disk)
    if fault is None:
        fault = _stack_fault(resource) if resource.reservations else _flat_fault(resource)
    if fault is None and resource.shared is not None:
        fault = _shared_fault(resource)
    return fault


def _value_fault(resource: mesos.Resource) -> str | None:
    kind = resource.type
    scalar, ranges, items = resource.scalar, resource.ranges, resource.set
    if kind == Value_Type.SCALAR:
        if scalar is None or ranges is not None or items is not None:
            return "Invalid scalar resource"
        return _scalar_fault(scalar.value)
    if kind == Value_Type.RANGES:
        if ranges is None or scalar is not None or items is not None:
            return "Invalid ranges resource"
        return _ranges_fault(ranges)
    if kind == Value_Type.SET:
        if items is None or scalar is not None or ranges is not None:
            return "Invalid set resource"
        if len(set(items.item)) != len(items.item):
            return "Invalid set resource: duplicated elements"
        return None
    return "Unsupported resource type"


def _scalar_fault(value: float) -> str | None:
    try:
        milli = to_milli(value)
    except ValueError as error:
        return f"Invalid scalar resource: {error}"
    return "Invalid scalar resource: value <= 0" if milli <= 0 and value != 0 else None


def _ranges_fault(ranges: mesos.Value_Ranges) -> str | None:
    last = -1
    for one in sorted(ranges.range, key=lambda one: one.begin):
        if one.begin > one.end:
            return "Invalid ranges resource: begin > end"
        if one.begin <= last:
            return "Invalid ranges resource: overlapping ranges"
        last = one.end
    return None if last <= NUMBER_MAX else f"Invalid ranges resource: end > {NUMBER_MAX}"


def _disk_fault(name: str, disk: mesos.Resource_DiskInfo) -> str | None:
    if name != "disk":
        return f"DiskInfo should not be set for {name} resource"
    source = disk.source
    if source is None or source.type in {SourceType.PATH, SourceType.MOUNT}:
        return None
    if source.type not in {SourceType.BLOCK, SourceType.RAW}:
        return f"Unsupported 'DiskInfo.Source.Type' in '{source.type}'"
    if source.mount is not None:
        return f"Mount should not be set for {source.type} disk source"
    if source.path is not None:
        return f"Path should not be set for {source.type} disk source"
    return None


def _flat_fault(resource: mesos.Resource) -> str | None:
    role = DEFAULT_ROLE if resource.role is None else resource.role
    rejection = validate_role(role)
    if rejection is not None:
        return rejection.message
    reservation = resource.reservation
    if reservation is None:
        return None
    if reservation.type is not None:
        return "'Resource.ReservationInfo.type' must not be set for the 'Resource.reservation' field"
    if reservation.role is not None:
        return "'Resource.ReservationInfo.role' must not be set for the 'Resource.reservation' field"
    if role == DEFAULT_ROLE:
        return 'Invalid reservation: role "*" cannot be dynamically reserved'
    return None


def _stack_fault(resource: mesos.Resource) -> str | None:
    for layer in resource.reservations:
        fault = _layer_fault(layer)
        if fault is not None:
            return fault
    fault = _refinement_fault(resource.reservations)
    if fault is not None:
        return fault
    if len(resource.reservations) == 1:
        return _agreement_fault(resource, resource.reservations[0])
    for field, value in (("role", resource.role), ("reservation", resource.reservation)):
        if value is not None:
            return (
                f"Invalid resource format: 'Resource.{field}' must not be set if there is more than one reservation"
                " in 'Resource.reservations'"
            )
    return None


def _layer_fault(layer: mesos.Resource_ReservationInfo) -> str | None:
    if layer.type is None:
        return "Invalid reservation: 'Resource.ReservationInfo.type' field must be set."
    if layer.role is None:
        return "Invalid reservation: 'Resource.ReservationInfo.role' field must be set."
    rejection = validate_role(layer.role)
    if rejection is not None:
        return rejection.message
    if layer.role == DEFAULT_ROLE:
        return 'Invalid reservation: role "*" cannot be reserved'
    if layer.type == ReservationType.UNKNOWN:
        return "Unsupported 'Resource.ReservationInfo.Type'"
    return None


def _refinement_fault(layers: list[mesos.Resource_ReservationInfo]) -> str | None:
    ancestor = layers[0].role or ""
    for layer in layers[1:]:
        role = layer.role or ""
        if layer.type == ReservationType.STATIC:
            return "Invalid refined reservation: A refined reservation cannot be STATIC"
        if not is_strict_subrole(role, ancestor):
            return f"Invalid refined reservation: role '{role}' is not a refinement of '{ancestor}'"
        ancestor = role
    return None


def _agreement_fault(resource: mesos.Resource, layer: mesos.Resource_ReservationInfo) -> str | None:
    role, reservation = resource.role, resource.reservation
    if role is not None and role != layer.role:
        return (
            f"Invalid resource format: 'Resource.role' field with '{role}' does not match the role '{layer.role}'"
            " in 'Resource.reservations'"
        )
    if layer.type == ReservationType.STATIC:
        if reservation is None:
            return None
        return (
            "Invalid resource format: 'Resource.reservation' must not be set if the single reservation in"
            " 'Resource.reservations' is STATIC"
        )
    if (role is None) != (reservation is None):
        return (
            "Invalid resource format: 'Resource.role' and 'Resource.reservation' must either be both set or both not set"
            " if the single reservation in 'Resource.reservations' is DYNAMIC"
        )
    if reservation is None:
        return None
    if (reservation.principal or "") != (layer.principal or ""):
        return (
            f"Invalid resource format: 'Resource.reservation.principal' field with '{reservation.principal or ''}' does not"
            f" match the principal '{layer.principal or ''}' in 'Resource.reservations'"
        )
    if _pairs(reservation.labels) != _pairs(layer.labels):
        return "Invalid resource format: 'Resource.reservation.labels' does not match the labels in 'Resource.reservations'"
    return None


def _pairs(labels: mesos.Labels | None) -> list[tuple[str, str]]:
    return [] if labels is None else sorted((label.key, label.value or "") for label in labels.labels)


def _shared_fault(resource: mesos.Resource) -> str | None:
    if resource.name != "disk":
        return f"Resource {resource.name} cannot be shared"
    if resource.disk is None or resource.disk.persistence is None:
        return "Only persistent volumes can be shared"
    return None
