"""Resources as people see them in messages: `cpus(allocated: eng):0.5; mem(reservations: [(STATIC,eng)]):32`.

This is how Mesos prints resources in errors; it isn't the notation of `--resources` and can't be read back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from merismos.protocol.v1 import mesos


def format_resource(resource: mesos.Resource, *, allocation_role: str | None = None) -> str:
    """Return one entry as Mesos prints it, valid or not; `allocation_role` for an entry that names none."""
    allocation = resource.allocation_info
    role = allocation_role if allocation is None or allocation.role is None else allocation.role
    parts = [resource.name]
    if role is not None:
        parts.append(f"(allocated: {role})")
    if resource.reservations:
        parts.append(f"(reservations: [{', '.join(f'({_layer(layer)})' for layer in resource.reservations)}])")
    if resource.disk is not None:
        parts.append(f"[{_disk(resource.disk)}]")
    if resource.revocable is not None:
        parts.append("{REV}")
    if resource.shared is not None:
        parts.append("<SHARED>")
    return "".join(parts) + ":" + _value(resource)


def _value(resource: mesos.Resource) -> str:
    if resource.scalar is not None:
        return f"{round(resource.scalar.value, 3):.15g}"
    if resource.ranges is not None:
        return "[" + ", ".join(f"{one.begin}-{one.end}" for one in resource.ranges.range) + "]"
    if resource.set is not None:
        return "{" + ", ".join(resource.set.item) + "}"
    return ""


def _layer(layer: mesos.Resource_ReservationInfo) -> str:
    parts = [layer.type or "", layer.role or ""]
    if layer.principal is not None:
        parts.append(layer.principal)
    if layer.labels is not None:
        parts.append("{" + ", ".join(_label(label) for label in layer.labels.labels) + "}")
    return ",".join(parts)


def _label(label: mesos.Label) -> str:
    return label.key if label.value is None else f"{label.key}: {label.value}"


def _disk(disk: mesos.Resource_DiskInfo) -> str:
    parts = []
    if disk.source is not None:
        parts.append(_source(disk.source))
    if disk.persistence is not None:
        parts.append(disk.persistence.id)
    text = ",".join(parts)
    return text if disk.volume is None else f"{text}:{_volume(disk.volume)}"


def _source(source: mesos.Resource_DiskInfo_Source) -> str:
    if source.id is not None or source.profile is not None:
        return f"{source.type}({source.vendor or ''},{source.id or ''},{source.profile or ''})"
    place = source.mount if source.mount is not None else source.path
    return source.type if place is None or place.root is None else f"{source.type}:{place.root}"


def _volume(volume: mesos.Volume) -> str:
    if volume.host_path is None:
        return volume.container_path
    return f"{volume.host_path}:{volume.container_path}:{volume.mode.lower()}"
