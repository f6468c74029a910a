"""Siblings in fair order: who comes first among those that a bitmask names.

Rules:
- One dimension of the fair sharing tree is a sorted list of (key, node), cut into runs of a few dozen. Each run knows the bits of
  all slots below its nodes, so the first node with an eligible slot is found by testing whole runs, whatever the mask looks like:
  a thousand siblings that are filtered everywhere cost thirty tests.
- A key is (measure, times served, name), least first. The measure is the weighted dominant share, or for the random order the
  next point of a Poisson process with the node's weight as its rate: then each turn goes to a node in proportion to its weight,
  whatever went before.
- A node is in the list while some slot below it may be offered to.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterator
from operator import truediv
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from merismos.core.kernel import Prng

Entry = tuple[float, int, str, "Node"]
RUN_LENGTH_MAX: Final = 64


class Node:
    """A place in the tree: a role, or (as `Slot`) a framework in a role.

    Shapes: `mask` has a bit for each slot below that may be offered to; `allocated_milli` runs parallel to the tree's scalar names.
    """

    __slots__ = ("allocated_milli", "children", "clock", "entry", "mask", "name", "served", "siblings", "weight")

    def __init__(self, name: str, siblings: Siblings, dimensions: int, *, children: Siblings | None = None) -> None:
        self.name = name
        self.siblings = siblings
        self.children = children
        self.mask = 0
        self.allocated_milli = [0] * dimensions
        self.weight = 1.0
        self.served = 0
        self.clock = 0.0
        self.entry: Entry | None = None  # in `siblings` while not None

    def share(self, totals: list[float]) -> float:
        """Return the weighted dominant share; `totals` is infinite where a name doesn't count."""
        return max(map(truediv, self.allocated_milli, totals)) / self.weight


class Siblings:
    """The children of one node in fair order.

    Shapes: `runs` sorted lists of entries; `masks` and `lasts` their bits and greatest entries.
    """

    __slots__ = ("clock", "lasts", "masks", "prng", "runs", "size")

    def __init__(self, prng: Prng | None = None) -> None:
        self.prng = prng  # None: by dominant share
        self.clock = 0.0  # of the node that was served last, in random order
        self.runs: list[list[Entry]] = []
        self.masks: list[int] = []
        self.lasts: list[Entry] = []
        self.size = 0

    def __iter__(self) -> Iterator[Node]:
        for run in self.runs:
            for entry in run:
                yield entry[3]

    def first(self, eligible: int) -> Node:
        """Return the first node with a slot in `eligible`; there must be one."""
        for number, mask in enumerate(self.masks):
            if mask & eligible:
                for entry in self.runs[number]:
                    if entry[3].mask & eligible:
                        return entry[3]
        raise AssertionError("the caller tests the mask of the parent first")

    def add(self, node: Node, totals: list[float]) -> None:
        """Let `node` take part."""
        if self.prng is not None:
            node.clock = self.clock + _exponential(self.prng, node.weight)
        self._insert(node, self._entry(node, totals))
        self.size += 1

    def remove(self, node: Node) -> None:
        """Let `node` sit out."""
        self._take(node)
        node.entry = None
        self.size -= 1

    def remask(self, node: Node, changed: int) -> None:
        """Follow a change of `node.mask`: the bits of `changed` flipped."""
        assert node.entry is not None
        self.masks[bisect_left(self.lasts, node.entry)] ^= changed

    def move(self, node: Node, totals: list[float]) -> None:
        """Put `node` where its allocation now belongs."""
        entry = self._entry(node, totals)
        if self.size == 1:
            node.entry = entry
            self.runs[0][0] = self.lasts[0] = entry
            return
        self._take(node)
        self._insert(node, entry)

    def served(self, node: Node) -> None:
        """Count one turn of `node`; `move` it afterwards."""
        node.served += 1
        if self.prng is not None:
            self.clock = max(self.clock, node.clock)
            node.clock = self.clock + _exponential(self.prng, node.weight)

    def _entry(self, node: Node, totals: list[float]) -> Entry:
        if self.prng is None:
            measure = max(map(truediv, node.allocated_milli, totals)) / node.weight
            return (measure, node.served, node.name, node)
        return (node.clock, node.served, node.name, node)

    def _take(self, node: Node) -> None:
        entry = node.entry
        assert entry is not None
        lasts = self.lasts
        number = bisect_left(lasts, entry)
        run = self.runs[number]
        if len(run) == 1:
            del self.runs[number], self.masks[number], lasts[number]
            return
        del run[bisect_left(run, entry)]
        self.masks[number] ^= node.mask
        lasts[number] = run[-1]

    def _insert(self, node: Node, entry: Entry) -> None:
        node.entry = entry
        lasts = self.lasts
        if not lasts:
            self.runs.append([entry])
            self.masks.append(node.mask)
            lasts.append(entry)
            return
        number = bisect_left(lasts, entry)
        if number == len(lasts):
            number -= 1
            lasts[number] = entry
        run = self.runs[number]
        insort(run, entry)
        self.masks[number] ^= node.mask
        if len(run) > RUN_LENGTH_MAX:
            self._split(number)

    def _split(self, number: int) -> None:
        run = self.runs[number]
        middle = len(run) // 2
        halves = (run[:middle], run[middle:])
        self.runs[number : number + 1] = halves
        self.masks[number : number + 1] = [_mask_of(half) for half in halves]
        self.lasts[number : number + 1] = [half[-1] for half in halves]


def _mask_of(run: list[Entry]) -> int:
    mask = 0
    for entry in run:
        mask |= entry[3].mask
    return mask


def _exponential(prng: Prng, rate: float) -> float:
    return -math.log(1.0 - prng.uniform(0.0, 1.0)) / rate
