"""What every registry store keeps, the one in memory and the one on disk alike."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.leaders_registry import LeadersRegistry
from merismos.adapters.storage.memory import MemoryRegistry
from merismos.adapters.storage.sqlite import SqliteRegistry
from merismos.ports.registry import Entry, RegistryError, RegistryStore

Reopen = Callable[[], RegistryStore]


@pytest.fixture(params=["memory", "sqlite", "zookeeper"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Reopen:
    """Opens the store that was opened before, the first one empty."""
    memory = MemoryRegistry()
    if request.param == "zookeeper":
        url = request.getfixturevalue("zookeeper").url(f"/registry/{uuid.uuid4().hex}")
        return lambda: LeadersRegistry(url)
    return (lambda: memory) if request.param == "memory" else (lambda: SqliteRegistry(tmp_path / "registry.sqlite"))


async def stored(store: RegistryStore, *writes: list[Entry]) -> list[int]:
    """Store all at once; return the order in which they came back."""
    loop, order = asyncio.get_running_loop(), []
    waiting: list[asyncio.Future[RegistryError | None]] = []

    def ask(number: int, changes: list[Entry]) -> None:
        future: asyncio.Future[RegistryError | None] = loop.create_future()

        def done(error: RegistryError | None) -> None:
            order.append(number)
            future.set_result(error)

        store.store(changes, done)
        waiting.append(future)

    for number, changes in enumerate(writes):
        ask(number, changes)
    assert order == [], "no write is done before its caller has gone on"
    assert set(await asyncio.gather(*waiting)) == {None}
    return order


def test_what_was_stored_is_there_after_a_restart_and_what_was_deleted_is_not(reopen: Reopen) -> None:
    async def scenario() -> None:
        store = reopen()
        assert await store.load() == []
        order = await stored(
            store,
            [("agents", "a", b"1"), ("agents", "b", b"2")],
            [("weights", "a", b"3"), ("agents", "a", b"")],
            [("agents", "b", b"4"), ("agents", "none", b"")],
        )
        assert order == [0, 1, 2]
        await store.close()
        again = reopen()
        assert sorted(await again.load()) == [("agents", "b", b"4"), ("weights", "a", b"3")]
        await again.close()

    asyncio.run(scenario())


def test_many_writes_come_back_in_order(reopen: Reopen) -> None:
    async def scenario() -> None:
        store = reopen()
        await store.load()
        assert await stored(store, *([("t", str(n), b"x")] for n in range(200))) == list(range(200))
        await store.close()

    asyncio.run(scenario())


def test_a_big_write_is_whole(reopen: Reopen) -> None:
    async def scenario() -> None:
        store = reopen()
        await store.load()
        entries = [("agents", f"S{n}", b"%d" % n * 50) for n in range(3000)]
        assert await stored(store, entries) == [0]
        await store.close()
        again = reopen()
        assert sorted(await again.load()) == sorted(entries)
        assert await stored(again, [(table, key, b"") for table, key, _ in entries]) == [0]
        await again.close()
        empty = reopen()
        assert await empty.load() == []
        await empty.close()

    asyncio.run(scenario())


def test_closing_writes_what_waits(reopen: Reopen) -> None:
    async def scenario() -> None:
        store = reopen()
        await store.load()
        store.store([("t", "k", b"v")], lambda _: None)
        await store.close()
        again = reopen()
        assert await again.load() == [("t", "k", b"v")]
        await again.close()

    asyncio.run(scenario())


def test_a_second_master_on_the_same_file_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        first, second = SqliteRegistry(tmp_path / "r"), SqliteRegistry(tmp_path / "r")
        await first.load()
        with pytest.raises(RegistryError, match="another master runs with this work_dir"):
            await second.load()
        await second.close()
        assert await stored(first, [("t", "k", b"v")]) == [0]
        await first.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "content", [b"this is no database, but somebody's file " * 100, b"SQLite format 3\x00" + b"\xff" * 5000]
)
def test_a_file_that_can_not_be_read_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    async def scenario() -> None:
        path = tmp_path / "r"
        path.write_bytes(content)
        store = SqliteRegistry(path)
        with pytest.raises(RegistryError, match=str(path)):
            await store.load()
        await store.close()
        assert path.read_bytes() == content

    asyncio.run(scenario())


def test_a_registry_of_another_format_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        connection = sqlite3.connect(tmp_path / "r")
        connection.execute("PRAGMA user_version=99")
        connection.close()
        store = SqliteRegistry(tmp_path / "r")
        with pytest.raises(RegistryError, match="has format 99"):
            await store.load()
        await store.close()

    asyncio.run(scenario())
