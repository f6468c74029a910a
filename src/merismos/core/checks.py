"""Checks and health checks: when they run, and what their outcomes mean. One check of one task; the shell does the looking.

Rules: the first run begins when the delay is over, each further one an interval after the one before has ended; a run that takes
longer than the timeout (0: as long as it likes) is broken off and counts as one without an outcome. A health check passes or
fails: failures within the grace period don't count until it has passed once; so many failures in a row want the task killed.
A check only reports, and only what is new.
Source: Mesos, docs/health-checks.md.
"""

from __future__ import annotations

import enum

import msgspec

HTTP_OK_MIN = 200
HTTP_OK_MAX = 399


class Timing(msgspec.Struct, frozen=True):
    """When a check runs; `timeout_s` of 0 is none."""

    delay_s: float
    interval_s: float
    timeout_s: float


class Outcome(msgspec.Struct, frozen=True):
    """What one run found: the one of these that its kind has, none where it came to no end."""

    exit_code: int | None = None
    status_code: int | None = None
    connected: bool | None = None

    def passed(self) -> bool:
        """Say whether a health check takes it as a pass."""
        if self.exit_code is not None:
            return self.exit_code == 0
        if self.status_code is not None:
            return HTTP_OK_MIN <= self.status_code <= HTTP_OK_MAX
        return self.connected is True


NOTHING = Outcome()


class Due(enum.Enum):
    """What is to be done at an instant that was waited for."""

    BEGIN = enum.auto()
    BREAK_OFF = enum.auto()


class Timetable:
    """The instants of one check.

    Shapes: `at` is what to wait for, None for nothing: the next run, or the end of the time of the one under way; `run` numbers
    the runs, so that an outcome that comes too late is told apart.
    """

    __slots__ = ("_timing", "at", "is_running", "run")

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self.at: float | None = None
        self.is_running = False
        self.run = 0

    def start(self, now: float) -> None:
        """The task runs: wait for the first run."""
        self.at = now + self._timing.delay_s

    def fire(self, now: float) -> Due:
        """The instant `at` has come."""
        if self.is_running:
            self._end(now)
            return Due.BREAK_OFF
        self.is_running = True
        self.run += 1
        self.at = now + self._timing.timeout_s if self._timing.timeout_s > 0 else None
        return Due.BEGIN

    def finish(self, run: int, now: float) -> bool:
        """A run has ended by itself; say whether it is the one under way."""
        if not self.is_running or run != self.run:
            return False
        self._end(now)
        return True

    def stop(self) -> bool:
        """The task is being ended: nothing runs any more; say whether a run was under way."""
        was_running, self.is_running, self.at = self.is_running, False, None
        return was_running

    def _end(self, now: float) -> None:
        self.is_running = False
        self.at = now + self._timing.interval_s


class Verdict(msgspec.Struct, frozen=True):
    """What a scheduler hears of a task's health."""

    healthy: bool
    kill: bool = False


class Health:
    """What the outcomes of a health check make of a task.

    Shapes: `latest` is what was told last, None for nothing yet; `wants_kill` says that the task is being ended for it.
    """

    __slots__ = ("_failures", "_failures_max", "_grace_ends_at", "_has_passed", "latest", "wants_kill")

    def __init__(self, failures_max: int, grace_ends_at: float, *, latest: bool | None = None) -> None:
        self._failures_max = failures_max
        self._grace_ends_at = grace_ends_at
        self._failures = 0
        self._has_passed = latest is not None
        self.latest = latest
        self.wants_kill = False

    def take(self, outcome: Outcome, now: float) -> Verdict | None:
        """Take the outcome of one run; return what is to be told, None where nothing is."""
        if outcome.passed():
            news = self.latest is not True
            self._has_passed, self._failures, self.latest = True, 0, True
            return Verdict(healthy=True) if news else None
        if not self._has_passed and now <= self._grace_ends_at:
            return None
        self._failures += 1
        self.latest = False
        self.wants_kill = self._failures >= self._failures_max
        return Verdict(healthy=False, kill=self.wants_kill)


class Report:
    """What the outcomes of a check make known."""

    __slots__ = ("latest",)

    def __init__(self, latest: Outcome = NOTHING) -> None:
        self.latest = latest

    def take(self, outcome: Outcome) -> bool:
        """Take the outcome of one run; say whether it is news."""
        news = outcome != self.latest
        self.latest = outcome
        return news
