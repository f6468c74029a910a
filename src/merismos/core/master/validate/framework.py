"""What a FrameworkInfo must be, and which of its fields an update may change.

Rules: a Rejection's message is Mesos' own, since schedulers match on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from merismos.model.ids import validate_id
from merismos.model.rejection import Rejection
from merismos.model.roles import DEFAULT_ROLE, validate_role
from merismos.protocol.v1 import mesos

# Mesos keeps durations in 64-bit nanoseconds.
FAILOVER_TIMEOUT_S_MAX: Final = ((1 << 63) - 1) / 1_000_000_000


def validate_framework(info: mesos.FrameworkInfo) -> Rejection | None:
    """Return why a framework can't subscribe with `info`, None when it can."""
    return _validate_roles(info) or _validate_id(info) or _validate_failover_timeout(info) or _validate_filters(info)


def roles_of(info: mesos.FrameworkInfo) -> list[str]:
    """Return the roles that `info` asks for, in its order."""
    if has_capability(info, mesos.FrameworkInfo_Capability_Type.MULTI_ROLE):
        return list(info.roles)
    return [DEFAULT_ROLE if info.role is None else info.role]


def has_capability(info: mesos.FrameworkInfo, capability: mesos.FrameworkInfo_Capability_Type) -> bool:
    """Return whether `info` claims `capability`."""
    return any(claimed.type is capability for claimed in info.capabilities)


def validate_suppressed_roles(roles: Sequence[str], suppressed: Sequence[str]) -> Rejection | None:
    """Return why `suppressed` can't be suppressed, None when it can: only a framework's own roles can."""
    own = dict.fromkeys(roles)
    for role in suppressed:
        if role not in own:
            return Rejection("role_invalid", f"Suppressed role '{role}' is not contained in the list of roles")
    return None


def validate_role_whitelist(roles: Sequence[str], whitelist: Sequence[str] | None) -> Rejection | None:
    """Return which of `roles` the master's `--roles` leaves out, None when all are in it."""
    if whitelist is None:
        return None
    for role in roles:
        if role not in whitelist:
            return Rejection("role_invalid", f"Role '{role}' is not present in the master's --roles")
    return None


def validate_update(old: mesos.FrameworkInfo, new: mesos.FrameworkInfo) -> Rejection | None:
    """Return which field of `new` may not differ from `old`, None when all may."""
    for field, before, after in (
        ("principal", old.principal or "", new.principal or ""),
        ("user", old.user, new.user),
        ("checkpoint", str(old.checkpoint).lower(), str(new.checkpoint).lower()),
    ):
        if before != after:
            message = (
                f"Updating 'FrameworkInfo.{field}' is unsupported; attempted to update from '{before}' to '{after}'"
            )
            return Rejection("framework_invalid", message)
    return None


def _validate_roles(info: mesos.FrameworkInfo) -> Rejection | None:
    if not has_capability(info, mesos.FrameworkInfo_Capability_Type.MULTI_ROLE):
        return _validate_single_role(info)
    if info.role is not None:
        return _refuse("'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable")
    duplicates = [role for role, count in Counter(info.roles).items() if count > 1]
    if duplicates:
        return _refuse(f"'FrameworkInfo.roles' contains duplicate items: {{ {', '.join(duplicates)} }}")
    for role in info.roles:
        rejection = validate_role(role)
        if rejection is not None:
            return _refuse(f"'FrameworkInfo.roles' contains invalid role: {rejection.message}")
    return None


def _validate_single_role(info: mesos.FrameworkInfo) -> Rejection | None:
    if info.roles:
        return _refuse("'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable")
    rejection = None if info.role is None else validate_role(info.role)
    return None if rejection is None else _refuse(f"'FrameworkInfo.role' is not a valid role: {rejection.message}")


def _validate_id(info: mesos.FrameworkInfo) -> Rejection | None:
    if info.id is None or not info.id.value:
        return None
    fault = validate_id(info.id.value)
    return None if fault is None else _refuse(fault)


def _validate_failover_timeout(info: mesos.FrameworkInfo) -> Rejection | None:
    timeout = info.failover_timeout
    if -FAILOVER_TIMEOUT_S_MAX <= timeout <= FAILOVER_TIMEOUT_S_MAX:
        return None
    return _refuse(f"The framework failover_timeout ({timeout:g}) is invalid")


def _validate_filters(info: mesos.FrameworkInfo) -> Rejection | None:
    roles = dict.fromkeys(roles_of(info))
    for role, filters in info.offer_filters.items():
        if role not in roles:
            return _refuse(f"Offer filters contain role '{role}', which is not in 'FrameworkInfo.roles'")
        minimum = filters.min_allocatable_resources
        for quantities in [] if minimum is None else minimum.quantities:
            for name, quantity in quantities.quantities.items():
                if not quantity.value >= 0:
                    return _refuse(f"Offer filters of role '{role}' ask for a negative quantity of '{name}'")
    return None


def _refuse(message: str) -> Rejection:
    return Rejection("framework_invalid", message)
