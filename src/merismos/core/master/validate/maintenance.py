"""What operators ask for machines: is it well-formed, and possible now.

Rules: in Mesos' order, in its words.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from merismos.core.master.machines import Key, Mode, key_of
from merismos.model.rejection import Rejection
from merismos.protocol import json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from merismos.protocol.v1 import maintenance, mesos

    Machines = Mapping[Key, mesos.MachineInfo]
    IsUp = Callable[[Key], bool]


def validate_schedule(schedule: maintenance.Schedule, machines: Machines) -> Rejection | None:
    """Return what is wrong with a schedule that shall replace the present one."""
    updated: dict[Key, None] = {}
    for window in schedule.windows:
        if not window.machine_ids:
            return Rejection("maintenance_invalid", "List of machines in the maintenance window is empty")
        duration = window.unavailability.duration
        if duration is not None and duration.nanoseconds < 0:
            return Rejection("maintenance_invalid", "Unavailability 'duration' is negative")
        rejection = _validate_ids(window.machine_ids, updated)
        if rejection is not None:
            return rejection
    for key, machine in machines.items():
        if machine.mode is Mode.DOWN and key not in updated:
            return _refusal(machine.id, "is deactivated and cannot be removed from the schedule")
    return None


def validate_down(ids: Sequence[mesos.MachineID], machines: Machines, is_up: IsUp) -> Rejection | None:
    """Return why these machines can't be taken down."""
    return _validate_mode(ids, machines, is_up, Mode.DRAINING, "is not in DRAINING mode and cannot be brought down")


def validate_up(ids: Sequence[mesos.MachineID], machines: Machines, is_up: IsUp) -> Rejection | None:
    """Return why these machines can't be brought up."""
    return _validate_mode(ids, machines, is_up, Mode.DOWN, "is not in DOWN mode and cannot be brought up")


def _validate_mode(
    ids: Sequence[mesos.MachineID], machines: Machines, is_up: IsUp, mode: Mode, fault: str
) -> Rejection | None:
    if not ids:
        return Rejection("maintenance_invalid", "List of machines is empty")
    rejection = _validate_ids(ids, {})
    if rejection is not None:
        return rejection
    for machine_id in ids:
        machine = machines.get(key_of(machine_id))
        if machine is None and not is_up(key_of(machine_id)):
            return _refusal(machine_id, "is not part of a maintenance schedule")
        if machine is None or machine.mode is not mode:
            return _refusal(machine_id, fault)
    return None


def _validate_ids(ids: Sequence[mesos.MachineID], seen: dict[Key, None]) -> Rejection | None:
    """Check each machine, and that none is named twice; add them to those `seen`."""
    for machine_id in ids:
        if not machine_id.hostname and not machine_id.ip:
            return Rejection("maintenance_invalid", "Both 'hostname' and 'ip' for a machine are empty")
        if machine_id.ip and not _is_ipv4(machine_id.ip):
            return Rejection("maintenance_invalid", f"Failed to parse IPv4: {machine_id.ip}")
        key = key_of(machine_id)
        if key in seen:
            return _refusal(machine_id, "appears more than once in the schedule")
        seen[key] = None
    return None


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _refusal(machine: mesos.MachineID, fault: str) -> Rejection:
    return Rejection("maintenance_invalid", f"Machine '{json.encode(machine).decode()}' {fault}")
