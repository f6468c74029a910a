"""The TaskStatuses that a master makes itself: no uuid, source SOURCE_MASTER, no acknowledgement wanted.

Rules: a framework without PARTITION_AWARE never sees the states that came with it; it gets TASK_LOST instead.
What an agent made passes as the agent's own JSON and is decoded here only to copy what a reconciliation repeats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.protocol.thin import without_data
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.master.state import Framework, Master, Task

STATES = {str(state): str(state) for state in mesos.TaskState}
_PARTITION_STATES = frozenset(
    {"TASK_DROPPED", "TASK_UNREACHABLE", "TASK_GONE", "TASK_GONE_BY_OPERATOR", "TASK_UNKNOWN"}
)
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(mesos.TaskStatus, strict=False)


def state_for(framework: Framework, state: str) -> str:
    """Return `state` as `framework` understands it."""
    if framework.partition_aware or state not in _PARTITION_STATES:
        return state
    return "TASK_LOST"


def nanoseconds(seconds: float) -> int:
    """Return wall time as the wire's TimeInfo carries it; a double knows no more than microseconds of it."""
    return round(seconds * 1_000_000) * 1000


def status_of(
    master: Master,
    now: float,
    task_id: str,
    state: str,
    reason: str,
    message: str,
    *,
    agent_id: str | None = None,
    latest: bytes | None = None,
    unreachable_at: float | None = None,
) -> bytes:
    """Return the JSON of a status made by the master; `latest` lends it what a container status says.

    Units: `unreachable_at` in seconds of wall time.
    """
    status = mesos.TaskStatus(
        task_id=mesos.TaskID(value=task_id),
        state=mesos.TaskState(state),
        message=message,
        source=mesos.TaskStatus_Source.SOURCE_MASTER,
        reason=mesos.TaskStatus_Reason(reason),
        agent_id=None if agent_id is None else mesos.AgentID(value=agent_id),
        timestamp=now + master.wall_offset_s,
    )
    if unreachable_at is not None:
        status.unreachable_time = mesos.TimeInfo(nanoseconds=nanoseconds(unreachable_at))
    if latest is not None:
        before = decode_status(latest)
        if before is not None:
            status.healthy = before.healthy
            status.check_status = before.check_status
            status.container_status = before.container_status
    return _ENCODER.encode(status)


def decode_status(status: bytes) -> mesos.TaskStatus | None:
    """Return the status that an agent wrote, None when it is not one."""
    try:
        return _DECODER.decode(status)
    except msgspec.DecodeError:
        return None


class _Cause(msgspec.Struct, gc=False):
    """Where a status comes from and why."""

    source: mesos.TaskStatus_Source | None = None
    reason: mesos.TaskStatus_Reason | None = None


_CAUSE_DECODER = msgspec.json.Decoder(_Cause)


def cause_of(status: bytes) -> tuple[str, str]:
    """Return the source and the reason that an agent's status names, empty where it names none."""
    try:
        cause = _CAUSE_DECODER.decode(status)
    except msgspec.DecodeError:
        return "", ""
    return cause.source or "", cause.reason or ""


def keep_status(task: Task, state: str, status: bytes) -> None:
    """Remember `status`: one a state, the last entry replaced when the state repeats; without data, as in Mesos."""
    statuses, kept = task.statuses, _shortened(task, without_data(status))
    task.statuses = (*statuses[:-1], kept) if task.update_state == state else (*statuses, kept)
    task.update_state = state


def whole_statuses(task: Task) -> list[bytes]:
    """Return the statuses that a task has had, the oldest first, as JSON."""
    return [_whole(task, kept) for kept in task.statuses]


def latest_status(task: Task) -> bytes | None:
    """Return the latest status of a task as JSON, None where it has had none."""
    return _whole(task, task.statuses[-1]) if task.statuses else None


def _ids(task: Task) -> tuple[bytes, bytes]:
    task_id = task.id.encode()
    executor_id = task.executor_id.encode() or task_id
    return (
        b'{"task_id":{"value":"%s"},' % task_id,
        b'"agent_id":{"value":"%s"},"executor_id":{"value":"%s"},' % (task.agent.id.encode(), executor_id),
    )


def _shortened(task: Task, status: bytes) -> bytes:
    """Return a status without the ids that its task has anyway, where it has them as our agents write them (130 bytes a task)."""
    head, ids = _ids(task)
    if not status.startswith(head):
        return status
    before, found, after = status[len(head) :].partition(ids)
    return before + after if found else status


def _whole(task: Task, kept: bytes) -> bytes:
    return kept if kept.startswith(b"{") else b"".join((*_ids(task), kept))
