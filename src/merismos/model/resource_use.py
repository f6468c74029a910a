"""What must hold of resources that someone asks to use, beyond each entry being well-formed.

Rules, as Mesos' master checks them: whole GPUs; volumes are reserved, mounted and not revocable; a persistence id is unique in a
role; no name is had both revocable and not; no port or item is named twice by a task and its executor.
"""

from __future__ import annotations

from collections.abc import Sequence

from merismos.model.identity import Identity
from merismos.model.ids import validate_id
from merismos.model.rejection import Rejection
from merismos.model.resource_protocol import format_resources
from merismos.model.resources import Entry, Resources, sum_of
from merismos.model.scalars import MILLI


def validate_use(resources: Resources) -> Rejection | None:
    """Return why nobody may use `resources` as they are described, None when they may.

    Errors: Rejection `resources_invalid`, to be embedded as Mesos does: `Task uses invalid resources: …`.
    """
    message = None
    if resources.gpus_milli % MILLI:
        message = "Invalid 'gpus' resource: The 'gpus' resource must be an unsigned integer"
    elif not resources.is_plain:
        message = _disk_fault(resources) or _reservation_fault(resources)
    return None if message is None else Rejection("resources_invalid", message)


def _disk_fault(resources: Resources) -> str | None:
    for identity in resources.amounts:
        fault = None if identity.disk is None else _volume_fault(identity)
        if fault is not None:
            return f"Invalid DiskInfo: {fault}"
    return None


def _volume_fault(identity: Identity) -> str | None:
    assert identity.disk is not None, "only asked about entries with a disk"
    volume = None if identity.details is None else identity.details.volume
    persistence_id = identity.disk.persistence_id
    if persistence_id is None:
        if volume is not None:
            return "Non-persistent volume not supported"
        return "DiskInfo is set but empty" if identity.disk.source is None else None
    if identity.revocable:
        return "Persistent volumes cannot be created from revocable resources"
    if not identity.reservations:
        return "Persistent volumes cannot be created from unreserved resources"
    if volume is None:
        return "Expecting 'volume' to be set for persistent volume"
    if volume.host_path is not None:
        return "Expecting 'host_path' to be unset for persistent volume"
    fault = validate_id(persistence_id)
    return None if fault is None else f"Invalid persistence ID for persistent volume: {fault}"


def _reservation_fault(resources: Resources) -> str | None:
    for entry in resources:
        if entry.identity.is_dynamically_reserved and entry.identity.revocable:
            text = format_resources(_alone(entry))
            return f"Invalid ReservationInfo: Dynamically reserved resource {text} cannot be created from revocable resources"
    return None


def _alone(entry: Entry) -> Resources:
    return Resources({entry.identity: entry.value if entry.identity.whole is None else 1})


def validate_unique_persistence(resources: Resources) -> Rejection | None:
    """Return a rejection when two volumes of one role have the same persistence id.

    Errors: Rejection `resources_invalid`: `Task uses duplicate persistence ID: …`.
    """
    seen: set[tuple[str | None, str]] = set()
    for entry in resources:
        identity = entry.identity
        if identity.disk is None or identity.disk.persistence_id is None:
            continue
        volume = (identity.reservation_role, identity.disk.persistence_id)
        if volume in seen or (entry.copies > 1 and not identity.shared):
            return Rejection("resources_invalid", f"Persistence ID '{volume[1]}' is not unique")
        seen.add(volume)
    return None


def validate_one_revocability(resources: Resources) -> Rejection | None:
    """Return a rejection when one name is asked for both revocable and not.

    Errors: Rejection `resources_invalid`: `Task mixes revocable and non-revocable resources: …`.
    """
    revocable: dict[str, bool] = {}
    for identity in resources.amounts:
        if revocable.setdefault(identity.name, identity.revocable) != identity.revocable:
            message = f"Cannot use both revocable and non-revocable '{identity.name}' at the same time"
            return Rejection("resources_invalid", message)
    return None


def do_overlap(parts: Sequence[Resources]) -> bool:
    """Return whether a number of some ranges, or an item of some set, is in more than one of the parts."""
    members = [part.filter(lambda identity: identity.type != "SCALAR") for part in parts]
    apart: dict[str, int] = {}
    for part in members:
        for name, milli in part.quantities().items():
            apart[name] = apart.get(name, 0) + milli
    return apart != sum_of(members).quantities()
