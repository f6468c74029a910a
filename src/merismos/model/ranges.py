"""Sets of whole numbers kept as disjoint closed ranges, such as ports; immutable.

Kept as one sorted tuple of bounds `(begin, end + 1, begin, end + 1, ...)`, strictly increasing, so that adjacent ranges are
always coalesced and equal sets have equal tuples. A position in the tuple is odd exactly when it lies inside a range: adding or
taking away one range is two binary searches and a splice; anything bigger is one merge of both tuples.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

NUMBER_MAX: Final = (1 << 64) - 1
_ONE: Final = 2  # one range has two bounds
_SPLICES_MAX: Final = 8

_match_text = re.compile(
    r"\[\s*(?:\d{1,20}\s*-\s*\d{1,20}\s*(?:,\s*\d{1,20}\s*-\s*\d{1,20}\s*)*)?\]", re.ASCII
).fullmatch
_find_numbers = re.compile(r"\d+", re.ASCII).findall


class Ranges(msgspec.Struct, frozen=True, gc=False):
    """An immutable set of whole numbers with set algebra; falsy when empty.

    Shapes: `+` is union, `-` difference, `&` intersection, `<=` subset, as Mesos defines them for ranges.
    """

    bounds: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.bounds)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        bounds = self.bounds
        for at in range(0, len(bounds), 2):
            yield bounds[at], bounds[at + 1] - 1

    def __contains__(self, number: int) -> bool:
        return bisect_right(self.bounds, number) % 2 == 1

    @property
    def size(self) -> int:
        """How many numbers are in it."""
        return sum(self.bounds[1::2]) - sum(self.bounds[::2])

    def __add__(self, other: Ranges) -> Ranges:
        small, large = (
            (self.bounds, other.bounds) if len(self.bounds) < len(other.bounds) else (other.bounds, self.bounds)
        )
        if not small:
            return Ranges(large)
        if len(small) > 2 * _SPLICES_MAX:
            return Ranges(_merge(small, large, 1))
        for at in range(0, len(small), 2):
            large = _with_range(large, small[at], small[at + 1])
        return Ranges(large)

    def __sub__(self, other: Ranges) -> Ranges:
        mine, theirs = self.bounds, other.bounds
        if len(theirs) == _ONE:
            return Ranges(_without_range(mine, *theirs))
        if len(theirs) > 2 * _SPLICES_MAX:
            return Ranges(_merge(mine, _complement(theirs), 2))
        for at in range(0, len(theirs), 2):
            mine = _without_range(mine, theirs[at], theirs[at + 1])
        return Ranges(mine)

    def __and__(self, other: Ranges) -> Ranges:
        return Ranges(_merge(self.bounds, other.bounds, 2))

    def __le__(self, other: Ranges) -> bool:
        mine, theirs = self.bounds, other.bounds
        if mine is theirs:
            return True
        for at in range(0, len(mine), 2):
            position = bisect_right(theirs, mine[at])
            if position % 2 == 0 or theirs[position] < mine[at + 1]:
                return False
        return True

    def __str__(self) -> str:
        return "[" + ", ".join(f"{begin}-{end}" for begin, end in self) + "]"


def _with_range(bounds: tuple[int, ...], begin: int, end: int) -> tuple[int, ...]:
    left, right = bisect_left(bounds, begin), bisect_right(bounds, end)
    tail = bounds[right:]
    if right % 2 == 0:
        tail = (end, *tail)
    return bounds[:left] + tail if left % 2 else (*bounds[:left], begin, *tail)


def _without_range(bounds: tuple[int, ...], begin: int, end: int) -> tuple[int, ...]:
    left, right = bisect_left(bounds, begin), bisect_right(bounds, end)
    if left % 2:
        return bounds[:left] + ((begin, end) if right % 2 else (begin,)) + bounds[right:]
    return (*bounds[:left], end, *bounds[right:]) if right % 2 else bounds[:left] + bounds[right:]


def _merge(one: tuple[int, ...], two: tuple[int, ...], needed: int) -> tuple[int, ...]:
    """Return the bounds of the numbers that lie in at least `needed` of the two.

    Opening bounds sort before closing bounds at the same number: in half-open ranges a touch then neither splits nor vanishes,
    and a range of no length is never written.
    """
    steps = [(bound, at % 2) for bounds in (one, two) for at, bound in enumerate(bounds)]
    steps.sort()
    merged: list[int] = []
    depth = 0
    for bound, closes in steps:
        before = depth
        depth += -1 if closes else 1
        if (before >= needed) == (depth >= needed):
            continue
        if merged and merged[-1] == bound:
            merged.pop()
        else:
            merged.append(bound)
    return tuple(merged)


def _complement(bounds: tuple[int, ...]) -> tuple[int, ...]:
    """Return the bounds of all other numbers, for `_merge` only: at the ends there may be ranges of no length."""
    return (0, *bounds, NUMBER_MAX + 1)


EMPTY_RANGES: Final = Ranges()


def ranges_of(pairs: Iterable[tuple[int, int]]) -> Ranges:
    """Return the union of closed ranges, in any order, overlapping or not.

    Errors: ValueError when a range is inverted or leaves 0 .. 2**64 - 1.
    """
    bounds: list[int] = []
    for begin, end in sorted(pairs):
        if begin > end:
            message = f"range {begin}-{end} begins after its end"
            raise ValueError(message)
        if begin < 0 or end > NUMBER_MAX:
            message = f"range {begin}-{end} leaves 0-{NUMBER_MAX}"
            raise ValueError(message)
        if bounds and begin <= bounds[-1]:
            bounds[-1] = max(bounds[-1], end + 1)
        else:
            bounds += (begin, end + 1)
    return Ranges(tuple(bounds))


def parse_ranges(text: str) -> Ranges:
    """Return the ranges written as `[31000-31010,32000-32000]`; `[]` is the empty set.

    Errors: ValueError when the text isn't of that form, or a range is inverted or too large.
    """
    if _match_text(text.strip()) is None:
        message = f"expected ranges like [31000-31010,32000-32000], found {text!r}"
        raise ValueError(message)
    numbers = [int(number) for number in _find_numbers(text)]
    return ranges_of(zip(numbers[::2], numbers[1::2], strict=True))
