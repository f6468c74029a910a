"""A master on loopback that says what a test tells it to, and keeps what it was asked.

Rules: it answers 202 to calls, opens a stream for SUBSCRIBE, and nothing else unless told.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any, Self

import httptools

FRAMEWORK_ID = "f0000000-0000-4000-8000-000000000000-0000"
AGENT_ID = "a0000000-0000-4000-8000-000000000000-S0"
WAIT_S_MAX = 10.0


class _Connection(asyncio.Protocol):
    def __init__(self, master: FakeMaster) -> None:
        self._master = master
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._body = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._master.lost(self.transport)

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        target, body = self._target.decode(), self._body
        self._target = self._body = b""
        self._master.asked(self.transport, self._parser.get_method().decode(), target, body)


class FakeMaster:
    """Shapes: `calls` are the scheduler calls as they came; `answers` maps `METHOD /path` or a call's type to answers to give once."""

    def __init__(self, *, heartbeat_s: float = 15.0) -> None:
        self.calls: list[dict[str, Any]] = []
        self.answers: dict[str, deque[bytes]] = {}
        self.subscriptions = 0
        self.address = ""
        self._heartbeat_s = heartbeat_s
        self._streams: list[asyncio.Transport] = []
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for stream in self._streams:
            stream.abort()
        await self._server.wait_closed()
        await asyncio.gather(*self._tasks)

    def answer(self, what: str, *answers: bytes) -> None:
        """Give these answers, one after the other, the last one again and again."""
        self.answers[what] = deque(answers)

    def send(self, **event: object) -> None:
        """Send an event on the latest stream."""
        record = json.dumps(event).encode()
        data = b"%d\n%b" % (len(record), record)
        self._streams[-1].write(b"%x\r\n%b\r\n" % (len(data), data))

    def drop(self) -> None:
        """Break the latest stream."""
        self._streams.pop().abort()

    async def called(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait for the `count`-th call of a kind; return it."""
        async with asyncio.timeout(WAIT_S_MAX), self._changed:
            await self._changed.wait_for(lambda: len(self.of(kind)) >= count)
            return self.of(kind)[count - 1]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the calls of a kind."""
        return [call for call in self.calls if call["type"] == kind]

    def asked(self, transport: asyncio.Transport, method: str, target: str, body: bytes) -> None:
        """Answer a request."""
        call = json.loads(body) if body.startswith(b"{") else {"type": f"{method} {target}"}
        self.calls.append(call)
        prepared = self.answers.get(f"{method} {target.partition('?')[0]}") or self.answers.get(call["type"])
        if prepared:
            transport.write(prepared.popleft() if len(prepared) > 1 else prepared[0])
        elif call["type"] == "SUBSCRIBE":
            self._open(transport)
        elif method == "POST" and target == "/api/v1/scheduler":
            transport.write(plain(202))
        else:
            transport.write(plain(404))
        task = asyncio.ensure_future(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def lost(self, transport: asyncio.Transport) -> None:
        """Forget a stream that is over."""
        if transport in self._streams:
            self._streams.remove(transport)

    def _open(self, transport: asyncio.Transport) -> None:
        self.subscriptions += 1
        self._streams.append(transport)
        transport.write(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n"
            b"Mesos-Stream-Id: stream-%d\r\n\r\n" % self.subscriptions
        )
        subscribed = {"framework_id": {"value": FRAMEWORK_ID}, "heartbeat_interval_seconds": self._heartbeat_s}
        self.send(type="SUBSCRIBED", subscribed=subscribed)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def plain(status: int, body: str = "", **headers: str) -> bytes:
    """Return an answer."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body.encode())}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def scalar(name: str, value: float, **more: object) -> dict[str, Any]:
    """Return a scalar resource in its v1 JSON."""
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}, "allocation_info": {"role": "*"}, **more}


def offer(number: int = 0, *resources: dict[str, Any], port: int = 5051, **more: object) -> dict[str, Any]:
    """Return an offer in its v1 JSON."""
    return {
        "id": {"value": f"O{number}"},
        "framework_id": {"value": FRAMEWORK_ID},
        "agent_id": {"value": AGENT_ID},
        "hostname": "one",
        "url": {"scheme": "http", "address": {"hostname": "one", "ip": "127.0.0.1", "port": port}, "path": "/slave(1)"},
        "resources": list(resources) or [scalar("cpus", 2.0), scalar("mem", 1024.0)],
        "attributes": [{"name": "rack", "type": "TEXT", "text": {"value": "r1"}}],
        "allocation_info": {"role": "*"},
        **more,
    }


def status(task_id: str, state: str, *, uuid: str = "AAECAwQFBgcICQoLDA0ODw==", **more: object) -> dict[str, Any]:
    """Return a task's status in its v1 JSON."""
    return {
        "task_id": {"value": task_id},
        "state": state,
        "agent_id": {"value": AGENT_ID},
        "executor_id": {"value": task_id},
        "source": "SOURCE_EXECUTOR",
        **({"uuid": uuid} if uuid else {}),
        **more,
    }
