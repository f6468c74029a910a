"""When the Docker Engine is asked, and when it is known not to answer.

Rules: after a few calls in a row without an answer nobody asks any more but a probe, and whoever would have asked is told so at
once; the first answer ends that. An answer that refuses is an answer.
"""

from __future__ import annotations

from collections.abc import Callable

FAILURES_MAX = 3


class Breaker:
    """Counts calls without an answer; `tell` hears why the Engine is given up, and None once it answers again."""

    def __init__(self, tell: Callable[[str | None], None]) -> None:
        self._tell = tell
        self._failures = 0
        self.opened = 0
        self.why: str | None = None

    def on_answer(self) -> None:
        """The Engine answered."""
        self._failures = 0
        if self.why is not None:
            self.why = None
            self._tell(None)

    def on_failure(self, why: str) -> None:
        """It didn't, or not in time."""
        self._failures += 1
        if self.why is None and self._failures >= FAILURES_MAX:
            self.why = why
            self.opened += 1
            self._tell(why)
