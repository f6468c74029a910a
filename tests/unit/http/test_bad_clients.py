"""Clients that break the rules: each gets a clear answer or is cut off, and the server serves the next one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merismos.adapters.http.answers import Answers
from merismos.adapters.http.heads import Head, Heads
from merismos.adapters.http.lane import FastLane, Limits
from merismos.core.master import effects, events
from merismos.shell.turn import Turn
from merismos.shell.wheel import Wheel

if TYPE_CHECKING:
    from tests.unit.http.conftest import Call, Harness, Serve

SUBSCRIBE = b'{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n"}}}'


async def still_serves(harness: Harness, call: Call) -> None:
    client = await harness.connect()
    assert (await client.ask(call()))[0] == "202 Accepted"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GARBAGE\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"400"),
        (b"POST /api/v1/scheduler HTTP/1.1\r\nContent-Length: abc\r\n\r\n", b"400"),
        (b"POST /api/v1/scheduler HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"POST /api/v1/scheduler HTTP/1.1\r\nX: " + b"y" * 70_000, b"431"),
        (b"POST /api/v1/scheduler HTTP/1.1\r\nContent-Length: 1073741824\r\n\r\n{", b"413"),
        (b"POST /api/v1/scheduler HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"POST /api/v1/scheduler HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n40000000\r\n", b"413"),
        (b"POST /api/v1/scheduler HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", b"400"),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n", b"413"),
    ],
)
def test_what_is_no_request_gets_a_clear_answer_and_the_connection_closes(
    serve: Serve, call: Call, data: bytes, status: bytes
) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.connect()
        client.writer.write(data)
        answer = await client.end()
        assert answer.split(b" ")[1:2] == [status], answer
        await still_serves(harness, call)

    serve(scenario)


@pytest.mark.parametrize(
    "data",
    [
        b"POST /api/v1/sch",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        b"POST /api/v1/scheduler HTTP/1.1\r\nContent-Length: 100\r\n\r\n{",
    ],
)
def test_a_request_that_comes_a_byte_at_a_time_gets_408(serve: Serve, call: Call, data: bytes) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.connect()
        client.writer.write(data)
        answering = asyncio.ensure_future(client.reader.readuntil(b"\r\n\r\n"))
        while not answering.done():
            client.writer.write(b"x")
            await asyncio.wait([answering], timeout=0.01)
        assert answering.result().startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        await still_serves(harness, call)

    serve(scenario)


def test_a_connection_that_says_nothing_is_closed(serve: Serve, call: Call) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.connect()
        assert await client.end() == b""
        await still_serves(harness, call)

    serve(scenario, Limits(first_s=0.05, linger_s=0.05))


def test_a_client_that_never_reads_its_stream_is_cut_off_and_told_of(serve: Serve, call: Call) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.connect()
        client.writer.write(call(SUBSCRIBE))
        await client.reader.readuntil(b"\r\n\r\n")
        client.reader._transport.pause_reading()
        stream = harness.machine.seen[0].stream
        status = b'{"message":"%b"}' % (b"x" * 100_000)
        while harness.machine.count(events.StreamClosed) == 0:
            harness.exchange.send_update(effects.SendUpdate(stream, status))
            await asyncio.sleep(0)
        await still_serves(harness, call)

    serve(scenario)


def test_a_client_that_never_reads_its_answers_is_not_read_from_and_then_cut_off(serve: Serve, call: Call) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.connect()
        client.reader._transport.pause_reading()
        answer = "no" * 1_000
        harness.machine.answers[events.SchedulerCalled] = lambda event: [effects.Respond(event.request, 400, answer)]
        data = call() * 100
        while harness.server.connections:
            if not client.writer.is_closing():
                client.writer.write(data)
            await asyncio.sleep(0)
        assert harness.machine.count(events.SchedulerCalled) < 10_000
        harness.machine.answers.clear()
        await still_serves(harness, call)

    serve(scenario)


def test_a_client_that_sends_without_end_behind_its_stream_is_cut_off(serve: Serve, call: Call) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.connect()
        client.writer.write(call(SUBSCRIBE))
        await client.reader.readuntil(b"\r\n\r\n")
        client.writer.write(call() * 100)
        await harness.until(lambda: harness.machine.count(events.StreamClosed) == 1)
        await still_serves(harness, call)

    serve(scenario)


class Nowhere:
    """A transport that only counts."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.closed = True

    write_eof = close = abort

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.closed

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        pass


class Anywhere:
    """All that a lane needs, doing nothing."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.heads, self.answers, self.limits = Heads(), Answers(), Limits()
        self.wheel, self.turn = Wheel(loop), Turn(loop)
        self.connections: dict[FastLane, None] = {}
        self.scheduler = self

    def serve(self, head: Head, body: bytes, caller: FastLane) -> None:
        assert head.length in {-1, len(body)}
        caller.respond(202)

    def other_lane(self) -> asyncio.Protocol:
        return asyncio.Protocol()

    def link_lane(self) -> None:
        return None

    def refusal(self, path: str) -> tuple[int, str, str]:
        return 503, f"This master takes no agents at {path}", ""


PIECES = [
    b"POST /api/v1/scheduler HTTP/1.1\r\n",
    b"Content-Type: application/json\r\n",
    b"Content-Length: 17\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n",
    b'{"type":"REVIVE"}',
    b"11\r\n",
    b"0\r\n\r\n",
    b"GET / HTTP/1.1\r\n",
    b"Content-Length: -1\r\n",
    b"Upgrade: merismos-link/1\r\nConnection: Upgrade\r\n",
    b"GET /link HTTP/1.1\r\n",
]


@settings(max_examples=150, deadline=None)
@given(pieces=st.lists(st.one_of(st.binary(max_size=64), st.sampled_from(PIECES)), max_size=12))
def test_no_bytes_break_a_connection_in_a_way_of_their_own(pieces: list[bytes]) -> None:
    async def scenario() -> None:
        lanes, transport = Anywhere(), Nowhere()
        lane = FastLane(lanes)
        lane.connection_made(transport)
        for piece in pieces:
            if lane.open:
                lane.data_received(piece)
        await asyncio.sleep(0)
        lane.connection_lost(None)
        lanes.wheel.close()
        assert transport.written[:9] in {b"", b"HTTP/1.1 "}

    asyncio.run(scenario())
