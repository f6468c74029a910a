"""When ended sandboxes go: by age, and the sooner the fuller the disk.

Rules: Mesos' own: a sandbox may be as old as `gc_delay` times the part of the disk that is free beyond the headroom; the oldest
go first, at most `REMOVALS_MAX` a second, so that a full disk doesn't take the agent's time. Full is a disk by its bytes or by
its inodes, whichever is more.
Source: Mesos, docs/sandbox.md, "Sandbox lifecycle and garbage collection".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent.effects import RemoveSandbox
from merismos.core.agent.state import Agent

if TYPE_CHECKING:
    from merismos.core.agent import events

REMOVALS_MAX = 100
REMOVALS_S = 1.0


def keep(agent: Agent, directory: str, ended_at: float) -> None:
    """Remember a sandbox that has ended; sandboxes come in the order in which they ended."""
    agent.sandboxes.append((ended_at, directory))
    if len(agent.sandboxes) == 1:
        agent.deadlines.set(("sandboxes", ""), ended_at + agent.sandbox_age_s_max)


def on_disk_measured(agent: Agent, event: events.DiskMeasured, now: float) -> None:
    """Work out anew how old a sandbox may be."""
    settings = agent.settings
    agent.sandbox_age_s_max = settings.gc_delay_s * max(0.0, 1.0 - settings.gc_disk_headroom - event.used)
    if agent.sandboxes:
        agent.deadlines.set(("sandboxes", ""), max(agent.sandboxes[0][0] + agent.sandbox_age_s_max, now))


def on_sandboxes_overdue(agent: Agent, now: float) -> None:
    """Remove what is too old; look again when the next is."""
    sandboxes = agent.sandboxes
    removed = 0
    while sandboxes and removed < REMOVALS_MAX and sandboxes[0][0] + agent.sandbox_age_s_max <= now:
        _, directory = sandboxes.popleft()
        agent.effects.append(RemoveSandbox(directory))
        removed += 1
    if sandboxes:
        due = sandboxes[0][0] + agent.sandbox_age_s_max
        agent.deadlines.set(("sandboxes", ""), max(due, now + REMOVALS_S) if removed == REMOVALS_MAX else due)
