"""A master that only speaks the link: it admits an agent, hands it tasks and keeps what it says."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from merismos.protocol import link

M = TypeVar("M", bound=link.Message)
LIMIT_S = 30.0
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: merismos-link/1\r\nConnection: Upgrade\r\n\r\n"
TERMINAL = {"TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR"}
FRAMEWORK = {"user": "root", "name": "f", "id": {"value": "F"}, "capabilities": [{"type": "TASK_KILLING_STATE"}]}


def task(task_id: str, command: object, **fields: object) -> dict[str, object]:
    resource = {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}}
    given = {"value": command} if isinstance(command, str) else command
    return {
        "name": task_id,
        "task_id": {"value": task_id},
        "agent_id": {"value": "S0"},
        "resources": [resource],
        "command": given,
        **fields,
    }


class LinkMaster:
    def __init__(self) -> None:
        self.port = 0
        self.links = 0
        self.heard: list[link.AnyMessage] = []
        self.sent: list[link.Message] = []
        self._writer: asyncio.StreamWriter | None = None
        self._encoder = link.FrameEncoder()
        self._more = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self._writer = writer
        self._encoder = link.FrameEncoder()
        self.links += 1
        writer.write(SWITCHING + self._encoder.encode([link.Hello(epoch=1, master_id="m")]))
        decoder = link.FrameDecoder()
        try:
            while data := await reader.read(65536):
                for message in decoder.feed(data):
                    self._take(message)
        except ConnectionError:
            return
        finally:
            writer.transport.abort()

    def _take(self, message: link.AnyMessage) -> None:
        self.heard.append(message)
        if isinstance(message, link.RegisterAgent):
            self.send(link.AgentRegistered("S0"))
        elif isinstance(message, link.ReregisterAgent):
            self.send(link.AgentRegistered(message.agent_id))
        elif isinstance(message, link.UpdateStatus):
            self.send(link.AcknowledgeStatus(message.framework_id, message.task_id, message.uuid))
        self._more.set()

    def send(self, message: link.Message) -> None:
        assert self._writer is not None
        self.sent.append(message)
        self._writer.write(self._encoder.encode([message]))

    def cut(self) -> None:
        assert self._writer is not None
        self._writer.transport.abort()

    def run(self, *tasks: dict[str, Any]) -> None:
        ids = [entry["task_id"]["value"] for entry in tasks]
        raw = [json.dumps(entry).encode() for entry in tasks]
        self.send(link.RunTasks("F", json.dumps(FRAMEWORK).encode(), "eng", raw, ids))

    def of(self, kind: type[M]) -> list[M]:
        return [message for message in self.heard if isinstance(message, kind)]

    def states(self, task_id: str) -> list[str]:
        return [update.state for update in self.of(link.UpdateStatus) if update.task_id == task_id]

    def told(self, task_id: str) -> list[str]:
        """Return the states of a task, each update once however often it came."""
        updates = {update.uuid: update.state for update in self.of(link.UpdateStatus) if update.task_id == task_id}
        return list(updates.values())

    def statuses(self, task_id: str) -> list[dict[str, Any]]:
        return [json.loads(update.status) for update in self.of(link.UpdateStatus) if update.task_id == task_id]

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not true():
                self._more.clear()
                await self._more.wait()

    async def end_of(self, task_id: str) -> dict[str, Any]:
        await self.until(lambda: bool(TERMINAL.intersection(self.states(task_id))))
        return self.statuses(task_id)[-1]


@asynccontextmanager
async def link_master(listener: socket.socket | None = None) -> AsyncIterator[LinkMaster]:
    master = LinkMaster()
    own = listener or socket.create_server(("127.0.0.1", 0))
    server = await asyncio.start_server(master.serve, sock=own)
    master.port = server.sockets[0].getsockname()[1]
    try:
        yield master
    finally:
        server.close()
