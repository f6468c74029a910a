"""Marks of rare situations: which of them a run came through, seen in what passes and in the records, without a word from the cores.

Rules: a mark is a name and what it looks for; `of_event` sees each event before its machine does, `of_effect` each effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent import events as agent_events
from merismos.core.master import effects, events
from merismos.protocol import link

if TYPE_CHECKING:
    from collections.abc import Callable

    from merismos.core.kernel import Effect, Event

OF_EVENTS: dict[str, Callable[[Event], bool]] = {
    "a leader is suspended": lambda event: isinstance(event, events.CoordinationSuspended),
    "a suspended leader leads on": lambda event: isinstance(event, events.CoordinationRestored),
    "a leader is deposed": lambda event: isinstance(event, events.LeadershipLost),
    "a write to the registry fails": lambda event: isinstance(event, events.RegistryLost),
    "a leader starts with agents to wait for": lambda event: isinstance(event, events.Started) and bool(event.registry),
    "an agent recovers what ran": lambda event: isinstance(event, agent_events.Started) and len(event.checkpoints) > 1,
    "an agent finds containers": lambda event: (
        isinstance(event, agent_events.ContainersRecovered) and bool(event.containers)
    ),
    "a container ended while no agent was there": lambda event: (
        isinstance(event, agent_events.ContainersRecovered) and any(one.status is not None for one in event.containers)
    ),
    "the holder of containers dies": lambda event: isinstance(event, agent_events.ContainersLost),
    "an agent comes back with tasks": lambda event: (
        isinstance(event, events.LinkReceived)
        and isinstance(event.message, link.ReregisterAgent)
        and bool(event.message.tasks)
    ),
    "an agent is refused": lambda event: (
        isinstance(event, agent_events.LinkReceived) and isinstance(event.message, link.RefuseAgent)
    ),
    "an agent that is gone is there after all": lambda event: (
        isinstance(event, agent_events.LinkReceived) and isinstance(event.message, link.ShutdownAgent)
    ),
    "an executor comes back with what was not acknowledged": lambda event: (
        isinstance(event, agent_events.ExecutorSubscribed)
        and event.call.subscribe is not None
        and bool(event.call.subscribe.unacknowledged_updates)
    ),
    "an executor loses its connection": lambda event: isinstance(event, agent_events.ExecutorStreamLost),
    "an executor sends bytes to its scheduler": lambda event: (
        isinstance(event, events.LinkReceived) and isinstance(event.message, link.MessageFramework)
    ),
    "a leader starts with quotas": lambda event: (
        isinstance(event, events.Started) and any(table == "quota" for table, _, _ in event.registry)
    ),
    "a framework is ended at an agent": lambda event: (
        isinstance(event, agent_events.LinkReceived) and isinstance(event.message, link.ShutdownFramework)
    ),
}
OF_EFFECTS: dict[str, Callable[[Effect], bool]] = {
    "a call is refused for a doubtful leader": lambda effect: (
        isinstance(effect, effects.Respond) and effect.status == 503  # noqa: PLR2004 - as in HTTP
    ),
    "a task is unreachable": lambda effect: (
        isinstance(effect, effects.SendUpdate) and b'"TASK_UNREACHABLE"' in effect.status
    ),
    "an agent is gone by an operator": lambda effect: (
        isinstance(effect, effects.SendUpdate) and b'"TASK_GONE_BY_OPERATOR"' in effect.status
    ),
    "an executor did not register in time": lambda effect: (
        isinstance(effect, effects.SendUpdate) and b'"REASON_EXECUTOR_REGISTRATION_TIMEOUT"' in effect.status
    ),
    "an executor did not come back to a new agent in time": lambda effect: (
        isinstance(effect, effects.SendUpdate) and b'"REASON_EXECUTOR_REREGISTRATION_TIMEOUT"' in effect.status
    ),
    "an executor ends under its tasks": lambda effect: (
        isinstance(effect, effects.SendUpdate)
        and b'"TASK_FAILED"' in effect.status
        and b'"Executor terminated"' in effect.status
    ),
    "an offer is taken back": lambda effect: isinstance(effect, effects.SendEvent) and effect.event.type == "RESCIND",
    "a machine is taken down with tasks": lambda effect: (
        isinstance(effect, effects.SendUpdate) and b"'Machine DOWN'" in effect.status
    ),
    "a framework is asked to leave": lambda effect: (
        isinstance(effect, effects.SendEvent) and effect.event.inverse_offers is not None
    ),
    "a task ends by a drain": lambda effect: (
        isinstance(effect, effects.SendUpdate) and b'"REASON_AGENT_DRAINING"' in effect.status
    ),
    "a launch did not arrive": lambda effect: (
        isinstance(effect, effects.SendUpdate) and b'"TASK_DROPPED"' in effect.status
    ),
}
NAMES = [*OF_EVENTS, *OF_EFFECTS]
TWICE = "a frame came twice"
OVERTAKEN = "a frame was overtaken"
UNRULY_NAMES = [TWICE, OVERTAKEN]  # only links that are no TCP come through these


class Marks:
    """The marks that were reached, and how often."""

    def __init__(self) -> None:
        self.reached: dict[str, int] = {}

    def reach(self, name: str) -> None:
        """Count a mark."""
        self.reached[name] = self.reached.get(name, 0) + 1

    def of_event(self, event: Event) -> None:
        """Look at an event."""
        for name, sees in OF_EVENTS.items():
            if sees(event):
                self.reach(name)

    def of_effect(self, effect: Effect) -> None:
        """Look at an effect."""
        for name, sees in OF_EFFECTS.items():
            if sees(effect):
                self.reach(name)
