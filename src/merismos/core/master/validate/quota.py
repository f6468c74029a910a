"""What must hold of quotas: each by itself, along the tree of roles, and against what the cluster has.

Rules: only scalars have quota; no guarantee is above its own limit; what the roles right below one are guaranteed is together no more
than its own guarantee; no limit is above a limit of a role above.
Errors: texts in Mesos' words, for the caller to embed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from merismos.model.quota import Quota, contains, format_quantities
from merismos.model.rejection import Rejection
from merismos.model.resource_protocol import from_protocol
from merismos.model.roles import ancestors, validate_role
from merismos.model.scalars import to_milli
from merismos.protocol.v1 import quota

if TYPE_CHECKING:
    from merismos.protocol.v1 import mesos

_MEGABYTES_MAX: Final = 1 << 40
_OTHERS_MAX: Final = 1_000_000_000_000
_SUBNORMAL_MAX: Final = 2.2250738585072014e-308

_CONFIG_DECODER = msgspec.json.Decoder(quota.QuotaConfig, strict=False)

Scalars = Mapping[str, "mesos.Value_Scalar"]
Quotas = Mapping[str, Quota]


def quota_of(config: quota.QuotaConfig) -> Quota | Rejection:
    """Return what a QuotaConfig says.

    Errors: Rejection `quota_invalid`, to be embedded as `Invalid QuotaConfig: …`.
    """
    rejection = validate_role(config.role)
    if rejection is not None:
        return _rejection(f"Invalid 'QuotaConfig.role': {rejection.message}")
    fault = (
        _fault_of_size("guarantees", config.guarantees)
        or _fault_of_size("limits", config.limits)
        or _fault_of_values("guarantee", config.guarantees)
        or _fault_of_values("limit", config.limits)
    )
    if fault is not None:
        return _rejection(fault)
    guarantees = {name: to_milli(scalar.value) for name, scalar in sorted(config.guarantees.items())}
    limits = {name: to_milli(scalar.value) for name, scalar in sorted(config.limits.items())}
    if any(milli > limits.get(name, milli) for name, milli in guarantees.items()):
        return _rejection(
            f"'QuotaConfig.guarantees' {_as_map(config.guarantees)} is not contained within the"
            f" 'QuotaConfig.limits' {_as_map(config.limits)}"
        )
    return Quota({name: milli for name, milli in guarantees.items() if milli}, limits)


def decode_quota(value: bytes) -> Quota:
    """Return a quota as the registry has it.

    Errors: msgspec.DecodeError, also for one that can't be.
    """
    decoded = quota_of(_CONFIG_DECODER.decode(value))
    if isinstance(decoded, Rejection):
        raise msgspec.ValidationError(decoded.message)
    return decoded


def _fault_of_size(field: str, scalars: Scalars) -> str | None:
    for name, scalar in sorted(scalars.items()):
        in_megabytes = name in {"mem", "disk"}
        most = _MEGABYTES_MAX if in_megabytes else _OTHERS_MAX
        if most < scalar.value < math.inf:
            bound = "1 exabyte" if in_megabytes else "1 trillion"
            return (
                f"Invalid 'QuotaConfig.{field}': {_as_entry(name, scalar)} is invalid:"
                f" values greater than {bound} ({most}) are not supported"
            )
    return None


def _fault_of_values(field: str, scalars: Scalars) -> str | None:
    for name, scalar in sorted(scalars.items()):
        fault = _fault_of_value(scalar.value)
        if name == "ports":
            fault = "Only scalar resources have quota"
        if fault is not None:
            return f"Invalid {field} configuration {_as_entry(name, scalar)}: {fault}"
    return None


def _fault_of_value(value: float) -> str | None:
    if math.isinf(value):
        return "Infinite values not supported"
    if math.isnan(value):
        return "NaN not supported"
    if 0 < abs(value) < _SUBNORMAL_MAX:
        return "Subnormal values not supported"
    return "Negative values not supported" if value < 0 else None


def _as_entry(name: str, scalar: mesos.Value_Scalar) -> str:
    return f"{{'{name}': {scalar.value:.15g}}}"


def _as_map(scalars: Scalars) -> str:
    entries = ", ".join(f"{name}: {scalar.value:.15g}" for name, scalar in sorted(scalars.items()))
    return f"{{ {entries} }}"


def quota_of_request(request: quota.QuotaRequest) -> Quota | Rejection:
    """Return what the older QuotaRequest says: its guarantee is its limit too.

    Errors: Rejection `quota_invalid`, to be embedded as `Failed to validate set quota request: …`.
    """
    guarantee = from_protocol(request.guarantee)
    if isinstance(guarantee, Rejection):
        return _rejection(f"QuotaInfo with invalid resource: {guarantee.message}")
    rejection = validate_role(request.role or "")
    if rejection is not None:
        return _rejection(f"QuotaInfo with invalid role: {rejection.message}")
    if not request.guarantee:
        return _rejection("QuotaInfo with empty 'guarantee'")
    names: dict[str, None] = {}
    for resource in request.guarantee:
        fault = _fault_of_resource(resource)
        if fault is None and resource.name in names:
            fault = f"QuotaInfo contains duplicate resource name '{resource.name}'"
        if fault is not None:
            return _rejection(fault)
        names[resource.name] = None
    quantities = {name: guarantee.quantities().get(name, 0) for name in sorted(names)}
    return Quota({name: milli for name, milli in quantities.items() if milli}, quantities)


def _fault_of_resource(resource: mesos.Resource) -> str | None:
    if resource.reservations or resource.reservation is not None or (resource.role or "*") != "*":
        return "QuotaInfo must not contain any ReservationInfo"
    if resource.disk is not None:
        return "QuotaInfo must not contain DiskInfo"
    if resource.revocable is not None:
        return "QuotaInfo must not contain RevocableInfo"
    return None if resource.type == "SCALAR" else "QuotaInfo must not include non-scalar resources"


def fault_of_tree(quotas: Quotas) -> str | None:
    """Return where quotas contradict each other along the tree of roles, None where nowhere."""
    below: dict[str, dict[str, int]] = {}
    for role, one in quotas.items():
        parent, _, _ = role.rpartition("/")
        if parent:
            total = below.setdefault(parent, {})
            for name, milli in one.guarantees.items():
                total[name] = total.get(name, 0) + milli
    for parent, total in sorted(below.items()):
        own = quotas[parent].guarantees if parent in quotas else {}
        if not contains(own, total):
            return (
                f"Invalid quota configuration. Parent role '{parent}' with guarantees ({format_quantities(own)}) does"
                f" not contain the sum of its children's guarantees ({format_quantities(total)})"
            )
    for role, one in sorted(quotas.items()):
        for above in ancestors(role):
            limits = quotas[above].limits if above in quotas else {}
            if any(milli > limits.get(name, milli) for name, milli in one.limits.items()):
                return (
                    f"Invalid quota configuration. Role '{role}' with limits ({format_quantities(one.limits)}) is"
                    f" not contained within the limits ({format_quantities(limits)}) of role '{above}' above it"
                )
    return None


def total_guarantees(quotas: Quotas) -> dict[str, int]:
    """Return what is guaranteed in all; what the roles below have is part of what the top ones have. Units: thousandths."""
    total: dict[str, int] = {}
    for role, one in quotas.items():
        if "/" not in role:
            for name, milli in one.guarantees.items():
                total[name] = total.get(name, 0) + milli
    return total


def _rejection(message: str) -> Rejection:
    return Rejection("quota_invalid", message)
