"""A real HTTP server on loopback around a machine that answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

import pytest
import uvloop
from aiohttp import web

from merismos.adapters.http.exchange import Exchange
from merismos.adapters.http.gate import Gate
from merismos.adapters.http.lane import Limits
from merismos.adapters.http.scheduler import SchedulerEndpoint
from merismos.adapters.http.server import HttpServer
from merismos.adapters.http.sinks import slow_handler
from merismos.adapters.http.slow import Endpoint, Router, application, body_of, reply
from merismos.adapters.link.server import LinkServer
from merismos.core.kernel import Effect, Event
from merismos.core.master import effects, events
from merismos.shell.driver import Driver
from merismos.shell.turn import Turn
from merismos.shell.wheel import Wheel

SHORT = Limits(
    first_s=5.0,
    head_s=0.1,
    body_s=0.1,
    body_bytes_per_s=1 << 30,
    body_bytes=1 << 20,
    linger_s=0.1,
    unread_s=0.1,
    held_bytes=4096,
    stream_bytes=1 << 20,
)


class Told:
    """A machine that answers events as the test says, 202 to calls otherwise."""

    def __init__(self) -> None:
        self.seen: list[Event] = []
        self.answers: dict[type[Event], Callable[[Event], Sequence[Effect]]] = {}

    def handle(self, event: Event, now: float) -> Sequence[Effect]:  # noqa: ARG002 - the signature is given
        self.seen.append(event)
        answer = self.answers.get(type(event))
        if answer is not None:
            return answer(event)
        if isinstance(event, events.SchedulerCalled):
            return [effects.Respond(event.request, 202)]
        if isinstance(event, events.SchedulerSubscribed):
            return [effects.OpenStream(event.request, event.stream, event.stream_id)]
        return []

    def next_deadline(self) -> float | None:
        return None

    def count(self, kind: type[Event]) -> int:
        return sum(isinstance(event, kind) for event in self.seen)


class Client:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, data: bytes) -> tuple[str, dict[str, str], bytes]:
        self.writer.write(data)
        await self.writer.drain()
        return await self.answer()

    async def answer(self) -> tuple[str, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return head[0].split(" ", 1)[1], headers, body

    async def chunk(self) -> bytes:
        size = int((await self.reader.readline()).strip(), 16)
        data = await self.reader.readexactly(size)
        assert await self.reader.readexactly(2) == b"\r\n"
        return data

    async def end(self) -> bytes:
        """Return what comes until the other side closes."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""


class Harness:
    """A server and what it is made of."""

    def __init__(self, limits: Limits) -> None:
        loop = asyncio.get_running_loop()
        self.machine = Told()
        self.faults: list[Exception] = []
        turn, self.wheel = Turn(loop), Wheel(loop, tick_s=0.02)
        self.gate, self.exchange = Gate(), Exchange()
        self.gate.recovered = True
        scheduler = SchedulerEndpoint(self.gate, self.exchange)
        self.links = LinkServer(lambda event: self.driver.post(event), turn)  # noqa: PLW0108 - the driver is made below

        async def echo(request: web.Request) -> web.StreamResponse:
            return reply(200, request.method.encode() + b" " + await body_of(request))

        table = {"/echo": Endpoint(echo), "/api/v1/scheduler": Endpoint(slow_handler(scheduler))}
        self.server = HttpServer(application(Router(table, "/master"), limits), scheduler, turn, self.wheel, limits)
        self.server.links = self.links.accept
        exchange = self.exchange
        self.driver = Driver(
            self.machine,
            {
                effects.Respond: exchange.respond,
                effects.OpenStream: exchange.open_stream,
                effects.SendEvent: exchange.send_event,
                effects.SendUpdate: exchange.send_update,
                effects.SendHeartbeat: exchange.send_heartbeat,
                effects.CloseStream: exchange.close_stream,
                effects.SendToAgent: self.links.send,
                effects.CloseLink: self.links.close_link,
            },
            loop,
            turn,
            on_fault=lambda _event, error: self.faults.append(error),
        )
        exchange.post = scheduler.post = self.driver.post
        self.port = 0
        self._stack = AsyncExitStack()

    async def connect(self) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)
        self._stack.callback(writer.close)
        return Client(reader, writer)

    async def until(self, true: Callable[[], bool]) -> None:
        while not true():
            await asyncio.sleep(0)

    async def close(self) -> None:
        self.driver.close()
        self.links.close()
        await self._stack.aclose()
        await self.server.close()
        self.wheel.close()


Scenario = Callable[[Harness], Awaitable[None]]
Serve = Callable[..., None]
Call = Callable[..., bytes]


@pytest.fixture(params=["uvloop", "asyncio"])
def serve(request: pytest.FixtureRequest) -> Serve:
    """Run a scenario against a server, on both loops."""

    def run(scenario: Scenario, limits: Limits = SHORT) -> None:
        async def whole() -> None:
            harness = Harness(limits)
            harness.port = await harness.server.listen("127.0.0.1", 0)
            try:
                async with asyncio.timeout(20):
                    await scenario(harness)
            finally:
                await harness.close()
            assert harness.faults == []

        if request.param == "uvloop":
            uvloop.run(whole())
        else:
            asyncio.run(whole())

    return run


def call(
    body: bytes = b'{"type":"REVIVE"}', path: str = "/api/v1/scheduler", headers: str = "", method: str = "POST"
) -> bytes:
    """Return the bytes of a JSON call."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


@pytest.fixture(name="call")
def call_fixture() -> Call:
    return call
