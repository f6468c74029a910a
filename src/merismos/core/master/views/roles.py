"""The roles of a cluster: who uses what, in the v1 and the v0 form.

Rules: a role is known while a framework subscribes in it, something is allocated, offered or reserved to it, or it has a weight
or a quota, and while a role below it is known. What a role has includes what the roles below it have; its frameworks are its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from merismos.core.master.views import values
from merismos.model.quota import NO_QUOTA
from merismos.model.resources import EMPTY, Resources, sum_of
from merismos.model.roles import ancestors
from merismos.model.scalars import from_milli
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.master.state import Master


class RoleSums:
    """What one role has, all its frameworks and agents together; `idle` is what of `reserved` nobody uses."""

    __slots__ = ("allocated", "frameworks", "idle", "offered", "reserved")

    def __init__(self) -> None:
        self.frameworks: list[str] = []
        self.allocated = EMPTY
        self.offered = EMPTY
        self.reserved = EMPTY
        self.idle = EMPTY


def role_sums(master: Master) -> dict[str, RoleSums]:
    """Return every role that is known by itself with its own sums, by name."""
    sums: dict[str, RoleSums] = {role: RoleSums() for role in (*master.weights, *master.quotas)}
    for framework in master.frameworks.values():
        for role in framework.roles:
            sums.setdefault(role, RoleSums()).frameworks.append(framework.id)
        for role, resources in values.used(framework).items():
            entry = sums.setdefault(role, RoleSums())
            entry.allocated = entry.allocated + resources
        for role, resources in values.offered(framework).items():
            entry = sums.setdefault(role, RoleSums())
            entry.offered = entry.offered + resources
    for agent in master.agents.values():
        reserved = agent.total.reserved_by_role()
        used = values.total_of(values.used(agent)) if reserved else EMPTY
        for role, resources in reserved.items():
            entry = sums.setdefault(role, RoleSums())
            entry.reserved = entry.reserved + resources
            entry.idle = entry.idle + (resources - used)
    return dict(sorted(sums.items()))


def role_tree(master: Master) -> dict[str, RoleSums]:
    """Return every known role and those above, by name, each with all that its tree has."""
    sums = role_sums(master)
    for role in list(sums):
        for parent in ancestors(role):
            sums.setdefault(parent, RoleSums())
    # The deepest first: `a/b/c` is in `a/b` before `a/b` is added to `a`.
    for role in sorted(sums, key=lambda role: role.count("/"), reverse=True):
        parent, separator, _ = role.rpartition("/")
        if separator:
            above, entry = sums[parent], sums[role]
            above.allocated = above.allocated + entry.allocated
            above.offered = above.offered + entry.offered
            above.reserved = above.reserved + entry.reserved
            above.idle = above.idle + entry.idle
    return dict(sorted(sums.items()))


def roles_v1(master: Master) -> list[mesos.Role]:
    """Return the Role messages of GET_ROLES."""
    return [
        mesos.Role(
            name=role,
            weight=master.weights.get(role, 1.0),
            frameworks=[mesos.FrameworkID(value=framework_id) for framework_id in entry.frameworks],
            resources=_summed_v1(sum_of((entry.allocated, entry.offered))),
        )
        for role, entry in role_tree(master).items()
    ]


def _summed_v1(resources: Resources) -> list[mesos.Resource]:
    return [
        mesos.Resource(name=name, type=mesos.Value_Type.SCALAR, scalar=mesos.Value_Scalar(value=from_milli(milli)))
        for name, milli in sorted(resources.quantities().items())
        if name != "ports"
    ]


def roles_v0(master: Master) -> list[dict[str, Any]]:
    """Return the role objects of /roles."""
    return [
        {
            "name": role,
            "weight": master.weights.get(role, 1.0),
            "quota": _quota_v0(master, role, entry),
            "resources": quantities_v0(sum_of((entry.allocated, entry.offered))),
            "allocated": quantities_v0(entry.allocated),
            "offered": quantities_v0(entry.offered),
            "reserved": quantities_v0(entry.reserved),
            "frameworks": entry.frameworks,
        }
        for role, entry in role_tree(master).items()
    ]


def _quota_v0(master: Master, role: str, entry: RoleSums) -> dict[str, Any]:
    quota = master.quotas.get(role, NO_QUOTA)
    return {
        "role": role,
        "guarantee": {name: from_milli(milli) for name, milli in sorted(quota.guarantees.items())},
        "limit": {name: from_milli(milli) for name, milli in sorted(quota.limits.items())},
        "consumed": quantities_v0(sum_of((entry.allocated, entry.idle))),
    }


def quantities_v0(resources: Resources) -> dict[str, float]:
    """Return scalars as numbers and ranges as their size, by name."""
    return {name: from_milli(milli) for name, milli in sorted(resources.quantities().items())}
