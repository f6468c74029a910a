"""Where an agent finds its supervisor: a Unix socket in a directory that only the agent's user may enter.

Rules: the agent binds and listens, then hands the socket to the supervisor that it starts, so that there is no moment at which a
supervisor runs that can't be found. A path longer than a socket's address may be goes through the directory's descriptor.
A supervisor outlives who started its agent, so it holds no terminal, pipe or file of theirs; what it says of its own end is in
`supervisor.log` beside the socket.
Errors: OSError, with what to do.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from merismos.containers import supervisor

_SCRIPT = Path(supervisor.__file__)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ADDRESS_BYTES_MAX = 100
NAME = "supervisor.sock"
LOG = "supervisor.log"


@contextlib.contextmanager
def address_of(path: Path) -> Iterator[str]:
    """Give an address of the socket at `path` that is short enough."""
    if len(os.fsencode(path)) <= _ADDRESS_BYTES_MAX:
        yield str(path)
        return
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        through = f"/proc/self/fd/{fd}"
        if not os.path.isdir(through):  # noqa: PTH112 - no Path to build
            raise OSError(errno.ENAMETOOLONG, f"{path} is too long for a socket; choose a shorter --runtime_dir")
        yield f"{through}/{path.name}"
    finally:
        os.close(fd)


def connect(path: Path) -> socket.socket | None:
    """Return a connection to the supervisor that is there; None where there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with address_of(path) as address:
            connection.connect(address)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError:
        connection.close()
        raise
    return connection


def start(path: Path, timeout_s: float, scope: Sequence[str] = ()) -> int:
    """Start a supervisor that listens at `path`; return its pid. `scope` are words that put it elsewhere, and then become it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        with address_of(path) as address:
            listener.bind(address)
        path.chmod(0o600)
        listener.listen()
        log = os.fsencode(path.with_name(LOG))
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        words = [*scope, sys.executable, "-I", "-S", str(_SCRIPT), str(timeout_s), str(path)]
        return os.posix_spawn(
            words[0],
            words,
            {"PATH": PATH},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, listener.fileno(), 0),
                (os.POSIX_SPAWN_OPEN, 1, log, append, 0o600),
                (os.POSIX_SPAWN_OPEN, 2, log, append, 0o600),
            ],
            setsid=True,
        )
