"""What the machine and the containers on it use, in Mesos' shapes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from merismos.adapters.linux.cgroups import CgroupUsage
from merismos.adapters.linux.netns import Traffic
from merismos.adapters.linux.usage import Usage, read_usage
from merismos.core.agent.executors_state import Executor
from merismos.core.agent.state import Agent, Phase, Task
from merismos.core.agent.views.records import executor_name, executor_resources, resources_of
from merismos.core.containers.net_class_plan import cgroup_info_of
from merismos.model.resources import Resources
from merismos.protocol.v1 import mesos
from merismos.shell.metrics_system import system_metrics

_MB = 1 << 20


class Meters(NamedTuple):
    """What tells of a container by its id: of its cgroup, and of its network; None where nothing does."""

    cgroup: Callable[[str], CgroupUsage] | None = None
    traffic: Callable[[str], Traffic | None] | None = None


NO_METERS = Meters()


class ContainerRow(NamedTuple):
    """One running container; `parent` is the id of the one that it is nested in, empty for none."""

    framework_id: str
    executor_id: str
    executor_name: str
    source: str
    container_id: str
    parent: str
    status: mesos.ContainerStatus
    statistics: mesos.ResourceStatistics


def container_rows(
    agent: Agent, meters: Meters = NO_METERS, container_id: str | None = None, *, nested: bool = False
) -> list[ContainerRow]:
    """Return the running containers, or the one that is asked for; those within others only with `nested`."""
    tasks = [task for task in agent.containers.values() if task.phase is Phase.RUNNING]
    running: list[Task | Executor] = [task for task in tasks if nested or task.executor is None]
    running += [executor for executor in agent.executors.values() if executor.pid or executor.is_builtin]
    if container_id is not None:
        running = [one for one in running if one.container_id == container_id]
    usage = read_usage({one.pid for one in tasks} | {one.pid for one in running if one.pid})
    now = time.time()
    rows = []
    for one in running:
        if isinstance(one, Task):
            name, source, resources = executor_name(one), one.task_id, resources_of(one.info.resources)
            pids = [one.pid]
        else:
            name, source, resources = one.info.name or "", one.info.source or "", executor_resources(one)
            pids = [task.pid for task in one.live_tasks()] if one.is_builtin else [one.pid]
        parent, _, own = one.container_id.rpartition(".")
        status = mesos.ContainerStatus(
            container_id=mesos.ContainerID(value=own, parent=mesos.ContainerID(value=parent) if parent else None),
            network_infos=list(_networks_of(one)),
            cgroup_info=cgroup_info_of(one.classid),
            executor_pid=one.pid or None,
        )
        statistics = _statistics([usage[pid] for pid in pids if pid in usage], resources, now)
        if meters.cgroup is not None and _has_cgroup(one):
            complete(statistics, one, meters.cgroup(one.container_id))
        if meters.traffic is not None and not parent and status.network_infos:
            count(statistics, meters.traffic(one.container_id))
        rows.append(ContainerRow(one.framework_id, one.executor_id, name, source, own, parent, status, statistics))
    return rows


def _has_cgroup(one: Task | Executor) -> bool:
    """Say whether what a cgroup counts is one container's: tasks that share their executor's are told apart by their processes."""
    if isinstance(one, Executor) and one.is_builtin:
        return one.shares_cgroup()
    return isinstance(one, Executor) or not one.shares_cgroup()


def _networks_of(one: Task | Executor) -> Sequence[mesos.NetworkInfo]:
    """Return the networks that a container joined; those of a default executor are those of its tasks."""
    if isinstance(one, Executor) and one.is_builtin:
        return next((task.networks for task in one.live_tasks()), ())
    return one.networks


def _statistics(used: list[Usage], resources: Resources, now: float) -> mesos.ResourceStatistics:
    amounts = resources.quantities()
    mem_bytes = amounts.get("mem", 0) * _MB // 1000
    return mesos.ResourceStatistics(
        timestamp=now,
        processes=sum(one.processes for one in used) if used else None,
        cpus_user_time_secs=sum(one.user_s for one in used) if used else None,
        cpus_system_time_secs=sum(one.system_s for one in used) if used else None,
        cpus_soft_limit=amounts.get("cpus", 0) / 1000,
        mem_limit_bytes=mem_bytes,
        mem_soft_limit_bytes=mem_bytes,
        mem_rss_bytes=sum(one.rss_bytes for one in used) if used else None,
    )


def complete(statistics: mesos.ResourceStatistics, task: Task | Executor, usage: CgroupUsage) -> None:
    """Put what a cgroup counts in the place of what /proc tells, and say what a command task may have at most."""
    limits = task.info.limits if isinstance(task, Task) else {}
    if "mem" in limits and math.isfinite(limits["mem"].value):
        statistics.mem_limit_bytes = round(limits["mem"].value * _MB)
    if "cpus" in limits and math.isfinite(limits["cpus"].value):
        statistics.cpus_limit = limits["cpus"].value
    if usage.user_s is not None:
        statistics.cpus_user_time_secs = usage.user_s
        statistics.cpus_system_time_secs = usage.system_s
        statistics.cpus_nr_periods = usage.periods
        statistics.cpus_nr_throttled = usage.throttled
        statistics.cpus_throttled_time_secs = usage.throttled_s
    if usage.memory is not None:
        memory = usage.memory
        statistics.mem_total_bytes = usage.mem_bytes
        statistics.mem_total_memsw_bytes = usage.memsw_bytes
        statistics.mem_rss_bytes = statistics.mem_anon_bytes = memory.get("anon")
        statistics.mem_cache_bytes = statistics.mem_file_bytes = memory.get("file")
        statistics.mem_mapped_file_bytes = memory.get("file_mapped")
        statistics.mem_swap_bytes = memory.get("swap")
        statistics.mem_unevictable_bytes = memory.get("unevictable")
    statistics.processes = usage.processes
    statistics.threads = usage.threads


def count(statistics: mesos.ResourceStatistics, traffic: Traffic | None) -> None:
    """Say what went through a container's network."""
    for name, value in () if traffic is None else traffic._asdict().items():
        setattr(statistics, f"net_{name}", value)


def containers_v0(agent: Agent, meters: Meters = NO_METERS, container_id: str | None = None) -> list[dict[str, Any]]:
    """Return /containers."""
    return [
        {"container_id": row.container_id, **monitor_v0(row), "status": row.status}
        for row in container_rows(agent, meters, container_id)
    ]


def monitor_v0(row: ContainerRow) -> dict[str, Any]:
    """Return one entry of /monitor/statistics."""
    return {
        "executor_id": row.executor_id,
        "executor_name": row.executor_name,
        "framework_id": row.framework_id,
        "source": row.source,
        "statistics": row.statistics,
    }


def machine_stats_v0() -> dict[str, float]:
    """Return /system/stats.json."""
    metrics = system_metrics()
    return {
        "avg_load_15min": metrics.get("system/load_15min", 0.0),
        "avg_load_1min": metrics.get("system/load_1min", 0.0),
        "avg_load_5min": metrics.get("system/load_5min", 0.0),
        "cpus_total": int(metrics["system/cpus_total"]),
        "mem_free_bytes": int(metrics.get("system/mem_free_bytes", 0)),
        "mem_total_bytes": int(metrics.get("system/mem_total_bytes", 0)),
    }
