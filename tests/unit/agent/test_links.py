"""The core's link effects over real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from merismos.adapters.coordination import static
from merismos.core.agent import effects, events
from merismos.core.kernel import Event
from merismos.daemons.agent_link import AgentLinks
from merismos.protocol import link
from merismos.shell.turn import Turn
from process.link_master import link_master

LIMIT_S = 20.0


class Core:
    """Stands where the core stands: keeps events, and answers an opened link with an introduction, from within."""

    def __init__(self, detected: str) -> None:
        self.events: list[Event] = []
        self.links = AgentLinks(self.post, Turn(asyncio.get_running_loop()))
        self._more = asyncio.Event()
        self.links.on_leader(static.parse(detected))
        assert self.events == [events.MasterDetected(detected)]
        self.events.clear()

    def post(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, events.LinkOpened):
            self.links.send(effects.SendMessage(event.link, link.RegisterAgent(b"{}", "1", "slave(1)@h:1")))
        self._more.set()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not true():
                self._more.clear()
                await self._more.wait()

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


def unused_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_what_is_sent_from_within_the_opening_reaches_the_master_and_its_answer_comes_back() -> None:
    async def scenario() -> None:
        async with link_master() as master:
            core = Core(f"127.0.0.1:{master.port}")
            core.links.open(effects.OpenLink(7, f"127.0.0.1:{master.port}"))
            await core.until(lambda: bool(core.of(events.LinkReceived)))
            assert core.events == [events.LinkOpened(7, 1, "m"), events.LinkReceived(7, link.AgentRegistered("S0"))]
            core.links.end()
            await core.until(lambda: bool(core.of(events.LinkClosed)))

    asyncio.run(scenario())


def test_a_master_that_cannot_be_reached_is_a_closed_link() -> None:
    async def scenario() -> None:
        address = unused_address()
        core = Core(address)
        core.links.open(effects.OpenLink(1, address))
        await core.until(lambda: bool(core.events))
        (closed,) = core.events
        assert isinstance(closed, events.LinkClosed)
        assert closed.link == 1
        assert "cannot reach" in closed.reason

    asyncio.run(scenario())


def test_a_standby_sends_the_agent_to_the_leader_and_a_dead_leader_sends_it_back() -> None:
    async def scenario() -> None:
        leader = unused_address()

        async def standby(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                f"HTTP/1.1 307 Temporary Redirect\r\nLocation: //{leader}/link\r\nContent-Length: 0\r\n\r\n".encode()
            )
            writer.close()

        server = await asyncio.start_server(standby, "127.0.0.1", 0)
        configured = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        core = Core(configured)
        core.links.open(effects.OpenLink(1, configured))
        await core.until(lambda: bool(core.of(events.MasterDetected)))
        assert core.of(events.MasterDetected) == [events.MasterDetected(leader)]
        core.links.open(effects.OpenLink(2, leader))
        await core.until(lambda: len(core.of(events.MasterDetected)) > 1)
        assert core.of(events.MasterDetected)[-1] == events.MasterDetected(configured)
        server.close()

    asyncio.run(scenario())


def test_messages_for_a_link_that_is_not_in_use_are_dropped() -> None:
    async def scenario() -> None:
        async with link_master() as master:
            core = Core(f"127.0.0.1:{master.port}")
            core.links.open(effects.OpenLink(1, f"127.0.0.1:{master.port}"))
            await core.until(lambda: bool(core.of(events.LinkReceived)))
            core.links.send(effects.SendMessage(99, link.Pong(1)))
            core.links.send(effects.SendMessage(1, link.Pong(2)))
            await master.until(lambda: bool(master.of(link.Pong)))
            assert master.of(link.Pong) == [link.Pong(2)]
            core.links.close(effects.CloseLink(1, "done"))
            await core.until(lambda: bool(core.of(events.LinkClosed)))

    asyncio.run(scenario())
