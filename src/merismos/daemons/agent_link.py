"""The core's link effects, performed with the link client.

Rules: what the core sends before the client is at hand (its introduction is sent from within the opening) waits for it. A
standby that names the leader sends us there; when that one is gone too, what the detector said last counts again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from merismos.adapters.link.client import Fence, LinkClient, LinkRefused, connect
from merismos.core.agent import effects, events
from merismos.core.kernel import Event
from merismos.ports.detector import Leader
from merismos.protocol import link
from merismos.shell.turn import Turn


class _Ears:
    """Turns what one link says into the core's events."""

    def __init__(self, number: int, post: Callable[[Event], None]) -> None:
        self._number = number
        self._post = post

    def on_open(self, hello: link.Hello) -> None:
        self._post(events.LinkOpened(self._number, hello.epoch, hello.master_id, hello.window_s))

    def on_message(self, message: link.AnyMessage) -> None:
        self._post(events.LinkReceived(self._number, message))

    def on_close(self, reason: str) -> None:
        self._post(events.LinkClosed(self._number, reason))


class AgentLinks:
    """At most one link at a time, opened, used and closed as the core says."""

    def __init__(self, post: Callable[[Event], None], turn: Turn) -> None:
        self._post = post
        self._turn = turn
        self._detected: str | None = None
        self._fence = Fence()
        self._number = 0
        self._client: LinkClient | None = None
        self._waiting: list[link.Message] = []
        self._opening: asyncio.Task[None] | None = None

    def on_leader(self, leader: Leader | None) -> None:
        """Tell the core where the leading master is."""
        self._detected = None if leader is None else leader.address
        self._post(events.MasterDetected(self._detected))

    def open(self, effect: effects.OpenLink) -> None:
        """Begin to open a link."""
        self._number = effect.link
        self._client = None
        self._waiting.clear()
        self._opening = asyncio.get_running_loop().create_task(self._open(effect))

    def send(self, effect: effects.SendMessage) -> None:
        """Send over the link in use; what is meant for another is dropped with it."""
        if effect.link != self._number:
            return
        if self._client is None:
            self._waiting.append(effect.message)
        else:
            self._client.send(effect.message)

    def close(self, effect: effects.CloseLink) -> None:
        """Close the link in use."""
        if effect.link == self._number:
            self.end()

    def end(self) -> None:
        """Close whatever there is, after what was sent."""
        self._number = 0
        if self._client is not None:
            self._client.close()
            self._client = None
        elif self._opening is not None:
            self._opening.cancel()

    async def _open(self, effect: effects.OpenLink) -> None:
        host, _, port = effect.address.rpartition(":")
        try:
            client = await connect(
                host.strip("[]"), int(port), _Ears(effect.link, self._post), turn=self._turn, fence=self._fence
            )
        except LinkRefused as refused:
            self._post(events.LinkClosed(effect.link, refused.reason))
            if refused.location.rpartition(":")[2].isdigit() and refused.location != effect.address:
                self._post(events.MasterDetected(refused.location))
            elif effect.address != self._detected:
                self._post(events.MasterDetected(self._detected))
            return
        if effect.link != self._number:
            client.close()
            return
        self._client = client
        for message in self._waiting:
            client.send(message)
        self._waiting.clear()
