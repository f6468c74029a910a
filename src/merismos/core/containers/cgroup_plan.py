"""What is written into a container's cgroup: from what a task asks for to lines in files, for both versions.

Rules: what is requested is a task's share under contention, its limit is where it ends; without a limit memory ends at the
request, and CPU time only with --cgroups_enable_cfs. An infinite limit is none. A task whose memory may grow past its request is
the earlier victim when the machine runs out of memory, the smaller its request the earlier. Nobody gets less than 32 MB, 2 shares
or 1 ms of CPU time in 100.
Shapes: a controller has its name of version 1 in both versions, since that is where its directory is.
Source: Mesos, docs/isolators/cgroups-*.md and docs/task-resource-limits; the kernel's admin-guide for cgroups.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from merismos.core.containers.device_plan import BASE, CONTROLLER, plan_access, plan_change
from merismos.core.containers.net_class_plan import NetClasses
from merismos.protocol.v1 import mesos

SHARES_PER_CPU = 1024
SHARES_PER_REVOCABLE_CPU = 10
SHARES_MIN, SHARES_MAX = 2, 262_144
WEIGHT_PER_CPU = 100
WEIGHT_MIN, WEIGHT_MAX = 1, 10_000
PERIOD_US = 100_000
QUOTA_US_MIN = 1_000
MEM_MB_MIN = 32
OOM_SCORE_MAX = 1000
_MB = 1 << 20
_THROTTLES = {
    "rbps": "blkio.throttle.read_bps_device",
    "wbps": "blkio.throttle.write_bps_device",
    "riops": "blkio.throttle.read_iops_device",
    "wiops": "blkio.throttle.write_iops_device",
}


class Throttle(NamedTuple):
    """How much a container may read or write of a block device.

    Shapes: `device` is major:minor; `kind` is rbps, wbps, riops or wiops; `rate` is bytes or operations a second.
    """

    device: str
    kind: str
    rate: int


class CgroupSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent's cgroups can and shall do.

    Shapes: `version` is 1 or 2; `isolators` are those of `cgroups/` that are active; `pids_max` is 0 for no limit; `cpuset_cpus` is
    empty for all; `devices` are entries such as `c 1:3 rwm`; `mem_total_mb` is the machine's.
    """

    version: int
    isolators: tuple[str, ...]
    enable_cfs: bool = False
    limit_swap: bool = False
    revocable_cpu_low_priority: bool = True
    pids_max: int = 0
    cpuset_cpus: str = ""
    throttles: tuple[Throttle, ...] = ()
    devices: tuple[str, ...] = BASE
    net_classes: NetClasses | None = None
    mem_total_mb: int = 0


class CgroupWrite(NamedTuple):
    """One line for one file; `grows`: it is written only where it is more than what is there."""

    controller: str
    file: str
    value: str
    grows: bool = False


class CgroupPlan(msgspec.Struct, gc=False):
    """The cgroup that a process begins in.

    Shapes: `joins`: it is another container's, and is there already; `oom_score` is 0 to 1000.
    """

    container_id: str
    writes: list[CgroupWrite] = []
    oom_score: int = 0
    joins: bool = False


class Demand(NamedTuple):
    """What a container asks for; `cpus_limit` and `mem_mb_limit` are None where there is none, and may be infinite."""

    cpus: float
    mem_mb: float
    cpus_limit: float | None
    mem_mb_limit: float | None
    revocable: bool


def demand_of(resources: Iterable[mesos.Resource], limits: Mapping[str, mesos.Value_Scalar]) -> Demand:
    """Add up the CPUs and memory of one task or executor."""
    amounts = {"cpus": 0, "mem": 0}
    revocable = False
    for resource in resources:
        if resource.name in amounts and resource.scalar is not None:
            amounts[resource.name] += round(resource.scalar.value * 1000)
            revocable = revocable or (resource.name == "cpus" and resource.revocable is not None)
    cpus, mem = limits.get("cpus"), limits.get("mem")
    return Demand(
        amounts["cpus"] / 1000,
        amounts["mem"] / 1000,
        None if cpus is None else cpus.value,
        None if mem is None else mem.value,
        revocable,
    )


def add_demands(demands: Iterable[Demand]) -> Demand:
    """Return what several need together; where one of them has a limit the others count with what they request."""
    every = list(demands)
    limited = [one for one in every if one.cpus_limit is not None]
    grown = [one for one in every if one.mem_mb_limit is not None]
    return Demand(
        sum(one.cpus for one in every),
        sum(one.mem_mb for one in every),
        sum(one.cpus if one.cpus_limit is None else one.cpus_limit for one in every) if limited else None,
        sum(one.mem_mb if one.mem_mb_limit is None else one.mem_mb_limit for one in every) if grown else None,
        any(one.revocable for one in every),
    )


def plan_cgroup(
    settings: CgroupSettings, container_id: str, demand: Demand, devices: Sequence[str] = (), classid: int = 0
) -> CgroupPlan:
    """Return the cgroup of a container that is launched; `devices` are entries of its own, `classid` its class of network traffic."""
    writes = _writes(settings, demand, devices)
    if classid:
        writes.append(CgroupWrite("net_cls", "net_cls.classid", str(classid)))
    return CgroupPlan(container_id, writes, oom_score(settings, demand))


