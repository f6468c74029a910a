"""Runs one core machine against the world: events in, effects out, one timer.

Rules: an event is handled whole before the next, also when performing an effect brings the next one about. Any exception out of
the machine or of an effect is our bug: the machine may be half changed, so it takes no further event and `on_fault` is told,
which ends the process.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from merismos.core.kernel import Effect, Event, Machine, TimerFired

if TYPE_CHECKING:
    import asyncio

    from merismos.shell.turn import Turn

# uvloop rounds delays to whole milliseconds: rounded down to 0 again and again, a timer would spin until its instant has come.
ROUNDING_S = 0.0005

Performer = Callable[[Any], None]
Fault = Callable[[Event, Exception], None]


class Driver:
    """Feeds a machine its events and performs its effects.

    Shapes: `performers` maps each effect type to the callable that performs it.
    """

    __slots__ = (
        "_asked",
        "_busy",
        "_clock",
        "_faulted",
        "_handle",
        "_loop",
        "_machine",
        "_on_fault",
        "_performers",
        "_queue",
        "_timer",
        "_timer_at",
        "_turn",
    )

    def __init__(
        self,
        machine: Machine,
        performers: Mapping[type[Effect], Performer],
        loop: asyncio.AbstractEventLoop,
        turn: Turn,
        *,
        on_fault: Fault,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._machine = machine
        self._handle = machine.handle
        self._performers = performers
        self._loop = loop
        self._turn = turn
        self._on_fault = on_fault
        self._clock = clock
        self._queue: deque[Event] = deque()
        self._busy = False
        self._asked = False
        self._faulted = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None

    def post(self, event: Event) -> None:
        """Let the machine handle `event` and perform what it answers."""
        if self._busy:
            self._queue.append(event)
            return
        if self._faulted:
            return
        self._busy = True
        performers = self._performers
        queue = self._queue
        try:
            while True:
                for effect in self._handle(event, self._clock()):
                    performers[effect.__class__](effect)
                if not queue:
                    break
                event = queue.popleft()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is our bug, and on_fault ends the process with it
            self._fail(event, error)
        finally:
            self._busy = False
        if not self._asked:
            self._asked = True
            self._turn.at_end(self._set_timer)

    def close(self) -> None:
        """Take no further event."""
        self._faulted = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fail(self, event: Event, error: Exception) -> None:
        self._queue.clear()
        self.close()
        self._on_fault(event, error)

    def _set_timer(self) -> None:
        self._asked = False
        if self._faulted:
            return
        at = self._machine.next_deadline()
        if at == self._timer_at and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = at
        if at is not None:
            self._timer = self._loop.call_later(max(0.0, at - self._clock() + ROUNDING_S), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        at = self._timer_at
        if at is not None and self._clock() < at:
            self._timer = self._loop.call_later(at - self._clock() + ROUNDING_S, self._on_timer)
            return
        self.post(TimerFired())
