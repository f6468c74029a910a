"""Why work waits: which agents were considered for a task, framework or role, and why each didn't serve.

Rules: every answer has the same members: `subject`, `kind`, `summary`, `reasons`, `nearest`, `decisions`. What a framework wants is
what the asker names, else what its scheduler last said by REQUEST. Times are wall times, amounts in their usual units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from merismos.core.master.statuses import latest_status
from merismos.core.master.views import values
from merismos.model.rejection import Rejection
from merismos.model.resource_notation import parse_resources
from merismos.model.scalars import format_milli
from merismos.model.task_states import TERMINAL
from merismos.protocol import json
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from collections.abc import Mapping

    from merismos.core.allocator.explanation import Explanation, NearestFit
    from merismos.core.master.state import Framework, Master, Task
    from merismos.model.resources import Resources

Answer = dict[str, Any]
_WAITING_STATES = {
    "TASK_STAGING": "its agent has it and has not started it yet (it may still be fetching)",
    "TASK_STARTING": "its executor has it and has not started it yet",
    "TASK_KILLING": "it is being ended and has not gone yet",
    "TASK_RUNNING": "it is not waiting: it runs",
    "TASK_UNREACHABLE": "its agent can't be reached; the task goes on there if the agent does",
}


def why(master: Master, query: Mapping[str, str], now: float) -> Answer:
    """Return the explanation of what `query` names: `task`, `framework` or `role`, and `resources` for what is wanted."""
    wanted = parse_resources(query["resources"]) if query.get("resources") else None
    if isinstance(wanted, Rejection):
        return _answer("resources", query["resources"], f"these resources can't be read: {wanted.message}")
    for kind, explain in (("task", _why_task), ("framework", _why_framework), ("role", _why_role)):
        name = query.get(kind)
        if name:
            return explain(master, name, wanted, now)
    return _answer(
        "", "", "say what to explain: ?task=ID, ?framework=ID or ?role=NAME, and &resources=cpus:1;mem:64 for a size"
    )


def _answer(kind: str, subject: str, summary: str, **members: object) -> Answer:
    return {
        "subject": subject,
        "kind": kind,
        "summary": summary,
        "reasons": [],
        "nearest": None,
        "decisions": [],
    } | members


def _why_framework(master: Master, framework_id: str, wanted: Resources | None, now: float) -> Answer:
    framework = master.frameworks.get(framework_id)
    if framework is None:
        over = master.completed_frameworks.get(framework_id)
        return _answer("framework", framework_id, "it is over" if over else "the master knows no such framework")
    wanted = wanted or framework.demand
    explanations = [master.allocator.explain(framework_id, role, wanted, now) for role in framework.roles]
    return _answer(
        "framework",
        framework_id,
        "; ".join(_named(explanation, alone=len(explanations) == 1) for explanation in explanations),
        name=framework.info.name,
        reasons=[reason for explanation in explanations for reason in _reasons(explanation)],
        nearest=_nearest(explanations),
        decisions=_decisions(master, framework),
    )


def _named(explanation: Explanation, *, alone: bool) -> str:
    return explanation.summary if alone else f"in role {explanation.role}: {explanation.summary}"


def _reasons(explanation: Explanation) -> list[Answer]:
    if explanation.standing:
        return [{"reason": "standing", "role": explanation.role, "count": 0, "message": explanation.standing}]
    return [
        {
            "reason": obstacle.reason,
            "role": explanation.role,
            "count": obstacle.agents,
            "message": f"{obstacle.agents} agent{'' if obstacle.agents == 1 else 's'} {obstacle.message}",
            "agents": obstacle.samples,
        }
        for obstacle in explanation.obstacles
    ]


def _nearest(explanations: list[Explanation]) -> Answer | None:
    fits = [explanation.nearest for explanation in explanations if explanation.nearest is not None]
    return _fit(fits[0]) if fits else None


def _fit(fit: NearestFit) -> Answer:
    short = ", ".join(
        f"{shortage.name} {format_milli(shortage.has_milli)} of {format_milli(shortage.wanted_milli)}"
        for shortage in fit.shortages
    )
    free = " free now" if fit.in_use else ""
    return {
        "agent_id": fit.agent_id,
        "hostname": fit.hostname,
        "message": f"agent {fit.agent_id} ({fit.hostname}) has{free} {short}",
    }


def _decisions(master: Master, framework: Framework) -> list[Answer]:
    return [
        {
            "at": values.wall_s(master, decision.at),
            "times": decision.times,
            "reason": decision.reason,
            "role": decision.role,
            "message": decision.message,
            "task_id": decision.task_id,
            "agent_id": decision.agent_id,
            "until": None if decision.until is None else values.wall_s(master, decision.until),
        }
        for decision in framework.decisions
    ]


def _why_task(master: Master, task_id: str, wanted: Resources | None, now: float) -> Answer:
    del wanted, now
    for group in (master.frameworks, master.completed_frameworks):
        for framework in group.values():
            for tasks in (framework.tasks, framework.unreachable_tasks, framework.completed_tasks):
                if task_id in tasks:
                    return _of_task(master, tasks[task_id])
    refused = _refusal_of(master, task_id)
    if refused is not None:
        return refused
    return _answer(
        "task",
        task_id,
        "no framework has launched a task of this name; one that waits for an offer is known to its scheduler only: "
        "ask why of the framework",
    )


def _refusal_of(master: Master, task_id: str) -> Answer | None:
    """Return the answer for a task that never came to be, where a framework's journal still has it."""
    for framework in master.frameworks.values():
        for decision in reversed(framework.decisions):
            if decision.task_id == task_id:
                return _answer(
                    "task",
                    task_id,
                    f"it was refused when it was launched: {decision.message}",
                    framework_id=framework.id,
                    agent_id=decision.agent_id,
                    decisions=_decisions(master, framework),
                )
    return None


def _of_task(master: Master, task: Task) -> Answer:
    kept = latest_status(task)
    latest = None if kept is None else json.decode(mesos.TaskStatus, kept)
    said = "" if latest is None or not latest.message else f": {latest.message}"
    reason = "" if latest is None or latest.reason is None else f" ({latest.reason})"
    state = (
        f"it is over, {task.state}{reason}{said}"
        if task.state in TERMINAL
        else _WAITING_STATES.get(task.state, task.state)
    )
    where = f"on agent {task.agent.id} ({task.agent.hostname})"
    return _answer(
        "task",
        task.id,
        f"{state}; {where}",
        state=task.state,
        framework_id=task.framework.id,
        agent_id=task.agent.id,
        decisions=_decisions(master, task.framework),
    )


def _why_role(master: Master, role: str, wanted: Resources | None, now: float) -> Answer:
    members = [framework for framework in master.frameworks.values() if role in framework.roles]
    if not members:
        return _answer("role", role, "no framework is subscribed in this role, so nothing is offered to it")
    view = next((view for view in master.allocator.role_view() if view.role == role), None)
    share = "" if view is None else f"dominant share {view.share:.3f} at weight {view.weight:g}; "
    explanations = [
        (framework, master.allocator.explain(framework.id, role, wanted or framework.demand, now))
        for framework in members
    ]
    return _answer(
        "role",
        role,
        share + "; ".join(f"{framework.info.name}: {explanation.summary}" for framework, explanation in explanations),
        reasons=[
            reason | {"framework_id": framework.id}
            for framework, explanation in explanations
            for reason in _reasons(explanation)
        ],
        nearest=_nearest([explanation for _, explanation in explanations]),
    )
