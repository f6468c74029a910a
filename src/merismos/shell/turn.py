"""Work that waits for the end of the loop turn, so that a turn's writes become one.

Rules: a caller keeps its own "already asked" flag; what is asked for while the turn ends runs in the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


class Turn:
    """Runs what it was given at the end of the current loop turn, in the order of asking."""

    __slots__ = ("_asked", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asked: list[Callable[[], None]] = []

    def at_end(self, work: Callable[[], None]) -> None:
        """Call `work` once, when everything that is ready now has run."""
        if not self._asked:
            self._loop.call_soon(self._run)
        self._asked.append(work)

    def _run(self) -> None:
        asked, self._asked = self._asked, []
        work = iter(asked)
        try:
            for one in work:
                one()
        finally:
            # what one piece of work raises goes to the loop's log; those behind it must still run, or their connections hang
            for rest in work:
                self.at_end(rest)
