"""The quotas that are set, as GET_QUOTA and /quota show them, and what counts for them.

Rules: in order of the roles. `infos` is the older form, which knows guarantees only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.master.quota import config_of
from merismos.model.scalars import from_milli
from merismos.protocol.v1 import mesos, quota

if TYPE_CHECKING:
    from merismos.core.master.state import Master


def quota_status(master: Master) -> quota.QuotaStatus:
    """Return every role's quota."""
    quotas = sorted(master.quotas.items())
    return quota.QuotaStatus(
        infos=[quota.QuotaInfo(role=role, guarantee=_guarantee(one.guarantees)) for role, one in quotas],
        configs=[config_of(role, one) for role, one in quotas],
    )


def _guarantee(guarantees: dict[str, int]) -> list[mesos.Resource]:
    return [
        mesos.Resource(name=name, type=mesos.Value_Type.SCALAR, scalar=mesos.Value_Scalar(value=from_milli(milli)))
        for name, milli in sorted(guarantees.items())
    ]


def metrics_of(master: Master) -> dict[str, float]:
    """Return the gauges of every role with a quota."""
    found: dict[str, float] = {}
    allocated = {view.role: view.allocated_milli for view in master.allocator.role_view()} if master.quotas else {}
    for role, one in master.quotas.items():
        head = f"allocator/mesos/quota/roles/{role}/resources/"
        found |= {f"{head}{name}/guarantee": from_milli(milli) for name, milli in one.guarantees.items()}
        found |= {f"{head}{name}/limit": from_milli(milli) for name, milli in one.limits.items()}
        for name in one.guarantees | one.limits:
            found[f"{head}{name}/offered_or_allocated"] = from_milli(allocated.get(role, {}).get(name, 0))
    return found
