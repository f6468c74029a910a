"""Sandboxes on disk, laid out as Mesos does.

Shapes: `WORK/slaves/S/frameworks/F/executors/E/runs/C` with `runs/latest` a link to the newest run. Rules: a sandbox is its user's
own, closed to others (0750); making one costs four system calls, since the directories above are made once; one that an earlier
agent made for the same container is taken as it is.
Errors: OSError where the disk says no.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import time
from pathlib import Path

import structlog

from merismos.containers.removal import remove_tree

SANDBOX_MODE = 0o750


class Sandboxes:
    """Makes, finds and removes the sandboxes under one work directory."""

    def __init__(self, work_dir: str) -> None:
        self.work_dir = work_dir
        self.removals_succeeded = 0
        self.removals_failed = 0
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
        owner = None if user is None or is_us(user) else find_user(user)
        _mkdir(directory, SANDBOX_MODE)
        if owner is not None:
            os.chown(directory, owner.pw_uid, owner.pw_gid)
        latest = f"{runs}/latest"
        try:
            os.symlink(directory, latest)  # noqa: PTH211 - one system call, no Path to build
        except FileExistsError:
            os.unlink(latest)  # noqa: PTH108 - one system call, no Path to build
            os.symlink(directory, latest)  # noqa: PTH211 - one system call, no Path to build

    def create_inner(self, directory: str, user: str | None) -> None:
        """Make a directory within another sandbox, or beside all runs.

        Errors: OSError; LookupError where there is no such user.
        """
        owner = None if user is None or is_us(user) else find_user(user)
        os.makedirs(os.path.dirname(directory), exist_ok=True)  # noqa: PTH103, PTH120 - one system call, no Path to build
        _mkdir(directory, SANDBOX_MODE)
        if owner is not None:
            os.chown(directory, owner.pw_uid, owner.pw_gid)

    def remove_inner(self, directory: str) -> None:
        """Delete what `create_inner` made."""
        try:
            remove_tree(Path(directory))
        except OSError as error:
            structlog.get_logger().warning("a sandbox can't be removed", directory=directory, why=str(error))

    def remove(self, directory: str) -> None:
        """Delete a run, and what of its parents is empty then; what can't be deleted is told and counted."""
        run = Path(directory)
        try:
            remove_tree(run)
            self.removals_succeeded += 1
        except OSError as error:
            self.removals_failed += 1
            structlog.get_logger().warning("a sandbox can't be removed", directory=directory, why=str(error))
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


def is_us(user: str) -> bool:
    """Say whether a user is the one that we are, without a look into the users of the machine: of root alone that is known."""
    return user == "root" and os.geteuid() == 0 and os.getegid() == 0


def find_user(user: str) -> pwd.struct_passwd:
    """Return a user's entry.

    Errors: LookupError, with what to do.
    """
    try:
        return pwd.getpwnam(user)
    except KeyError as error:
        what = "create it, or start the agent with --no-switch_user"
        raise LookupError(f"user '{user}' does not exist on this agent; {what}") from error


def _mkdir(directory: str, mode: int = 0o755) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, mode)  # noqa: PTH102 - one system call, no Path to build
