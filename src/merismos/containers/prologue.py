"""The steps that a process takes, as root where the agent is, before it becomes the task's: as the one command that a supervisor starts.

Rules: nothing of the task's environment is read as shell; the task is called by its own name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from merismos.core.containers.entry_plan import Command, Step, plan_entry
from merismos.model.rejection import Rejection

# its words are files of cgroups, and -- after the last
ENTER_CGROUPS = 'while [ "$1" != -- ]; do echo 0 >"$1" || exit 125; shift; done; shift; '


class IsolationConflictError(ValueError):
    """Two isolators exclude each other for one container; the text names both."""


def with_steps(steps: Iterable[Step], arguments: Sequence[str], argv0: str) -> Command:
    """Return the command that takes these steps and then is `arguments`.

    Errors: IsolationConflictError.
    """
    command = plan_entry(steps, arguments, argv0)
    if isinstance(command, Rejection):
        raise IsolationConflictError(command.message)
    return command
