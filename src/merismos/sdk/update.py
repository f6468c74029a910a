"""What became of a task: a status update with the questions that a scheduler asks of it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from merismos.core.containers.exit_status import describe_exit
from merismos.model.task_states import TERMINAL

if TYPE_CHECKING:
    from merismos.protocol.v1 import mesos

_EXITED = "Command exited with status "
_SIGNALLED = "Command terminated with signal "
_SIGNAL_MAX = 64
_OF_A_SIGNAL = 128


class Update:
    """One status update of one task; `status` is the whole of it."""

    __slots__ = ("status",)

    def __init__(self, status: mesos.TaskStatus) -> None:
        self.status = status

    def __repr__(self) -> str:
        return f"<Update {self.task_id} {self.state}{': ' + self.message if self.message else ''}>"

    @property
    def task_id(self) -> str:
        """The task's id."""
        return self.status.task_id.value

    @property
    def state(self) -> str:
        """The state, for example TASK_RUNNING."""
        return str(self.status.state)

    @property
    def message(self) -> str:
        """What is said about it, or nothing."""
        return self.status.message or ""

    @property
    def reason(self) -> str:
        """Why, for example REASON_INVALID_OFFERS, or nothing."""
        return str(self.status.reason) if self.status.reason is not None else ""

    @property
    def agent_id(self) -> str:
        """The agent it is on, or nothing."""
        return self.status.agent_id.value if self.status.agent_id is not None else ""

    @property
    def is_terminal(self) -> bool:
        """Whether the task is over."""
        return self.state in TERMINAL

    @property
    def exit_code(self) -> int | None:
        """The exit code of the task's command as a shell counts it (128 + n for a signal), None where it has none."""
        return exit_code_of(self.message)


def exit_code_of(message: str) -> int | None:
    """Return the exit code that an executor's message tells of, None where it tells of none."""
    if message.startswith(_EXITED):
        digits = message.removeprefix(_EXITED)
        return int(digits) if digits.isascii() and digits.isdigit() else None
    if message.startswith(_SIGNALLED):
        number = _signal_numbers().get(message.removesuffix(" (core dumped)"))
        return None if number is None else _OF_A_SIGNAL + number
    return None


@functools.cache
def _signal_numbers() -> dict[str, int]:
    return {describe_exit(number): number for number in range(1, _SIGNAL_MAX + 1)}
