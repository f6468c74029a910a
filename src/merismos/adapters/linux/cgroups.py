"""The cgroups of an agent's containers, both versions behind one interface.

Rules: every container has a cgroup of its id below `--cgroups_root`, in each hierarchy that is in use. A process enters by itself,
before it becomes the task's (`entrances`). One agent has a root at a time, by a lock that dies with it. Nothing here waits:
freezing, killing and removing are asked for again by who needs them.
Errors: OSError, where the kernel refuses; of a cgroup that is gone nothing is read and nothing is written.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from merismos.core.containers.cgroup_plan import CgroupWrite

OnMemory = Callable[[str], None]
_GONE = frozenset({errno.ENOENT, errno.ENODEV})


class CgroupUsage(NamedTuple):
    """What a container used and uses; None where nobody counts.

    Units: seconds and bytes; times since the start.
    """

    user_s: float | None = None
    system_s: float | None = None
    periods: int | None = None
    throttled: int | None = None
    throttled_s: float | None = None
    memory: dict[str, int] | None = None
    mem_bytes: int | None = None
    memsw_bytes: int | None = None
    processes: int | None = None
    threads: int | None = None


class MemoryReport(NamedTuple):
    """How much memory a container had at most, and its statistics as the kernel prints them."""

    limit_bytes: int | None
    used_bytes: int
    statistics: str


class Cgroups(ABC):
    """The cgroups below one root."""

    version: int

    def __init__(self, hierarchy: Path, root: str, isolators: Sequence[str]) -> None:
        self.hierarchy = hierarchy
        self.root = root.strip("/")
        self.isolators = tuple(isolators)
        self._locks: list[int] = []

    # ------------------------------------------------------------------ what each version does its own way

    @abstractmethod
    def prepare(self) -> None:
        """Make the root, with what containers inherit from it.

        Errors: OSError.
        """

    @abstractmethod
    def folders(self, container_id: str) -> list[str]:
        """Return the directories of a container, whether they are there or not."""

    @abstractmethod
    def folder_of(self, container_id: str, controller: str) -> str:
        """Return the directory in which the files of a controller are."""

    @abstractmethod
    def entrances(self, container_id: str) -> list[str]:
        """Return the files to which a process writes 0 to move itself in."""

    @abstractmethod
    def is_empty(self, container_id: str) -> bool:
        """Say whether no process is in a container, or in cgroups below its own."""

    @abstractmethod
    def freeze(self, container_id: str) -> bool:
        """Stop every process of a container from running and forking; False where that takes a while yet."""

    @abstractmethod
    def thaw(self, container_id: str) -> None:
        """Let them go on."""

    @abstractmethod
    def oom_kills(self, container_id: str) -> int:
        """Return how many processes of a container were killed for want of memory."""

    @abstractmethod
    def watch_memory(self, container_id: str, on_event: OnMemory) -> None:
        """Call when a container is out of memory, or may be: `oom_kills` knows."""

    @abstractmethod
    def unwatch_memory(self, container_id: str) -> None:
        """Call no more."""

    @abstractmethod
    def memory_report(self, container_id: str) -> MemoryReport:
        """Return how much memory a container had."""

    @abstractmethod
    def usage(self, container_id: str) -> CgroupUsage:
        """Return what a container uses."""

    # ------------------------------------------------------------------ what both do alike

    def lock(self, folder: str) -> None:
        """Have a root for ourselves until this process ends.

        Errors: OSError where another agent has it.
        """
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(fd)
            raise BlockingIOError(errno.EWOULDBLOCK, f"another agent of this machine uses {folder}") from error
        self._locks.append(fd)

    def close(self) -> None:
        """Let another agent have the root."""
        for fd in self._locks:
            os.close(fd)
        self._locks.clear()

    def create(self, container_id: str, writes: Sequence[CgroupWrite]) -> None:
        """Make the cgroup of a container, or take the one that is there, and limit it.

        Errors: OSError that names the file.
        """
        for folder in self.folders(container_id):
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder)  # noqa: PTH102 - one system call, no Path to build
        self.write(container_id, writes)

    def write(self, container_id: str, writes: Sequence[CgroupWrite]) -> None:
        """Limit a container.

        Errors: OSError that names the file.
        """
        for controller, file, value, grows in writes:
            path = f"{self.folder_of(container_id, controller)}/{file}"
            if grows and not is_more(value, read_text(path)):
                continue
            write_file(path, value)

    def remove_root(self) -> None:
        """Remove the root, where nothing is below it."""
        for folder in self.folders(""):
            with contextlib.suppress(OSError):
                os.rmdir(folder)  # noqa: PTH106 - no Path to build

    def containers(self) -> list[str]:
        """Return the ids of all containers that have a cgroup, in order."""
        found: dict[str, None] = {}
        for folder in self.folders(""):
            with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
                found.update(dict.fromkeys(entry.name for entry in entries if entry.is_dir(follow_symlinks=False)))
        return sorted(found)

    def members(self, container_id: str) -> list[int]:
        """Return the processes of a container, those in cgroups below its own included."""
        found: dict[int, None] = {}
        for folder in self.folders(container_id):
            for below in tree_of(folder):
                found.update(dict.fromkeys(map(int, read_text(f"{below}/cgroup.procs").split())))
        return list(found)

    def signal_all(self, container_id: str, number: int) -> None:
        """Send a signal to every process of a container."""
        for pid in self.members(container_id):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def kill(self, container_id: str) -> None:
        """Kill every process of a container, as far as they can be seen at once."""
        self.signal_all(container_id, signal.SIGKILL)

    def remove(self, container_id: str) -> bool:
        """Remove the cgroup of a container; False where something keeps it for now."""
        self.unwatch_memory(container_id)
        gone = True
        for folder in self.folders(container_id):
            try:
                os.rmdir(folder)  # noqa: PTH106 - one system call, no Path to build
            except FileNotFoundError:
                continue
            except OSError:
                gone = remove_tree(folder) and gone
        return gone


# ------------------------------------------------------------------ files


def read_text(path: str) -> str:
    """Return what a file of a cgroup says; empty where it is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    pieces = []
    try:
        while piece := os.read(fd, 1 << 16):
            pieces.append(piece)
    except OSError as error:
        if error.errno not in _GONE:
            raise
    finally:
        os.close(fd)
    return b"".join(pieces).decode("ascii", "replace")


