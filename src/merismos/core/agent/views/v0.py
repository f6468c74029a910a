"""The agent's /state: key order and number forms are those of a recorded agent."""

from __future__ import annotations

from typing import Any

import msgspec

from merismos.core.agent.executors_state import Executor
from merismos.core.agent.state import Agent, Framework, Task
from merismos.core.agent.views.records import (
    executor_name,
    executor_resources,
    is_terminal,
    resources_of,
    used_resources,
)
from merismos.core.master.views.values import BUILD_DATE, BUILD_TIME_S, WIRE_VERSION
from merismos.model.attributes import attributes_to_v0
from merismos.model.resource_protocol import to_protocol
from merismos.model.resource_v0 import reserved_to_v0, to_v0
from merismos.model.resources import Resources
from merismos.protocol import json
from merismos.protocol.v1 import mesos


def version() -> dict[str, Any]:
    """Return /version."""
    return {
        "version": WIRE_VERSION,
        "build_date": BUILD_DATE,
        "build_time": BUILD_TIME_S,
        "build_user": "merismos",
    }


def state(agent: Agent, flags: dict[str, str]) -> dict[str, Any]:
    """Return /state."""
    settings = agent.settings
    registration = agent.registration
    total = resources_of(settings.info.resources)
    used = used_resources(agent)
    master = (registration.address or "").rpartition(":")[0]
    return {
        **version(),
        "start_time": agent.started_at + agent.wall_offset_s,
        "id": registration.agent_id,
        "pid": settings.pid,
        "hostname": settings.info.hostname,
        "capabilities": settings.capabilities,
        "resources": to_v0(total),
        "reserved_resources": reserved_to_v0(total),
        "unreserved_resources": to_v0(total.unreserved()),
        "reserved_resources_full": {
            role: to_protocol(reserved, endpoint=True) for role, reserved in total.reserved_by_role().items()
        },
        "unreserved_resources_full": to_protocol(total.unreserved(), endpoint=True),
        "reserved_resources_allocated": reserved_to_v0(used),
        "unreserved_resources_allocated": to_v0(used.unreserved()),
        "resource_providers": [],
        "attributes": attributes_to_v0(settings.info.attributes),
        **({"master_hostname": master} if master else {}),
        "flags": flags,
        "frameworks": [framework_v0(agent, framework) for framework in agent.frameworks.values()],
        "completed_frameworks": [framework_v0(agent, framework) for framework in agent.completed_frameworks],
    }


def framework_v0(agent: Agent, framework: Framework) -> dict[str, Any]:
    """Return one framework of /state."""
    info = framework.info
    return {
        "id": framework.framework_id,
        "name": info.name,
        "user": info.user,
        "failover_timeout": info.failover_timeout,
        "checkpoint": info.checkpoint,
        "hostname": info.hostname or "",
        **({"principal": info.principal} if info.principal else {}),
        **(
            {"roles": info.roles}
            if info.roles or "MULTI_ROLE" in framework.capabilities
            else {"role": info.role or "*"}
        ),
        "executors": [
            *(custom_executor_v0(agent, executor) for executor in framework.executors.values()),
            *(executor_v0(agent, task, completed=False) for task in framework.tasks.values() if task.executor is None),
        ],
        "completed_executors": [
            *(executor_v0(agent, task, completed=True) for task in framework.completed),
            *(custom_executor_v0(agent, executor) for executor in framework.completed_executors),
        ],
    }


def custom_executor_v0(agent: Agent, executor: Executor) -> dict[str, Any]:
    """Return a custom executor with its tasks."""
    info = executor.info
    active = list(executor.tasks.values())
    return {
        "id": executor.executor_id,
        "name": info.name or "",
        "source": info.source or "",
        "container": executor.container_id,
        "directory": executor.directory,
        "resources": to_v0(executor_resources(executor) if executor.ended_at == 0.0 else Resources()),
        "role": executor.role,
        **_labels(info.labels),
        **({"type": info.type} if info.type is not None else {}),
        "tasks": [task_v0(agent, task) for task in active if task.statuses or task.delivered],
        "queued_tasks": [task_v0(agent, task) for task in active if not (task.statuses or task.delivered)],
        "completed_tasks": [task_v0(agent, task) for task in executor.completed],
    }


def executor_v0(agent: Agent, task: Task, *, completed: bool) -> dict[str, Any]:
    """Return the executor of a command task."""
    entry = task_v0(agent, task)
    queued = not completed and not task.statuses and not is_terminal(task)
    return {
        "id": task.executor_id,
        "name": executor_name(task),
        "source": task.task_id,
        "container": task.container_id,
        "directory": task.directory,
        "resources": to_v0(resources_of(task.info.resources)) if not completed else to_v0(Resources()),
        "role": task.role,
        **labels_v0(task),
        "tasks": [] if completed or queued else [entry],
        "queued_tasks": [entry] if queued else [],
        "completed_tasks": [entry] if completed else [],
    }


def task_v0(agent: Agent, task: Task) -> dict[str, Any]:
    """Return one task."""
    info = task.info
    entry: dict[str, Any] = {
        "id": task.task_id,
        "name": info.name,
        "framework_id": task.framework_id,
        "executor_id": task.executor_id if task.executor is not None else "",
        "slave_id": agent.registration.agent_id,
        "state": task.state,
        "resources": to_v0(resources_of(info.resources)),
        "role": task.role,
        "statuses": [status_v0(status) for status in task.statuses],
        **labels_v0(task),
    }
    if info.discovery is not None:
        entry["discovery"] = info.discovery
    if info.container is not None:
        entry["container"] = info.container
    if info.health_check is not None:
        entry["health_check"] = info.health_check
    return entry


def labels_v0(task: Task) -> dict[str, Any]:
    """Return the labels, where there are any."""
    return _labels(task.info.labels)


def _labels(labels: mesos.Labels | None) -> dict[str, Any]:
    return {"labels": labels.labels} if labels is not None and labels.labels else {}


def status_v0(raw: bytes) -> dict[str, Any]:
    """Return one status."""
    status = json.decode(mesos.TaskStatus, raw)
    entry: dict[str, Any] = {"state": status.state, "timestamp": status.timestamp or 0.0}
    if status.container_status is not None:
        entry["container_status"] = msgspec.structs.replace(status.container_status, executor_pid=None)
    if status.healthy is not None:
        entry["healthy"] = status.healthy
    return entry
