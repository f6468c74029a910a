"""Siblings in fair order: who comes first among those that a bitmask names.

Rules:
- One level of the fair sharing tree is a sorted list of (key, node), cut into runs of a few dozen. Each run knows the bits of all
  slots below its nodes, so the first node with an eligible slot is found by testing whole runs, whatever the mask looks like: a
  thousand siblings that are filtered everywhere cost thirty tests.
- A key is (measure, times served, name), least first. The measure is the weighted dominant share, or for the random order the
  next point of a Poisson process with the node's weight as its rate: then each turn goes to a node in proportion to its weight,
  whatever went before.
- A node is in the list while some slot below it may be offered to. While it is the only one, its key may be out of date.
- An allocation is one integer, a field of 80 bits for each scalar name: charging it is one addition, whatever there is to count.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from merismos.core.kernel import Prng

Entry = tuple[float, int, str, "Node"]
RUN_LENGTH_MAX: Final = 64
FIELD_BITS: Final = 80
_FIELD: Final = (1 << FIELD_BITS) - 1
_SHARES_KEPT_MAX: Final = 10_000


class Scale:
    """What shares are fractions of.

    Shapes: `totals` by field, infinite where a name doesn't count; `shares` the dominant shares computed so far.
    """

    __slots__ = ("shares", "totals")

    def __init__(self) -> None:
        self.totals: list[float] = []
        self.shares: dict[int, float] = {}

    def reset(self, totals: list[float]) -> None:
        """Measure by other totals from now on."""
        self.totals = totals
        self.shares.clear()

    def share_of(self, allocated: int) -> float:
        """Return the dominant share of an allocation."""
        share = self.shares.get(allocated)
        if share is None:
            share = 0.0
            rest = allocated
            for total in self.totals:
                share = max(share, (rest & _FIELD) / total)
                rest >>= FIELD_BITS
            if len(self.shares) >= _SHARES_KEPT_MAX:
                self.shares.clear()
            self.shares[allocated] = share
        return share


def fields_of(allocated: int, count: int) -> list[int]:
    """Return the first fields of an allocation."""
    return [allocated >> (number * FIELD_BITS) & _FIELD for number in range(count)]


class Node:
    """A place in the tree: a role, or (as `Slot`) a framework in a role.

    Shapes: `mask` has a bit for each slot below that may be offered to; `allocated` has a field for each of the tree's names.
    """

    __slots__ = ("allocated", "children", "clock", "entry", "mask", "name", "served", "siblings", "weight")

    def __init__(self, name: str, siblings: Siblings, children: Siblings | None = None) -> None:
        self.name = name
        self.siblings = siblings
        self.children = children
        self.mask = 0
        self.allocated = 0
        self.weight = 1.0
        self.served = 0
        self.clock = 0.0
        self.entry: Entry | None = None  # in `siblings` while not None


class Siblings:
    """The children of one node in fair order.

    Shapes: `runs` sorted lists of entries; `masks` and `lasts` their bits and greatest entries.
    """

    __slots__ = ("clock", "lasts", "masks", "prng", "runs", "scale", "size")

    def __init__(self, scale: Scale, prng: Prng | None = None) -> None:
        self.scale = scale
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

    def serve_first(self, eligible: int, allocated: int) -> Node:
        """Charge `allocated` to the first node with a slot in `eligible`, put it in its new place and return it."""
        masks, runs, lasts = self.masks, self.runs, self.lasts
        number = index = 0
        while not masks[number] & eligible:
            number += 1
        run = runs[number]
        node = run[0][3]
        while not node.mask & eligible:
            index += 1
            node = run[index][3]
        total = node.allocated = node.allocated + allocated
        served = node.served = node.served + 1
        if self.prng is None:
            share = self.scale.shares.get(total)
            if share is None:
                share = self.scale.share_of(total)
            measure = share / node.weight
        else:
            self.clock = max(self.clock, node.clock)
            measure = node.clock = self.clock + _exponential(self.prng, node.weight)
        entry = node.entry = (measure, served, node.name, node)
        del run[index]
        if not run:
            del runs[number], masks[number], lasts[number]
        else:
            masks[number] ^= node.mask
            if index == len(run):
                lasts[number] = run[-1]
        self._insert(node, entry)
        return node

    def add(self, node: Node) -> None:
        """Let `node` take part."""
        if self.size == 1:
            self.move(self.runs[0][0][3])  # alone, it had no need to be in its right place
        if self.prng is not None:
            node.clock = self.clock + _exponential(self.prng, node.weight)
        self._insert(node, self._entry(node))
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

    def move(self, node: Node) -> None:
        """Put `node` where its allocation and weight now belong."""
        self._take(node)
        self._insert(node, self._entry(node))

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

    def _entry(self, node: Node) -> Entry:
        measure = node.clock if self.prng is not None else self.scale.share_of(node.allocated) / node.weight
        entry = node.entry = (measure, node.served, node.name, node)
        return entry

    def _insert(self, node: Node, entry: Entry) -> None:
        lasts = self.lasts
        if lasts and lasts[-1] < entry:
            number = -1
            run = self.runs[-1]
            run.append(entry)
            lasts[-1] = entry
        elif lasts:
            number = bisect_left(lasts, entry)
            run = self.runs[number]
            insort(run, entry)
        else:
            self.runs.append([entry])
            self.masks.append(node.mask)
            lasts.append(entry)
            return
        self.masks[number] ^= node.mask
        if len(run) > RUN_LENGTH_MAX:
            self._split(number % len(lasts))

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
