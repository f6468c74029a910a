"""Looks at the output of all containers, again and again, and rotates what has grown too big.

Rules: it reads the agent's state and keeps nothing but sizes, so the containers of an earlier agent are rotated like all others, and
while no agent runs nobody rotates. All are looked at every `LOOK_S`, in a thread; those that may grow too big before the next look
every `HOT_S`. A container that has ended is looked at once more. A file that can't be rotated is told once.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

import structlog

from merismos.containers.log_rotation import LogBounds, rotate
from merismos.containers.log_settings import LogSettings
from merismos.core.agent.state import Agent, Phase
from merismos.protocol.v1 import mesos

LOOK_S: Final = 1.0
HOT_S: Final = 0.05


class Logged(NamedTuple):
    """A container that writes into a sandbox."""

    container_id: str
    directory: str
    command: mesos.CommandInfo | None


class Log:
    """One file: where it is, how big it may be, and how big it was at the last look."""

    __slots__ = ("bounds", "directory", "failed", "looked_at", "name", "path", "size")

    def __init__(self, directory: str, name: str, bounds: LogBounds) -> None:
        self.directory = directory
        self.name = name
        self.path = f"{directory}/{name}"
        self.bounds = bounds
        self.size = 0
        self.looked_at = 0.0
        self.failed = False

    def look(self, now: float) -> bool:
        """Rotate if need be; say whether it may grow too big before the next look at all."""
        try:
            size = os.stat(self.path, follow_symlinks=False).st_size  # noqa: PTH116 - one system call, no Path to build
            since_s = max(now - self.looked_at, HOT_S) if self.looked_at else LOOK_S
            growth = (size - self.size) / since_s
            if size > self.bounds.bytes_max:
                rotate(self.directory, self.name, self.bounds)
                size = os.stat(self.path, follow_symlinks=False).st_size  # noqa: PTH116 - one system call, no Path to build
        except FileNotFoundError:
            return False
        except OSError as error:
            if not self.failed:
                structlog.get_logger().warning("a log can't be rotated as it should", path=self.path, why=str(error))
            self.failed = True
            return False
        self.size, self.looked_at = size, now
        return size + growth * LOOK_S > self.bounds.bytes_max


class LogRotator:
    """Rotates the logs of one agent's containers."""

    def __init__(self, agent: Agent, settings: LogSettings) -> None:
        self._agent = agent
        self._settings = settings
        self._work_dir = agent.settings.work_dir
        self._real_work_dir = os.path.realpath(agent.settings.work_dir)
        self._logs: dict[str, list[Log]] = {}
        self._hot: list[Log] = []

    def refusal(self, environment: list[str]) -> str | None:
        """Return why a task with this environment, as NAME=value, can't be logged; None where it can."""
        try:
            self._settings.of_task((name, value) for name, _, value in (one.partition("=") for one in environment))
        except ValueError as error:
            return f"Failed to load the container logger's settings of the task: {error}"
        return None

    async def run(self) -> None:
        """Look at all again and again."""
        while True:
            began = time.monotonic()
            await self.look_at_all()
            while self._hot and time.monotonic() - began < LOOK_S:
                await asyncio.sleep(HOT_S)
                self._hot = await asyncio.to_thread(_look, self._hot)
            await asyncio.sleep(max(LOOK_S - (time.monotonic() - began), HOT_S))

    async def look_at_all(self) -> None:
        """Look once at every log."""
        logs, self._logs = self._logs, {}
        due = []
        for one in containers_of(self._agent):
            mine = logs.pop(one.container_id, None) or self._logs_of(one)
            self._logs[one.container_id] = mine
            due += mine
        for ended in logs.values():
            due += ended
        self._hot = await asyncio.to_thread(_look, due)

    def _logs_of(self, one: Logged) -> list[Log]:
        directory = self._real_work_dir + one.directory.removeprefix(self._work_dir)
        variables = () if one.command is None or one.command.environment is None else one.command.environment.variables
        try:
            settings = self._settings.of_task((variable.name, variable.value or "") for variable in variables)
        except ValueError:
            settings = self._settings
        return [Log(directory, "stdout", settings.stdout), Log(directory, "stderr", settings.stderr)]


def _look(logs: list[Log]) -> list[Log]:
    now = time.monotonic()
    return [log for log in logs if log.look(now)]


def containers_of(agent: Agent) -> Iterator[Logged]:
    """Yield the containers that may write now."""
    for task in agent.containers.values():
        if task.phase in {Phase.LAUNCHING, Phase.RUNNING} and not task.is_custom():
            yield Logged(task.container_id, task.directory, task.info.command)
    for executor in agent.executors.values():
        if not executor.is_builtin:
            yield Logged(executor.container_id, executor.directory, executor.info.command)
