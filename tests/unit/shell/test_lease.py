from __future__ import annotations

from collections.abc import Sequence

from merismos.core.kernel import Effect, Event, TimerFired
from merismos.core.master.effects import Exit
from merismos.core.master.events import CoordinationRestored, CoordinationSuspended
from merismos.shell.lease import LAPSED, LeasedMachine, awake_or_not_s


class Recorder:
    def __init__(self) -> None:
        self.handled: list[Event] = []

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        self.handled.append(event)
        return [Exit(0, f"{type(event).__name__} at {now}")]

    def next_deadline(self) -> float | None:
        return 7.0


class Leader:
    def __init__(self) -> None:
        self.inner = Recorder()
        self.certain = True
        self.lapses = 0
        self.machine = LeasedMachine(self.inner, lambda: self.certain, self._on_lapse)

    def _on_lapse(self) -> None:
        assert self.inner.handled[-1:] != [CoordinationSuspended(LAPSED)], "the lapse is told first"
        self.lapses += 1


def test_a_leader_that_was_asleep_is_suspended_before_it_handles_the_first_event() -> None:
    leader = Leader()
    leader.machine.handle(TimerFired(), 1.0)
    leader.certain = False
    effects = leader.machine.handle(TimerFired(), 61.0)
    assert leader.inner.handled == [TimerFired(), CoordinationSuspended(LAPSED), TimerFired()]
    assert effects == [Exit(0, "CoordinationSuspended at 61.0"), Exit(0, "TimerFired at 61.0")]
    assert leader.lapses == 1
    assert leader.machine.next_deadline() == 7.0


def test_a_suspension_is_told_once_whoever_finds_out_first() -> None:
    leader = Leader()
    leader.certain = False
    leader.machine.handle(TimerFired(), 1.0)
    assert leader.machine.handle(CoordinationSuspended("the connection is lost"), 2.0) == ()
    leader.machine.handle(TimerFired(), 3.0)
    assert leader.inner.handled == [CoordinationSuspended(LAPSED), TimerFired(), TimerFired()]
    assert leader.lapses == 1


def test_only_the_election_ends_a_suspension() -> None:
    leader = Leader()
    leader.machine.handle(CoordinationSuspended("the connection is lost"), 1.0)
    leader.certain = True
    leader.machine.handle(TimerFired(), 2.0)
    leader.machine.handle(CoordinationRestored(), 3.0)
    leader.certain = False
    leader.machine.handle(TimerFired(), 4.0)
    assert leader.inner.handled == [
        CoordinationSuspended("the connection is lost"),
        TimerFired(),
        CoordinationRestored(),
        CoordinationSuspended(LAPSED),
        TimerFired(),
    ]


def test_the_clock_goes_on() -> None:
    assert awake_or_not_s() <= awake_or_not_s()
