"""The home of a user who starts clusters with `merismos up`, and what is left in it.

Rules: processes are looked for in /proc, by their variables, their folder, and how the tests' tasks are called.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from process.cli.commands import WAIT_S_MAX, Commands

NAP = f"sleep {10**7 + os.getpid()}"  # a command line that no other run of these tests has


class Home:
    """A user's own folders, and the commands of that user."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.merismos = Commands("")
        del self.merismos.environment["MERISMOS_MASTER"]
        self.merismos.environment |= {"MERISMOS_STATE_DIR": str(self.state), "TMPDIR": str(self.temporary)}

    def up(self, *flags: str) -> dict[str, Any]:
        """Start a cluster in the background; return what it says of itself."""
        said = self.merismos(
            "up", "--detach", "--output", "json", "--master-port=0", *(flags or ("--agents=1",))
        ).json()
        assert isinstance(said, dict)
        return said

    def processes(self) -> list[str]:
        """Return what runs in this home: by its variables, by its folder, and by how the tests' tasks are called."""
        return [f"{pid}: {_read(pid, 'cmdline')}" for pid in _numbers() if self._is_ours(pid)]

    def pids(self) -> dict[str, int]:
        """Return the process ids of the cluster that runs, by their names."""
        found: dict[str, int] = json.loads((self.state / "up.json").read_text(encoding="utf-8"))["pids"]
        return found

    def wait_for_others(self, killed: dict[str, int]) -> None:
        """Wait until other processes have come for these."""
        deadline = time.monotonic() + WAIT_S_MAX
        while any(self.pids().get(name) in {pid, None} for name, pid in killed.items()):
            assert time.monotonic() < deadline, f"{killed} were not replaced: {self.pids()}"
            os.sched_yield()

    def check_that_nothing_is_left(self) -> None:
        """Fail unless every process, file and socket is gone, soon."""
        deadline = time.monotonic() + WAIT_S_MAX
        while self.processes() and time.monotonic() < deadline:
            os.sched_yield()
        assert self.processes() == []
        assert list(self.temporary.iterdir()) == []
        assert not self.state.exists()
        assert str(self.temporary) not in Path("/proc/net/unix").read_text(encoding="utf-8")

    def _is_ours(self, pid: int) -> bool:
        if str(self.temporary) in _read(pid, "environ") or NAP in _read(pid, "cmdline"):
            return True
        try:
            return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(self.temporary)
        except OSError:
            return False


def _numbers() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace").replace("\0", " ").strip()
    except OSError:
        return ""


@contextmanager
def at_home() -> Iterator[Home]:
    """Have a home; whatever runs in it is over at the end."""
    with tempfile.TemporaryDirectory(prefix="m-") as folder:
        home = Home(Path(folder))
        try:
            yield home
        finally:
            home.merismos("down")
