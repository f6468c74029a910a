"""The counters behind the metrics, by Mesos' names.

Rules: a counter that was never counted is absent and reads as 0. A framework's counters are kept by call, event, offer and
state (`calls/accept`, `events/update`, `offers/sent`, `terminal/task_finished`); their sums are made when they are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.protocol.v1 import mesos, scheduler

if TYPE_CHECKING:
    from merismos.core.master.state import Framework, Master

CALLS = {str(kind): f"calls/{kind.lower()}" for kind in scheduler.Call_Type}
EVENTS = {str(kind): f"events/{kind.lower()}" for kind in scheduler.Event_Type}
TERMINALS = {str(state): f"terminal/{state.lower()}" for state in mesos.TaskState}
TASKS = {str(state): f"master/tasks_{state[5:].lower()}" for state in mesos.TaskState}


def count(master: Master, name: str, by: int = 1) -> None:
    """Count `by` more of `name`, a metric's full name."""
    metrics = master.metrics
    metrics[name] = metrics.get(name, 0) + by


def count_call(framework: Framework, kind: str) -> None:
    """Count one call of a framework."""
    name = CALLS[kind]
    framework.counters[name] = framework.counters.get(name, 0) + 1


def count_event(framework: Framework, kind: str, by: int = 1) -> None:
    """Count events sent to a framework."""
    name = EVENTS[kind]
    framework.counters[name] = framework.counters.get(name, 0) + by


def count_offers(framework: Framework, what: str, by: int) -> None:
    """Count offers of a framework: `sent`, `accepted`, `declined`, `rescinded`."""
    name = f"offers/{what}"
    framework.counters[name] = framework.counters.get(name, 0) + by


def count_terminal(master: Master, framework: Framework, state: str, source: str = "", reason: str = "") -> None:
    """Count a task that reached a terminal state; with its source and reason where it has them, in Mesos' older words."""
    name = TERMINALS[state]
    framework.counters[name] = framework.counters.get(name, 0) + 1
    count(master, TASKS[state])
    if source and reason:
        count(master, f"master/{state}/{source}/{reason}".lower().replace("_agent", "_slave"))
