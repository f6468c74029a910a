"""Deadlines that all lie the same time ahead: what was put in first comes due first, so no heap is needed."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")


class FixedDelay(Generic[Key]):
    """Keys that come due a constant time after they were put in: heartbeats, pings.

    Shapes: what is put in last comes due last, so an ordered dict does; every operation costs O(1).
    Units: `delay_s` in seconds.
    """

    __slots__ = ("_at", "delay_s")

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self._at: OrderedDict[Key, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._at)

    def put(self, key: Key, now: float) -> None:
        """Let `key` come due `delay_s` after `now`, whatever was set for it before."""
        self._at[key] = now + self.delay_s
        self._at.move_to_end(key)

    def cancel(self, key: Key) -> None:
        """Forget `key`; unknown keys are fine."""
        self._at.pop(key, None)

    def next(self) -> float | None:
        """Return the earliest instant, None when nothing is put in."""
        for at in self._at.values():
            return at
        return None

    def pop_due(self, now: float) -> list[Key]:
        """Remove and return every key whose instant is not after `now`, the earliest first."""
        due: list[Key] = []
        while self._at:
            key, at = next(iter(self._at.items()))
            if at > now:
                break
            del self._at[key]
            due.append(key)
        return due
