"""An agent's end and the master's end of a link, over one port with the calls."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

import pytest

from merismos.adapters.link.client import Fence, LinkRefused, connect
from merismos.core.master import effects, events
from merismos.protocol import link

if TYPE_CHECKING:
    from tests.unit.http.conftest import Harness, Serve


class Heard:
    """Notes all that an agent hears."""

    def __init__(self) -> None:
        self.hello: link.Hello | None = None
        self.messages: list[link.AnyMessage] = []
        self.closed: list[str] = []

    def on_open(self, hello: link.Hello) -> None:
        self.hello = hello

    def on_message(self, message: link.AnyMessage) -> None:
        self.messages.append(message)

    def on_close(self, reason: str) -> None:
        self.closed.append(reason)


def test_messages_go_both_ways_in_order(serve: Serve) -> None:
    async def scenario(harness: Harness) -> None:
        harness.links.hello = link.Hello(epoch=7, master_id="m")
        harness.machine.answers[events.LinkReceived] = lambda event: [effects.SendToAgent(event.link, event.message)]
        heard = Heard()
        client = await connect("127.0.0.1", harness.port, heard)
        assert heard.hello == link.Hello(epoch=7, master_id="m")
        sent = [link.Pong(number) for number in range(1000)]
        for message in sent:
            client.send(message)
        await harness.until(lambda: len(heard.messages) == 1000)
        assert heard.messages == sent
        client.close()
        await harness.until(lambda: harness.machine.count(events.LinkClosed) == 1)
        kinds = [type(event) for event in harness.machine.seen]
        assert kinds == [events.LinkOpened, *[events.LinkReceived] * 1000, events.LinkClosed]
        assert len({event.link for event in harness.machine.seen}) == 1
        await harness.until(lambda: len(heard.closed) == 1)

    serve(scenario)


def test_a_link_that_the_master_closes_delivers_what_was_sent_first(serve: Serve) -> None:
    async def scenario(harness: Harness) -> None:
        harness.machine.answers[events.LinkOpened] = lambda event: [
            effects.SendToAgent(event.link, link.RefuseAgent("no", shutdown=True)),
            effects.CloseLink(event.link),
        ]
        heard = Heard()
        await connect("127.0.0.1", harness.port, heard)
        await harness.until(lambda: len(heard.closed) == 1)
        assert heard.messages == [link.RefuseAgent("no", shutdown=True)]

    serve(scenario)


def test_an_agent_refuses_a_master_of_a_lower_epoch_than_it_has_seen(serve: Serve) -> None:
    async def scenario(harness: Harness) -> None:
        harness.links.hello = link.Hello(epoch=7, master_id="old")
        heard = Heard()
        with pytest.raises(LinkRefused, match=r"leads epoch 7, but epoch 8 was seen"):
            await connect("127.0.0.1", harness.port, heard, fence=Fence(8))
        assert heard.hello is None
        assert heard.closed == []

    serve(scenario)


def test_messages_of_a_master_are_dropped_once_its_successor_was_seen(serve: Serve) -> None:
    async def scenario(harness: Harness) -> None:
        fence, heard, successor = Fence(), Heard(), Heard()
        harness.links.hello = link.Hello(epoch=7)
        await connect("127.0.0.1", harness.port, heard, fence=fence)
        harness.links.hello = link.Hello(epoch=8)
        await connect("127.0.0.1", harness.port, successor, fence=fence)
        await harness.until(lambda: harness.machine.count(events.LinkOpened) == 2)
        old, new = (event.link for event in harness.machine.seen if isinstance(event, events.LinkOpened))
        harness.links.send(effects.SendToAgent(old, link.ShutdownFramework("f")))
        harness.links.send(effects.SendToAgent(new, link.Ping(1)))
        await harness.until(lambda: len(heard.closed) == 1 and len(successor.messages) == 1)
        assert heard.messages == []
        assert successor.messages == [link.Ping(1)]

    serve(scenario)


def test_a_link_to_nobody_or_to_a_master_that_is_not_ready_is_refused_with_a_reason(serve: Serve) -> None:
    async def scenario(harness: Harness) -> None:
        with pytest.raises(LinkRefused, match=r"cannot reach 127.0.0.1:1"):
            await connect("127.0.0.1", 1, Heard())
        harness.server.links = None
        harness.gate.recovered = False
        with pytest.raises(LinkRefused, match="503 Service Unavailable"):
            await connect("127.0.0.1", harness.port, Heard())

    serve(scenario)


def test_a_standby_names_the_leader_to_an_agent(serve: Serve) -> None:
    async def scenario(harness: Harness) -> None:
        harness.server.links = None
        harness.gate.leads = False
        harness.gate.leader = "elsewhere:5050"
        with pytest.raises(LinkRefused, match="307 Temporary Redirect") as refused:
            await connect("127.0.0.1", harness.port, Heard())
        assert refused.value.location == "elsewhere:5050"

    serve(scenario)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (struct.pack(">IQ", 1 << 30, 0) + b"x", "over the limit"),
        (struct.pack(">IQ", 4, 0) + b"\xff\xff\xff\xff", "does not decode"),
        (link.FrameEncoder().encode([link.Pong(1)]), "must be a Hello"),
        (link.FrameEncoder().encode([link.Hello(version_min=9, version_max=9)]), "upgrade the older"),
    ],
)
def test_who_breaks_the_links_rules_is_cut_off_before_the_core_hears_of_it(
    serve: Serve, frame: bytes, reason: str
) -> None:
    async def scenario(harness: Harness) -> None:
        reasons: list[str] = []
        harness.links.on_closed = lambda _peer, why: reasons.append(why)
        client = await harness.connect()
        client.writer.write(
            b"GET /link HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: merismos-link/1\r\n\r\n" + frame
        )
        await client.end()
        await harness.until(lambda: len(reasons) == 1)
        assert reason in reasons[0]
        assert harness.machine.seen == []

    serve(scenario)


def test_a_huge_frame_on_an_open_link_closes_it_and_the_core_hears_of_the_end(serve: Serve) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.connect()
        hello = link.FrameEncoder().encode([link.Hello()])
        client.writer.write(
            b"GET /link HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: merismos-link/1\r\n\r\n" + hello
        )
        await harness.until(lambda: harness.machine.count(events.LinkOpened) == 1)
        client.writer.write(struct.pack(">IQ", 1 << 30, 1))
        await harness.until(lambda: harness.machine.count(events.LinkClosed) == 1)
        assert await asyncio.wait_for(client.end(), 5) != b""

    serve(scenario)
