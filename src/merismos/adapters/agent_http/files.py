"""Files of sandboxes, by their real path or their virtual one, and nothing else of the machine.

Rules: a path is served if what it really is, links resolved, lies in a run's directory of this agent
(`WORK/slaves/S/frameworks/F/executors/E/runs/C`); `/frameworks/F/executors/E/runs/latest` (or a container's id) stands for it.
A file is opened without following a link that appeared meanwhile, and what was opened is checked once more.
Errors: FileRefused with the status and text of the answer.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path
from typing import NamedTuple

from merismos.core.agent.executors_state import Executor
from merismos.core.agent.state import Agent, Task

READ_BYTES_MAX = 64 * 1024
_PARTS_OF_A_RUN = 8  # slaves S frameworks F executors E runs C


class FileRefused(Exception):
    """A file isn't there, isn't one, or isn't anybody's business."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Listed(NamedTuple):
    """One entry of a directory."""

    path: str
    info: os.stat_result
    uid: str
    gid: str


class SandboxFiles:
    """Reads below the sandboxes of one agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._work_dir = os.path.realpath(agent.settings.work_dir)

    def resolve(self, given: str) -> str:
        """Return the real path that `given` means."""
        path = given.rstrip("/")
        if "\0" in path:
            raise FileRefused(404)
        if path.startswith("/frameworks/"):
            path = f"{self._work_dir}/slaves/{self._agent.registration.agent_id}{path}"
        real = os.path.realpath(path)
        if not self._is_inside(real):
            raise FileRefused(404)
        return real

    def _is_inside(self, real: str) -> bool:
        if not real.startswith(self._work_dir + "/"):
            return False
        parts = real[len(self._work_dir) + 1 :].split("/")
        shape = (parts[0:1], parts[2:3], parts[4:5], parts[6:7])
        return len(parts) >= _PARTS_OF_A_RUN and shape == (["slaves"], ["frameworks"], ["executors"], ["runs"])

    def browse(self, given: str) -> list[Listed]:
        """Return the entries of a directory, sorted, under the path that was asked for."""
        real = self.resolve(given)
        shown = given.rstrip("/")
        try:
            names = sorted(os.listdir(real))  # noqa: PTH208 - one system call, no Path to build
        except NotADirectoryError:
            return [_listed(shown, os.lstat(real))]
        except OSError as error:
            raise FileRefused(404) from error
        entries = []
        for name in names:
            try:
                entries.append(_listed(f"{shown}/{name}", os.lstat(f"{real}/{name}")))
            except OSError:
                continue
        return entries

    def open(self, given: str) -> tuple[int, int]:
        """Return a descriptor of a regular file, and its size."""
        real = self.resolve(given)
        try:
            fd = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise FileRefused(404) from error
        try:
            return fd, self._check_opened(fd)
        except BaseException:
            os.close(fd)
            raise

    def _check_opened(self, fd: int) -> int:
        link = f"/proc/self/fd/{fd}"
        if os.path.islink(link) and not self._is_inside(os.readlink(link)):  # noqa: PTH114, PTH115 - one system call, no Path to build
            raise FileRefused(404)
        info = os.fstat(fd)
        if stat.S_ISDIR(info.st_mode):
            raise FileRefused(400, "Cannot read a directory.\n")
        if not stat.S_ISREG(info.st_mode):
            raise FileRefused(400, "Cannot read what is no regular file.\n")
        return info.st_size

    def read(self, given: str, offset: int, length: int) -> tuple[bytes, int]:
        """Return at most `length` bytes from `offset`, and the file's size; a negative offset only asks for the size."""
        fd, size = self.open(given)
        try:
            if offset < 0:
                return b"", size
            return os.pread(fd, min(length, READ_BYTES_MAX) if length >= 0 else READ_BYTES_MAX, offset), size
        finally:
            os.close(fd)

    def attached(self) -> dict[str, str]:
        """Return the paths of the runs that the agent remembers, with the real ones: the real one itself, and `latest` for it, twice."""
        agent = self._agent
        found: dict[str, str] = {}
        for framework in (*agent.frameworks.values(), *agent.completed_frameworks):
            runs: tuple[Task | Executor, ...] = (
                *framework.completed,
                *framework.completed_executors,
                *framework.tasks.values(),
                *framework.executors.values(),
            )
            for run in runs:
                virtual = f"/frameworks/{framework.framework_id}/executors/{run.executor_id}/runs/latest"
                real = run.directory
                found |= dict.fromkeys((virtual, real, f"{os.path.dirname(real)}/latest"), real)  # noqa: PTH120 - a text, no Path to build
        return dict(sorted(found.items()))


def _listed(path: str, info: os.stat_result) -> Listed:
    return Listed(path, info, user_name(info.st_uid), group_name(info.st_gid))


def user_name(uid: int) -> str:
    """Return a user's name, the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """Return a group's name, the number where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def mode_text(mode: int) -> str:
    """Return a mode as `ls -l` shows it."""
    return stat.filemode(mode)


def file_name(path: str) -> str:
    """Return the name under which a file is downloaded."""
    return Path(path).name.replace('"', "")
