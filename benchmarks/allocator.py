"""Allocation cycles inside one process: CPU of a cycle, offers built and grouped by framework, bytes not written.

`python -m benchmarks.allocator` prints the table. Each figure is the best of several repeats of the process's own CPU time, the
median beside it: other work on the machine only ever adds. The floor builds the same offers in the same way and decides nothing.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median
from types import SimpleNamespace
from typing import TypedDict, cast

from merismos.core.allocator import Allocator, AllocatorSettings, Grant
from merismos.core.allocator.filters import refuse
from merismos.core.kernel import Prng
from merismos.core.master.effects import SendOffers
from merismos.core.master.state import Agent, Framework, Offer
from merismos.model.resource_notation import parse_resources
from merismos.model.resources import Resources

CAPABILITIES = ("MULTI_ROLE", "RESERVATION_REFINEMENT", "PARTITION_AWARE")
FOREVER_S = 31_536_000.0
REPEATS = 15


class BenchRow(TypedDict):
    """One line of the table; `reach` is what is aimed at, in `unit`."""

    name: str
    value: float
    unit: str
    floor: float | None
    ratio: float | None
    reach: float
    note: str


def _resources(text: str) -> Resources:
    parsed = parse_resources(text)
    assert isinstance(parsed, Resources)
    return parsed


class Bed:
    """An allocator with agents and frameworks, and a stand-in for the master that turns grants into offers."""

    def __init__(self, agents: int, frameworks: int, *, role_each: bool = False, varied: bool = False) -> None:
        self.allocator = Allocator(AllocatorSettings())
        self.cluster = self.allocator._cluster  # noqa: SLF001 - the bench loads state that would take minutes to come about
        self.now = 100.0
        self.frameworks: dict[str, Framework] = {}
        self.agents: dict[str, Agent] = {}
        for number in range(frameworks):
            name = f"2fd9eabb-82c6-4807-8eff-07f7a6c62afa-{number:04d}"
            role = f"role{number}" if role_each else "eng"
            self.allocator.add_framework(name, [role], CAPABILITIES)
            self.frameworks[name] = cast("Framework", SimpleNamespace(id=name, stream=number))
        for number in range(agents):
            agent_id = f"2fd9eabb-82c6-4807-8eff-07f7a6c62afa-S{number}"
            cpus, mem = (4 + number % 13, 4096 + 512 * (number % 29)) if varied else (24, 4096)
            total = _resources(f"cpus:{cpus};mem:{mem};disk:4096;ports:[31000-32000]")
            self.allocator.add_agent(agent_id, total, [], hostname=f"host{number}")
            self.agents[agent_id] = cast("Agent", SimpleNamespace(id=agent_id))
        self.slots = [slot for framework in self.cluster.frameworks.values() for slot in framework.slots.values()]

    def offers_of(self, grants: list[Grant]) -> list[SendOffers]:
        """Build what the master makes of grants: an Offer each, one effect a framework."""
        frameworks, agents, now = self.frameworks, self.agents, self.now
        prefix = "2fd9eabb-82c6-4807-8eff-07f7a6c62afa-O"
        batches: dict[str, list[Offer]] = {}
        for number, grant in enumerate(grants):
            framework = frameworks[grant.framework_id]
            offer = Offer(prefix + str(number), framework, agents[grant.agent_id], grant.role, grant.resources, now)
            batch = batches.get(framework.id)
            if batch is None:
                batches[framework.id] = [offer]
            else:
                batch.append(offer)
        return [SendOffers(frameworks[framework_id].stream or 0, batch) for framework_id, batch in batches.items()]

    def take_back(self, grants: list[Grant], refuse_s: float | None = None) -> None:
        """End every offer."""
        for grant in grants:
            self.allocator.answered(grant.framework_id, grant.role, grant.agent_id)
            self.allocator.recover(
                grant.framework_id, grant.role, grant.agent_id, grant.resources, now=self.now, refuse_s=refuse_s
            )

    def make_dirty(self) -> None:
        """Let every agent be looked at in the next cycle."""
        self.cluster.all_dirty = True

    def filter(self, masks: Iterator[int]) -> None:
        """Filter, for ever, the slots of one mask on each agent."""
        step = 1 << 40
        for agent, mask in zip(self.cluster.agents.values(), masks, strict=False):
            agent.refusals = []
            agent.seen = None
            refuse(agent, mask, agent.free, step)
            agent.refresh(self.cluster.tree, self.cluster.minimum)


def _cpu_ms(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return (time.process_time() - begun) * 1000


def _row(
    name: str, values: list[float], unit: str, reach: float, floor: list[float] | None = None, note: str = ""
) -> BenchRow:
    best = min(values)
    bare = min(floor) if floor else None
    note = f"median {median(values):.1f} {unit}{'; ' if note else ''}{note}"
    return BenchRow(
        name=name, value=best, unit=unit, floor=bare, ratio=best / bare if bare else None, reach=reach, note=note
    )


def _cycles(bed: Bed, name: str, reach: float, note: str = "", repeats: int = REPEATS) -> BenchRow:
    """Measure a cycle over every agent and the offers of its grants; between two, every offer is taken back without a filter."""
    values: list[float] = []
    floors: list[float] = []
    bed.take_back(bed.allocator.allocate(bed.now))
    gc.collect()
    granted = 0
    for _ in range(repeats):
        bed.now += 1
        bed.make_dirty()
        made: list[list[Grant]] = []
        values.append(_cpu_ms(lambda: (made.append(bed.allocator.allocate(bed.now)), bed.offers_of(made[0]))))  # noqa: B023 - called at once
        floors.append(_cpu_ms(lambda: bed.offers_of(made[0])))  # noqa: B023 - called at once
        granted = len(made[0])
        bed.take_back(made[0])
    return _row(name, values, "ms", reach, floors, f"{granted:,} offers{'; ' if note else ''}{note}")


def _filtered(bed: Bed, name: str, reach: float, masks: Iterator[int]) -> BenchRow:
    """Measure cycles in which these filters hold, loaded for every agent."""
    bed.take_back(bed.allocator.allocate(bed.now))
    bed.filter(masks)
    return _cycles(bed, name, reach, repeats=7)


def _random_masks(everyone: int, seed: int = 7) -> Iterator[int]:
    prng = Prng(seed)
    while True:
        mask = 0
        for _ in range(everyone.bit_length() // 64 + 1):
            mask = mask << 64 | prng.next_u64()
        yield mask & everyone


def _first_half(bed: Bed) -> int:
    """Return the bits of the half of the slots that come first in fair order for the idle."""
    mask = 0
    for slot in sorted(bed.slots, key=lambda slot: slot.name)[: len(bed.slots) // 2]:
        mask |= slot.bit
    return mask


def _forever(mask: int) -> Iterator[int]:
    while True:
        yield mask


def declined_for_ever() -> list[BenchRow]:
    """The published DeclineOffers case: 10,000 agents, 1,000 frameworks, every offer declined for ever."""
    bed = Bed(10_000, 1000)
    rows = [_cycles(bed, "10,000 x 1,000, one role: first round", 50, repeats=7)]
    bed.now += 1
    bed.make_dirty()
    grants = bed.allocator.allocate(bed.now)
    decline_us = _cpu_ms(lambda: bed.take_back(grants, FOREVER_S)) * 1000 / len(grants)
    rows.append(_row("an offer declined: answered, recovered, filtered", [decline_us], "us", 3))
    bed.filter(_forever(bed.cluster.tree.mask))
    values: list[float] = []
    for _ in range(REPEATS):
        bed.now += 1
        bed.make_dirty()
        values.append(_cpu_ms(lambda: bed.allocator.allocate(bed.now)))
    rows.append(_row("10,000 x 1,000: every agent dirty, every pair filtered", values, "ms", 10, note="state loaded"))
    return rows


def adversaries() -> list[BenchRow]:
    """Filters laid out so that a naive search for the next framework would be long."""
    rows: list[BenchRow] = []
    for role_each, where in ((False, "one role"), (True, "a role each")):
        bed = Bed(5000, 1000, role_each=role_each, varied=True)
        everyone, front = bed.cluster.tree.mask, _first_half(bed)
        rows.append(_filtered(bed, f"5,000 x 1,000, {where}: the first half filtered everywhere", 100, _forever(front)))
        rows.append(_filtered(bed, f"5,000 x 1,000, {where}: random halves filtered", 100, _random_masks(everyone)))
        few = _sparse(bed)
        rows.append(_filtered(bed, f"5,000 x 1,000, {where}: 990 filtered, other ones on each agent", 100, few))
        half = (mask | front for mask in _random_masks(everyone))
        rows.append(_filtered(bed, f"5,000 x 1,000, {where}: the first half and random ones filtered", 100, half))
    return rows


def _sparse(bed: Bed) -> Iterator[int]:
    everyone, prng = bed.cluster.tree.mask, Prng(11)
    while True:
        mask = everyone
        for _ in range(10):
            mask &= ~bed.slots[prng.next_u64() % len(bed.slots)].bit
        yield mask


def events() -> list[BenchRow]:
    """What one event costs in a big cluster that is otherwise at rest."""
    bed = Bed(5000, 1000)
    grants = bed.allocator.allocate(bed.now)
    values: list[float] = []
    for grant in grants[:1000]:
        bed.now += 0.01
        bed.take_back([grant])
        values.append(_cpu_ms(lambda: bed.allocator.allocate(bed.now)) * 1000)
    rows = [
        _row("one dirty agent: allocate", values, "us", 10, note="5,000 agents, 1,000 frameworks, all but it offered")
    ]
    freed: list[float] = []
    for start in range(1000, 2000, 100):
        chunk = grants[start : start + 100]
        freed.append(_cpu_ms(lambda: bed.take_back(chunk)) * 1000 / len(chunk))  # noqa: B023 - called at once
    rows.append(_row("resources freed: answered, recovered", freed, "us", 3))
    return rows


def expiry() -> list[BenchRow]:
    """Ten million filters that end at once."""
    bed = Bed(10_000, 1000)
    bed.take_back(bed.allocator.allocate(bed.now))
    step = int(bed.now + 10) * 8
    for agent in bed.cluster.agents.values():
        refuse(agent, bed.cluster.tree.mask, agent.free, step)
        bed.cluster.expiries.note(step, agent)
    bed.now += 5
    bed.allocator.allocate(bed.now)
    bed.now += 20
    ended = _cpu_ms(lambda: bed.cluster.expiries.end(bed.now))
    return [_row("10,000,000 filters end", [ended], "ms", 50)]


def rows() -> list[BenchRow]:
    """Measure everything."""
    found = [
        _cycles(Bed(5000, 1000), "5,000 x 1,000, one role: cycle with every agent dirty, offers built", 25),
        _cycles(Bed(5000, 1000, role_each=True), "5,000 x 1,000, a role each: the same", 50),
    ]
    found += declined_for_ever()
    found += [
        _cycles(Bed(5000, 1000, varied=True), "5,000 x 1,000, one role, agents of many sizes", 25),
        _cycles(Bed(5000, 1000, role_each=True, varied=True), "5,000 x 1,000, a role each, agents of many sizes", 50),
    ]
    return found + adversaries() + events() + expiry()


def main() -> None:
    """Print the table."""
    for row in rows():
        floor = "" if row["floor"] is None else f"{row['floor']:8.2f} floor {row['ratio']:5.1f} x"
        sys.stdout.write(
            f"{row['name']:75} {row['value']:8.2f} {row['unit']:3} reach {row['reach']:5.0f} {floor:28} {row['note']}\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
