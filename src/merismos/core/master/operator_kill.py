"""An operator ends one task, whichever framework it is of.

Rules: it goes the way of a scheduler's KILL, so the framework hears of it by the task's own updates. Answers: 202 once the agent is
asked (or will be, as soon as it is back); 404 for a task that isn't known; 400 where more is to be said; 409 for one that is
over, or whose agent is unreachable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.master import counters, messages
from merismos.core.master.effects import Respond
from merismos.model.task_states import TERMINAL

if TYPE_CHECKING:
    from merismos.core.master.events import TaskKillAsked
    from merismos.core.master.state import Framework, Master


def on_task_kill_asked(master: Master, event: TaskKillAsked, now: float) -> None:  # noqa: ARG001 - a handler's shape
    """End a task, or say why that can't be."""
    status, body = _kill(master, event)
    master.effects.append(Respond(event.request, status, body))


def _kill(master: Master, event: TaskKillAsked) -> tuple[int, str]:
    if not event.task_id:
        return 400, "Missing 'taskId' in the request body"
    frameworks = list(master.frameworks.values())
    if event.framework_id:
        if event.framework_id not in master.frameworks:
            return 404, f"Framework '{event.framework_id}' not found"
        frameworks = [master.frameworks[event.framework_id]]
    alive = [framework for framework in frameworks if _is_alive(framework, event.task_id)]
    if len(alive) > 1:
        named = ", ".join(framework.id for framework in alive)
        return 400, f"Task '{event.task_id}' is one of each of {named}: say which with 'frameworkId'"
    if not alive:
        return _why_not(frameworks, event.task_id)
    counters.count(master, "master/messages_kill_task")
    messages.end_task(master, alive[0].tasks[event.task_id], event.grace_s)
    return 202, ""


def _is_alive(framework: Framework, task_id: str) -> bool:
    task = framework.tasks.get(task_id)
    return task is not None and task.state not in TERMINAL


def _why_not(frameworks: list[Framework], task_id: str) -> tuple[int, str]:
    for framework in frameworks:
        if task_id in framework.unreachable_tasks:
            return 409, f"Task '{task_id}' is on an unreachable agent, which can't be asked"
        over = framework.tasks.get(task_id) or framework.completed_tasks.get(task_id)
        if over is not None:
            return 409, f"Task '{task_id}' is over already: {over.state}"
    return 404, f"Task '{task_id}' not found"
