"""The log of an agent's checkpoints on a real disk: whole, cut off, damaged, grown, and where nothing can be written."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from merismos.adapters.storage import checkpoint_log
from merismos.adapters.storage.checkpoint_log import CheckpointLog
from merismos.ports.checkpoints import Change, CheckpointError, Entries
from merismos.shell.turn import Turn

LIMIT_S = 20.0
FILE = "slaves/S0/checkpoints"


class Kept:
    """A log, and what it reports."""

    def __init__(self, meta: Path) -> None:
        self.written: list[int] = []
        self.stalls: list[str | None] = []
        self._more = asyncio.Event()
        self.log = CheckpointLog(meta, Turn(asyncio.get_running_loop()), self._on_written, self._on_stalled)

    def _on_written(self, sequence: int) -> None:
        self.written.append(sequence)
        self._more.set()

    def _on_stalled(self, why: str | None) -> None:
        self.stalls.append(why)
        self._more.set()

    async def until(self, sequence: int) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not self.written or self.written[-1] < sequence:
                self._more.clear()
                await self._more.wait()

    async def until_stalled(self) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not self.stalls:
                self._more.clear()
                await self._more.wait()


def write(meta: Path, *turns: list[Change], durable: bool = False) -> None:
    async def scenario() -> None:
        kept = Kept(meta)
        kept.log.load()
        kept.log.open("S0")
        for number, changes in enumerate(turns, 1):
            kept.log.write(number, changes, durable=durable)
            await kept.until(number)
        await kept.log.close()

    asyncio.run(scenario())


def load(meta: Path) -> tuple[Entries, list[str]]:
    async def scenario() -> tuple[Entries, list[str]]:
        kept = Kept(meta)
        loaded = kept.log.load()
        await kept.log.close()
        return loaded

    return asyncio.run(scenario())


@pytest.mark.parametrize("durable", [False, True])
def test_what_was_written_is_loaded_in_order_and_what_was_dropped_is_not(tmp_path: Path, *, durable: bool) -> None:
    write(tmp_path, [("a", b"1"), ("b", b"2")], [("a", b"3"), ("b", None)], [("c", b"4")], durable=durable)
    assert load(tmp_path) == ({"a": [b"1", b"3"], "c": [b"4"]}, [])
    write(tmp_path, [("a", b"5")])
    assert load(tmp_path) == ({"a": [b"1", b"3", b"5"], "c": [b"4"]}, [])


def test_nothing_was_there_before_the_first_agent(tmp_path: Path) -> None:
    assert load(tmp_path) == ({}, [])


def test_an_end_that_is_cut_off_anywhere_is_left_out_without_a_word(tmp_path: Path) -> None:
    write(tmp_path, [("a", b"1")], [("b", b"x" * 40)])
    data = (tmp_path / FILE).read_bytes()
    whole = len(data) - len(checkpoint_log.frame(b"k", "b", b"x" * 40))
    for length in range(whole, len(data)):
        (tmp_path / FILE).write_bytes(data[:length])
        assert load(tmp_path) == ({"a": [b"1"]}, [])


def test_damage_before_what_can_be_read_is_told(tmp_path: Path) -> None:
    write(tmp_path, [("a", b"1")], [("b", b"2")], [("c", b"3")])
    data = bytearray((tmp_path / FILE).read_bytes())
    data[data.index(b"b2")] ^= 1
    (tmp_path / FILE).write_bytes(data)
    entries, (damage,) = load(tmp_path)
    assert entries == {"a": [b"1"], "c": [b"3"]}
    assert "is damaged from byte" in damage


def test_a_log_of_another_form_is_not_touched(tmp_path: Path) -> None:
    write(tmp_path, [("a", b"1")])
    (tmp_path / FILE).write_bytes(checkpoint_log.frame(b"f", "", b"merismos checkpoints 9"))
    with pytest.raises(CheckpointError, match="start the version that wrote it"):
        load(tmp_path)


def test_a_new_id_begins_without_what_the_old_one_left(tmp_path: Path) -> None:
    write(tmp_path, [("a", b"1")])

    async def scenario() -> None:
        kept = Kept(tmp_path)
        kept.log.load()
        kept.log.open("S1")
        kept.log.write(1, [("b", b"2")], durable=True)
        await kept.until(1)
        await kept.log.close()

    asyncio.run(scenario())
    assert load(tmp_path) == ({"b": [b"2"]}, [])
    assert [path.name for path in sorted((tmp_path / "slaves").iterdir())] == ["S1", "latest"]


def test_a_forgotten_agent_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    write(tmp_path, [("a", b"1")])

    async def scenario() -> None:
        kept = Kept(tmp_path)
        kept.log.load()
        kept.log.open("S0")
        kept.log.forget()
        kept.log.write(1, [("a", b"2")], durable=False)
        await kept.until(1)
        await kept.log.close()

    asyncio.run(scenario())
    assert load(tmp_path) == ({}, [])


def test_what_cannot_be_written_waits_until_it_can_and_is_never_reported_before(tmp_path: Path) -> None:
    (tmp_path / "slaves").write_text("a file where a directory should be")

    async def scenario() -> None:
        kept = Kept(tmp_path)
        kept.log.open("S0")
        kept.log.write(1, [("a", b"1")], durable=False)
        await kept.until_stalled()
        kept.log.write(2, [("b", b"2")], durable=True)
        assert kept.written == []
        (tmp_path / "slaves").unlink()
        await kept.until(2)
        assert kept.stalls[-1] is None
        await kept.log.close()

    asyncio.run(scenario())
    assert load(tmp_path) == ({"a": [b"1"], "b": [b"2"]}, [])
