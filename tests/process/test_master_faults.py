"""What a bug, a lost registry and a moved clock do to a master: run inside the test, where they can be brought about."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import structlog

from merismos.adapters.storage.memory import MemoryRegistry
from merismos.core.kernel import Event
from merismos.core.master import effects, events
from merismos.daemons.coordination import Coordination
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
        flags = parse(
            MASTER,
            ["--ip=127.0.0.1", "--port=0", "--registry=in_memory"],
            {},
            effective=EFFECTIVE,
        )
        daemon = MasterDaemon(flags, Coordination(registry or MemoryRegistry()))
        try:
            async with asyncio.timeout(20):
                await daemon.start()
                await scenario(daemon)
                daemon.stop(0)
                return await daemon.stopped()
        finally:
            await daemon.close()

    return asyncio.run(whole())


def test_a_bug_stops_the_master_and_its_event_is_in_the_log() -> None:
    async def scenario(daemon: MasterDaemon) -> None:
        daemon.post(Unheard())
        assert await daemon.stopped() == 70

    with structlog.testing.capture_logs() as lines:
        assert run(scenario) == 70
    (line,) = (line for line in lines if line["log_level"] == "critical")
    assert line["during"] == "Unheard()"
    assert isinstance(line["exc_info"], KeyError)


def test_a_registry_that_can_not_be_written_stops_the_master_for_its_supervisor() -> None:
    async def scenario(daemon: MasterDaemon) -> None:
        daemon.perform(effects.StoreRegistry(1, [("agents", "a", b"{}")]))
        assert await daemon.stopped() == 75

    with structlog.testing.capture_logs() as lines:
        assert run(scenario, BrokenRegistry()) == 75
    assert any("the disk is full" in line.get("reason", "") for line in lines)


def test_a_master_whose_registry_can_not_be_read_does_not_lead(tmp_path: Path) -> None:
    class Unreadable(MemoryRegistry):
        async def load(self) -> list[Entry]:
            raise RegistryError(f"{tmp_path} is no registry")

    async def scenario(_: MasterDaemon) -> None:
        pytest.fail("it led")

    with pytest.raises(RegistryError, match="is no registry"):
        run(scenario, Unreadable())


def test_epochs_grow_even_if_the_clock_was_set_back() -> None:
    later = int(time.time()) + 1_000_000
    registry = MemoryRegistry()
    registry.entries["master", "epoch"] = b"%d" % later

    async def scenario(daemon: MasterDaemon) -> None:
        assert daemon.machine.master.epoch == later + 1

    assert run(scenario, registry) == 0
    assert registry.entries["master", "epoch"] == b"%d" % (later + 1)


def test_a_moved_wall_clock_reaches_the_core() -> None:
    async def scenario(daemon: MasterDaemon) -> None:
        daemon.post(events.WallClockSet(12345.0))
        daemon.check_clock()
        assert daemon.machine.master.wall_offset_s == 12345.0, "no move was seen, since the shell's own offset held"
        daemon.wall_offset_s += 100.0
        daemon.check_clock()
        assert daemon.machine.master.wall_offset_s == pytest.approx(time.time() - time.monotonic(), abs=0.1)

    assert run(scenario) == 0
