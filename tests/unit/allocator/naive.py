"""The allocator as one would write it without a care for speed: every slot is asked about every agent, every time.

It shares nothing with the real one but the resource algebra and the rounding of filters' ends, which has a test of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from merismos.core.allocator.filters import last_step, step_at
from merismos.model.resources import EMPTY, Resources, sum_of
from merismos.model.roles import ancestors

SlotKey = tuple[str, str]  # framework id, role
MINIMUM = [{"cpus": 10}, {"mem": 32_000}]
KINDS_PER_SLOT_MAX = 4


@dataclass
class NaiveFramework:
    active: bool = False
    roles: dict[str, bool] = field(default_factory=dict)  # suppressed?
    capabilities: Sequence[str] = ()
    rack: str | None = None  # a constraint on the agent's rack
    minimums: dict[str, list[dict[str, int]]] = field(default_factory=dict)
    held: int = 0


@dataclass
class NaiveAgent:
    total: Resources
    rack: str | None
    active: bool = True
    allocated: dict[SlotKey, Resources] = field(default_factory=dict)
    held: dict[SlotKey, int] = field(default_factory=dict)

    @property
    def free(self) -> Resources:
        return self.total - sum_of(self.allocated.values())


@dataclass
class NaiveFilter:
    agent_id: str
    slot: SlotKey
    refused: Resources
    ends_at: float


def _reaches(alternatives: list[dict[str, int]], resources: Resources) -> bool:
    quantities = resources.quantities()
    return not alternatives or any(
        all(quantities.get(name, 0) >= amount for name, amount in one.items()) for one in alternatives
    )


class Naive:
    """The reference."""

    def __init__(self, interval_s: float = 1.0) -> None:
        self.interval_s = interval_s
        self.frameworks: dict[str, NaiveFramework] = {}
        self.agents: dict[str, NaiveAgent] = {}
        self.filters: list[NaiveFilter] = []
        self.weights: dict[str, float] = {}
        self.served: dict[str, int] = {}  # by role, role + "/." and framework id + " " + role

    # what happened ---------------------------------------------------------
    def framework(self, framework_id: str) -> NaiveFramework:
        return self.frameworks.setdefault(framework_id, NaiveFramework())

    def slots(self) -> list[SlotKey]:
        """Every slot that exists: subscribed, or with something allocated."""
        found = dict.fromkeys((one, role) for one, framework in self.frameworks.items() for role in framework.roles)
        for agent in self.agents.values():
            found.update(dict.fromkeys(agent.allocated))
        return list(found)

    def follow_slots(self) -> None:
        """Make counters for new places of the tree, drop those of places that went."""
        slots = self.slots()
        wanted: dict[str, None] = {}
        for framework_id, role in slots:
            for path in (*reversed(ancestors(role)), role):
                wanted[path] = None
            wanted[f"{framework_id} {role}"] = None
        for path in wanted:
            if path in self.served:
                continue
            self.served[path] = 0
            above = path.rpartition("/")[0]
            if " " not in path and above and above + "/." not in self.served:
                self.served[above + "/."] = self.served[above]
        for path in list(self.served):
            if path.removesuffix("/.") not in wanted:
                del self.served[path]

    def recover(self, slot: SlotKey, agent_id: str, resources: Resources, now: float, refuse_s: float | None) -> None:
        agent = self.agents[agent_id]
        rest = agent.allocated[slot] - resources
        if rest:
            agent.allocated[slot] = rest
        else:
            del agent.allocated[slot]
        if refuse_s is not None and slot[1] in self.frameworks[slot[0]].roles:
            ends_at = step_at(last_step(now, refuse_s, self.interval_s))
            self.filters.append(NaiveFilter(agent_id, slot, resources, ends_at))

    def kinds_of_slot(self, agent_id: str, slot: SlotKey) -> int:
        """How many different refusals of one slot on one agent don't imply each other."""
        mine = [one for one in self.filters if one.agent_id == agent_id and one.slot == slot]
        kept: list[NaiveFilter] = []
        for number, one in enumerate(mine):
            if not any(
                other.ends_at >= one.ends_at and other.refused.contains(one.refused) for other in mine[number + 1 :]
            ):
                kept.append(one)
        return len({one.refused for one in kept})

    # who may have what -----------------------------------------------------
    def could_use(self, slot: SlotKey, agent: NaiveAgent) -> bool:
        framework = self.frameworks[slot[0]]
        suppressed = framework.roles.get(slot[1], True)
        if suppressed or not framework.active:
            return False
        if framework.rack is not None and framework.rack != agent.rack:
            return False
        return not (agent.total.gpus_milli and "GPU_RESOURCES" not in framework.capabilities)

    def portion(self, slot: SlotKey, agent: NaiveAgent) -> Resources:
        capabilities = self.frameworks[slot[0]].capabilities
        portion = agent.free.allocatable_to(slot[1])
        if "REVOCABLE_RESOURCES" not in capabilities:
            portion = portion.nonrevocable()
        if "RESERVATION_REFINEMENT" not in capabilities:
            portion = portion.filter(lambda identity: len(identity.reservations) < 2)
        return portion

    def may_have(self, slot: SlotKey, agent_id: str, held_max: int) -> Resources:
        """Return what a slot may be offered of an agent now, `EMPTY` for nothing."""
        agent = self.agents[agent_id]
        if not agent.active or not self.could_use(slot, agent):
            return EMPTY
        portion = self.portion(slot, agent)
        minimum = self.frameworks[slot[0]].minimums.get(slot[1], MINIMUM)
        if not portion or not _reaches(minimum, portion):
            return EMPTY
        if any(one.agent_id == agent_id and one.slot == slot and one.refused.contains(portion) for one in self.filters):
            return EMPTY
        if self.frameworks[slot[0]].held >= held_max:
            others = [other for other in self.slots() if other[0] != slot[0] and self.could_use(other, agent)]
            if others:
                return EMPTY
        return portion

    # who comes first -------------------------------------------------------
    def share(self, slots: list[SlotKey]) -> float:
        capacity = sum_of(agent.total for agent in self.agents.values()).quantities()
        mine = [held for agent in self.agents.values() for slot, held in agent.allocated.items() if slot in slots]
        taken = [one.quantities() for one in mine]
        return max(
            (
                sum(one.get(name, 0) for one in taken) / amount
                for name, amount in capacity.items()
                if name in {"cpus", "mem", "gpus"} and amount
            ),
            default=0.0,
        )

    def order(self) -> list[SlotKey]:
        """Return every slot, in fair order."""
        return self._below("", self.slots())

    def _below(self, path: str, slots: list[SlotKey]) -> list[SlotKey]:
        prefix = path + "/" if path else ""
        own = [slot for slot in slots if slot[1] == path]
        groups: dict[str, list[SlotKey]] = {}
        for slot in slots:
            if slot[1] != path:
                name = slot[1].removeprefix(prefix).partition("/")[0]
                groups.setdefault(name, []).append(slot)
        ranked = [
            (self.share(below) / self.weights.get(prefix + name, 1.0), self.served[prefix + name], name, below)
            for name, below in groups.items()
        ]
        if own and not groups:
            return [
                slot for *_, slot in sorted((self.share([one]), self.served[" ".join(one)], one[0], one) for one in own)
            ]
        if own:
            ranked.append((self.share(own), self.served[path + "/."], ".", own))
        ordered: list[SlotKey] = []
        for *_, name, below in sorted(ranked):
            ordered.extend(self._below(path if name == "." else prefix + name, below))
        return ordered

    # cycles ----------------------------------------------------------------
    def allocate(self, now: float, agent_ids: Sequence[str]) -> list[tuple[str, str, str, Resources]]:
        """Run a cycle over these agents in this order."""
        self.filters = [one for one in self.filters if one.ends_at > now]
        held_max = max(1, -(-len(self.agents) // 2))
        grants: list[tuple[str, str, str, Resources]] = []
        for agent_id in agent_ids:
            while True:
                chosen = next((slot for slot in self.order() if self.may_have(slot, agent_id, held_max)), None)
                if chosen is None:
                    break
                resources = self.may_have(chosen, agent_id, held_max)
                agent = self.agents[agent_id]
                agent.allocated[chosen] = agent.allocated.get(chosen, EMPTY) + resources
                agent.held[chosen] = agent.held.get(chosen, 0) + 1
                self.frameworks[chosen[0]].held += 1
                for path in (chosen[1], *ancestors(chosen[1])):
                    self.served[path] += 1
                if chosen[1] + "/." in self.served:
                    self.served[chosen[1] + "/."] += 1
                self.served[" ".join(chosen)] += 1
                grants.append((*chosen, agent_id, resources))
        return grants