def write_file(path: str, value: str) -> None:
    """Write one line.

    Errors: OSError that names the file and the value.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise OSError(error.errno, f"cannot write '{value}' to {path}: {error.strerror}") from error


def read_numbers(path: str) -> dict[str, int]:
    """Return the lines `name number` of a file."""
    return dict(row for line in read_text(path).splitlines() if (row := _row(line)) is not None)


def read_number(path: str) -> int | None:
    """Return the one number in a file; None where it is gone, or says max."""
    text = read_text(path).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def is_more(value: str, current: str) -> bool:
    """Say whether a limit is above another one."""
    return amount(value) > amount(current)


def amount(text: str) -> float:
    """Return a limit as a number."""
    stripped = text.strip()
    return float(stripped) if stripped.isdigit() else float("inf")


def tree_of(folder: str) -> list[str]:
    """Return a directory and all below it, parents first."""
    return [path for path, _, _ in os.walk(folder)]


def remove_tree(folder: str) -> bool:
    """Remove a cgroup with those below it; False where one of them stays."""
    gone = True
    for path in reversed(tree_of(folder)):
        try:
            os.rmdir(path)  # noqa: PTH106 - one system call, no Path to build
        except OSError as error:
            gone = gone and error.errno in _GONE
    return gone


def _row(line: str) -> tuple[str, int] | None:
    name, _, number = line.partition(" ")
    return (name, int(number)) if number.isdigit() else None
