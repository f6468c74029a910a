"""What the registry in ZooKeeper keeps beyond the contract: fences, cut-off writes, limits, access control."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator

import pytest
from kazoo.client import KazooClient

from contract.leaders_registry import LeadersRegistry
from contract.zookeeper_server import ZooKeeperServer, why_not
from merismos.adapters.zookeeper.ensemble import coordinated
from merismos.adapters.zookeeper.registry import NODE, ZooKeeperRegistry
from merismos.ports.registry import Entry, RegistryError, RegistryStore

LIMIT_S = 30.0


async def write(store: RegistryStore, *changes: Entry) -> RegistryError | None:
    outcome: asyncio.Future[RegistryError | None] = asyncio.get_running_loop().create_future()
    store.store(list(changes), outcome.set_result)
    async with asyncio.timeout(LIMIT_S):
        return await outcome


def run(scenario: Callable[[LeadersRegistry], Awaitable[None]], url: str) -> None:
    async def whole() -> None:
        leader = LeadersRegistry(url)
        try:
            await leader.load()
            await scenario(leader)
        finally:
            await leader.close()

    asyncio.run(whole())


@pytest.fixture
def url(zookeeper: ZooKeeperServer) -> str:
    return zookeeper.url(f"/fences/{uuid.uuid4().hex}")


@pytest.fixture
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeperServer]:
    if why_not():
        pytest.skip(why_not())
    with ZooKeeperServer(tmp_path_factory.mktemp("zookeeper")) as server:
        yield server


def test_a_master_whose_znode_another_wrote_is_refused_from_then_on(url: str) -> None:
    async def scenario(leader: LeadersRegistry) -> None:
        other = ZooKeeperRegistry(leader.contender._session, lambda: leader.contender.node)
        await other.load()
        assert await write(leader, ("agents", "S1", b"1")) is None
        assert await write(leader, ("agents", "S1", b"2")) is None
        error = await write(other, ("agents", "S1", b"3"))
        assert "another master wrote it" in str(error)
        assert await write(other, ("agents", "S2", b"3")) is error, "nothing more is written"
        assert await write(leader, ("agents", "S1", b"4")) is None

    run(scenario, url)


def test_a_master_whose_place_in_the_election_is_gone_writes_nothing(url: str) -> None:
    async def scenario(leader: LeadersRegistry) -> None:
        node = leader.contender.node
        assert node is not None
        late = ZooKeeperRegistry(leader.contender._session, lambda: node)
        await late.load()
        await leader.contender._session.call(lambda client: client.delete_async(node))
        error = await write(late, ("agents", "S1", b"1"))
        assert error is not None
        assert f"{node} is gone" in str(error)
        reader = ZooKeeperRegistry(leader.contender._session, lambda: None)
        assert await reader.load() == []
        assert "leads no more" in str(await write(reader, ("agents", "S1", b"1")))

    run(scenario, url)


def test_a_write_that_is_cut_off_is_made_once_when_zookeeper_is_back(mortal: ZooKeeperServer) -> None:
    async def scenario(leader: LeadersRegistry) -> None:
        assert await write(leader, ("agents", "S1", b"1")) is None
        mortal.freeze()
        cut_off = asyncio.create_task(write(leader, ("agents", "S1", b"2"), ("weights", "w", b"3")))
        await asyncio.sleep(0)
        mortal.kill()
        mortal.start()
        await asyncio.to_thread(mortal.ready)
        assert await cut_off is None
        assert await write(leader, ("agents", "S1", b"5")) is None
        again = ZooKeeperRegistry(leader.contender._session, lambda: None)
        assert sorted(await again.load()) == [("agents", "S1", b"5"), ("weights", "w", b"3")]

    run(scenario, mortal.url("/cut/off"))


def test_a_bucket_that_can_not_be_read_is_named_and_left_as_it_is(url: str) -> None:
    async def scenario(leader: LeadersRegistry) -> None:
        assert await write(leader, ("weights", "a", b"1")) is None
        session = leader.contender._session
        bucket = f"{session.address.path}/{NODE}/cluster"
        await session.call(lambda client: client.set_async(bucket, b"\x01garbage"))
        again = ZooKeeperRegistry(session, lambda: None)
        with pytest.raises(RegistryError, match="bucket cluster of the registry can't be read"):
            await again.load()
        assert (await session.call(lambda client: client.get_async(bucket)))[0] == b"\x01garbage"

    run(scenario, url)


def test_a_registry_of_another_format_is_refused(url: str) -> None:
    async def scenario(leader: LeadersRegistry) -> None:
        session = leader.contender._session
        await session.call(lambda client: client.set_async(f"{session.address.path}/{NODE}", b"merismos registry 9"))
        with pytest.raises(RegistryError, match="no registry of this version"):
            await ZooKeeperRegistry(session, lambda: None).load()

    run(scenario, url)


def test_with_credentials_others_can_find_the_leader_and_read_or_change_nothing_else(
    zookeeper: ZooKeeperServer,
) -> None:
    path = f"/secured{uuid.uuid4().hex}"
    mine = zookeeper.url(path).replace("zk://", "zk://chief:secret@")

    def look_as_a_stranger() -> tuple[list[str], list[str]]:
        client = KazooClient(zookeeper.host)
        client.start()
        try:
            refused = []
            for work in (
                lambda: client.create(f"{path}/json.info_", b"", ephemeral=True, sequence=True),
                lambda: client.get_children(f"{path}/{NODE}"),
                lambda: client.delete(f"{path}/{NODE}/cluster"),
            ):
                try:
                    work()
                except Exception as error:  # noqa: BLE001 - its name is what is looked at
                    refused.append(type(error).__name__)
            return [str(client.get(f"{path}/{one}")[0]) for one in client.get_children(path) if one != NODE], refused
        finally:
            client.stop()
            client.close()

    async def scenario(leader: LeadersRegistry) -> None:
        assert await write(leader, ("weights", "a", b"1")) is None
        assert await asyncio.to_thread(look_as_a_stranger) == (["b'{}'"], ["NoAuthError"] * 3)
        wrong = coordinated(zookeeper.url(path), 4.0, 5.0)
        wrong.registry._session.start()
        await wrong.registry._session.connected()
        with pytest.raises(RegistryError, match="give the credentials that made the path"):
            await wrong.registry.load()
        await wrong.registry._session.close()

    run(scenario, mine)
