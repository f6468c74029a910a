"""Looks at which TCP ports containers listen on, again and again, and tells of those that listen on what they weren't given.

Rules: a listening socket counts for the container whose mark the process that holds it has in its environment. Ports are those of the
machine's own network; a range may be given that is watched, and others aren't looked at. A container that didn't ask for ports may
listen on none that is watched. Where there is no /proc nothing is known.
Source: Mesos, docs/isolators/network-ports.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from merismos.containers import supervisor
from merismos.core.agent import events
from merismos.core.agent.state import Agent, Phase
from merismos.core.agent.views.records import executor_resources, resources_of
from merismos.core.kernel import Event
from merismos.model.ranges import Ranges, ranges_of
from merismos.protocol.v1 import mesos

_REASON: Final = "REASON_CONTAINER_LIMITATION"
_TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTEN: Final = "0A"


class PortWatch:
    """Watches the ports of one agent's containers; `watched` None: all of them."""

    def __init__(self, agent: Agent, post: Callable[[Event], None], interval_s: float, watched: Ranges | None) -> None:
        self._agent = agent
        self._post = post
        self._interval_s = interval_s
        self._watched = watched

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            allowed = ports_of(self._agent)
            found = await asyncio.to_thread(listening, list(allowed))
            for container_id, ports in found.items():
                watched = ports if self._watched is None else ports & self._watched
                foreign = watched - allowed[container_id]
                if foreign:
                    self._post(events.ContainerLimited(container_id, limitation_of(container_id, foreign)))
            await asyncio.sleep(self._interval_s)


def ports_of(agent: Agent) -> dict[str, Ranges]:
    """Return the ports of each container that runs on the machine's network."""
    allowed = {
        task.container_id: resources_of(task.info.resources).ports
        for task in agent.containers.values()
        if task.phase is Phase.RUNNING
    }
    for executor in agent.executors.values():
        if executor.pid:
            allowed[executor.container_id] = executor_resources(executor).ports
    return allowed


def listening(container_ids: list[str]) -> dict[str, Ranges]:
    """Return the ports on which processes of these containers listen; what is nested counts for what it is nested in."""
    wanted = dict.fromkeys(container_ids)
    sockets = listening_sockets()
    found: dict[str, list[tuple[int, int]]] = {}
    for row in supervisor.read_procs() if sockets and wanted else ():
        mark = supervisor.container_id_of(row.pid)
        container_id = _owner_of(mark.decode("utf-8", "replace"), wanted) if mark else None
        if container_id is not None:
            ports = [sockets[inode] for inode in _sockets_of(row.pid) if inode in sockets]
            found.setdefault(container_id, []).extend((port, port) for port in ports)
    return {container_id: ranges_of(ports) for container_id, ports in found.items()}


def listening_sockets() -> dict[str, int]:
    """Return the port of each TCP socket of this network that listens, by the number of its inode."""
    found = {}
    for table in _TABLES:
        with contextlib.suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN:
                    found[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    return found


def limitation_of(container_id: str, ports: Ranges) -> events.Limitation:
    """Return why a container is ended, in Mesos' words."""
    message = f"Container {container_id} is listening on unallocated port(s): {ports}"
    ranges = mesos.Value_Ranges(range=[mesos.Value_Range(begin=begin, end=end) for begin, end in ports])
    return events.Limitation(
        _REASON, message, [mesos.Resource(name="ports", type=mesos.Value_Type.RANGES, ranges=ranges)]
    )


def _owner_of(container_id: str, wanted: dict[str, None]) -> str | None:
    while container_id and container_id not in wanted:
        container_id = container_id.rpartition(".")[0]
    return container_id or None


def _sockets_of(pid: int) -> list[str]:
    found = []
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                target = os.readlink(entry.path)  # noqa: PTH115 - one system call, no Path to build
                if target.startswith("socket:["):
                    found.append(target[8:-1])
    return found
