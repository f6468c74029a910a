"""The fast lane: one connection's calls, straight from its bytes to events.

Rules: requests are answered in order; a request that waits for its answer, or an open event stream, holds back those behind it.
A connection whose next request isn't a call for this lane is handed over, bytes and all, and doesn't come back.
All that is written in a loop turn leaves in one write. A head and a body have limits of size and time, `Limits`; who doesn't read
its answers isn't read from, who doesn't read its event stream is cut off.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from merismos.adapters.http.answers import CONTINUE, Answers
from merismos.adapters.http.chunked import ChunkedBody, ChunkedError
from merismos.adapters.http.heads import CHUNKED, HEAD_BYTES_MAX, Head, HeadError, Heads, Route
from merismos.adapters.http.streams import EventStream
from merismos.adapters.sockets import notice_dead_peer

if TYPE_CHECKING:
    from collections.abc import Callable

    from merismos.adapters.http.scheduler import SchedulerEndpoint
    from merismos.shell.turn import Turn
    from merismos.shell.wheel import Wheel

BODY_BYTES_MAX = 32 * 1024 * 1024
BODY_LIMIT_S = 30.0
STREAM_BUFFER_BYTES_MAX = 64 * 1024 * 1024
STREAM_UNREAD_S = 300
WRITE_HIGH_BYTES = 256 * 1024


class Limits(NamedTuple):
    """What one connection may take.

    Units: seconds and bytes; a body gets `body_s` and a second more for every `body_bytes_per_s`.
    """

    first_s: float = 60.0
    head_s: float = 10.0
    body_s: float = BODY_LIMIT_S
    body_bytes_per_s: int = 64 * 1024
    body_bytes: int = BODY_BYTES_MAX
    linger_s: float = 2.0
    unread_s: float = 60.0
    held_bytes: int = 1024 * 1024
    stream_bytes: int = STREAM_BUFFER_BYTES_MAX


class Lanes(Protocol):
    """What a connection needs of its server."""

    heads: Heads
    limits: Limits
    answers: Answers
    wheel: Wheel
    turn: Turn
    scheduler: SchedulerEndpoint
    connections: dict[FastLane, None]

    def other_lane(self) -> asyncio.Protocol:
        """Return a fresh protocol for any other request."""
        ...

    def link_lane(self) -> Callable[[asyncio.Transport, bytes], None] | None:
        """Return what takes an agent's link over; None where none does."""
        ...


