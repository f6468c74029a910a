"""Sandboxes and the agent's checkpoint on disk, laid out as Mesos does.

Shapes: `WORK/slaves/S/frameworks/F/executors/E/runs/C` with `runs/latest` a link to the newest run; `WORK/meta/slaves/S` with
`slave.info` and `meta/slaves/latest`. Rules: a sandbox is its user's own, closed to others (0750); making one costs four
system calls, since the directories above are made once.
Errors: OSError where the disk says no.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import time
from pathlib import Path

SANDBOX_MODE = 0o750


class Sandboxes:
    """Makes, finds and removes the sandboxes under one work directory."""

    def __init__(self, work_dir: str) -> None:
        self.work_dir = work_dir
        self._made: set[str] = set()

    def create(self, directory: str, user: str | None) -> None:
        """Make the directory of a run and its `latest` link.

        Errors: OSError; LookupError where there is no such user.
        """
        runs = os.path.dirname(directory)  # noqa: PTH120 - four calls a task: pathlib costs more than the calls
        executor = os.path.dirname(runs)  # noqa: PTH120 - one system call, no Path to build
        executors = os.path.dirname(executor)  # noqa: PTH120 - one system call, no Path to build
        if executors not in self._made:
            os.makedirs(executors, exist_ok=True)  # noqa: PTH103 - one system call, no Path to build
            self._made.add(executors)
        try:
            _mkdir(executor)
        except FileNotFoundError:
            os.makedirs(executor, exist_ok=True)  # noqa: PTH103 - somebody removed the directories above
        _mkdir(runs)
        owner = None if user is None else find_user(user)
        os.mkdir(directory, SANDBOX_MODE)  # noqa: PTH102 - one system call, no Path to build
        if owner is not None:
            os.chown(directory, owner.pw_uid, owner.pw_gid)
        latest = f"{runs}/latest"
        try:
            os.symlink(directory, latest)  # noqa: PTH211 - one system call, no Path to build
        except FileExistsError:
            os.unlink(latest)  # noqa: PTH108 - one system call, no Path to build
            os.symlink(directory, latest)  # noqa: PTH211 - one system call, no Path to build

    def remove(self, directory: str) -> None:
        """Delete a run, and what of its parents is empty then."""
        run = Path(directory)
        shutil.rmtree(run, ignore_errors=True)
        latest = run.parent / "latest"
        if latest.is_symlink() and not latest.exists():
            latest.unlink(missing_ok=True)
        for parent in (run.parent, *run.parents[1:5]):
            self._made.discard(str(parent))
            try:
                parent.rmdir()
            except OSError:
                return

    def find_old(self) -> list[tuple[str, float]]:
        """Return the runs that are there with their ages in seconds."""
        now = time.time()
        found = []
        for run in Path(self.work_dir, "slaves").glob("*/frameworks/*/executors/*/runs/*"):
            if not run.is_symlink():
                with contextlib.suppress(OSError):
                    found.append((str(run), max(now - run.stat().st_mtime, 0.0)))
        return found

    def checkpoint_agent(self, agent_id: str, info: bytes) -> None:
        """Write down the agent's id and info; renamed into place, so that a reader never sees half of it."""
        slaves = Path(self.work_dir, "meta", "slaves")
        directory = slaves / agent_id
        directory.mkdir(parents=True, exist_ok=True)
        replace_file(directory / "slave.info", info)
        latest = slaves / "latest.new"
        latest.unlink(missing_ok=True)
        latest.symlink_to(directory)
        latest.replace(slaves / "latest")


def find_user(user: str) -> pwd.struct_passwd:
    """Return a user's entry.

    Errors: LookupError, with what to do.
    """
    try:
        return pwd.getpwnam(user)
    except KeyError as error:
        what = "create it, or start the agent with --no-switch_user"
        raise LookupError(f"user '{user}' does not exist on this agent; {what}") from error


def replace_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(data)
    new.replace(path)


def _mkdir(directory: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, 0o755)  # noqa: PTH102 - one system call, no Path to build
