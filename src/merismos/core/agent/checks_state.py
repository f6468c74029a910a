"""What an agent knows of one check of a command task.

Rules: of a health check schedulers hear `healthy`, of a check `check_status`. Only TASK_RUNNING says what was found; other states
say of a check that there is one, and of a health check that the task is ended for it.
Source: the recorded updates of tasks with checks; Mesos, docs/health-checks.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.checks import Health, Outcome, Report, Timetable, Timing

if TYPE_CHECKING:
    from merismos.protocol.v1 import mesos

HEALTH = "health"
CHECK = "check"
RUN_PREFIX = "check-"


class Check:
    """One check: what it asks, when, and what came of it.

    Shapes: `run_id` names the run under way, empty for none; one of `health` and `report` is there.
    """

    __slots__ = ("asked", "health", "kind", "report", "run_id", "timetable")

    def __init__(self, asked: mesos.CheckInfo | mesos.HealthCheck, health: Health | None) -> None:
        self.asked = asked
        self.kind = CHECK if health is None else HEALTH
        self.health = health
        self.report = Report() if health is None else None
        self.timetable = Timetable(Timing(asked.delay_seconds, asked.interval_seconds, asked.timeout_seconds))
        self.run_id = ""

    def render(self, state: str) -> bytes:
        """Return what a status of this state says of the check: JSON, from the comma on."""
        running = state == "TASK_RUNNING"
        if self.health is not None:
            healthy = self.health.latest if running else (False if self.health.wants_kill else None)
            return b"" if healthy is None else b',"healthy":%s' % (b"true" if healthy else b"false")
        assert self.report is not None
        body = _render_outcome(self.report.latest) if running else b"{}"
        kind = str(self.asked.type)
        return b',"check_status":{"type":"%s","%s":%s}' % (kind.encode(), kind.lower().encode(), body)


def _render_outcome(outcome: Outcome) -> bytes:
    if outcome.exit_code is not None:
        return b'{"exit_code":%d}' % outcome.exit_code
    if outcome.status_code is not None:
        return b'{"status_code":%d}' % outcome.status_code
    if outcome.connected is not None:
        return b'{"succeeded":%s}' % (b"true" if outcome.connected else b"false")
    return b"{}"
