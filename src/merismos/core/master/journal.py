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
    """Write one line; the oldest falls out, and no client's long text fills the memory."""
    if len(message) > MESSAGE_MAX:
        message = message[:MESSAGE_MAX] + "…"
    framework.decisions.append(Decision(at, reason, role, message, agent_id, until, task_id))
