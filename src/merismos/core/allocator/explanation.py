"""Why a framework that waits in a role isn't offered what it wants: every agent counted under the first reason that holds.

Rules: the reasons are asked in the order in which waiting can't mend them: the framework itself, then an agent that never serves,
then one that doesn't serve now. Amounts are compared by name, so that a want needn't say which reservation it takes from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from merismos.core.allocator.agents import Agent, entitlements, is_big_enough
from merismos.core.allocator.filters import held_until
from merismos.model.resources import EMPTY, Resources
from merismos.model.scalars import format_milli

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from merismos.core.allocator.cluster import Cluster
    from merismos.core.allocator.quota import Offerable, Quotas
    from merismos.core.allocator.tree import Slot

SAMPLES_MAX: Final = 3


class Obstacle(msgspec.Struct, frozen=True, gc=False):
    """One reason and the agents that it keeps from a framework.

    Shapes: `reason` one of inactive, whitelist, constraint, gpu, region, too_small, offered, held, in_use, quota_limit, headroom,
    filtered, below_minimum, capped, behind; `samples` agent ids.
    """

    reason: str
    agents: int
    message: str
    samples: list[str]


class Shortage(msgspec.Struct, frozen=True, gc=False):
    """What an agent has of a name, and what is wanted. Units: thousandths."""

    name: str
    has_milli: int
    wanted_milli: int


class NearestFit(msgspec.Struct, frozen=True, gc=False):
    """The agent that lacks least of what is wanted: of its total, or with `in_use` of what is free there now."""

    agent_id: str
    hostname: str
    in_use: bool
    shortages: list[Shortage]


class Explanation(msgspec.Struct, frozen=True, gc=False):
    """Why a framework waits in a role.

    Shapes: `standing` why it takes no part at all, empty when it does; `summary` all of it in one line for people.
    """

    framework_id: str
    role: str
    standing: str
    agents: int
    obstacles: list[Obstacle]
    nearest: NearestFit | None
    summary: str


def _lack(shortage: Shortage) -> float:
    return 1.0 - shortage.has_milli / shortage.wanted_milli


class _Tally:
    """Counts agents by reason, and keeps the nearest fit of each."""

    def __init__(self) -> None:
        self.agents: dict[tuple[str, str], list[str]] = {}
        self.nearest: dict[tuple[str, str], tuple[float, NearestFit]] = {}
        self.until: dict[tuple[str, str], float] = {}
        self.texts: dict[tuple[str, str], str] = {}

    def count(self, reason: str, name: str, agent: Agent) -> None:
        self.agents.setdefault((reason, name), []).append(agent.id)

    def count_quota(self, reason: str, text: str, agent: Agent) -> None:
        self.texts[reason, text] = text
        self.count(reason, text, agent)

    def count_short(self, reason: str, agent: Agent, has: Mapping[str, int], wanted: Mapping[str, int]) -> None:
        shortages = [
            Shortage(name, has.get(name, 0), amount) for name, amount in wanted.items() if has.get(name, 0) < amount
        ]
        worst = max(shortages, key=_lack)
        self.count(reason, worst.name, agent)
        lack = sum(map(_lack, shortages))
        key = (reason, worst.name)
        best = self.nearest.get(key)
        if best is None or lack < best[0]:
            self.nearest[key] = (lack, NearestFit(agent.id, agent.hostname, reason != "too_small", shortages))

    def obstacles(self, now: float) -> list[Obstacle]:
        ordered = sorted(self.agents.items(), key=lambda item: -len(item[1]))
        return [Obstacle(key[0], len(agents), self._message(key, now), agents[:SAMPLES_MAX]) for key, agents in ordered]

    def nearest_fit(self) -> NearestFit | None:
        fits = sorted(self.nearest.values(), key=lambda fit: (not fit[1].in_use, fit[0]))
        return fits[0][1] if fits else None

    def _message(self, key: tuple[str, str], now: float) -> str:
        reason, name = key
        if reason == "filtered":
            return f"filtered for {max(1, -int(-(self.until[key] - now) // 1))} s more"
        if key in self.texts:
            return self.texts[key]
        if key not in self.nearest:
            return _MESSAGES[reason]
        shortage = max(self.nearest[key][1].shortages, key=_lack)
        amounts = f"(nearest has {format_milli(shortage.has_milli)} of {format_milli(shortage.wanted_milli)})"
        return (
            f"short of {name} {amounts}"
            if reason == "too_small"
            else f"short of free {name} {amounts}{_MESSAGES[reason]}"
        )


_MESSAGES: Final = {
    "inactive": "inactive",
    "whitelist": "not on the whitelist",
    "constraint": "constraint",
    "gpu": "with GPUs, which need GPU_RESOURCES",
    "region": "in another region, which needs REGION_AWARE",
    "offered": "offered to it already, its answer is awaited",
    "held": ", in offers to others",
    "in_use": ", in use",
    "below_minimum": "with less free than the smallest offer",
    "capped": "withheld until it answers the offers that it holds",
    "behind": "waiting for its turn",
}


def explain(
    cluster: Cluster,
    bases: Sequence[int],
    framework_id: str,
    role: str,
    wanted: Resources | None,
    now: float,
    *,
    paused: str = "",
) -> Explanation:
    """Return why a framework that waits for `wanted` in a role isn't offered it.

    Shapes: `bases` the cycle's masks by kind of agent; `paused` why nothing is granted to anybody.
    """
    framework = cluster.frameworks.get(framework_id)
    slot = None if framework is None else framework.slots.get(role)
    standing = _standing(framework is not None, slot) or paused
    tally = _Tally()
    if slot is not None and not standing:
        capped = cluster.capped()
        for agent in cluster.agents.values():
            _judge(
                cluster,
                agent,
                slot,
                wanted,
                tally,
                never=not bases[agent.kind] & slot.bit,
                capped=bool(capped & slot.bit),
            )
    obstacles = tally.obstacles(now)
    agents = len(cluster.agents)
    if standing:
        summary = standing
    elif not agents:
        summary = "there are no agents"
    else:
        counted = ", ".join(f"{obstacle.agents} {obstacle.message}" for obstacle in obstacles)
        summary = f"{agents} agent{'' if agents == 1 else 's'}: {counted}"
    return Explanation(framework_id, role, standing, agents, obstacles, tally.nearest_fit(), summary)


def _standing(known: bool, slot: Slot | None) -> str:  # noqa: FBT001 - one question, one answer
    if not known:
        return "the framework is unknown"
    if slot is None or not slot.subscribed:
        return "the framework is not subscribed in this role"
    if not slot.framework.active:
        return "the framework's scheduler is not connected"
    if slot.suppressed:
        return "offers are suppressed in this role; REVIVE asks for them again"
    return ""


def _judge(
    cluster: Cluster, agent: Agent, slot: Slot, wanted: Resources | None, tally: _Tally, *, never: bool, capped: bool
) -> None:
    """Count one agent under the first reason that holds."""
    excluded = _exclusion(agent, slot, never=never)
    if excluded:
        tally.count(excluded, "", agent)
        return
    needs = {} if wanted is None else wanted.quantities()
    could = _portion(cluster, agent, slot, agent.total).quantities()
    if any(could.get(name, 0) < amount for name, amount in needs.items()):
        tally.count_short("too_small", agent, could, needs)
        return
    if slot in agent.held:
        tally.count("offered", "", agent)
        return
    free = _portion(cluster, agent, slot, agent.free)
    has = free.quantities()
    if any(has.get(name, 0) < amount for name, amount in needs.items()):
        tally.count_short("held" if agent.held else "in_use", agent, has, needs)
        return
    minimum = cluster.minimum if slot.minimum is None else slot.minimum
    if cluster.quotas.roles and free and is_big_enough(minimum, has):
        offerable = cluster.quotas.shrink(slot.role, free)
        left = offerable.resources.quantities()
        if not is_big_enough(minimum, left) or any(left.get(name, 0) < amount for name, amount in needs.items()):
            _count_cut(cluster.quotas, agent, offerable, needs, tally)
            return
        free, has = offerable.resources, left
    until = held_until(agent, slot.bit, free)
    if not free or not is_big_enough(minimum, has):
        tally.count("below_minimum", "", agent)
    elif until is not None:
        tally.count("filtered", "", agent)
        key = ("filtered", "")
        tally.until[key] = min(until, tally.until.get(key, until))
    else:
        tally.count("capped" if capped else "behind", "", agent)


def _count_cut(quotas: Quotas, agent: Agent, offerable: Offerable, needs: Mapping[str, int], tally: _Tally) -> None:
    """Count an agent of which quota keeps back what would be needed."""
    left = offerable.resources.quantities()
    short = [name for name in offerable.cut if left.get(name, 0) < needs.get(name, 0)] or list(offerable.cut)
    name = short[0]
    by = offerable.cut[name]
    if by is quotas.root:
        held = f"{name} {format_milli(quotas.root.below.get(name, 0))}"
        text = f"held back for the quota guarantees of other roles, which still ask for {held}"
        tally.count_quota("headroom", text, agent)
        return
    used, most = format_milli(by.consumed.get(name, 0)), format_milli(by.limits[name])
    tally.count_quota(
        "quota_limit", f"kept by the quota limit of role {by.path}: {name} {used} of {most} in use", agent
    )


def _exclusion(agent: Agent, slot: Slot, *, never: bool) -> str:
    if not agent.active:
        return "inactive"
    if not agent.listed:
        return "whitelist"
    if agent.denied & slot.bit:
        return "constraint"
    if never:
        return "gpu" if agent.total.gpus_milli and "GPU_RESOURCES" not in slot.framework.capabilities else "region"
    return ""


def _portion(cluster: Cluster, agent: Agent, slot: Slot, resources: Resources) -> Resources:
    """Return what of `resources` of an agent a slot may have at all."""
    if agent.plain:
        return resources
    for _, portion in entitlements(resources, slot.bit, cluster.tree, cluster.table):
        return portion
    return EMPTY
