"""What follows a leader through ZooKeeper wastes no time once another leads."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine

from contract.zookeeper_server import ZooKeeperServer
from merismos.adapters.zookeeper import address
from merismos.adapters.zookeeper.contender import ZooKeeperContender
from merismos.adapters.zookeeper.session import Session
from merismos.core.master.views.values import master_info_of
from merismos.protocol import json
from merismos.sdk.address import Address
from merismos.sdk.leader import Leaders

LIMIT_S = 30.0
SESSION_S = 10.0


async def stand(url: str, port: int) -> ZooKeeperContender:
    contender = ZooKeeperContender(Session(address.parse(url), SESSION_S))
    contender.contend(json.encode(master_info_of(f"m{port}", "127.0.0.1", port, "localhost")), lambda _standing: None)
    while contender.node is None:
        await asyncio.to_thread(lambda: None)
    return contender


def in_time(scenario: Coroutine[None, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(LIMIT_S):
            await scenario

    asyncio.run(bounded())


def test_a_pause_before_the_next_attempt_ends_when_another_leads(zookeeper: ZooKeeperServer) -> None:
    async def scenario() -> None:
        url = zookeeper.url(f"/{uuid.uuid4().hex}")
        leaders, changes = Leaders(url), []
        leaders.on_change = lambda: changes.append(str(leaders))
        first = await stand(url, 5051)
        assert await leaders.find() == Address("127.0.0.1", 5051)
        second = await stand(url, 5052)
        pausing = asyncio.create_task(leaders.pause(LIMIT_S))
        await first.close()
        assert await pausing
        assert await leaders.find() == Address("127.0.0.1", 5052)
        assert changes == ["127.0.0.1:5052"]
        assert not await leaders.pause(0.01), "it leads still"
        await second.close()
        await leaders.close()

    in_time(scenario())


def test_who_leads_after_a_time_without_a_leader_is_another_too(zookeeper: ZooKeeperServer) -> None:
    async def scenario() -> None:
        url = zookeeper.url(f"/{uuid.uuid4().hex}")
        leaders, changes = Leaders(url), []
        leaders.on_change = lambda: changes.append(str(leaders))
        first = await stand(url, 5051)
        await leaders.find()
        await first.close()
        second = await stand(url, 5052)
        assert await leaders.pause(LIMIT_S)
        assert changes == ["127.0.0.1:5052"]
        await second.close()
        await leaders.close()

    in_time(scenario())
