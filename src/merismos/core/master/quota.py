"""Quota: set, changed and removed by operators, durable before it counts, enforced by the allocator.

Rules:
- What was asked for and isn't durable yet counts for what is asked next, so that quotas written one after the other never contradict.
- A new quota takes back offers that are past a limit, the latest first, and offers of what a guarantee lacks.
- A new leader with quotas grants nothing before most of the agents are back: it doesn't know yet what each role has.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from merismos.core.master import offers, registrar
from merismos.core.master.effects import Respond
from merismos.core.master.validate.quota import fault_of_tree, quota_of, quota_of_request, total_guarantees
from merismos.model.quota import NO_QUOTA, Quota, contains, excess, format_quantities
from merismos.model.rejection import Rejection
from merismos.model.scalars import from_milli
from merismos.protocol import json
from merismos.protocol.v1 import mesos
from merismos.protocol.v1 import quota as messages

if TYPE_CHECKING:
    from merismos.core.master.state import Master
    from merismos.protocol.v1.master import Call

AGENTS_BACK_MIN: Final = 0.8


def config_of(role: str, quota: Quota) -> messages.QuotaConfig:
    """Return a quota as the message that the API and the registry have."""
    return messages.QuotaConfig(role=role, guarantees=_scalars(quota.guarantees), limits=_scalars(quota.limits))


def _scalars(quantities: dict[str, int]) -> dict[str, mesos.Value_Scalar]:
    return {name: mesos.Value_Scalar(value=from_milli(milli)) for name, milli in sorted(quantities.items())}


def on_update_quota(master: Master, call: Call, request: int, now: float) -> None:  # noqa: ARG001 - a handler's shape
    """Change the quotas of several roles, all or none."""
    update = call.update_quota
    assert update is not None
    changed: dict[str, Quota] = {}
    for config in update.quota_configs:
        if master.config.roles is not None and config.role not in {"*", *master.config.roles}:
            _refuse(master, request, f"Invalid QuotaConfig: '{config.role}' is not on the roles whitelist")
            return
        quota = quota_of(config)
        if isinstance(quota, Rejection):
            _refuse(master, request, f"Invalid QuotaConfig: {quota.message}")
            return
        changed[config.role] = quota
    fault = None if update.force else _fault_of_use(master, changed)
    fault = fault or fault_of_tree(_asked(master, changed))
    if fault is None and not update.force:
        fault = _overcommitment(master, changed, "total quota guarantees")
        fault = fault and f"{fault} (use 'force' flag to bypass this check)"
    if fault is not None:
        _refuse(master, request, f"Invalid QuotaConfig: {fault}")
        return
    _store(master, changed, request)


def on_set_quota(master: Master, call: Call, request: int, now: float) -> None:  # noqa: ARG001 - a handler's shape
    """Give a role that has none a quota."""
    assert call.set_quota is not None
    asked = call.set_quota.quota_request
    role = asked.role or ""
    quota = quota_of_request(asked)
    fault: str | None
    if isinstance(quota, Rejection):
        _refuse(master, request, f"Failed to validate set quota request: {quota.message}")
        return
    if master.config.roles is not None and role not in {"*", *master.config.roles}:
        fault = f"Unknown role '{role}'"
    elif role in master.quotas_asked:
        fault = f"Cannot set quota for role '{role}' which already has quota"
    else:
        fault = fault_of_tree(_asked(master, {role: quota}))
    if fault is not None:
        _refuse(master, request, f"Failed to validate set quota request: {fault}")
        return
    fault = None if asked.force else _overcommitment(master, {role: quota}, "Total quota guarantees")
    if fault is not None:
        text = f"Quota guarantees overcommit the cluster (use 'force' to bypass this check): {fault}"
        _refuse(master, request, text, 409)
        return
    _store(master, {role: quota}, request)


def on_remove_quota(master: Master, call: Call, request: int, now: float) -> None:  # noqa: ARG001 - a handler's shape
    """Take a role's quota away."""
    assert call.remove_quota is not None
    role = call.remove_quota.role
    if role not in master.quotas_asked:
        _refuse(master, request, f"Failed to remove quota: Role '{role}' has no quota set")
        return
    fault = fault_of_tree(_asked(master, {role: NO_QUOTA}))
    if fault is not None:
        _refuse(master, request, f"Failed to remove quota: {fault}")
        return
    _store(master, {role: NO_QUOTA}, request)


