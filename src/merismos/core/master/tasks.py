"""Tasks: where they are recorded, how they change state, when their resources come free, when they are over.

Rules:
- States move along `MOVES` only; a terminal state is final. An update that would break that is forwarded and acknowledged like
  any other, so that the agent's queue moves on, but changes nothing here.
- The resources of a terminal task are free at once; the record stays until the framework has acknowledged the terminal update.
- The agent's status passes to the scheduler as the agent's own bytes. This path runs for every update of every task: no message
  is decoded, no text is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from merismos.core.master import counters, publish, strays
from merismos.core.master.effects import Respond, SendToAgent, SendUpdate
from merismos.core.master.statuses import STATES, cause_of, keep_status, latest_status, status_of
from merismos.model.resources import sum_of
from merismos.model.task_states import TERMINAL
from merismos.protocol import link

if TYPE_CHECKING:
    from merismos.core.master.state import Agent, Executor, Framework, Master, Task
    from merismos.model.resources import Resources
    from merismos.protocol.thin import ThinCall

_ENDS: Final = frozenset(
    {
        "TASK_FINISHED",
        "TASK_FAILED",
        "TASK_KILLED",
        "TASK_ERROR",
        "TASK_LOST",
        "TASK_DROPPED",
        "TASK_GONE",
        "TASK_GONE_BY_OPERATOR",
    }
)
# What an agent's update may change a task's state to; the master's own moves (unreachable, gone, removed) are in `agents`.
MOVES: Final = {
    "TASK_STAGING": _ENDS | {"TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"},
    "TASK_STARTING": _ENDS | {"TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"},
    "TASK_RUNNING": _ENDS | {"TASK_RUNNING", "TASK_KILLING"},
    "TASK_KILLING": _ENDS | {"TASK_KILLING"},
}
_ACKNOWLEDGED: Final = "master/messages_status_update_acknowledgement"
_ACKNOWLEDGED_WELL: Final = "master/valid_status_update_acknowledgements"
_NOWHERE: Final[frozenset[str]] = frozenset()


def add(task: Task) -> None:
    """Record a task with its framework and its agent."""
    framework = task.framework
    framework.tasks[task.id] = task
    task.agent.tasks[task] = None


def on_update_status(master: Master, agent: Agent, message: link.UpdateStatus, now: float) -> None:
    """An agent reports a task's state: pass it on, then follow it."""
    metrics = master.metrics
    metrics["master/messages_status_update"] = metrics.get("master/messages_status_update", 0) + 1
    framework = master.frameworks.get(message.framework_id)
    if framework is None:
        _refuse_update(master, agent, message)
        return
    if agent.strays and strays.on_update(master, agent, message, now):
        return
    if framework.stream is not None:
        master.effects.append(SendUpdate(framework.stream, message.status))
        framework_counters = framework.counters
        framework_counters["events/update"] = framework_counters.get("events/update", 0) + 1
    task = framework.tasks.get(message.task_id)
    state = STATES.get(message.state)
    if task is None or task.agent is not agent or state is None:
        counters.count(master, "master/invalid_status_updates")
        return
    latest = STATES.get(message.latest_state, state)
    if task.state is not latest and not _move(master, task, latest, message.status, now):
        counters.count(master, "master/invalid_status_updates")
        task.update_uuid = message.uuid
        return
    metrics["master/valid_status_updates"] = metrics.get("master/valid_status_updates", 0) + 1
    keep_status(task, state, message.status)
    task.update_uuid = message.uuid
    if master.operator_streams:
        publish.task_updated(master, task, message.status)
    if not message.uuid and state in TERMINAL:
        remove(master, task)


def _refuse_update(master: Master, agent: Agent, message: link.UpdateStatus) -> None:
    """Stop an agent that still runs tasks of a framework that is over; what is merely unknown is left alone."""
    counters.count(master, "master/invalid_status_updates")
    if agent.link is not None and message.framework_id in master.removed_frameworks:
        master.effects.append(SendToAgent(agent.link, link.ShutdownFramework(message.framework_id)))


def follow(master: Master, task: Task, state: str, now: float) -> None:
    """Let a task be in the state that its agent names when it comes back; the updates between follow from the agent."""
    known = STATES.get(state)
    if known is not None and known is not task.state:
        _move(master, task, known, b"", now)


def _move(master: Master, task: Task, state: str, status: bytes, now: float) -> bool:
    if state not in MOVES.get(task.state, _NOWHERE):
        return False
    task.state = state
    if state in TERMINAL:
        framework = task.framework
        if task.agent.kills:
            task.agent.kills.pop((framework.id, task.id), None)
        # What went well has no reason to be counted by.
        source, reason = ("", "") if state == "TASK_FINISHED" else cause_of(status)
        counters.count_terminal(master, framework, state, source, reason)
        master.allocator.recover(framework.id, task.role, task.agent.id, task.resources, now=now)
    return True


