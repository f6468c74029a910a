"""What the machine and the containers on it use, in Mesos' shapes."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from merismos.adapters.linux.usage import read_usage
from merismos.core.agent.state import Agent, Phase, Task
from merismos.core.agent.views.records import executor_name, resources_of
from merismos.protocol.v1 import mesos
from merismos.shell.metrics_system import system_metrics

_MB = 1 << 20


class ContainerRow(NamedTuple):
    """One running container."""

    task: Task
    executor_name: str
    status: mesos.ContainerStatus
    statistics: mesos.ResourceStatistics


def container_rows(agent: Agent, container_id: str | None = None) -> list[ContainerRow]:
    """Return the running containers, or the one that is asked for."""
    running = [task for task in agent.containers.values() if task.phase is Phase.RUNNING]
    if container_id is not None:
        running = [task for task in running if task.container_id == container_id]
    usage = read_usage({task.pid for task in running})
    now = time.time()
    rows = []
    for task in running:
        used = usage.get(task.pid)
        amounts = resources_of(task.info.resources).quantities()
        mem_bytes = amounts.get("mem", 0) * _MB // 1000
        statistics = mesos.ResourceStatistics(
            timestamp=now,
            processes=used.processes if used else None,
            cpus_user_time_secs=used.user_s if used else None,
            cpus_system_time_secs=used.system_s if used else None,
            cpus_soft_limit=amounts.get("cpus", 0) / 1000,
            mem_limit_bytes=mem_bytes,
            mem_soft_limit_bytes=mem_bytes,
            mem_rss_bytes=used.rss_bytes if used else None,
        )
        status = mesos.ContainerStatus(
            container_id=mesos.ContainerID(value=task.container_id),
            executor_pid=task.pid,
        )
        rows.append(ContainerRow(task, executor_name(task), status, statistics))
    return rows


def containers_v0(agent: Agent, container_id: str | None = None) -> list[dict[str, Any]]:
    """Return /containers."""
    return [
        {"container_id": row.task.container_id, **monitor_v0(row), "status": row.status}
        for row in container_rows(agent, container_id)
    ]


def monitor_v0(row: ContainerRow) -> dict[str, Any]:
    """Return one entry of /monitor/statistics."""
    return {
        "executor_id": row.task.executor_id,
        "executor_name": row.executor_name,
        "framework_id": row.task.framework_id,
        "source": row.task.task_id,
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
