"""What a leader does when it can't be sure that it leads.

Rules: suspended, it decides nothing: no offer, no launch, no registry write; calls get 503, heartbeats go on. What agents and the
registry say meanwhile is kept and handled in order once it is restored, so nothing of it is acknowledged too early or lost.
A lost leadership never comes back to this process: its supervisor starts it again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from merismos.core.kernel import Effect, Event, TimerFired
from merismos.core.master import events, subscriptions
from merismos.core.master.effects import CloseLink, Exit, Respond, SendToAgent

if TYPE_CHECKING:
    from merismos.core.master.events import CoordinationRestored, CoordinationSuspended, LeadershipLost
    from merismos.core.master.state import Master

    Request = events.SchedulerSubscribed | events.SchedulerCalled | events.OperatorCalled | events.TaskKillAsked

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


def without_closed_links(effects: list[Effect], kept: list[Event]) -> list[Effect]:
    """Return what can still be done after events that were kept: a link that closed meanwhile takes no more."""
    closed = {event.link: None for event in kept if isinstance(event, events.LinkClosed)}
    return [effect for effect in effects if not (isinstance(effect, SendToAgent | CloseLink) and effect.link in closed)]


def _refuse(master: Master, event: Request, now: float) -> None:  # noqa: ARG001 - a handler's shape
    text = f"This master can't tell whether it leads ({master.suspended}); try again"
    master.effects.append(Respond(event.request, 503, text))


def _keep(master: Master, event: Event, now: float) -> None:  # noqa: ARG001 - a handler's shape
    master.kept.append(event)


def _beat(master: Master, event: TimerFired, now: float) -> None:  # noqa: ARG001 - a handler's shape
    subscriptions.beat(master, now)


WHILE_SUSPENDED: dict[type[Event], Callable[[Master, Any, float], None]] = {
    TimerFired: _beat,
    events.SchedulerSubscribed: _refuse,
    events.SchedulerCalled: _refuse,
    events.OperatorCalled: _refuse,
    events.TaskKillAsked: _refuse,
    events.LinkOpened: _keep,
    events.LinkReceived: _keep,
    events.LinkClosed: _keep,
    events.RegistryStored: _keep,
}
