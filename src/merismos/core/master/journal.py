"""A framework's journal: the decisions that kept its work waiting, for "why"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from merismos.core.master.state import Decision

if TYPE_CHECKING:
    from merismos.core.master.state import Framework

MESSAGE_MAX: Final = 1000


def decide(
    framework: Framework,
    at: float,
    reason: str,
    role: str,
    message: str,
    agent_id: str = "",
    until: float | None = None,
    task_id: str = "",
) -> None:
    """Write one line, or count the last one once more where it says the same; no client's long text fills the memory."""
    if len(message) > MESSAGE_MAX:
        message = message[:MESSAGE_MAX] + "…"
    decisions = framework.decisions
    if decisions:
        last = decisions[-1]
        if (last.message, last.role, last.agent_id, last.task_id) == (message, role, agent_id, task_id):
            last.at, last.until = at, until
            last.times += 1
            return
    decisions.append(Decision(at, reason, role, message, agent_id, until, task_id))
