"""The Unix socket on which an agent serves executors: the same at each start, whatever the port is.

Rules: whoever can reach the file may speak, as with a port; where executors must say who they are, their tokens count here, too. Of what
is asked over it only the executor API is answered.
Errors: OSError, with what to do.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from merismos.core.containers.executor_plan import shared_directory_of

if TYPE_CHECKING:
    from aiohttp import web

NAME = "executors.sock"
_BYTES_MAX = 107
_MODE = 0o666


def listen(path: Path) -> socket.socket:
    """Return a socket that listens at `path`, in place of an earlier one."""
    if len(os.fsencode(path)) > _BYTES_MAX:
        text = f"{path} is too long for a socket; choose a shorter --domain_socket_location"
        raise OSError(errno.ENAMETOOLONG, text)
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(errno.EEXIST, f"{path} is there and is no socket; choose another --domain_socket_location")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(_MODE)
        listener.listen(128)
        _show(path)
    except OSError:
        listener.close()
        raise
    return listener


def _show(path: Path) -> None:
    """Put the socket into a directory of its own, too: who has that one mounted sees each later socket, and nothing else."""
    folder = Path(shared_directory_of(str(path)))
    folder.mkdir(mode=0o755, exist_ok=True)
    shown = folder / path.name
    shown.unlink(missing_ok=True)
    shown.hardlink_to(path)


def came_over_it(request: web.Request) -> bool:
    """Say whether a request came over a Unix socket."""
    transport = request.transport
    connection = None if transport is None else transport.get_extra_info("socket")
    return connection is not None and connection.family == socket.AF_UNIX
