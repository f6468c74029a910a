"""The agents' links: which messages come over them, and to which agent each belongs.

Rules: a link belongs to no agent until a registration was answered; what else comes over it before that is dropped. A link that
an agent no longer owns (it came back over another one) is deaf.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from merismos.core.master import agents, counters, messages, registration, tasks
from merismos.protocol import link

if TYPE_CHECKING:
    from merismos.core.master.events import LinkClosed, LinkOpened, LinkReceived
    from merismos.core.master.state import Agent, Master

FROM_STRANGERS: dict[type[link.Message], Callable[[Master, int, Any, float], None]] = {
    link.RegisterAgent: registration.on_register_agent,
    link.ReregisterAgent: registration.on_reregister_agent,
}
FROM_AGENTS: dict[type[link.Message], Callable[[Master, Agent, Any, float], None]] = {
    link.UpdateStatus: tasks.on_update_status,
    link.Pong: agents.on_pong,
    link.ExitedExecutor: messages.on_exited_executor,
    link.MessageFramework: messages.on_message_framework,
    link.UnregisterAgent: agents.on_unregister_agent,
}


def on_link_opened(master: Master, event: LinkOpened, now: float) -> None:  # noqa: ARG001 - every handler takes it
    """An agent's link is up; it has to say who it is."""
    master.links[event.link] = None


def on_link_received(master: Master, event: LinkReceived, now: float) -> None:
    """One message came in."""
    message = event.message
    agent = master.links.get(event.link)
    if agent is not None:
        handler = FROM_AGENTS.get(type(message))
        if handler is not None:
            handler(master, agent, message, now)
            return
    elif event.link in master.links:
        stranger = FROM_STRANGERS.get(type(message))
        if stranger is not None:
            stranger(master, event.link, message, now)
            return
    counters.count(master, "master/dropped_messages")


def on_link_closed(master: Master, event: LinkClosed, now: float) -> None:
    """A link is down: its agent has some time to come back."""
    agent = master.links.pop(event.link, None)
    if agent is not None and agent.link == event.link:
        agents.disconnect(master, agent, now)
