"""What every core machine is made of: events, effects, deadlines and a small seeded generator.

Rules: nothing here awaits, reads a clock, draws from the system's randomness, iterates a set, opens a file or logs.
`now` is the shell's monotonic clock in seconds; wall time is `now` plus an offset that arrives in an event.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Sequence
from typing import Protocol

import msgspec

_MASK_64 = (1 << 64) - 1
_DEAD_MAX = 64


class Event(msgspec.Struct, gc=False):
    """Something that happened; named in the past tense."""


class Effect(msgspec.Struct, gc=False):
    """Something the shell shall do; named in the imperative."""


class Machine(Protocol):
    """A core: decides, and does nothing itself."""

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        """Take one event and return the effects, in the order in which the shell performs them."""
        ...

    def next_deadline(self) -> float | None:
        """Return the instant at which the machine wants a `TimerFired`, None for never."""
        ...


class TimerFired(Event):
    """The instant that `next_deadline` named has passed."""


class Deadlines:
    """Instants by key, the earliest first; setting a key again moves it.

    Shapes: a heap with lazy deletion, so `set` and `cancel` cost O(log n) and O(1); rebuilt when most of it is dead, so that it
    holds at most `_DEAD_MAX` entries more than twice what is set.
    """

    __slots__ = ("_at", "_heap", "_order")

    def __init__(self) -> None:
        self._at: dict[Hashable, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, Hashable]] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._at)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._at

    def set(self, key: Hashable, at: float) -> None:
        """Fire `key` at the instant `at`, whatever was set for it before."""
        self._order += 1
        self._at[key] = (at, self._order)
        heap = self._heap
        heapq.heappush(heap, (at, self._order, key))
        if len(heap) > 2 * len(self._at) + _DEAD_MAX:
            heap[:] = [(at, order, key) for key, (at, order) in self._at.items()]
            heapq.heapify(heap)

    def cancel(self, key: Hashable) -> None:
        """Forget `key`; unknown keys are fine."""
        self._at.pop(key, None)

    def next(self) -> float | None:
        """Return the earliest instant, None when nothing is set."""
        heap = self._heap
        while heap:
            at, order, key = heap[0]
            if self._at.get(key) == (at, order):
                return at
            heapq.heappop(heap)
        return None

    def pop_due(self, now: float) -> list[Hashable]:
        """Remove and return every key whose instant is not after `now`, the earliest first."""
        due: list[Hashable] = []
        while (at := self.next()) is not None and at <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._at[key]
            due.append(key)
        return due


class Prng:
    """A SplitMix64 generator: the only chance in a core, so that a seed replays a run.

    Source: Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014, figure 17.
    """

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK_64

    def next_u64(self) -> int:
        """Return the next 64 random bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK_64
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK_64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK_64
        return z ^ (z >> 31)

    def uniform(self, low: float, high: float) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * ((self.next_u64() >> 11) / (1 << 53))

    def uuid_bytes(self) -> bytes:
        """Return the 16 bytes of a version 4 UUID."""
        raw = bytearray(self.next_u64().to_bytes(8, "big") + self.next_u64().to_bytes(8, "big"))
        raw[6] = (raw[6] & 0x0F) | 0x40
        raw[8] = (raw[8] & 0x3F) | 0x80
        return bytes(raw)
