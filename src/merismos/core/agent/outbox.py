"""Nothing leaves the agent before what it depends on is written down.

Rules: effects leave in the order in which they were decided; one that was decided after a change waits until the change is written,
whatever it is, but for what depends on nothing (log lines, pongs, the removal of old sandboxes, an exit at once). So whoever
sees an effect may rely on every decision before it, also after a crash. What waited for a link that is down meanwhile, or would
start a container that nobody wants any more, is dropped.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from merismos.core.agent.effects import (
    Checkpoint,
    CreateCgroup,
    Exit,
    LaunchContainer,
    Log,
    OpenCheckpoints,
    RemoveSandbox,
    SendMessage,
)
from merismos.protocol.link import Pong

if TYPE_CHECKING:
    from merismos.core.agent.state import Agent
    from merismos.core.kernel import Effect

_FREE = frozenset({Log, RemoveSandbox, OpenCheckpoints})


class Outbox:
    """Effects that wait, by the sequence number of the checkpoint that they wait for."""

    __slots__ = ("_held", "_sequence")

    def __init__(self) -> None:
        self._held: deque[tuple[int, list[Effect]]] = deque()
        self._sequence = 0

    def commit(self, agent: Agent) -> list[Effect]:
        """Return what may leave now: the checkpoint of this turn's changes, and what waits for none."""
        effects = agent.effects
        changes, durable = agent.checkpoints.take()
        if not changes and not self._held:
            return effects
        leaving: list[Effect] = []
        waiting: list[Effect] = []
        for effect in effects:
            (leaving if is_free(effect) else waiting).append(effect)
        if changes:
            self._sequence += 1
            leaving.append(Checkpoint(self._sequence, changes, durable))
            self._held.append((self._sequence, waiting))
        else:
            self._held[-1][1].extend(waiting)
        return leaving

    def release(self, agent: Agent, sequence: int) -> list[Effect]:
        """Return what waited for the checkpoints up to this one."""
        leaving: list[Effect] = []
        held = self._held
        while held and held[0][0] <= sequence:
            leaving += [effect for effect in held.popleft()[1] if is_wanted(agent, effect)]
        return leaving


def is_free(effect: Effect) -> bool:
    """Say whether an effect depends on nothing that is written down."""
    kind = type(effect)
    if kind in _FREE:
        return True
    if isinstance(effect, SendMessage):
        return type(effect.message) is Pong
    return isinstance(effect, Exit) and effect.at_once


def is_wanted(agent: Agent, effect: Effect) -> bool:
    """Say whether what an effect was for is still there."""
    if isinstance(effect, SendMessage):
        return effect.link == agent.registration.link
    if isinstance(effect, CreateCgroup):
        return effect.plan.container_id in agent.executors
    if isinstance(effect, LaunchContainer):
        known = (agent.containers, agent.executors, agent.checks, agent.nested)
        return any(effect.container_id in ones for ones in known)
    return True
