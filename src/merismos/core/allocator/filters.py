"""Refusals: what a framework declined on an agent, and until when.

Rules:
- A filter holds while what the agent could offer now is contained in what was refused. An agent that has more is offered again.
- Filters of one agent with the same refused resources are one mask, whoever refused; a mask costs a bit a slot, so that ten
  thousand agents declined by a thousand frameworks cost no object per pair.
- Filters end in steps, never early: eight a second, and coarser as they last longer, at most a 64th of the time. All that ends in
  one step ends together.
- A slot has at most four filters on an agent that don't imply each other; the oldest is forgotten. An agent has at most 32 kinds
  of refused resources; past that, the two oldest kinds become one that holds where both did.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from merismos.core.allocator.agents import Agent
    from merismos.model.resources import Resources

STEPS_PER_S: Final = 8
FINENESS: Final = 64
REFUSE_S_DEFAULT: Final = 5.0
REFUSE_S_MAX: Final = 31_536_000.0
KINDS_PER_SLOT_MAX: Final = 4
KINDS_PER_AGENT_MAX: Final = 32


class Refusal:
    """Everyone who refused the same resources of one agent.

    Shapes: `until` the bits by the step in which their filter ends; `mask` all of them.
    """

    __slots__ = ("mask", "refused", "until")

    def __init__(self, refused: Resources) -> None:
        self.refused = refused
        self.mask = 0
        self.until: dict[int, int] = {}

    def forget(self, bits: int) -> None:
        """Drop the filters of some slots."""
        self.mask &= ~bits
        self.until = {step: kept for step, mask in self.until.items() if (kept := mask & ~bits)}


def last_step(now: float, refuse_s: float, interval_s: float) -> int:
    """Return the step in which a filter set now for `refuse_s` ends: not before the next batch either.

    Units: steps of 1 / STEPS_PER_S seconds of the monotonic clock.
    """
    refuse_s = min(max(refuse_s, 0.0), REFUSE_S_MAX)
    batch_at = (now // interval_s + 1.0) * interval_s
    steps = max(now + refuse_s, batch_at) * STEPS_PER_S
    step = int(steps)
    if step < steps:
        step += 1
    lasting = int(refuse_s * STEPS_PER_S)
    if lasting > FINENESS:
        width = 1 << (lasting // FINENESS).bit_length() - 1
        step = -(-step // width) * width
    return step


def step_at(step: int) -> float:
    """Return the instant at which a step ends its filters."""
    return step / STEPS_PER_S


class Expiries:
    """Which agents have filters that end in which step."""

    __slots__ = ("_agents", "_heap")

    def __init__(self) -> None:
        self._agents: dict[int, dict[Agent, None]] = {}
        self._heap: list[int] = []

    def note(self, step: int, agent: Agent) -> None:
        """Remember that `agent` has filters that end in `step`."""
        agents = self._agents.get(step)
        if agents is None:
            agents = self._agents[step] = {}
            heappush(self._heap, step)
        agents[agent] = None

    def next(self) -> float | None:
        """Return when the next filters end, None when there are none."""
        return step_at(self._heap[0]) if self._heap else None

    def end(self, now: float) -> list[Agent]:
        """End every filter that is due; return the agents that had one, in order."""
        ended: dict[Agent, None] = {}
        while self._heap and step_at(self._heap[0]) <= now:
            step = heappop(self._heap)
            for agent in self._agents.pop(step):
                if expire(agent, step):
                    ended[agent] = None
        return list(ended)


def refuse(agent: Agent, bits: int, refused: Resources, step: int) -> None:
    """Filter `bits` on `agent` until `step`, while it has no more than `refused`."""
    refusals = agent.refusals
    kind = refusals[0] if refusals and refusals[0].refused is refused else _kind_of(refusals, refused)
    if len(refusals) > 1:
        _make_room(agent, kind, bits, step)
    kind.mask |= bits
    until = kind.until
    until[step] = until[step] | bits if step in until else bits
    if agent.seen is kind.refused and agent.plain:
        agent.blocked |= bits
    else:
        agent.seen = None


def _kind_of(refusals: list[Refusal], refused: Resources) -> Refusal:
    for refusal in refusals:
        if refusal.refused == refused:
            return refusal
    kind = Refusal(refused)
    refusals.append(kind)
    return kind


def _make_room(agent: Agent, kind: Refusal, bits: int, step: int) -> None:
    """Forget what the new refusal implies, the slots' oldest kinds past their bound, and kinds past the agent's bound."""
    kinds_of_slot = 0
    for refusal in reversed(agent.refusals):
        if refusal is kind or not refusal.mask & bits:
            continue
        kinds_of_slot += 1
        latest = max(last for last, mask in refusal.until.items() if mask & bits)
        if kinds_of_slot >= KINDS_PER_SLOT_MAX or (latest <= step and kind.refused.contains(refusal.refused)):
            refusal.forget(bits)
    kept = [refusal for refusal in agent.refusals if refusal.mask or refusal is kind]
    if len(kept) > KINDS_PER_AGENT_MAX:
        kept[:2] = [_both(kept[0], kept[1])]
    agent.refusals = kept


def _both(first: Refusal, second: Refusal) -> Refusal:
    merged = Refusal(first.refused - (first.refused - second.refused))
    merged.mask = first.mask | second.mask
    merged.until = dict(first.until)
    for step, mask in second.until.items():
        merged.until[step] = merged.until.get(step, 0) | mask
    return merged


def expire(agent: Agent, step: int) -> bool:
    """End the filters of one step; return whether there were any."""
    ended = False
    for refusal in agent.refusals:
        if refusal.until.pop(step, 0):
            ended = True
            mask = 0
            for bits in refusal.until.values():
                mask |= bits
            refusal.mask = mask
    if ended:
        agent.refusals = [refusal for refusal in agent.refusals if refusal.mask]
        agent.seen = None
    return ended


def sweep(agent: Agent, bits: int) -> None:
    """Drop retired bits."""
    if any(refusal.mask & bits for refusal in agent.refusals):
        for refusal in agent.refusals:
            refusal.forget(bits)
        agent.refusals = [refusal for refusal in agent.refusals if refusal.mask]
    agent.denied &= ~bits
    agent.seen = None


def held_by(agent: Agent, offered: Resources) -> int:
    """Return the bits that are filtered on `agent` for an offer of `offered`."""
    held = 0
    for refusal in agent.refusals:
        refused = refusal.refused
        if refused is offered or refused.contains(offered):
            held |= refusal.mask
    return held


def held_until(agent: Agent, bit: int, offered: Resources) -> float | None:
    """Return until when one slot is filtered for an offer of `offered`, None when it isn't."""
    steps = [
        step
        for refusal in agent.refusals
        if refusal.mask & bit and refusal.refused.contains(offered)
        for step, mask in refusal.until.items()
        if mask & bit
    ]
    return step_at(max(steps)) if steps else None
