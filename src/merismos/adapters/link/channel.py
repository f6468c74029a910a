"""One end of a link: batches out, messages in, the same for master and agent.

Rules: the first frame each way is one Hello and nothing else; no message is delivered before it. All messages of one loop turn
leave in one frame and one write. An end whose peer doesn't read is cut off at `BUFFER_BYTES_MAX`; one that says nothing is
closed after `HELLO_LIMIT_S`. Every reason for closing is a sentence for the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from merismos.adapters.sockets import notice_dead_peer
from merismos.protocol import link
from merismos.shell.turn import Turn

BUFFER_BYTES_MAX = 128 * 1024 * 1024
HELLO_LIMIT_S = 10.0
UNREAD_S = 60


class Ears(Protocol):
    """Who listens at one end."""

    def greeted(self, channel: Channel, hello: link.Hello) -> str | None:
        """Judge the peer's Hello: None to go on, else the reason to close."""
        ...

    def received(self, channel: Channel, messages: list[link.AnyMessage]) -> None:
        """Take messages, in order."""
        ...

    def closed(self, channel: Channel, reason: str) -> None:
        """Learn that the link is down; called once, and only if `greeted` let it up."""
        ...


class Channel(asyncio.Protocol):
    """A link's transport, framing and batching."""

    __slots__ = (
        "_asked",
        "_batch",
        "_decoder",
        "_ears",
        "_encoder",
        "_hello",
        "_hello_timer",
        "_transport",
        "_turn",
        "on_lost",
        "peer",
        "reason",
        "token",
        "up",
    )

    def __init__(self, hello: link.Hello, ears: Ears, turn: Turn) -> None:
        self._hello = hello
        self._ears = ears
        self._turn = turn
        self._decoder = link.FrameDecoder()
        self._encoder = link.FrameEncoder()
        self._batch: list[link.Message] = []
        self._asked = False
        self._transport: asyncio.Transport | None = None
        self._hello_timer: asyncio.TimerHandle | None = None
        self.reason = ""
        self.up = False
        self.peer = ""
        self.token = 0
        self.on_lost: Callable[[Channel], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say Hello and wait for the peer's."""
        self._transport = cast("asyncio.Transport", transport)
        notice_dead_peer(transport, UNREAD_S)
        address = transport.get_extra_info("peername")
        self.peer = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address)
        self._transport.write(self._encoder.encode([self._hello]))
        self._hello_timer = asyncio.get_running_loop().call_later(
            HELLO_LIMIT_S, self.cut, f"no Hello within {HELLO_LIMIT_S:g} s"
        )

    def data_received(self, data: bytes) -> None:
        """Deliver the messages that `data` completes."""
        try:
            messages = self._decoder.feed(data)
        except link.LinkError as error:
            self.cut(str(error))
            return
        if not messages:
            return
        if not self.up:
            first = messages.pop(0)
            reason = self._greet(first)
            if reason is not None:
                self.cut(reason)
                return
        if messages and not self.reason:
            self._ears.received(self, messages)

    def send(self, message: link.Message) -> None:
        """Send `message` with all others of this loop turn."""
        self._batch.append(message)
        if not self._asked:
            self._asked = True
            self._turn.at_end(self._flush)

    def close(self, reason: str = "closed here") -> None:
        """Close after what was sent."""
        self._flush()
        if self._transport is not None and not self.reason:
            self.reason = reason
            self._transport.close()

    def cut(self, reason: str) -> None:
        """Close at once; what wasn't sent is lost."""
        if self._transport is not None and not self.reason:
            self.reason = reason
            self._transport.abort()

    def eof_received(self) -> bool:
        """Close our half too."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who listens, once."""
        if self._hello_timer is not None:
            self._hello_timer.cancel()
        self._transport = None
        self._batch.clear()
        reason = self.reason or (f"the connection broke: {exc}" if exc else "the other side closed it")
        if self.on_lost is not None:
            self.on_lost(self)
        if self.up:
            self.up = False
            self._ears.closed(self, reason)

    def _greet(self, first: link.AnyMessage) -> str | None:
        if self._hello_timer is not None:
            self._hello_timer.cancel()
        if not isinstance(first, link.Hello):
            return f"the first message must be a Hello, not a {type(first).__name__}"
        if first.version_max < link.VERSION_MIN or first.version_min > link.VERSION_MAX:
            return (
                f"the other side speaks link versions {first.version_min} to {first.version_max}, this one "
                f"{link.VERSION_MIN} to {link.VERSION_MAX}; upgrade the older of the two"
            )
        reason = self._ears.greeted(self, first)
        self.up = reason is None
        return reason

    def _flush(self) -> None:
        self._asked = False
        transport = self._transport
        batch = self._batch
        if not batch or transport is None or self.reason or transport.is_closing():
            batch.clear()
            return
        self._batch = []
        transport.write(self._encoder.encode(batch))
        if transport.get_write_buffer_size() > BUFFER_BYTES_MAX:
            self.cut(f"the other side doesn't read: over {BUFFER_BYTES_MAX} bytes wait for it")