class FastLane(asyncio.Protocol):
    """One connection, from its first byte until it closes or is handed over."""

    __slots__ = (
        "_awaiting", "_chunked", "_dirty", "_ending", "_head", "_held", "_held_size", "_lanes", "_limits", "_missing", "_out", "_parts", "_paused", "_resuming",
        "_stream", "_tail", "_transport", "_watched",
    )  # fmt: skip

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._limits = lanes.limits
        self._transport: asyncio.Transport | None = None
        self._tail = b""
        self._head: Head | None = None
        self._parts: list[bytes] = []
        self._missing = 0
        self._chunked: ChunkedBody | None = None
        self._held: list[bytes] = []
        self._held_size = 0
        self._out: list[bytes] = []
        self._dirty = False
        self._awaiting = False
        self._ending = False
        self._resuming = False
        self._paused = False
        self._watched = False
        self._stream: EventStream | None = None

    # what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start waiting for the first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        self._lanes.connections[self] = None
        self._watch(self._limits.first_s)

    def data_received(self, data: bytes) -> None:
        """Take bytes: whole requests are served at once."""
        if self._awaiting or self._stream is not None or self._resuming:
            self._hold(data)
        elif self._ending:
            return
        elif self._head is not None:
            self._more_body(data)
        elif self._tail:
            data, self._tail = self._tail + data, b""
            self._take(data, begun=True)
        else:
            self._take(data)

    def eof_received(self) -> bool:
        """Close, after what was answered: a client that has closed its half wants nothing more."""
        self._flush()
        return False

    def pause_writing(self) -> None:
        """Stop reading from who doesn't read, streams apart: those have a bound."""
        self._paused = True
        if self._stream is None and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
            self._watch(self._limits.unread_s)

    def resume_writing(self) -> None:
        """Read again."""
        self._paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._unwatch()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the connection; its stream ends."""
        self._unwatch()
        self._lanes.connections.pop(self, None)
        self._transport = None
        self._ending = True
        self._out.clear()
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.lost()

    # what endpoints and streams call

    @property
    def open(self) -> bool:
        """Whether an answer can still reach the client."""
        return self._transport is not None

    def respond(self, status: int, body: str = "", headers: str = "") -> None:
        """Answer the request that waits."""
        self._awaiting = False
        head = self._head
        if status == 202:  # noqa: PLR2004 - the answer to nearly every call
            self.write(self._lanes.answers.accepted())
        else:
            self.write(
                self._lanes.answers.answer(
                    status, body.encode(), headers, head_only=head is not None and head.method == "HEAD"
                )
            )
        self._after_answer(head)

    def open_stream(self, token: int, stream_id: str, on_lost: Callable[[EventStream], None]) -> EventStream:
        """Answer the request that waits with an event stream."""
        head = self._head
        assert head is not None
        assert head.accept is not None
        if self._transport is not None:
            notice_dead_peer(self._transport, STREAM_UNREAD_S)
        self._awaiting = False
        self.write(self._lanes.answers.stream_head(stream_id, head.accept.value))
        self._stream = EventStream(token, head.accept, self, on_lost)
        if self._paused:
            self.resume_writing()
        return self._stream

    def write(self, data: bytes) -> None:
        """Send `data` with all else of this loop turn."""
        if self._ending:
            return
        self._out.append(data)
        if not self._dirty:
            self._dirty = True
            self._lanes.turn.at_end(self._flush)

    def send_record(self, record: bytes) -> None:
        """Send one record of the open stream as one HTTP chunk."""
        length = b"%d\n" % len(record)
        self.write(b"%x\r\n%b%b\r\n" % (len(length) + len(record), length, record))

    def end_stream(self) -> None:
        """End the open stream; the connection may go on."""
        self.write(b"0\r\n\r\n")
        self._stream = None
        self._after_answer(self._head)

    def drop_stream(self) -> None:
        """Close the connection under the open stream."""
        self._stream = None
        self._ending = True
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def end(self) -> None:
        """Close after what was written, reading and dropping for a moment so that the answer isn't lost."""
        if self._ending or self._transport is None:
            return
        self._ending = True
        self._flush()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._lanes.wheel.set(self, self._limits.linger_s, self.cut)
        self._watched = True

    # requests

    def _take(self, data: bytes, *, begun: bool = False) -> None:
        """Serve every whole request in `data`; `begun` when its first is under its time limit already."""
        position, size = 0, len(data)
        known = self._lanes.heads.known
        serve = self._lanes.scheduler.serve
        while position < size:
            end = data.find(b"\r\n\r\n", position) + 4
            if end < 4:  # noqa: PLR2004 - find gave -1
                self._partial_head(data[position:], begun=begun and position == 0)
                return
            head = known.get(data[position:end])
            if head is None:
                head = self._learn(data, position, end)
                if head is None:
                    return
            stop = end + head.length
            self._head = head
            if stop > size or stop < end:
                self._partial_body(head, data[end:])
                return
            position = stop
            self._awaiting = True
            serve(head, data[end:stop], self)
            if self._awaiting or self._stream is not None or self._ending:
                if position < size:
                    self._hold(data[position:])
                break
        if self._watched and not self._ending:
            self._unwatch()

    def _learn(self, data: bytes, position: int, end: int) -> Head | None:
        """Return the head of a call; None where the connection is no longer ours."""
        try:
            head = self._lanes.heads.learn(data[position:end])
        except HeadError as error:
            self._refuse(400, f"This is no HTTP request: {error}")
            return None
        if head.route is Route.SCHEDULER:
            return head
        self._hand_over(head, data, position, end)
        return None

    def _hand_over(self, head: Head, data: bytes, position: int, end: int) -> None:
        """Give the connection and its bytes to who serves `head`."""
        transport = self._transport
        assert transport is not None
        link_lane = self._lanes.link_lane() if head.route is Route.LINK else None
        if head.route is Route.LINK and link_lane is None:
            self._head = head
            self._refuse(*self._lanes.scheduler.refusal(head.path))
            return
        self._flush()
        self._unwatch()
        self._lanes.connections.pop(self, None)
        self._transport = None
        if link_lane is not None:
            link_lane(transport, data[end:])
            return
        other = self._lanes.other_lane()
        transport.set_protocol(other)
        other.connection_made(transport)
        if self._paused:
            other.pause_writing()
        other.data_received(data[position:])

    def _partial_head(self, data: bytes, *, begun: bool) -> None:
        if not data[:1].isalpha() and data[:1] not in b"\r\n":
            self._refuse(400, "This is no HTTP request: it begins with no method")
        elif len(data) > HEAD_BYTES_MAX:
            self._refuse(431, f"The head is longer than {HEAD_BYTES_MAX} bytes")
        else:
            if not begun:
                self._watch(self._limits.head_s)
            self._tail = data

    def _partial_body(self, head: Head, data: bytes) -> None:
        if head.length > self._limits.body_bytes:
            self._refuse(413, f"The body is longer than {self._limits.body_bytes} bytes")
            return
        if head.expects_continue:
            self.write(CONTINUE)
        self._watch(self._limits.body_s + max(head.length, 0) / self._limits.body_bytes_per_s)
        if head.length == CHUNKED:
            self._chunked = ChunkedBody(self._limits.body_bytes)
            if data:
                self._more_body(data)
        else:
            self._parts = [data]
            self._missing = head.length - len(data)

    def _more_body(self, data: bytes) -> None:
        """Take a further piece of a body, and serve the request when it is whole."""
        head = self._head
        assert head is not None
        if self._chunked is None:
            if len(data) < self._missing:
                self._parts.append(data)
                self._missing -= len(data)
                return
            stop = self._missing
            self._parts.append(data[:stop])
            body = b"".join(self._parts)
            self._parts, self._missing = [], 0
        else:
            try:
                stop = self._chunked.feed(data)
            except ChunkedError as error:
                self._refuse(error.status, str(error))
                return
            if stop < 0:
                return
            body = self._chunked.body
            self._chunked = None
        self._unwatch()
        self._awaiting = True
        self._lanes.scheduler.serve(head, body, self)
        rest = data[stop:]
        if self._awaiting or self._stream is not None:
            self._hold(rest)
        elif rest and not self._ending:
            self._take(rest)

    def _after_answer(self, head: Head | None) -> None:
        self._head = None
        if head is None or not head.keep_alive:
            self.end()
        elif self._held and not self._resuming:
            self._resuming = True
            self._lanes.turn.at_end(self._resume)

    def _resume(self) -> None:
        """Serve what was held back."""
        self._resuming = False
        if self._awaiting or self._stream is not None or self._ending:
            return
        data = b"".join(self._held)
        self._held, self._held_size = [], 0
        self._take(data)

    def _hold(self, data: bytes) -> None:
        if not data:
            return
        self._held.append(data)
        self._held_size += len(data)
        if self._held_size > self._limits.held_bytes:
            self.cut()

    def _refuse(self, status: int, body: str, headers: str = "") -> None:
        """Answer and close: what follows on this connection can't be told apart."""
        self._tail = b""
        self.write(self._lanes.answers.answer(status, body.encode(), f"{headers}Connection: close\r\n"))
        self.end()

    def _flush(self) -> None:
        self._dirty = False
        out, transport = self._out, self._transport
        if not out or transport is None or transport.is_closing():
            out.clear()
            return
        self._out = []
        transport.write(out[0] if len(out) == 1 else b"".join(out))
        if self._paused and self._stream is not None and transport.get_write_buffer_size() > self._limits.stream_bytes:
            self.cut()

    # time limits

    def _watch(self, limit_s: float) -> None:
        self._watched = True
        self._lanes.wheel.set(self, limit_s, self._late)

    def _unwatch(self) -> None:
        if self._watched:
            self._watched = False
            self._lanes.wheel.drop(self)

    def _late(self) -> None:
        """Answer a request that doesn't come to its end, and close."""
        self._watched = False
        if self._paused:
            self.cut()
        elif self._tail or self._head is not None:
            self._refuse(408, "The request took too long to arrive")
        else:
            self.end()

    def cut(self) -> None:
        """Close at once."""
        self._watched = False
        if self._transport is not None:
            self._transport.abort()
