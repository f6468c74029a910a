"""What `merismos run` shows: the task's own output and notes for the person, or one JSON object a line for a program."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from merismos.cli import explanation, output

if TYPE_CHECKING:
    from merismos.sdk.offer import Offer
    from merismos.sdk.update import Update


class Reporter:
    """Shows a run to a person: its output where it belongs, everything else on standard error and only where it matters."""

    def write(self, stream: str, data: bytes) -> None:
        """Show what the task wrote."""
        target = sys.stdout if stream == "stdout" else sys.stderr
        target.buffer.write(data)
        target.flush()

    def note(self, text: str) -> None:
        """Say something about the run."""
        output.note(f"merismos: {text}")

    def waiting(self, why: dict[str, Any]) -> None:
        """Say why it waits."""
        first, *rest = explanation.lines(why)
        output.note("\n".join([f"merismos: waiting: {first}", *rest]))

    def launched(self, offer: Offer, task_id: str) -> None:
        """Say where it runs."""

    def updated(self, update: Update) -> None:
        """Say what became of it."""

    def ended(self, code: int) -> None:
        """Say how it ended."""


class JsonReporter(Reporter):
    """Shows a run to a program."""

    def write(self, stream: str, data: bytes) -> None:
        """Show what the task wrote."""
        self._event("output", stream=stream, data=data.decode("utf-8", "replace"))

    def note(self, text: str) -> None:
        """Say something about the run."""
        self._event("note", text=text)

    def waiting(self, why: dict[str, Any]) -> None:
        """Say why it waits."""
        self._event("waiting", why=why)

    def launched(self, offer: Offer, task_id: str) -> None:
        """Say where it runs."""
        self._event("launched", task_id=task_id, agent_id=offer.agent_id, hostname=offer.hostname)

    def updated(self, update: Update) -> None:
        """Say what became of it."""
        self._event("update", task_id=update.task_id, state=update.state, message=update.message)

    def ended(self, code: int) -> None:
        """Say how it ended."""
        self._event("exit", code=code)

    @staticmethod
    def _event(event: str, **fields: object) -> None:
        sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
        sys.stdout.flush()
