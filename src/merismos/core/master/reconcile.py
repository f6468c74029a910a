"""Reconciliation: what a master answers to "what became of my tasks?".

| the task                         | its agent              | answer                                       |
|----------------------------------|------------------------|----------------------------------------------|
| known                            | any                    | its latest state, as far as updates were sent |
| unknown                          | registered             | TASK_GONE                                    |
| unknown                          | unreachable            | TASK_UNREACHABLE, with the time              |
| unknown                          | silent, its removal held back by the rate limit | TASK_UNREACHABLE    |
| unknown                          | marked gone            | TASK_GONE_BY_OPERATOR                        |
| unknown                          | unknown, or not named  | TASK_UNKNOWN                                 |
| unknown                          | not back after a failover, or not named while some are not | none, until they are |

Rules: frameworks without PARTITION_AWARE read TASK_LOST for all but the first. An empty list asks for every task that is known.
Source: Mesos' reconciliation document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.master import counters
from merismos.core.master.effects import Respond, SendUpdate
from merismos.core.master.statuses import latest_status, state_for, status_of

if TYPE_CHECKING:
    from merismos.core.master.state import Framework, Master, Task
    from merismos.protocol.thin import ThinCall

_REASON = "REASON_RECONCILIATION"


def on_reconcile(master: Master, framework: Framework, call: ThinCall, request: int, now: float) -> None:
    """Answer for each task asked about, or for all."""
    assert call.reconcile is not None
    counters.count(master, "master/messages_reconcile_tasks")
    master.effects.append(Respond(request, 202))
    if not call.reconcile.tasks:
        for task in framework.tasks.values():
            _send_latest(master, task, now)
        return
    for asked in call.reconcile.tasks:
        agent_id = None if asked.agent_id is None else asked.agent_id.value
        task_id = asked.task_id.value
        task_known = framework.tasks.get(task_id)
        if task_known is not None:
            _send_latest(master, task_known, now)
        else:
            answer(master, framework, task_id, agent_id, now)


def answer(master: Master, framework: Framework, task_id: str, agent_id: str | None, now: float) -> None:
    """Say what is known about a task of which no record is left."""
    found = _verdict(master, agent_id)
    if found is None or framework.stream is None:
        return
    state, message = found
    unreachable_at = master.unreachable_agents.get(agent_id) if state == "TASK_UNREACHABLE" and agent_id else None
    status = status_of(
        master,
        now,
        task_id,
        state_for(framework, state),
        _REASON,
        f"Reconciliation: {message}",
        agent_id=agent_id,
        unreachable_at=unreachable_at,
    )
    counters.count_event(framework, "UPDATE")
    master.effects.append(SendUpdate(framework.stream, status))


def _verdict(master: Master, agent_id: str | None) -> tuple[str, str] | None:
    if agent_id is None:
        # Any agent that is not back yet may have it.
        return None if master.recovered_agents else ("TASK_UNKNOWN", "Task is unknown")
    if agent_id in master.recovered_agents or agent_id in master.admitting:
        return None
    if agent_id in master.removals_waiting:
        return "TASK_UNREACHABLE", "Task is unreachable"
    if agent_id in master.agents:
        return "TASK_GONE", "Task is unknown to the agent"
    if agent_id in master.unreachable_agents:
        return "TASK_UNREACHABLE", "Task is unreachable"
    if agent_id in master.gone_agents:
        return "TASK_GONE_BY_OPERATOR", "Task is gone"
    return "TASK_UNKNOWN", "Task is unknown"


def _send_latest(master: Master, task: Task, now: float) -> None:
    framework = task.framework
    if framework.stream is None:
        return
    status = status_of(
        master,
        now,
        task.id,
        task.update_state or task.state,
        _REASON,
        "Reconciliation: Latest task state",
        agent_id=task.agent.id,
        latest=latest_status(task),
    )
    counters.count_event(framework, "UPDATE")
    master.effects.append(SendUpdate(framework.stream, status))