def on_acknowledge(master: Master, framework: Framework, call: ThinCall, request: int, now: float) -> None:  # noqa: ARG001 - the signature is given
    """A scheduler has seen an update: tell the agent, and forget the task if that was its last."""
    acknowledge = call.acknowledge
    assert acknowledge is not None
    effects, metrics = master.effects, master.metrics
    metrics[_ACKNOWLEDGED] = metrics.get(_ACKNOWLEDGED, 0) + 1
    effects.append(Respond(request, 202))
    task_id, uuid = acknowledge.task_id.value, acknowledge.uuid
    agent = master.agents.get(acknowledge.agent_id.value)
    task = framework.tasks.get(task_id)
    if agent is None or agent.link is None:
        counters.count(master, "master/invalid_status_update_acknowledgements")
        return
    metrics[_ACKNOWLEDGED_WELL] = metrics.get(_ACKNOWLEDGED_WELL, 0) + 1
    effects.append(SendToAgent(agent.link, link.AcknowledgeStatus(framework.id, task_id, uuid)))
    # Another agent may owe the end of an earlier task of this id, of which no record is left here.
    if task is not None and task.agent is agent and task.update_uuid == uuid:
        task.update_uuid = b""
        if task.update_state in TERMINAL:
            remove(master, task)


def remove(master: Master, task: Task) -> None:
    """Forget a task that is over; its framework keeps the last so many for who looks at history."""
    framework, agent = task.framework, task.agent
    del framework.tasks[task.id]
    agent.tasks.pop(task, None)
    if agent.deactivated and not agent.tasks and not agent.strays:
        master.deadlines.set(("empty", agent.id), 0.0)
    complete(master, framework, task)


def complete(master: Master, framework: Framework, task: Task) -> None:
    """Put a task into its framework's history."""
    completed = framework.completed_tasks
    completed.pop(task.id, None)
    completed[task.id] = task
    while len(completed) > master.config.max_completed_tasks_per_framework:
        del completed[next(iter(completed))]


def end(
    master: Master,
    task: Task,
    now: float,
    state: str,
    reason: str,
    message: str,
    *,
    unreachable_at: float | None = None,
) -> None:
    """Let the master itself move a task to `state`: its resources come free, its scheduler hears of it if it is there."""
    framework = task.framework
    master.allocator.recover(framework.id, task.role, task.agent.id, task.resources, now=now)
    status = _conclude(master, task, now, state, reason, message, unreachable_at=unreachable_at)
    if framework.stream is not None:
        counters.count_event(framework, "UPDATE")
        master.effects.append(SendUpdate(framework.stream, status))
    publish.task_updated(master, task, status)


def _conclude(
    master: Master,
    task: Task,
    now: float,
    state: str,
    reason: str,
    message: str,
    *,
    unreachable_at: float | None = None,
) -> bytes:
    """Move a task and write it down; return the status that says so."""
    status = status_of(
        master,
        now,
        task.id,
        state,
        reason,
        message,
        agent_id=task.agent.id,
        latest=latest_status(task),
        unreachable_at=unreachable_at,
    )
    task.state = STATES[state]
    keep_status(task, task.state, status)
    task.update_uuid = b""
    if state in TERMINAL:
        counters.count_terminal(master, task.framework, state, "SOURCE_MASTER", reason)
    return status


def end_all(master: Master, framework: Framework, now: float) -> None:
    """End every task of a framework that is removed; nobody is left to hear of it but operators.

    A framework may have a hundred thousand: resources come free agent by agent, and a status is only made for tasks that are
    remembered or watched.
    """
    message = f"Framework {framework.id} removed"
    killed, reason = "TASK_KILLED", "REASON_FRAMEWORK_REMOVED"
    forgotten = len(framework.tasks) - master.config.max_completed_tasks_per_framework
    freed: dict[tuple[str, str], list[Resources]] = {}
    for index, task in enumerate(list(framework.tasks.values())):
        if task.state not in TERMINAL:
            freed.setdefault((task.agent.id, task.role), []).append(task.resources)
            if index >= forgotten or master.operator_streams:
                publish.task_updated(master, task, _conclude(master, task, now, killed, reason, message))
            else:
                task.state = killed
                counters.count_terminal(master, framework, killed, "SOURCE_MASTER", reason)
        remove(master, task)
    for (agent_id, role), parts in freed.items():
        master.allocator.recover(framework.id, role, agent_id, sum_of(parts), now=now)
    for task in list(framework.unreachable_tasks.values()):
        complete(master, framework, task)
    framework.unreachable_tasks.clear()


def remove_executor(master: Master, agent: Agent, framework: Framework, executor: Executor, now: float) -> None:
    """Forget an executor and free what it had."""
    del framework.executors[agent.id, executor.id]
    del agent.executors[framework.id, executor.id]
    master.allocator.recover(framework.id, executor.role, agent.id, executor.resources, now=now)
