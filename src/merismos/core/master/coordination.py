"""What a leader does when it can't be sure that it leads.

Rules: suspended, it decides nothing; a lost leadership never comes back to this process: its supervisor starts it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.master.effects import Exit

if TYPE_CHECKING:
    from merismos.core.master.events import CoordinationRestored, CoordinationSuspended, LeadershipLost
    from merismos.core.master.state import Master

EXIT_LEADERSHIP_LOST = 75


def on_coordination_suspended(master: Master, event: CoordinationSuspended, now: float) -> None:  # noqa: ARG001 - a handler's shape
    """Decide nothing until it is known who leads."""
    master.suspended = event.reason


def on_coordination_restored(master: Master, event: CoordinationRestored, now: float) -> None:  # noqa: ARG001 - a handler's shape
    """Go on."""
    master.suspended = ""


def on_leadership_lost(master: Master, event: LeadershipLost, now: float) -> None:  # noqa: ARG001 - a handler's shape
    """End the process."""
    master.suspended = event.reason
    master.effects.append(Exit(EXIT_LEADERSHIP_LOST, f"this master leads no more: {event.reason}"))
