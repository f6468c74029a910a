"""Of several masters, the one leads that says so itself."""

from __future__ import annotations

import asyncio

import pytest

from merismos.sdk.address import Address, parse
from merismos.sdk.leader import NoLeader, find_once
from unit.sdk.fake_master import WAIT_S_MAX, FakeMaster, plain

NOBODY = Address("127.0.0.1", 1)
NO_LEADER = plain(503)


def redirect(address: str) -> bytes:
    return plain(307, location=f"//{address}")


async def found(*masters: FakeMaster) -> Address:
    return await find_once([NOBODY, *(parse(master.address) for master in masters)], WAIT_S_MAX)


def test_a_standby_leads_to_the_leader_and_who_is_away_is_passed_over() -> None:
    async def scenario() -> None:
        async with FakeMaster() as standby, FakeMaster() as leader:
            standby.answer("GET /redirect", redirect(leader.address))
            leader.answer("GET /redirect", redirect(leader.address))
            assert await found(standby) == parse(leader.address)

    asyncio.run(scenario())


def test_a_master_that_others_still_name_and_that_denies_it_is_not_taken() -> None:
    async def scenario() -> None:
        async with FakeMaster() as standby, FakeMaster() as restarted:
            standby.answer("GET /redirect", redirect(restarted.address), redirect(standby.address))
            restarted.answer("GET /redirect", NO_LEADER)
            assert await found(standby, restarted) == parse(standby.address)

    asyncio.run(scenario())


def test_where_nobody_leads_the_search_ends_in_time_and_names_them() -> None:
    with pytest.raises(NoLeader, match=r"no master leads at 127\.0\.0\.1:1,127\.0\.0\.1:2"):
        asyncio.run(find_once([NOBODY, Address("127.0.0.1", 2)], 0.1))
