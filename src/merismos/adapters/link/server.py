"""The master's end of its agents' links: channels to events, effects to channels.

Rules: a link's number is never used again; its events come in the order opened, received ..., closed, each once. Sending on a link
that is down is dropped: its `LinkClosed` is on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from merismos.adapters.link.channel import Channel
from merismos.core.master.events import LinkClosed, LinkOpened, LinkReceived
from merismos.protocol import link

if TYPE_CHECKING:
    import asyncio

    from merismos.core.kernel import Event
    from merismos.core.master.effects import CloseLink, SendToAgent
    from merismos.shell.turn import Turn

SWITCHING = (
    f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: {link.UPGRADE_PROTOCOL}\r\nConnection: Upgrade\r\n\r\n".encode()
)


class LinkServer:
    """All links of one master."""

    def __init__(self, post: Callable[[Event], None], turn: Turn) -> None:
        self._post = post
        self._turn = turn
        self._links: dict[int, Channel] = {}
        self._channels: dict[Channel, None] = {}
        self._next = 0
        self.hello = link.Hello()
        self.on_closed: Callable[[str, str], None] = lambda peer, reason: None  # noqa: ARG005 - for the log

    def __len__(self) -> int:
        return len(self._links)

    def accept(self, transport: asyncio.Transport, rest: bytes) -> None:
        """Take over a connection that asked for the upgrade, with the bytes it has sent since."""
        transport.write(SWITCHING)
        channel = Channel(self.hello, self, self._turn)
        channel.on_lost = self._lost
        self._channels[channel] = None
        transport.set_protocol(channel)
        channel.connection_made(transport)
        if rest:
            channel.data_received(rest)

    def close(self) -> None:
        """Close every link, after what was sent on it."""
        for channel in list(self._channels):
            channel.close("the master stops")

    def greeted(self, channel: Channel, hello: link.Hello) -> str | None:  # noqa: ARG002 - the Ears' signature
        """Give the link its number and tell the core."""
        self._next += 1
        channel.token = self._next
        channel.up = True
        self._links[channel.token] = channel
        self._post(LinkOpened(channel.token, channel.peer))
        return None

    def received(self, channel: Channel, messages: list[link.AnyMessage]) -> None:
        """Hand every message to the core."""
        post = self._post
        token = channel.token
        for message in messages:
            post(LinkReceived(token, message))

    def closed(self, channel: Channel, reason: str) -> None:
        """Tell the core."""
        del self._links[channel.token]
        self.on_closed(channel.peer, reason)
        self._post(LinkClosed(channel.token))

    def send(self, effect: SendToAgent) -> None:
        """Perform a SendToAgent."""
        channel = self._links.get(effect.link)
        if channel is not None:
            channel.send(effect.message)

    def close_link(self, effect: CloseLink) -> None:
        """Perform a CloseLink."""
        channel = self._links.get(effect.link)
        if channel is not None:
            channel.close("the master closed it")

    def _lost(self, channel: Channel) -> None:
        self._channels.pop(channel, None)
        if not channel.up:
            self.on_closed(channel.peer, channel.reason or "closed before its Hello")
