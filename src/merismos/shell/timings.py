"""How long things took, as Mesos' timers tell it: the last, and count, least, most and percentiles of the recent ones.

Source: Mesos, docs/monitoring.md; units there are milliseconds.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from merismos.core.kernel import Effect, Event, Machine, TimerFired

SAMPLES_MAX = 1000
_PERCENTILES = (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999), ("p9999", 0.9999))


class Timings:
    """The recent durations of one kind of thing.

    Shapes: metrics named `name`, `name/count`, `name/min` and so on; all of them zero before the first.
    Units: given in seconds, told in milliseconds.
    """

    __slots__ = ("_count", "_name", "_samples")

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0
        self._samples: deque[float] = deque(maxlen=SAMPLES_MAX)

    def add(self, duration_s: float) -> None:
        """Take one more."""
        self._count += 1
        self._samples.append(duration_s * 1000.0)

    def metrics(self) -> dict[str, float]:
        """Return what is known."""
        name = self._name
        if not self._samples:
            return {}
        ordered = sorted(self._samples)
        found = {
            name: self._samples[-1],
            f"{name}/count": float(self._count),
            f"{name}/min": ordered[0],
            f"{name}/max": ordered[-1],
        }
        for label, part in _PERCENTILES:
            place = part * (len(ordered) - 1)
            below = int(place)
            above = min(below + 1, len(ordered) - 1)
            found[f"{name}/{label}"] = ordered[below] + (ordered[above] - ordered[below]) * (place - below)
        return found


class TimedMachine:
    """A machine whose timer's work is timed where it made `runs` grow: a core reads no clock."""

    __slots__ = ("_handle", "_runs", "_timings", "next_deadline")

    def __init__(self, machine: Machine, runs: Callable[[], int], timings: Timings) -> None:
        self._handle = machine.handle
        self.next_deadline = machine.next_deadline
        self._runs = runs
        self._timings = timings

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        """Let the machine handle `event`."""
        if event.__class__ is not TimerFired:
            return self._handle(event, now)
        before, began_at = self._runs(), time.perf_counter()
        effects = self._handle(event, now)
        if self._runs() != before:
            self._timings.add(time.perf_counter() - began_at)
        return effects
