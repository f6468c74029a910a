"""A few words of shell that a process says as root before it becomes the task's.

Rules: nothing of the task's environment is read as shell; the task is called by its own name.
"""

from __future__ import annotations

import os

# its words are files of cgroups, and -- after the last
ENTER_CGROUPS = 'while [ "$1" != -- ]; do echo 0 >"$1" || exit 125; shift; done; shift; '


def with_prologue(script: str, words: list[str], arguments: list[str], argv0: str) -> tuple[list[str], str]:
    """Return the command that runs `script`, which shifts `words` away, and then is `arguments`."""
    named = os.path.basename(arguments[0]) == os.path.basename(argv0)  # noqa: PTH119 - no Path to build
    # only bash can call a program by another name than its own; -p keeps it from BASH_ENV
    shell = ["/bin/sh"] if named else ["/bin/bash", "-p"]
    run = 'exec "$@"' if named else 'exec -a "$0" "$@"'
    return [*shell, "-c", script + run, argv0, *words, *arguments], "sh" if named else "bash"
