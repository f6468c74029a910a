"""Time limits for many waiting things, checked once a second by one timer.

Rules: a limit is late by up to one tick and never early; a thing has at most one limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


class Wheel:
    """Calls `late` for every thing whose limit has passed, then forgets it.

    Units: seconds.
    """

    __slots__ = ("_clock", "_limits", "_loop", "_tick_s", "_timer")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, tick_s: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._loop = loop
        self._tick_s = tick_s
        self._clock = clock
        self._limits: dict[object, tuple[float, Callable[[], None]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._limits)

    def set(self, thing: object, limit_s: float, late: Callable[[], None]) -> None:
        """Give `thing` this long from now, whatever it had before."""
        self._limits[thing] = (self._clock() + limit_s, late)
        if self._timer is None:
            self._timer = self._loop.call_later(self._tick_s, self._tick)

    def drop(self, thing: object) -> None:
        """Let `thing` go on for ever."""
        self._limits.pop(thing, None)

    def close(self) -> None:
        """Forget every limit."""
        self._limits.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        now = self._clock()
        due = [(thing, late) for thing, (at, late) in self._limits.items() if at <= now]
        for thing, late in due:
            self._limits.pop(thing, None)
            late()
        self._timer = self._loop.call_later(self._tick_s, self._tick) if self._limits else None
