"""What every contender and detector keep, in ZooKeeper and in memory alike."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

import pytest
from kazoo.client import KazooClient

from contract.memory_election import MemoryContender, MemoryElection
from contract.zookeeper_server import ZooKeeperServer, why_not
from merismos.adapters.zookeeper import address
from merismos.adapters.zookeeper.contender import ZooKeeperContender
from merismos.adapters.zookeeper.detector import ZooKeeperDetector
from merismos.adapters.zookeeper.session import Session
from merismos.core.master.views.values import master_info_of
from merismos.ports.contender import Contender, Deposed, Elected, Restored, Standing, Suspended
from merismos.ports.detector import Detector, Leader
from merismos.protocol import json

T = TypeVar("T")
LIMIT_S = 30.0
SESSION_S = 4.0


class Arena(Protocol):
    """An election that can be disturbed."""

    def contender(self) -> Contender: ...

    def detector(self) -> Detector: ...

    async def expire(self, contender: Contender) -> None: ...

    async def interrupt(self) -> None: ...

    async def resume(self) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self._election = MemoryElection()
        self.contender = self._election.contender
        self.detector = self._election.detector

    async def expire(self, contender: Contender) -> None:
        assert isinstance(contender, MemoryContender)
        contender.expire()

    async def interrupt(self) -> None:
        self._election.interrupt()

    async def resume(self) -> None:
        self._election.resume()


class InZooKeeper:
    def __init__(self, server: ZooKeeperServer) -> None:
        self._server = server
        self._address = address.parse(server.url(f"/{uuid.uuid4().hex}/mesos"))

    def contender(self) -> ZooKeeperContender:
        return ZooKeeperContender(Session(self._address, SESSION_S))

    def detector(self) -> ZooKeeperDetector:
        return ZooKeeperDetector(Session(self._address, SESSION_S))

    async def expire(self, contender: Contender) -> None:
        assert isinstance(contender, ZooKeeperContender)
        client = contender._session._client
        assert client is not None

        def end() -> None:
            thief = KazooClient(self._server.host, client_id=client.client_id)
            thief.start()
            thief.stop()
            thief.close()

        await asyncio.to_thread(end)

    async def interrupt(self) -> None:
        self._server.kill()

    async def resume(self) -> None:
        self._server.start()
        await asyncio.to_thread(self._server.ready)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeperServer]:
    if why_not():
        pytest.skip(why_not())
    with ZooKeeperServer(tmp_path_factory.mktemp("zookeeper")) as running:
        yield running


@pytest.fixture(params=["memory", "zookeeper"])
def arena(request: pytest.FixtureRequest) -> Callable[[], Arena]:
    """Makes the arena inside the loop."""
    if request.param == "memory":
        return InMemory
    running = request.getfixturevalue("server")
    return lambda: InZooKeeper(running)


class Heard(Generic[T]):
    """What was told, and a bounded wait for more."""

    def __init__(self) -> None:
        self.all: list[T] = []
        self._more = asyncio.Event()

    def __call__(self, one: T) -> None:
        self.all.append(one)
        self._more.set()

    async def until(self, true: Callable[[list[T]], bool]) -> None:
        try:
            async with asyncio.timeout(LIMIT_S):
                while not true(self.all):
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(f"not within {LIMIT_S} s; heard {self.all}") from None


def candidate(port: int) -> bytes:
    return json.encode(master_info_of(f"master-{port}", "127.0.0.1", port, "here"))


def stand(contender: Contender, port: int) -> Heard[Standing]:
    heard: Heard[Standing] = Heard()
    contender.contend(candidate(port), heard)
    return heard


async def lead(contender: Contender, port: int) -> Heard[Standing]:
    heard = stand(contender, port)
    await heard.until(bool)
    return heard


def test_the_first_leads_and_when_it_withdraws_the_next_does_in_a_higher_epoch(arena: Callable[[], Arena]) -> None:
    async def scenario() -> None:
        place = arena()
        first, second, detector = place.contender(), place.contender(), place.detector()
        leaders: Heard[Leader | None] = Heard()
        detector.start(leaders)
        await leaders.until(lambda told: told == [None])
        led = await lead(first, 1)
        assert first.may_decide()
        await leaders.until(lambda told: len(told) == 2)
        waited = stand(second, 2)
        await first.close()
        await waited.until(bool)
        await leaders.until(lambda told: bool(told) and told[-1] is not None and told[-1].port == 2)
        (before,), (after,) = led.all, waited.all
        assert isinstance(before, Elected)
        assert isinstance(after, Elected)
        assert 0 < before.epoch < after.epoch
        seen = [leader for leader in leaders.all if leader is not None]
        assert [(leader.address, leader.place, leader.epoch) for leader in seen] == [
            ("127.0.0.1:1", "here:1", before.epoch),
            ("127.0.0.1:2", "here:2", after.epoch),
        ]
        assert not first.may_decide()
        await second.close()
        await leaders.until(lambda told: told[-1] is None)
        await detector.close()

    asyncio.run(scenario())


def test_a_leader_whose_session_ends_is_deposed_and_may_decide_nothing(arena: Callable[[], Arena]) -> None:
    async def scenario() -> None:
        place = arena()
        first, second = place.contender(), place.contender()
        led = await lead(first, 1)
        waited = stand(second, 2)
        await place.expire(first)
        await waited.until(bool)
        await led.until(lambda told: isinstance(told[-1], Deposed))
        assert not first.may_decide()
        assert second.may_decide()
        assert isinstance(waited.all[0], Elected)
        assert not any(isinstance(one, Restored) for one in led.all)
        await first.close()
        await second.close()

    asyncio.run(scenario())


def test_a_candidate_that_loses_its_place_before_it_led_takes_another(arena: Callable[[], Arena]) -> None:
    async def scenario() -> None:
        place = arena()
        first, second = place.contender(), place.contender()
        await lead(first, 1)
        waited = stand(second, 2)
        third_detector = place.detector()
        leaders: Heard[Leader | None] = Heard()
        third_detector.start(leaders)
        await leaders.until(bool)
        await joined(second)
        await place.expire(second)
        await first.close()
        await waited.until(bool)
        assert isinstance(waited.all[0], Elected)
        await second.close()
        await third_detector.close()

    asyncio.run(scenario())


def test_while_the_election_is_away_the_leader_is_suspended_and_the_detector_keeps_its_answer(
    arena: Callable[[], Arena],
) -> None:
    async def scenario() -> None:
        place = arena()
        first, detector = place.contender(), place.detector()
        leaders: Heard[Leader | None] = Heard()
        led = await lead(first, 1)
        detector.start(leaders)
        await leaders.until(bool)
        await place.interrupt()
        await led.until(lambda told: isinstance(told[-1], Suspended))
        assert not first.may_decide()
        await place.resume()
        await led.until(lambda told: isinstance(told[-1], Restored))
        assert first.may_decide()
        assert [type(one) for one in led.all] == [Elected, Suspended, Restored]
        assert [leader is not None and leader.port for leader in leaders.all] == [1]
        await first.close()
        await detector.close()

    asyncio.run(scenario())


async def joined(contender: Contender) -> None:
    """Wait until a candidate has its name."""
    assert isinstance(contender, MemoryContender | ZooKeeperContender)
    async with asyncio.timeout(LIMIT_S):
        while contender._candidacy.name is None:
            await asyncio.sleep(0)
