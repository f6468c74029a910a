"""Answers and event streams for requests that came by the slow lane.

Rules: a stream's records wait in memory up to `QUEUE_BYTES_MAX`; who reads slower than that is cut off.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import hdrs, web

from merismos.adapters.http.heads import Head
from merismos.adapters.http.lane import STREAM_BUFFER_BYTES_MAX
from merismos.adapters.http.negotiation import Media, media_for, media_of
from merismos.adapters.http.slow import Handler, body_of, reply
from merismos.adapters.http.streams import EventStream, recordio

if TYPE_CHECKING:
    from merismos.adapters.http.scheduler import SchedulerEndpoint

QUEUE_BYTES_MAX = STREAM_BUFFER_BYTES_MAX


class Answer(NamedTuple):
    """What a request is answered with."""

    status: int
    body: str
    headers: str


class QueueSink:
    """The records of one stream on their way to aiohttp."""

    def __init__(self, stream_id: str) -> None:
        self.stream_id = stream_id
        self._records: deque[bytes] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._ended = False
        self.broken = False

    def send_record(self, record: bytes) -> None:
        """Queue one record."""
        if self._size > QUEUE_BYTES_MAX:
            self.broken = True
        else:
            self._records.append(record)
            self._size += len(record)
        self._wake.set()

    def end_stream(self) -> None:
        """End after what is queued."""
        self._ended = True
        self._wake.set()

    def drop_stream(self) -> None:
        """Close the connection."""
        self.broken = True
        self._wake.set()

    async def run(self, request: web.Request, response: web.StreamResponse) -> None:
        """Send records as they come, until the end or until the client is gone or too slow."""
        while True:
            while self._records and not self.broken:
                record = self._records.popleft()
                self._size -= len(record)
                await response.write(recordio(record))
            if self.broken:
                if request.transport is not None:
                    request.transport.abort()
                return
            if self._ended:
                await response.write_eof()
                return
            self._wake.clear()
            await self._wake.wait()


class SlowCaller:
    """A request of the slow lane that waits for the core's answer."""

    def __init__(self, media: Media | None) -> None:
        self._media = media
        self._answered: asyncio.Future[Answer | QueueSink] = asyncio.get_running_loop().create_future()
        self._stream: EventStream | None = None

    def respond(self, status: int, body: str = "", headers: str = "") -> None:
        """Answer."""
        if not self._answered.done():
            self._answered.set_result(Answer(status, body, headers))

    def open_stream(self, token: int, stream_id: str, on_lost: Callable[[EventStream], None]) -> EventStream:
        """Answer with an event stream."""
        assert self._media is not None
        sink = QueueSink(stream_id)
        self._stream = EventStream(token, self._media, sink, on_lost)
        if not self._answered.done():
            self._answered.set_result(sink)
        return self._stream

    async def response(self, request: web.Request) -> web.StreamResponse:
        """Wait for the answer and send it."""
        try:
            answer = await self._answered
            if isinstance(answer, Answer):
                pairs = (line.partition(":") for line in answer.headers.splitlines())
                return reply(answer.status, answer.body, headers={name: value.strip() for name, _, value in pairs})
            return await self._send_stream(request, answer)
        finally:
            if self._stream is not None:
                self._stream.lost()

    async def _send_stream(self, request: web.Request, sink: QueueSink) -> web.StreamResponse:
        assert self._media is not None
        headers = {"Mesos-Stream-Id": sink.stream_id} if sink.stream_id else {}
        response = web.StreamResponse(headers={**headers, hdrs.CONTENT_TYPE: self._media.value})
        if request.version >= (1, 1):
            response.enable_chunked_encoding()
        await response.prepare(request)
        await sink.run(request, response)
        return response


def slow_handler(schedulers: SchedulerEndpoint) -> Handler:
    """Return what serves scheduler calls on a connection that asked for something else before."""

    async def serve(request: web.Request) -> web.StreamResponse:
        head = Head(request.method, request.raw_path)
        head.content_type = request.headers.get(hdrs.CONTENT_TYPE)
        head.media = media_of(head.content_type or "")
        head.accept = media_for(request.headers.get(hdrs.ACCEPT))
        head.stream_id = request.headers.get("Mesos-Stream-Id")
        caller = SlowCaller(head.accept)
        schedulers.serve(head, await body_of(request), caller)
        return await caller.response(request)

    return serve
