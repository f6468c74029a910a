"""The agent's end of the link.

Use it so (also thousands of them in one process, each with its own Fence, or none shared):

    fence = Fence()
    try:
        client = await connect("10.0.0.1", 5050, AgentEars(...), fence=fence, turn=turn)
    except LinkRefused as refused:       # .reason for the log, .location ("host:port") when a standby named the leader
        ...back off, try again...
    client.send(link.RegisterAgent(...)) # all sends of a loop turn leave in one frame
    client.close()                       # after what was sent; on_close follows

`AgentEars` is anything with `on_open(hello)`, `on_message(message)`, `on_close(reason)`. They are called from the loop, never
after `on_close`; `on_open` comes before `connect` returns. A failed connect calls none of them.

Rules: a Fence remembers the highest epoch that its agent has seen. A master of a lower epoch is refused at its Hello, and a link
that is already up is closed and its messages dropped as soon as another link of the same fence has seen a higher one.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from merismos.adapters.link.channel import Channel
from merismos.protocol import link
from merismos.shell.turn import Turn

ANSWER_BYTES_MAX = 16 * 1024


class LinkRefused(Exception):
    """No link came about: nobody listens, or the other side doesn't take us.

    Shapes: `location` is "host:port" of the leading master where a standby named it, else empty.
    """

    def __init__(self, reason: str, location: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.location = location


class Fence:
    """The highest epoch seen; 0 before the first."""

    __slots__ = ("epoch",)

    def __init__(self, epoch: int = 0) -> None:
        self.epoch = epoch


class AgentEars(Protocol):
    """What an agent does with its link."""

    def on_open(self, hello: link.Hello) -> None:
        """The link is up; `hello` names the master and its epoch."""
        ...

    def on_message(self, message: link.AnyMessage) -> None:
        """One message, in order."""
        ...

    def on_close(self, reason: str) -> None:
        """The link is down; nothing follows."""
        ...


class LinkClient:
    """A link that is up (or was)."""

    __slots__ = ("_channel", "_ears", "_epoch", "_fence", "_opened")

    def __init__(self, ears: AgentEars, fence: Fence, opened: asyncio.Future[None]) -> None:
        self._ears = ears
        self._fence = fence
        self._opened = opened
        self._epoch = 0
        self._channel: Channel | None = None

    @property
    def up(self) -> bool:
        """Whether messages can be sent."""
        return self._channel is not None and self._channel.up

    def send(self, message: link.Message) -> None:
        """Send one message; it is dropped where the link is down."""
        if self._channel is not None:
            self._channel.send(message)

    def close(self) -> None:
        """Close after what was sent."""
        if self._channel is not None:
            self._channel.close()

    def cut(self, reason: str) -> None:
        """Close at once."""
        if self._channel is not None:
            self._channel.cut(reason)

    def greeted(self, channel: Channel, hello: link.Hello) -> str | None:
        """Take the master unless the fence has seen a later one."""
        if hello.epoch < self._fence.epoch:
            return f"master {hello.master_id or channel.peer} leads epoch {hello.epoch}, but epoch {self._fence.epoch} was seen: it is no leader any more"
        self._fence.epoch = self._epoch = hello.epoch
        self._channel = channel
        channel.up = True
        if not self._opened.done():
            self._opened.set_result(None)
        self._ears.on_open(hello)
        return None

    def received(self, channel: Channel, messages: list[link.AnyMessage]) -> None:
        """Pass messages on, unless a later leader was seen meanwhile."""
        on_message = self._ears.on_message
        for message in messages:
            if self._epoch < self._fence.epoch:
                channel.cut(
                    f"epoch {self._fence.epoch} was seen: the master of epoch {self._epoch} is no leader any more"
                )
                return
            on_message(message)

    def closed(self, channel: Channel, reason: str) -> None:  # noqa: ARG002 - the Ears' signature
        """Pass the end on."""
        self._channel = None
        self._ears.on_close(reason)


class _Handshake(asyncio.Protocol):
    """Asks for the upgrade; once it is granted, the channel takes the transport over."""

    def __init__(self, channel: Channel, host: str, answered: asyncio.Future[None]) -> None:
        self._channel = channel
        self._host = host
        self._answered = answered
        self._buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        request = f"GET /link HTTP/1.1\r\nHost: {self._host}\r\nConnection: Upgrade\r\nUpgrade: {link.UPGRADE_PROTOCOL}\r\n\r\n"
        self.transport.write(request.encode())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            if len(self._buffer) > ANSWER_BYTES_MAX:
                self._refuse("the answer to the upgrade has no end")
            return
        lines = head.decode("latin-1").split("\r\n")
        status = lines[0].split(" ", 2)[1] if " " in lines[0] else ""
        if status != "101":
            location = next(
                (line.partition(":")[2].strip() for line in lines[1:] if line.lower().startswith("location:")), ""
            )
            self._refuse(
                f"the master answered {lines[0]!r} instead of an upgrade", location.lstrip("/").split("/", 1)[0]
            )
            return
        assert self.transport is not None
        self.transport.set_protocol(self._channel)
        self._channel.connection_made(self.transport)
        if rest:
            self._channel.data_received(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        self._refuse(f"the connection broke: {exc}" if exc else "the master closed the connection without an answer")

    def _refuse(self, reason: str, location: str = "") -> None:
        if not self._answered.done():
            self._answered.set_exception(LinkRefused(reason, location))


async def connect(
    host: str,
    port: int,
    ears: AgentEars,
    *,
    turn: Turn | None = None,
    fence: Fence | None = None,
    capabilities: list[str] | None = None,
    limit_s: float = 10.0,
) -> LinkClient:
    """Return a link to the master at `host`:`port`, after both Hellos.

    Errors: LinkRefused for everything that may go wrong, within `limit_s`.
    """
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[None] = loop.create_future()
    client = LinkClient(ears, fence or Fence(), opened)
    channel = Channel(link.Hello(capabilities=capabilities or []), client, turn or Turn(loop))
    channel.on_lost = lambda lost: _not_opened(opened, lost)
    handshake = _Handshake(channel, f"{host}:{port}", opened)
    try:
        async with asyncio.timeout(limit_s):
            await loop.create_connection(lambda: handshake, host, port)
            await opened
    except OSError as error:
        reason = f"no link within {limit_s:g} s" if isinstance(error, TimeoutError) else str(error)
        raise LinkRefused(f"cannot reach {host}:{port}: {reason}") from error
    finally:
        if not client.up and handshake.transport is not None:
            handshake.transport.abort()
    return client


def _not_opened(opened: asyncio.Future[None], channel: Channel) -> None:
    if not opened.done():
        opened.set_exception(LinkRefused(channel.reason or "the master closed the link before its Hello"))
