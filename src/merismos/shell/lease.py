"""Time that a leader may trust: a clock that goes on while the machine sleeps, and a machine that looks at it before each event.

Rules: a process that was stopped, or a machine that slept, finds out before it decides anything. What was suspended by the clock
goes on only when the election says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from merismos.core.kernel import Effect, Event, Machine
from merismos.core.master.events import CoordinationRestored, CoordinationSuspended

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
LAPSED = "the election was not confirmed in time: this process was stopped, or ZooKeeper is slow"


def awake_or_not_s() -> float:
    """Return seconds of a clock that counts the machine's sleep too, where the system has one."""
    return time.clock_gettime(_CLOCK)


class LeasedMachine:
    """A leader's machine, suspended the instant it may not decide any more.

    Shapes: `on_lapse` is called when the clock suspends it, before the event that found it out is handled.
    """

    __slots__ = ("_handle", "_may_decide", "_on_lapse", "_suspended", "next_deadline")

    def __init__(self, machine: Machine, may_decide: Callable[[], bool], on_lapse: Callable[[], None]) -> None:
        self._handle = machine.handle
        self.next_deadline = machine.next_deadline
        self._may_decide = may_decide
        self._on_lapse = on_lapse
        self._suspended = False

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        """Let the machine handle `event`, suspended first where it must be."""
        kind = event.__class__
        if kind is CoordinationSuspended:
            if self._suspended:
                return ()
            self._suspended = True
        elif kind is CoordinationRestored:
            self._suspended = False
        elif not self._suspended and not self._may_decide():
            self._suspended = True
            self._on_lapse()
            return [*self._handle(CoordinationSuspended(LAPSED), now), *self._handle(event, now)]
        return self._handle(event, now)
