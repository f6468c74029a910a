"""An agent that operators drain knows it, and says so; what is ended, and when it is done, is its master's to decide.

Rules: nothing of it is kept: a master tells it anew at each registration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.protocol import link

if TYPE_CHECKING:
    from merismos.core.agent.state import Agent


def on_drain_agent(agent: Agent, message: link.DrainAgent, now: float) -> None:  # noqa: ARG001 - a handler's shape
    """Take note of a drain that begins, or that is over."""
    agent.drain = message if message.config else None
