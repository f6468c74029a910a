"""Cgroups of version 1 that keep containers from devices: for runtimes that are told to leave cgroups alone.

Rules: a container gets one of its id at the top of the hierarchy, with what every container may use, what it was given, and no other device; its processes enter by `tasks`.
Device files may be made and not opened, as runc has it.
Errors: OSError.
Source: the kernel's admin-guide/cgroup-v1/devices.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

HIERARCHY = "/sys/fs/cgroup/devices"
# to make any; null, zero, full, random, urandom, tty, ptmx, terminals
_ALLOWED = (
    "c *:* m",
    "b *:* m",
    *(f"c {device} rwm" for device in ["1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:2", "136:*"]),
)


def is_writable() -> bool:
    """Say whether there is such a hierarchy, and we may make cgroups in it."""
    return os.path.exists(f"{HIERARCHY}/devices.deny") and os.access(HIERARCHY, os.W_OK)  # noqa: PTH110 - one system call


def create(container_id: str, given: Sequence[str] = ()) -> str:
    """Make the cgroup of a container, which may use what the entries `given` say; return the file to which a process writes 0 to move itself in."""
    folder = f"{HIERARCHY}/{container_id}"
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder)  # noqa: PTH102 - one system call, no Path to build
    _write(f"{folder}/devices.deny", ["a"])
    _write(f"{folder}/devices.allow", [*_ALLOWED, *given])
    return entrance(container_id)


def entrance(container_id: str) -> str:
    """Return the file by which a process enters a cgroup that is there."""
    return f"{HIERARCHY}/{container_id}/tasks"


def remove(container_id: str) -> None:
    """Remove the cgroup of a container, if it has one."""
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(f"{HIERARCHY}/{container_id}")  # noqa: PTH106 - one system call, no Path to build


def _write(path: str, lines: Sequence[str]) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for line in lines:
            os.write(fd, line.encode())
    finally:
        os.close(fd)
