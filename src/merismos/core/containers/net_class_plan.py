"""Classes of network traffic: the number by which tc and netfilter tell a container's packets, one a container.

Rules: the first half is the agent's, the second a container's; the lowest that is free goes first. Without a first half nothing is given, and
operators write numbers themselves.
Shapes: a class is 32 bits, the first half its upper 16.
Source: Mesos, docs/isolators/cgroups-net-cls.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from collections.abc import Container

HALF = 16
SECOND_MAX = 0xFFFF


class NetClasses(msgspec.Struct, frozen=True):
    """The classes that an agent gives: one first half, and the range of the second."""

    primary: int
    first: int = 1
    last: int = SECOND_MAX


def choose_class(classes: NetClasses, held: Container[int]) -> int | None:
    """Return a class that nobody has, None where all are taken."""
    above = classes.primary << HALF
    return next((above | one for one in range(classes.first, classes.last + 1) if above | one not in held), None)


def cgroup_info_of(classid: int) -> mesos.CgroupInfo | None:
    """Return what a container's status says of its class, None where it has none."""
    return mesos.CgroupInfo(net_cls=mesos.CgroupInfo_NetCls(classid=classid)) if classid else None
