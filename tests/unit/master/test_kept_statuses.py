"""Statuses are kept short and read whole: nothing of what an agent wrote is lost, in whatever form it wrote it."""

from __future__ import annotations

import json

import pytest

from merismos.core.master.state import Task
from merismos.core.master.statuses import keep_status, latest_status, whole_statuses
from unit.master.rig import Rig


def launched(task_id: str) -> Task:
    rig = Rig()
    rig.agent()
    framework = rig.subscribe()
    framework.launch(task_id)
    return framework.record.tasks[task_id]


def ours(task: Task, **more: object) -> dict[str, object]:
    return {
        "task_id": {"value": task.id},
        "state": "TASK_RUNNING",
        "source": "SOURCE_EXECUTOR",
        "agent_id": {"value": task.agent.id},
        "executor_id": {"value": task.id},
        "timestamp": 1.5,
    } | more


def as_an_agent_writes(status: dict[str, object]) -> bytes:
    return json.dumps(status, separators=(",", ":")).encode()


@pytest.mark.parametrize("task_id", ["t-1", 'quoted"id', "ünïcode", "spa ce"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"message": 'x","agent_id":{"value":"no"},'},
        {"executor_id": {"value": "another"}},
        {"agent_id": {"value": "S-other"}},
        {"container_status": {"container_id": {"value": "c"}}, "healthy": False},
    ],
)
def test_a_status_reads_as_it_was_written(task_id: str, more: dict[str, object]) -> None:
    task = launched(task_id)
    status = ours(task, **more)
    keep_status(task, "TASK_RUNNING", as_an_agent_writes(status))
    latest = latest_status(task)
    assert latest is not None
    assert json.loads(latest) == status


def test_the_ids_of_a_command_task_are_kept_once() -> None:
    task = launched("t-1")
    status = as_an_agent_writes(ours(task))
    keep_status(task, "TASK_RUNNING", status)
    assert len(task.statuses[0]) < len(status) - 80
    assert task.agent.id.encode() not in task.statuses[0]


def test_another_order_of_fields_is_kept_as_it_is() -> None:
    task = launched("t-1")
    status = as_an_agent_writes(dict(reversed(ours(task).items())))
    keep_status(task, "TASK_RUNNING", status)
    assert whole_statuses(task) == [status]
