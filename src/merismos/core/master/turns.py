"""Changes that are made one after the other: each is judged by what the one before has made durable.

Rules: a change either ends at once (it was refused) or calls `begin`, and `end` when its write came back.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from merismos.core.master.state import Master

    Change = Callable[[Master, float], None]


class Turns:
    """A queue of changes, of which one is under way."""

    __slots__ = ("_busy", "_waiting")

    def __init__(self) -> None:
        self._busy = False
        self._waiting: deque[Change] = deque()

    @property
    def is_busy(self) -> bool:
        """Say whether a change is being written."""
        return self._busy

    def take(self, change: Change, master: Master, now: float) -> None:
        """Make a change when it is its turn."""
        self._waiting.append(change)
        self._go_on(master, now)

    def begin(self) -> None:
        """Let the others wait: a write is under way."""
        assert not self._busy
        self._busy = True

    def end(self, master: Master, now: float) -> None:
        """The write came back and counts: the next change may be made."""
        self._busy = False
        self._go_on(master, now)

    def _go_on(self, master: Master, now: float) -> None:
        while self._waiting and not self._busy:
            self._waiting.popleft()(master, now)
