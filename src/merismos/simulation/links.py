"""Links from agents to masters: two pipes each, and what each end knows of them.

Rules: both ends of a broken link learn of it, each in its own time; what an end sends over a link that it has closed, or was told
is closed, is a violation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent import events
from merismos.core.master import events as master_events
from merismos.protocol import link
from merismos.simulation.marks import OVERTAKEN, TWICE
from merismos.simulation.network import Pipe, UnrulyPipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from merismos.simulation.hosts import AgentHost
    from merismos.simulation.masters import MasterHost

CONNECT_S_MAX = 10.0
CLOSED = b"closed"
HELLO = b"hello"


class Codec:
    """The two ends of one direction, as a link's frames have them."""

    __slots__ = ("_decoder", "encode")

    def __init__(self) -> None:
        self.encode = link.FrameEncoder().encode
        self._decoder = link.FrameDecoder()

    def decode(self, frame: bytes) -> list[link.AnyMessage] | None:
        """Return the messages of a frame, None where it breaks the link's rules."""
        try:
            return self._decoder.feed(frame)
        except link.LinkError:
            return None


class Wire:
    """One link: two pipes and what each end knows of it."""

    def __init__(self, host: AgentHost, master: MasterHost, number: int, token: int) -> None:
        self.master = master
        self.master_run = master.run
        self.host = host
        self.run = host.run
        self.number = number
        self.token = token
        self.agent_open = True
        self.master_open = False
        self.broken = False
        self.hello = (0, "", 0.0)
        self.up = self._pipe(self._at_master)
        self.down = self._pipe(self._at_agent)
        self._from_agent = Codec()
        self._from_master = Codec()

    def _pipe(self, deliver: Callable[[bytes], None]) -> Pipe[bytes]:
        world = self.host.world
        if world.settings.unruly:
            return UnrulyPipe(world.agenda, world.weather, deliver, world.dice)
        return Pipe(world.agenda, world.weather, deliver)

    def send_up(self, message: link.Message) -> None:
        """Send a message to the master."""
        self.up.send(self._from_agent.encode([message]))

    def send_down(self, message: link.Message) -> None:
        """Send a message to the agent."""
        self.down.send(self._from_master.encode([message]))

    def connect(self) -> None:
        """Let the connection come about, if both ends still want it."""
        if not self.agent_open or self.broken:
            return
        world = self.host.world
        if world.partitions.until(self.host.name, self.master.name) > world.agenda.now:
            world.agenda.after(CONNECT_S_MAX, self.lose)
            return
        if self.master.is_deaf() or self.master.run != self.master_run:
            self.lose()
            return
        self.master_open = True
        world.wires[self.token] = self
        self.hello = (self.master.epoch, self.master.id, self.master.window_s)
        self.down.send_in_order(HELLO)
        self.master.handle(master_events.LinkOpened(self.token, "10.0.1.1"))

    def clog(self, duration_s: float) -> None:
        """Hold back what either end sends from now on for a while."""
        self.up.clog(duration_s)
        self.down.clog(duration_s)

    def close_at_agent(self) -> None:
        """The agent closes the link, after what it sent."""
        self.agent_open = False
        self.down.cut()
        self.up.send_in_order(CLOSED)

    def close_at_master(self) -> None:
        """The master closes the link, after what it sent."""
        self.up.cut()
        self.down.send_in_order(CLOSED)
        self.host.world.agenda.after(0.0, self._closed_at_master)

    def lose(self) -> None:
        """Break the connection; each end notices in its own time."""
        if self.broken:
            return
        self.broken = True
        self.up.cut()
        self.down.cut()
        world = self.host.world
        world.agenda.after(world.weather.notice_s(), self._closed_at_master)
        world.agenda.after(world.weather.notice_s(), self._closed_at_agent)

    def _decoded(self, codec: Codec, frame: bytes) -> list[link.AnyMessage] | None:
        messages = codec.decode(frame)
        if not messages and self.host.world.marks is not None:
            self.host.world.marks.reach(OVERTAKEN if messages is None else TWICE)
        return messages

    def _at_master(self, frame: bytes) -> None:
        if frame is CLOSED:
            self._closed_at_master()
            return
        if self.master_open and self.master.run == self.master_run:
            messages = self._decoded(self._from_agent, frame)
            if messages is None:
                self._closed_at_master()
                self.lose()
                return
            for message in messages:
                self.master.handle(master_events.LinkReceived(self.token, message), frame)

    def _at_agent(self, frame: bytes) -> None:
        if self.host.run != self.run or not self.agent_open:
            return
        if frame is CLOSED:
            self._closed_at_agent()
        elif frame is HELLO:
            self.host.world.checkers.on_hello(self.host, self.hello[0])
            self.host.handle(events.LinkOpened(self.number, *self.hello))
        else:
            messages = self._decoded(self._from_master, frame)
            if messages is None:
                self._closed_at_agent()
                self.lose()
                return
            for message in messages:
                self.host.handle(events.LinkReceived(self.number, message), frame)

    def _closed_at_master(self) -> None:
        self.master.when_awake(self._closed_for_good)

    def _closed_for_good(self) -> None:
        if self.master_open:
            self.master_open = False
            self.up.cut()
            self.host.world.wires.pop(self.token, None)
            if self.master.run == self.master_run:
                self.master.handle(master_events.LinkClosed(self.token))

    def _closed_at_agent(self) -> None:
        if self.agent_open and self.host.run == self.run:
            self.agent_open = False
            self.host.handle(events.LinkClosed(self.number, "the connection broke"))