def _refuse(master: Master, request: int, message: str, status: int = 400) -> None:
    master.effects.append(Respond(request, status, message))


def _asked(master: Master, changed: dict[str, Quota]) -> dict[str, Quota]:
    """Return the quotas as they will be."""
    quotas = {**master.quotas_asked, **changed}
    return {role: quota for role, quota in quotas.items() if quota != NO_QUOTA}


def _fault_of_use(master: Master, changed: dict[str, Quota]) -> str | None:
    for role, quota in changed.items():
        offered = (offer for offer in master.offers.values())
        consumed = master.allocator.consumption(role, ((offer.role, offer.resources) for offer in offered))
        if excess(quota.limits, consumed):
            return (
                f"Role '{role}' is already consuming '{format_quantities(consumed)}'; this is more than the requested"
                f" limits '{format_quantities(quota.limits)}' (use 'force' flag to bypass this check)"
            )
    return None


def _overcommitment(master: Master, changed: dict[str, Quota], what: str) -> str | None:
    guaranteed = total_guarantees(_asked(master, changed))
    capacity: dict[str, int] = {}
    for agent in master.agents.values():
        scalars = agent.total.filter(lambda identity: identity.type == "SCALAR" and not identity.revocable)
        for name, milli in scalars.quantities().items():
            capacity[name] = capacity.get(name, 0) + milli
    if contains(capacity, guaranteed):
        return None
    return f"{what} '{format_quantities(guaranteed)}' exceed cluster capacity '{format_quantities(capacity)}'"


def _store(master: Master, changed: dict[str, Quota], request: int) -> None:
    if not changed:
        master.effects.append(Respond(request, 200))
        return
    master.quotas_asked = _asked(master, changed)
    changes = [
        ("quota", role, b"" if quota == NO_QUOTA else json.encode(config_of(role, quota)))
        for role, quota in changed.items()
    ]
    registrar.store(master, changes, functools.partial(_on_stored, changed, request))


def _on_stored(changed: dict[str, Quota], request: int, master: Master, now: float) -> None:
    for role, quota in changed.items():
        master.quotas.pop(role, None)
        if quota != NO_QUOTA:
            master.quotas[role] = quota
    master.allocator.set_quotas(changed)
    resume_if_known(master)
    allocator = master.allocator
    for offer in reversed(list(master.offers.values())):
        if allocator.is_past_limit(offer.role, offer.resources):
            offers.rescind(master, offer, now, "rescinded", "the quota limit of its role, or of one above, was lowered")
    if any(quota.guarantees for quota in changed.values()):
        for offer in reversed(list(master.offers.values())):
            if allocator.is_in_the_way(offer.role, offer.resources):
                offers.rescind(master, offer, now, "rescinded", "another role was guaranteed what was offered")
    master.effects.append(Respond(request, 200))


# ------------------------------------------------------------ a new leader
def begin(master: Master) -> None:
    """Enforce what the registry knew, and wait for the agents."""
    master.quotas_asked = dict(master.quotas)
    if not master.quotas:
        return
    master.allocator.set_quotas(master.quotas)
    if master.recovered_agents:
        master.allocator.pause(
            "nothing is offered before most of the agents are back after the failover: there are quotas, and what"
            " each role has is not known yet"
        )


def resume_if_known(master: Master) -> None:
    """Grant again once enough agents are back, or no quota needs to know."""
    if not master.quotas or len(master.recovered_agents) <= (1 - AGENTS_BACK_MIN) * master.agents_at_election:
        master.allocator.resume()
