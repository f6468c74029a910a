"""Clients of the agent that never end a request, send too much, or leave: an answer, and the agent lives on."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable

import pytest

from merismos.adapters.agent_http.executor import ExecutorEndpoint
from merismos.adapters.agent_http.first_head import HEAD_BYTES_MAX
from merismos.adapters.agent_http.server import AgentHttp
from merismos.adapters.http.lane import Limits
from unit.agent.containers_rig import containers_of
from unit.agent.rig import Rig

BOUND_S = 20.0
HASTY = Limits(first_s=0.1, body_s=0.1, body_bytes=1000, linger_s=0.1)
CALL = b"POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


def with_agent(scenario: Callable[[Connect], Awaitable[None]], limits: Limits = HASTY) -> None:
    async def run() -> None:
        rig = Rig.registered()
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        http = AgentHttp(rig.state, {}, ExecutorEndpoint(rig.handle), containers_of(rig), limits=limits)
        await http.start(listener)

        writers: list[asyncio.StreamWriter] = []

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            return reader, writer

        try:
            async with asyncio.timeout(BOUND_S):
                await scenario(connect)
                reader, writer = await connect()
                writer.write(b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
        finally:
            await http.close()
            for one in writers:
                one.close()

    asyncio.run(run())


def sent(data: bytes, limits: Limits = HASTY) -> bytes:
    """Return all that comes back for `data`, the connection left open from this side."""
    got = b""

    async def scenario(connect: Connect) -> None:
        nonlocal got
        reader, writer = await connect()
        writer.write(data)
        got = await reader.read()

    with_agent(scenario, limits)
    return got


@pytest.mark.parametrize("data", [b"", b"G", b"GET /state HTTP/1.1\r\nHost: x\r\n"])
def test_a_head_that_does_not_end_gets_408(data: bytes) -> None:
    assert sent(data).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_a_head_that_comes_a_byte_at_a_time_gets_408() -> None:
    async def scenario(connect: Connect) -> None:
        reader, writer = await connect()
        answering = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
        while not answering.done():
            writer.write(b"x")
            await asyncio.wait([answering], timeout=0.01)
        assert answering.result().startswith(b"HTTP/1.1 408 Request Timeout\r\n")

    with_agent(scenario)


@pytest.mark.parametrize("path", [b"/api/v1", b"/slave(1)/api/v1", b"/api/v1/executor"])
def test_a_body_that_does_not_end_gets_408(path: bytes) -> None:
    head = CALL.replace(b"/api/v1", path)
    assert sent(head + b"Content-Length: 100\r\n\r\n{").startswith(b"HTTP/1.1 408 Request Timeout\r\n")


@pytest.mark.parametrize("path", [b"/api/v1", b"/api/v1/executor"])
@pytest.mark.parametrize(
    "rest",
    [b"Content-Length: 1073741824\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n400\r\n" + b"x" * 1024 + b"\r\n"],
)
def test_a_body_beyond_the_limit_gets_413_before_it_is_read(path: bytes, rest: bytes) -> None:
    assert sent(CALL.replace(b"/api/v1", path) + rest).startswith(b"HTTP/1.1 413 Request Entity Too Large\r\n")


def test_a_head_beyond_the_limit_gets_431() -> None:
    answer = sent(b"GET / HTTP/1.1\r\nA: " + b"x" * HEAD_BYTES_MAX, Limits(first_s=BOUND_S))
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"\x16\x03\x01\x00\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"NOPE\r\n\r\n"])
def test_what_is_no_request_gets_400_and_no_traceback_in_the_log(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert sent(data, Limits(first_s=0.5)).startswith((b"HTTP/1.0 400", b"HTTP/1.1 400", b"HTTP/1.1 408"))
    assert not [record for record in caplog.records if record.exc_info]


def test_a_silent_connection_does_not_keep_the_agent_from_stopping() -> None:
    async def scenario(connect: Connect) -> None:
        _, writer = await connect()
        writer.write(b"GET ")
        await writer.drain()

    with_agent(scenario, Limits(first_s=600.0))
