"""A registry in ZooKeeper with the leadership that it needs: who opens it stands for election first."""

from __future__ import annotations

import asyncio

from merismos.adapters.zookeeper.ensemble import coordinated
from merismos.adapters.zookeeper.registry import Done
from merismos.ports.contender import Elected, Standing
from merismos.ports.registry import Entry

LIMIT_S = 30.0
SESSION_S = 4.0


class LeadersRegistry:
    """The ZooKeeper registry of a master that has just been elected."""

    def __init__(self, url: str) -> None:
        self.contender, self._detector, self.registry = coordinated(url, SESSION_S, LIMIT_S)
        self.standings: list[Standing] = []
        self._elected = asyncio.Event()

    async def load(self) -> list[Entry]:
        self.contender.contend(b"{}", self._on_standing)
        async with asyncio.timeout(LIMIT_S):
            await self._elected.wait()
        return await self.registry.load()

    def store(self, changes: list[Entry], done: Done) -> None:
        self.registry.store(changes, done)

    async def close(self) -> None:
        await self.registry.close()
        await self.contender.close()

    def _on_standing(self, standing: Standing) -> None:
        self.standings.append(standing)
        if isinstance(standing, Elected):
            self._elected.set()
