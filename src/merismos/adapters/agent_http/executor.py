"""`POST /api/v1/executor` on an agent: bytes to events, and the core's answers and streams back to bytes.

Rules: checked in Mesos' order: method, Content-Type, the body's syntax, the call's shape, and for SUBSCRIBE the Accept header; all
that needs an executor's record is the core's. One record is one HTTP chunk. An executor that doesn't read what it is sent is
cut off. Where executors must say who they are, their token is checked before anything else of the call counts.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from merismos.adapters.http.answers import TEXT, method_not_allowed
from merismos.adapters.http.negotiation import (
    NOT_ACCEPTABLE,
    Media,
    media_for,
    media_of,
    refusal_of,
)
from merismos.adapters.http.slow import body_of
from merismos.core.agent import events
from merismos.core.agent.executors_calls import fault_of_call
from merismos.protocol import json, protobuf, recordio
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import executor as api

if TYPE_CHECKING:
    from collections.abc import Callable

    from merismos.adapters.agent_http.executor_tokens import ExecutorTokens
    from merismos.core.agent import effects
    from merismos.core.kernel import Event

PATH = "/api/v1/executor"
WAITING_BYTES_MAX = 16 * 1024 * 1024

_Answer = tuple[int, str] | None  # what is refused, or the text of a plain answer; None: a stream is open


class _Stream:
    """What waits to be written on one executor's stream."""

    def __init__(self, media: Media, cut: Callable[[], None]) -> None:
        self._media = media
        self._cut = cut
        self._records: deque[bytes] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._ended = False

    def send(self, event: api.Event) -> None:
        """Let one event wait for its turn."""
        body = json.encode(event) if self._media is Media.JSON else protobuf.encode(event)
        record = recordio.encode(body)
        self._bytes += len(record)
        if self._bytes > WAITING_BYTES_MAX:
            self._cut()
        else:
            self._records.append(record)
        self._wake.set()

    def end(self) -> None:
        """End after what was sent."""
        self._ended = True
        self._wake.set()

    async def next(self) -> bytes | None:
        """Return the next record, None at the end."""
        while not self._records:
            if self._ended:
                return None
            self._wake.clear()
            await self._wake.wait()
        record = self._records.popleft()
        self._bytes -= len(record)
        return record


class ExecutorEndpoint:
    """Turns requests of executors into events; the core's effects answer them."""

    def __init__(self, post: Callable[[Event], None], tokens: ExecutorTokens | None = None) -> None:
        self._post = post
        self._tokens = tokens
        self._number = 0
        self._waiting: dict[int, asyncio.Future[_Answer]] = {}
        self._offered: dict[int, _Stream] = {}
        self._streams: dict[int, _Stream] = {}

    # effects

    def answer(self, effect: effects.AnswerExecutor) -> None:
        """Answer a call."""
        self._settle(effect.request, (effect.status, effect.text))

    def open_stream(self, effect: effects.OpenExecutorStream) -> None:
        """Answer a SUBSCRIBE with its stream."""
        stream = self._offered.get(effect.request)
        if stream is None:
            self._post(events.ExecutorStreamLost(effect.stream))
            return
        self._streams[effect.stream] = stream
        self._settle(effect.request, None)

    def send(self, effect: effects.SendExecutorEvent) -> None:
        """Send one event."""
        stream = self._streams.get(effect.stream)
        if stream is not None:
            stream.send(effect.event)

    def close_stream(self, effect: effects.CloseExecutorStream) -> None:
        """End a stream."""
        stream = self._streams.pop(effect.stream, None)
        if stream is not None:
            stream.end()

    def close(self) -> None:
        """End every stream."""
        for stream in self._streams.values():
            stream.end()

    def _settle(self, request: int, answer: _Answer) -> None:
        waiting = self._waiting.get(request)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    # requests

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one request."""
        if request.method != hdrs.METH_POST:
            return _text(405, method_not_allowed(request.method), {"Allow": "POST"})
        given = request.headers.get(hdrs.CONTENT_TYPE)
        media = media_of(given or "")
        if media is None:
            return _text(*refusal_of(given))
        body = await body_of(request)
        try:
            call = (json.decode if media is Media.JSON else protobuf.decode)(api.Call, body)
        except DecodeError as error:
            return _text(400, str(error))
        if self._tokens is not None:
            refusal = self._tokens.refusal(request.headers.get(hdrs.AUTHORIZATION), call)
            if refusal is not None:
                return _text(*refusal, {"WWW-Authenticate": 'Bearer realm="mesos-agent-executor"'})
        fault = fault_of_call(call)
        if fault is not None:
            return _text(400, fault)
        if call.type is api.Call_Type.SUBSCRIBE:
            wanted = media_for(request.headers.get(hdrs.ACCEPT))
            return _text(406, NOT_ACCEPTABLE) if wanted is None else await self._subscribe(request, call, wanted)
        if call.type is api.Call_Type.UNKNOWN:
            return _text(501, "UNKNOWN is no call of the executor API")
        number = self._next()
        answer = await self._ask(number, events.ExecutorCalled(number, call))
        assert answer is not None
        return _text(*answer)

    async def _subscribe(self, request: web.Request, call: api.Call, media: Media) -> web.StreamResponse:
        number, stream_number = self._next(), self._next()
        stream = self._offered[number] = _Stream(media, lambda: _cut(request))
        try:
            refusal = await self._ask(number, events.ExecutorSubscribed(number, stream_number, call))
            if refusal is not None:
                return _text(*refusal)
            answer = web.StreamResponse(headers={hdrs.CONTENT_TYPE: media.value})
            answer.enable_chunked_encoding()
            await answer.prepare(request)
            while (record := await stream.next()) is not None:
                await answer.write(record)
            await answer.write_eof()
        finally:
            del self._offered[number]
            if self._streams.pop(stream_number, None) is not None:
                self._post(events.ExecutorStreamLost(stream_number))
        return answer

    async def _ask(self, number: int, event: Event) -> _Answer:
        waiting: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            self._post(event)
            return await waiting
        finally:
            del self._waiting[number]

    def _next(self) -> int:
        self._number += 1
        return self._number


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    given = dict(headers or {})
    if text:
        given[hdrs.CONTENT_TYPE] = TEXT
    return web.Response(status=status, body=text.encode(), headers=given)
