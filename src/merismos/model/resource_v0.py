"""Resources as the v0 endpoints print them: one object, a number or a text for each name.

Scalars of one name are summed whoever they are reserved to; revocable ones appear as `cpus_revocable`; cpus, gpus, mem and disk
are always there, also at zero.
"""

from __future__ import annotations

from typing import TypeAlias

from merismos.model.identity import Value
from merismos.model.resources import Resources

V0Resources: TypeAlias = dict[str, float | str]

_ALWAYS = ("disk", "mem", "gpus", "cpus")


def to_v0(resources: Resources) -> V0Resources:
    """Return the object of `/state`: `{"disk":4096.0,"mem":2048.0,"gpus":0.0,"cpus":4.0,"ports":"[31000-31999]"}`."""
    totals: dict[str, Value] = dict.fromkeys(_ALWAYS, 0)
    for identity, value, copies in resources:
        name = f"{identity.name}_revocable" if identity.revocable else identity.name
        have = totals.get(name)
        if isinstance(value, int):
            amount = value if identity.shared else value * copies
            totals[name] = have + amount if isinstance(have, int) else amount
        elif have is None or isinstance(have, int):
            totals[name] = value
        else:
            totals[name] = _union(have, value)
    return {name: value / 1000 if isinstance(value, int) else str(value) for name, value in totals.items()}


def _union(have: Value, value: Value) -> Value:
    if type(have) is type(value):
        return have + value  # type: ignore[operator]
    return value


def reserved_to_v0(resources: Resources) -> dict[str, V0Resources]:
    """Return the object of `reserved_resources`: the same by the role that the entries are reserved to."""
    return {role: to_v0(reserved) for role, reserved in resources.reserved_by_role().items()}
