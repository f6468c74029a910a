"""Measures what containers have in their sandboxes, again and again, and tells of those that have more than they asked for.

Rules: it reads the agent's state and keeps nothing, so the containers of an earlier agent are measured like all others. A file counts
with the blocks that it takes, once however many names it has; links aren't followed, and other file systems below aren't measured. One
look goes through all sandboxes in a thread; the next begins an interval after it ends. Between two looks a container may have more.
Source: Mesos, docs/isolators/disk-du.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from merismos.core.agent import events
from merismos.core.agent.state import Agent, Phase
from merismos.core.agent.views.records import executor_resources, resources_of
from merismos.core.kernel import Event
from merismos.protocol.v1 import mesos

BLOCK_BYTES: Final = 512
_MB: Final = 1 << 20
_REASON: Final = "REASON_CONTAINER_LIMITATION_DISK"


class Allotment(NamedTuple):
    """What a container may have in its sandbox."""

    container_id: str
    directory: str
    bytes_max: int


class DiskQuota:
    """Watches the sandboxes of one agent."""

    def __init__(self, agent: Agent, post: Callable[[Event], None], interval_s: float) -> None:
        self._agent = agent
        self._post = post
        self._interval_s = interval_s

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            for allotment in list(allotments(self._agent)):
                used = await asyncio.to_thread(measure, allotment.directory)
                if used > allotment.bytes_max:
                    self._post(events.ContainerLimited(allotment.container_id, limitation_of(used, allotment)))
            await asyncio.sleep(self._interval_s)


def allotments(agent: Agent) -> Iterator[Allotment]:
    """Yield what runs in a sandbox of its own and asked for disk."""
    for task in agent.containers.values():
        disk_milli = resources_of(task.info.resources).quantities().get("disk", 0)
        if task.phase is Phase.RUNNING and disk_milli:
            yield Allotment(task.container_id, task.directory, disk_milli * _MB // 1000)
    for executor in agent.executors.values():
        disk_milli = executor_resources(executor).quantities().get("disk", 0)
        if executor.pid and disk_milli:
            yield Allotment(executor.container_id, executor.directory, disk_milli * _MB // 1000)


def measure(directory: str) -> int:
    """Return the bytes that a directory and all below it take on its file system."""
    try:
        device = os.lstat(directory).st_dev
    except OSError:
        return 0
    blocks = 0
    seen: dict[int, None] = {}
    waiting = [directory]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    info = entry.stat(follow_symlinks=False)
                    if info.st_dev != device or info.st_ino in seen:
                        continue
                    if info.st_nlink > 1:
                        seen[info.st_ino] = None
                    blocks += info.st_blocks
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
    return blocks * BLOCK_BYTES


def limitation_of(used: int, allotment: Allotment) -> events.Limitation:
    """Return why a container is ended, in Mesos' words."""
    message = f"Disk usage ({used / _MB:.1f}MB) exceeds quota ({allotment.bytes_max / _MB:g}MB)"
    scalar = mesos.Value_Scalar(value=allotment.bytes_max / _MB)
    return events.Limitation(
        _REASON, message, [mesos.Resource(name="disk", type=mesos.Value_Type.SCALAR, scalar=scalar)]
    )
