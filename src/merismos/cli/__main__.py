"""The `merismos` command.

Rules: a command's code is imported when it is called, so that each starts fast. `master` and `agent` become the daemon: this
process is replaced by it, flags untouched.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from merismos.cli.arguments import parse_arguments
from merismos.cli.errors import CommandError

DAEMONS = ("master", "agent")
INTERRUPTED = 130
BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    given = sys.argv[1:] if argv is None else list(argv)
    if given[:1] and given[0] in DAEMONS:
        become_daemon(given[0], given[1:])
    try:
        arguments = parse_arguments(given)
        if arguments.module in DAEMONS:
            become_daemon(arguments.module, [])
        command = importlib.import_module(f"merismos.cli.commands.{arguments.module}")
        code: int = command.run(arguments)
        sys.stdout.flush()
    except CommandError as error:
        sys.stderr.write(error.text() + "\n")
        return error.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return code


def become_daemon(name: str, flags: Sequence[str]) -> NoReturn:
    """Replace this process by a daemon."""
    os.execv(sys.executable, [sys.executable, "-m", f"merismos.daemons.{name}", *flags])  # noqa: S606 - that is the point


if __name__ == "__main__":
    sys.exit(main())
