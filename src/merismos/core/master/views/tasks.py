"""A task in the v1 operator form and in the v0 form.

Rules: the master checks only what it needs of a TaskInfo, so what else a client wrote may not decode; then the task is shown by
what is known of it. One client's nonsense never spoils an answer about the whole cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from merismos.core.master.statuses import decode_status, whole_statuses
from merismos.model.resource_protocol import to_protocol
from merismos.model.resource_v0 import to_v0
from merismos.protocol import json, thin
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.master.state import Task
    from merismos.core.master.views.rendering import Renderings


def info_of(task: Task) -> mesos.TaskInfo:
    """Return a task's TaskInfo; one that doesn't decode is cut down to what the master has checked."""
    try:
        return json.decode(mesos.TaskInfo, task.info)
    except DecodeError:
        view = thin.decode_task(task.info)
        return mesos.TaskInfo(name=view.name, task_id=view.task_id, agent_id=view.agent_id)


def statuses_of(task: Task) -> list[mesos.TaskStatus]:
    """Return a task's statuses, those left out that an agent wrote in no form we know."""
    return [decoded for status in whole_statuses(task) if (decoded := decode_status(status)) is not None]


def task_v1(task: Task) -> mesos.Task:
    """Return the Task message of GET_TASKS, GET_STATE and TASK_ADDED."""
    info = info_of(task)
    statuses = statuses_of(task)
    acknowledged = [status for status in statuses if status.uuid is not None]
    latest = acknowledged[-1] if acknowledged else None
    return mesos.Task(
        name=info.name,
        task_id=mesos.TaskID(value=task.id),
        framework_id=mesos.FrameworkID(value=task.framework.id),
        executor_id=mesos.ExecutorID(value=task.executor_id) if task.executor_id else None,
        agent_id=mesos.AgentID(value=task.agent.id),
        state=mesos.TaskState(task.state),
        resources=to_protocol(task.resources, allocation_role=task.role),
        statuses=statuses,
        status_update_state=latest.state if latest else None,
        status_update_uuid=latest.uuid if latest else None,
        labels=info.labels,
        discovery=info.discovery,
        container=info.container,
        health_check=info.health_check,
        kill_policy=info.kill_policy,
        user=info.command.user if info.command is not None else None,
    )


def task_v0(task: Task) -> dict[str, Any]:
    """Return the task object of /state, /frameworks and /tasks."""
    info = info_of(task)
    fields: dict[str, Any] = {
        "id": task.id,
        "name": info.name,
        "framework_id": task.framework.id,
        "executor_id": task.executor_id,
        "slave_id": task.agent.id,
        "state": task.state,
        "resources": to_v0(task.resources),
        "role": task.role,
        "statuses": [_status_v0(status) for status in statuses_of(task)],
    }
    if info.command is not None and info.command.user:
        fields["user"] = info.command.user
    if info.labels is not None and info.labels.labels:
        fields["labels"] = info.labels.labels
    if info.discovery is not None:
        fields["discovery"] = info.discovery
    if info.container is not None:
        fields["container"] = info.container
    if info.health_check is not None:
        fields["health_check"] = info.health_check
    return fields


def _status_v0(status: mesos.TaskStatus) -> dict[str, Any]:
    fields: dict[str, Any] = {"state": status.state, "timestamp": status.timestamp or 0.0}
    if status.labels is not None and status.labels.labels:
        fields["labels"] = status.labels.labels
    if status.container_status is not None:
        fields["container_status"] = msgspec.structs.replace(status.container_status, executor_pid=None)
    if status.healthy is not None:
        fields["healthy"] = status.healthy
    if status.check_status is not None:
        fields["check_status"] = status.check_status
    return fields


def _version(task: Task) -> tuple[str, int, bytes]:
    return task.state, len(task.statuses), task.statuses[-1] if task.statuses else b""


def task_v1_json(renderings: Renderings, task: Task) -> bytes:
    """Return `task_v1` as kept JSON."""
    return renderings.get((task, 1), _version(task), lambda: task_v1(task))


def task_v0_json(renderings: Renderings, task: Task) -> bytes:
    """Return `task_v0` as kept JSON."""
    return renderings.get((task, 0), _version(task), lambda: task_v0(task))
