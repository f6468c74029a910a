"""Processes that are started again whenever they end, as systemd would, and that can be killed, stopped and continued.

Rules: the pit wakes when a process ends or a plan is due, never on a poll. What a process wrote lies in its folder.
"""

from __future__ import annotations

import heapq
import itertools
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from process.chaos.network import Machine

RESTART_S = 0.3


class Supervised:
    """One process on one machine."""

    def __init__(self, name: str, machine: Machine, folder: Path, command: Sequence[str]) -> None:
        self.name = name
        self.machine = machine
        self.folder = folder
        self.restart_s = RESTART_S
        self.starts = 0
        self.exits: list[int] = []
        self.is_frozen = False
        self._command = machine.command(*command)
        self._process: subprocess.Popen[bytes] | None = None
        self.pidfd = -1
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        """The pid, which nsenter passes on to what it becomes."""
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        self.pidfd = os.pidfd_open(self._process.pid)
        self.starts += 1
        self.is_frozen = False

    def reap(self) -> int:
        """Collect what has ended; return its exit code, negative for a signal."""
        assert self._process is not None
        code = self._process.wait(10)
        self.exits.append(code)
        os.close(self.pidfd)
        self._process = None
        return code

    def send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self.is_frozen = number == signal.SIGSTOP

    def said(self, characters: int = 3000) -> str:
        """Return the end of what it wrote."""
        path = self.folder / "log"
        return path.read_text(encoding="utf-8", errors="replace")[-characters:] if path.exists() else ""


class Pit:
    """All processes, and what is planned for later."""

    def __init__(self) -> None:
        self.processes: list[Supervised] = []
        self.restarting = True
        self.on_exit: Callable[[Supervised, int], None] = lambda _process, _code: None
        self._plans: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def add(self, process: Supervised) -> Supervised:
        """Start a process and watch it from now on."""
        self.processes.append(process)
        process.start()
        return process

    def after(self, pause_s: float, plan: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self._plans, (time.monotonic() + pause_s, next(self._numbers), plan))

    def run(self, until: Callable[[], bool], within_s: float) -> bool:
        """Watch over everything until something is true; return whether it came true in time.

        `until` is asked after each plan and each exit.
        """
        end = time.monotonic() + within_s
        while not until():
            now = time.monotonic()
            if now >= end:
                return False
            self._wait(min(end, self._plans[0][0] if self._plans else end) - now)
            while self._plans and self._plans[0][0] <= time.monotonic():
                heapq.heappop(self._plans)[2]()
        return True

    def _wait(self, pause_s: float) -> None:
        running = {process.pidfd: process for process in self.processes if process.is_running}
        ready, _, _ = select.select(list(running), [], [], max(0.0, pause_s))
        for fd in ready:
            process = running[fd]
            self.on_exit(process, process.reap())
            if self.restarting and process.restart_s >= 0:
                self.after(process.restart_s, lambda process=process: self._restart(process))  # type: ignore[misc]

    def _restart(self, process: Supervised) -> None:
        if self.restarting and not process.is_running:
            process.start()

    def close(self) -> None:
        """End everything at once."""
        self.restarting = False
        for process in self.processes:
            process.send(signal.SIGKILL)
        for process in self.processes:
            if process.is_running:
                process.reap()
