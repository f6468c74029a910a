"""What a bug, a lost registry and a moved clock do to a master: run inside the test, where they can be brought about."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import structlog

from merismos.adapters.storage.memory import MemoryRegistry
from merismos.core.kernel import Event
from merismos.core.master import effects, events
from merismos.daemons.master import MasterDaemon
from merismos.daemons.master_flags import EFFECTIVE
from merismos.ports.registry import Entry, RegistryError
from merismos.shell.flag_tables import MASTER
from merismos.shell.flags import parse

pytestmark = pytest.mark.process


class BrokenRegistry(MemoryRegistry):
    """Takes the master's first write (its epoch), then no more."""

    def store(self, changes: list[Entry], done: Callable[[RegistryError | None], None]) -> None:
        if not self.entries:
            super().store(changes, done)
        else:
            asyncio.get_running_loop().call_soon(done, RegistryError("the disk is full"))


class Unheard(Event):
    """An event that no handler knows."""


def run(scenario: Callable[[MasterDaemon], Awaitable[None]], registry: MemoryRegistry | None = None) -> int:
    """Run a scenario in a master, and return the code with which it wants to exit (0 where it doesn't)."""

    async def whole() -> int:
        flags = parse(MASTER, ["--ip=127.0.0.1", "--port=0", "--registry=in_memory", "--port_file=" + os.devnull], {}, effective=EFFECTIVE)
        daemon = MasterDaemon(flags, registry or MemoryRegistry())
        try:
            async with asyncio.timeout(20):
                await daemon.start()
                await scenario(daemon)
                daemon.stop(0)
                return await daemon.stopped()
        finally:
            await daemon.close()

    return asyncio.run(whole())