def plan_update(
    settings: CgroupSettings, demand: Demand, devices: Sequence[str] = (), withheld: Sequence[str] = ()
) -> list[CgroupWrite]:
    """Return what changes when a running container's demand does: its memory never shrinks under what it has already.

    `devices` are the entries that it has of its own now, `withheld` those that it may have had.
    """
    writes = [*_cpu(settings, demand, grows=True), *reversed(_memory(settings, demand, grows=True))]
    if (devices or withheld) and "devices" in settings.isolators:
        lines = plan_change(settings.version, settings.devices, devices, withheld)
        writes += [CgroupWrite(CONTROLLER, file, value) for file, value in lines]
    return writes


def oom_score(settings: CgroupSettings, demand: Demand) -> int:
    """Return how early the kernel ends a container for want of memory: 0 for one that may not grow past its request."""
    limit = demand.mem_mb_limit
    if "mem" not in settings.isolators or limit is None or limit <= demand.mem_mb or settings.mem_total_mb <= 0:
        return 0
    part = min(demand.mem_mb / settings.mem_total_mb, 1.0)
    return min(max(math.floor(OOM_SCORE_MAX * (1.0 - part)), 1), OOM_SCORE_MAX - 1)


def cpu_shares(demand: Demand, *, revocable_low_priority: bool) -> int:
    """Return cpu.shares."""
    low = demand.revocable and revocable_low_priority
    shares = math.floor(demand.cpus * (SHARES_PER_REVOCABLE_CPU if low else SHARES_PER_CPU))
    return min(max(shares, SHARES_MIN), SHARES_MAX)


def cpu_weight(demand: Demand, *, revocable_low_priority: bool) -> int:
    """Return cpu.weight."""
    if demand.revocable and revocable_low_priority:
        return WEIGHT_MIN
    return min(max(math.floor(demand.cpus * WEIGHT_PER_CPU), WEIGHT_MIN), WEIGHT_MAX)


def cpu_quota_us(settings: CgroupSettings, demand: Demand) -> int | None:
    """Return the CPU time of each 100 ms; None for any."""
    limit = demand.cpus_limit
    if limit is None:
        limit = demand.cpus if settings.enable_cfs else math.inf
    return None if math.isinf(limit) else max(math.floor(limit * PERIOD_US), QUOTA_US_MIN)


def memory_bytes(demand: Demand) -> tuple[int, int | None]:
    """Return what memory is kept for a container and what it may have at most; None for any."""
    soft = math.floor(max(demand.mem_mb, MEM_MB_MIN) * _MB)
    limit = demand.mem_mb if demand.mem_mb_limit is None else demand.mem_mb_limit
    return soft, None if math.isinf(limit) else max(math.floor(max(limit, MEM_MB_MIN) * _MB), soft)


def _writes(settings: CgroupSettings, demand: Demand, devices: Sequence[str]) -> list[CgroupWrite]:
    writes = [*_cpu(settings, demand, grows=False), *_memory(settings, demand, grows=False)]
    if "pids" in settings.isolators and settings.pids_max:
        writes.append(CgroupWrite("pids", "pids.max", str(settings.pids_max)))
    if "cpuset" in settings.isolators and settings.cpuset_cpus:
        writes.append(CgroupWrite("cpuset", "cpuset.cpus", settings.cpuset_cpus))
    if "blkio" in settings.isolators:
        writes += _throttles(settings)
    if "devices" in settings.isolators:
        lines = plan_access(settings.version, [*settings.devices, *devices])
        writes += [CgroupWrite(CONTROLLER, file, value) for file, value in lines]
    return writes


def _cpu(settings: CgroupSettings, demand: Demand, *, grows: bool) -> list[CgroupWrite]:
    if "cpu" not in settings.isolators:
        return []
    low = settings.revocable_cpu_low_priority
    quota = cpu_quota_us(settings, demand)
    limited = grows or quota is not None  # a new cgroup has no limit
    if settings.version == 1:
        shares = CgroupWrite("cpu", "cpu.shares", str(cpu_shares(demand, revocable_low_priority=low)))
        period = CgroupWrite("cpu", "cpu.cfs_period_us", str(PERIOD_US))
        return [shares, period, CgroupWrite("cpu", "cpu.cfs_quota_us", str(quota or -1))] if limited else [shares]
    weight = CgroupWrite("cpu", "cpu.weight", str(cpu_weight(demand, revocable_low_priority=low)))
    return [weight, CgroupWrite("cpu", "cpu.max", f"{quota or 'max'} {PERIOD_US}")] if limited else [weight]


def _memory(settings: CgroupSettings, demand: Demand, *, grows: bool) -> list[CgroupWrite]:
    """Return the limits in the order in which they shrink: memory before memory with swap."""
    if "mem" not in settings.isolators:
        return []
    soft, hard = memory_bytes(demand)
    if settings.version == 1:
        most = str(-1 if hard is None else hard)
        writes = [
            CgroupWrite("memory", "memory.soft_limit_in_bytes", str(soft)),
            CgroupWrite("memory", "memory.limit_in_bytes", most, grows),
        ]
        return (
            [*writes, CgroupWrite("memory", "memory.memsw.limit_in_bytes", most, grows)]
            if settings.limit_swap
            else writes
        )
    writes = [
        CgroupWrite("memory", "memory.low", str(soft)),
        CgroupWrite("memory", "memory.max", str("max" if hard is None else hard), grows),
    ]
    return [*writes, CgroupWrite("memory", "memory.swap.max", "0")] if settings.limit_swap else writes


def _throttles(settings: CgroupSettings) -> list[CgroupWrite]:
    if settings.version == 1:
        return [CgroupWrite("blkio", _THROTTLES[one.kind], f"{one.device} {one.rate}") for one in settings.throttles]
    return [CgroupWrite("blkio", "io.max", f"{one.device} {one.kind}={one.rate}") for one in settings.throttles]
