from __future__ import annotations

from collections.abc import Sequence

import pytest

from merismos.core.kernel import Effect, Event, TimerFired
from merismos.shell.timings import SAMPLES_MAX, TimedMachine, Timings


def test_nothing_is_told_of_what_never_happened() -> None:
    assert Timings("t_ms").metrics() == {}


def test_the_last_the_extremes_and_the_percentiles_are_told_in_milliseconds() -> None:
    timings = Timings("t_ms")
    for duration_s in (0.004, 0.001, 0.002):
        timings.add(duration_s)
    found = timings.metrics()
    assert found["t_ms"] == pytest.approx(2.0)
    assert found["t_ms/count"] == 3.0
    assert (found["t_ms/min"], found["t_ms/max"]) == (pytest.approx(1.0), pytest.approx(4.0))
    assert found["t_ms/p50"] == pytest.approx(2.0)
    assert found["t_ms/p90"] == pytest.approx(3.6)
    assert found["t_ms/p9999"] <= found["t_ms/max"]


def test_only_recent_durations_are_kept_but_all_are_counted() -> None:
    timings = Timings("t_ms")
    timings.add(9.0)
    for _ in range(SAMPLES_MAX):
        timings.add(0.001)
    found = timings.metrics()
    assert found["t_ms/max"] == pytest.approx(1.0)
    assert found["t_ms/count"] == SAMPLES_MAX + 1


class Counting:
    """A machine whose timer does work every other time."""

    def __init__(self) -> None:
        self.fired = 0

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        assert now == 5.0
        self.fired += isinstance(event, TimerFired)
        return []

    def next_deadline(self) -> float | None:
        return 7.0

    def runs(self) -> int:
        return self.fired // 2


class Other(Event, gc=False):
    """Any other event."""


def test_only_what_the_timer_does_is_timed_and_only_where_it_did_something() -> None:
    machine, timings = Counting(), Timings("t_ms")
    timed = TimedMachine(machine, machine.runs, timings)
    assert timed.next_deadline() == 7.0
    timed.handle(Other(), 5.0)
    assert timings.metrics() == {}
    for _ in range(4):
        timed.handle(TimerFired(), 5.0)
    assert machine.fired == 4
    assert timings.metrics()["t_ms/count"] == 2.0
