"""Compares a ledger with the marks that tasks left and with what the cluster says, once all is calm.

Rules: every sentence that is returned is a broken promise: a task lost, a task run twice, an update not seen or out of order, a
task that the cluster knows otherwise than its scheduler.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

ORDER = {"TASK_STAGING": 0, "TASK_STARTING": 1, "TASK_RUNNING": 2, "TASK_FINISHED": 3}
FINAL = frozenset({"TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR"})
NEVER_RUN = frozenset({"TASK_DROPPED", "TASK_UNKNOWN", "TASK_LOST", "TASK_GONE"})
SEEN_OF_A_FINISHED_TASK = ("TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED")


class Story:
    """What the ledger and the marks say of one task."""

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        self.heard: list[tuple[str, str]] = []  # state, uuid
        self.marks: list[str] = []

    @property
    def last(self) -> str:
        """The state it came to: the first that is final, since a reconciliation that was asked for before may answer after it."""
        final = next((state for state, uuid in self.heard if uuid and state in FINAL), None)
        return final or (self.heard[-1][0] if self.heard else "TASK_STAGING")

    def faults(self) -> list[str]:
        """Return the promises that were broken."""
        starts = sum(mark.startswith("start") for mark in self.marks)
        ends = self.marks.count("end")
        found = []
        if starts > 1:
            found.append(f"ran {starts} times")
        if self.last in NEVER_RUN:
            if starts:
                found.append(f"ran, and its scheduler was told {self.last}")
        elif self.last != "TASK_FINISHED":
            found.append(f"nothing harmed it, and it is {self.last}")
        elif (starts, ends) != (1, 1):
            found.append(f"is said to be finished, and started {starts} times and ended {ends} times")
        else:
            found += self._faults_of_updates()
        return [f"{self.task_id} {fault}: {self.heard}" for fault in found]

    def _faults_of_updates(self) -> list[str]:
        sure = [state for state, uuid in self.heard if uuid]
        missing = [state for state in SEEN_OF_A_FINISHED_TASK if state not in sure]
        found = [f"never told its scheduler {', '.join(missing)}"] if missing else []
        ranks = [ORDER[state] for state in sure if state in ORDER]
        return found + (["told its scheduler of its states out of order"] if ranks != sorted(ranks) else [])


def stories_of(folder: Path) -> dict[str, Story]:
    """Return every task that was ever launched."""
    stories: dict[str, Story] = {}
    for line in (folder / "ledger.jsonl").read_bytes().splitlines():
        entry = json.loads(line)
        if entry["what"] == "launch":
            stories[entry["task"]] = Story(entry["task"])
        elif entry["what"] == "update":
            stories[entry["task"]].heard.append((entry["state"], entry["uuid"]))
    for story in stories.values():
        marks = folder / "marks" / story.task_id
        story.marks = marks.read_text(encoding="ascii").splitlines() if marks.exists() else []
    return stories


def faults_of_cluster(tasks: list[dict[str, Any]], stories: dict[str, Story]) -> list[str]:
    """Return where the cluster's view of tasks differs from the ledger's."""
    found = []
    for task in tasks:
        story = stories.get(task["id"])
        if story is None:
            found.append(f"{task['id']} is known to the cluster as {task['state']}, and nobody launched it")
        elif task["state"] != story.last:
            found.append(f"{task['id']} is {task['state']} for the cluster and {story.last} for its scheduler")
    return found


def summary(stories: dict[str, Story]) -> dict[str, int]:
    """Return how many tasks ended how."""
    return dict(sorted(Counter(story.last for story in stories.values()).items()))
