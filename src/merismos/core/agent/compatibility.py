"""What may change about an agent between two starts under one id.

Rules: Mesos' own. `equal`: nothing of hostname, resources, attributes and fault domain. `additive`: more resources, more attributes,
a fault domain where there was none; nothing smaller, nothing else. The port may differ: masters take the new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.model.rejection import Rejection
from merismos.model.resource_protocol import from_protocol
from merismos.model.resource_text import format_resource

if TYPE_CHECKING:
    from merismos.protocol.v1 import mesos


def compare(before: mesos.AgentInfo, after: mesos.AgentInfo, *, additive: bool) -> str | None:
    """Return what changed that may not, None where all is well."""
    if before.hostname != after.hostname:
        return f"the hostname was {before.hostname}, and is {after.hostname}"
    if before.domain != after.domain and not (additive and before.domain is None):
        return "the fault domain is another"
    return compare_resources(before, after, additive=additive) or compare_attributes(before, after, additive=additive)


def compare_resources(before: mesos.AgentInfo, after: mesos.AgentInfo, *, additive: bool) -> str | None:
    """Return what changed about the resources that may not."""
    old, new = from_protocol(before.resources), from_protocol(after.resources)
    if isinstance(old, Rejection) or isinstance(new, Rejection):
        return "the resources of before can't be read"
    if new.contains(old) if additive else new == old:
        return None
    return f"the resources were {text_of(before.resources)}, and are {text_of(after.resources)}"


def compare_attributes(before: mesos.AgentInfo, after: mesos.AgentInfo, *, additive: bool) -> str | None:
    """Return what changed about the attributes that may not."""
    left = list(after.attributes)
    for old in before.attributes:
        match = next((new for new in left if new == old or (additive and covers(new, old))), None)
        if match is None:
            return f"attribute '{old.name}' has another value, or is gone"
        left.remove(match)
    if left and not additive:
        return f"attribute '{left[0].name}' is new"
    return None


def covers(new: mesos.Attribute, old: mesos.Attribute) -> bool:
    """Say whether an attribute says all that another said: a scalar as large, ranges as wide."""
    if new.name != old.name:
        return False
    if new.scalar is not None and old.scalar is not None:
        return new.scalar.value >= old.scalar.value
    if new.ranges is not None and old.ranges is not None:
        return all(
            any(wide.begin <= one.begin and one.end <= wide.end for wide in new.ranges.range)
            for one in old.ranges.range
        )
    return False


def text_of(resources: list[mesos.Resource]) -> str:
    """Return resources as Mesos prints them."""
    return "; ".join(format_resource(resource) for resource in resources)
