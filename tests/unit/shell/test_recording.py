"""Recording a machine never harms it, and never harms a recording."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import structlog

from merismos.core import recording
from merismos.core.kernel import Effect, Event, TimerFired
from merismos.core.master.effects import CloseLink, Exit, Respond
from merismos.core.master.events import LinkClosed, RegistryLost, Started
from merismos.core.master.state import Config
from merismos.core.recording import AnyRecord, Handled, Stopped
from merismos.shell.flag_tables import MASTER
from merismos.shell.flags import parse
from merismos.shell.recording import BACKLOG_BYTES_MAX, RecordFile, RecordingMachine, open_record
from merismos.shell.turn import Turn

STARTED = Started("m", 1, 0.0, 1, "127.0.0.1", 5050, "h", [("agents", "a", b"{}")])


class Machine:
    """Takes apart what it is given, as handlers do, and answers with one effect."""

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        if isinstance(event, Started):
            event.registry.clear()
        if isinstance(event, LinkClosed):
            raise KeyError(event.link)
        if isinstance(event, RegistryLost):
            return [Respond(1, 500, "\ud800")]
        return [Exit(0, f"{type(event).__name__} at {now}")]

    def next_deadline(self) -> float | None:
        return 7.0


def in_loop(folder: Path, scenario: Callable[[RecordingMachine, RecordFile], None], size: int = 10**9) -> list[str]:
    """Run a scenario with a machine that records to `tape`; return what was logged."""

    async def whole() -> None:
        file = RecordFile(folder / "tape", size, Turn(asyncio.get_running_loop()))
        try:
            scenario(RecordingMachine(Machine(), file, recording.made_master(Config(), "0")), file)
        finally:
            file.close()

    with structlog.testing.capture_logs() as lines:
        asyncio.run(whole())
    return [f"{line['event']}: {line['reason']}" for line in lines]


def records(file: Path) -> list[AnyRecord]:
    """The records of a file after the first, which says of which machine they are."""
    rest = file.read_bytes().removeprefix(recording.MAGIC)
    found = []
    while rest:
        (length,) = recording.LENGTH.unpack_from(rest)
        found.append(recording.decode(rest[4 : 4 + length]))
        rest = rest[4 + length :]
    return found[1:]


def test_an_event_is_recorded_as_it_was_before_it_was_handled(tmp_path: Path) -> None:
    def scenario(machine: RecordingMachine, _: RecordFile) -> None:
        assert machine.handle(STARTED, 1.5) == [Exit(0, "Started at 1.5")]
        assert machine.next_deadline() == 7.0

    assert in_loop(tmp_path, scenario) == []
    (record,) = records(tmp_path / "tape")
    assert isinstance(record, Handled)
    assert (record.at, record.kind, [name for name, _ in record.effects]) == (1.5, "Started", ["Exit"])
    event = recording.unpack_event("master", record)
    assert isinstance(event, Started)
    assert event.registry == [("agents", "a", b"{}")]


def test_what_changes_an_effect_afterwards_is_not_in_the_record(tmp_path: Path) -> None:
    def scenario(machine: RecordingMachine, _: RecordFile) -> None:
        (effect,) = machine.handle(TimerFired(), 1.0)
        assert isinstance(effect, Exit)
        effect.reason = "another"

    in_loop(tmp_path, scenario)
    (record,) = records(tmp_path / "tape")
    assert isinstance(record, Handled)
    assert record.effects == recording.marks_of([Exit(0, "TimerFired at 1.0")])


def test_the_event_of_a_bug_is_recorded_with_what_was_raised(tmp_path: Path) -> None:
    def scenario(machine: RecordingMachine, _: RecordFile) -> None:
        with pytest.raises(KeyError):
            machine.handle(LinkClosed(7), 1.0)

    in_loop(tmp_path, scenario)
    (record,) = records(tmp_path / "tape")
    assert isinstance(record, Handled)
    assert (record.kind, record.fault) == ("LinkClosed", "KeyError(7)")


def test_a_recording_stops_at_its_bound_and_says_so_once(tmp_path: Path) -> None:
    def scenario(machine: RecordingMachine, _: RecordFile) -> None:
        for _number in range(1000):
            assert machine.handle(TimerFired(), 1.0) == [Exit(0, "TimerFired at 1.0")]

    (line,) = in_loop(tmp_path, scenario, size=4000)
    assert line == "the recording stops; all else goes on: it reached its bound of 4000 bytes (--record_size)"
    assert (tmp_path / "tape").stat().st_size < 4200
    *handled, last = records(tmp_path / "tape")
    assert all(isinstance(one, Handled) for one in handled)
    assert handled
    assert isinstance(last, Stopped)
    assert "--record_size" in last.reason


def test_a_full_disk_stops_the_recording_and_nothing_else(tmp_path: Path) -> None:
    def scenario(machine: RecordingMachine, file: RecordFile) -> None:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, file._file)
        os.close(full)
        machine.handle(TimerFired(), 1.0)
        file.close()
        assert not file.is_open
        assert machine.handle(TimerFired(), 2.0) == [Exit(0, "TimerFired at 2.0")]

    (line,) = in_loop(tmp_path, scenario)
    assert "No space left on device" in line


def test_a_disk_that_hangs_stops_the_recording_and_nothing_else(tmp_path: Path) -> None:
    reads, writes = os.pipe()
    entry = ("agents", "a", bytes(1 << 20))

    def scenario(machine: RecordingMachine, file: RecordFile) -> None:
        os.dup2(writes, file._file)
        for number in range(BACKLOG_BYTES_MAX // (1 << 20) + 2):
            assert machine.handle(Started("m", 1, 0.0, 1, "", 1, "", [entry]), number) == [
                Exit(0, f"Started at {number}")
            ]
        assert not file.is_open
        os.close(reads)

    assert in_loop(tmp_path, scenario) == ["the recording stops; all else goes on: its disk is too slow"]
    os.close(writes)


@pytest.mark.parametrize("event", [LinkClosed("\ud800"), RegistryLost(1, "")], ids=["event", "effect"])  # type: ignore[arg-type]
def test_what_can_not_be_written_stops_the_recording_and_nothing_else(event: Event, tmp_path: Path) -> None:
    def scenario(machine: RecordingMachine, _: RecordFile) -> None:
        if isinstance(event, LinkClosed):
            with pytest.raises(KeyError):
                machine.handle(event, 1.0)
        else:
            assert machine.handle(event, 1.0) == [Respond(1, 500, "\ud800")]
        assert machine.handle(TimerFired(), 2.0) == [Exit(0, "TimerFired at 2.0")]

    (line,) = in_loop(tmp_path, scenario)
    assert f"{type(event).__name__} can't be written" in line
    (last,) = records(tmp_path / "tape")
    assert isinstance(last, Stopped)


def test_records_reach_the_file_while_it_is_open(tmp_path: Path) -> None:
    async def whole() -> None:
        turn = Turn(asyncio.get_running_loop())
        file = RecordFile(tmp_path / "tape", 10**9, turn)
        machine = RecordingMachine(Machine(), file, recording.made_master(Config(), "0"))
        machine.handle(TimerFired(), 1.0)
        async with asyncio.timeout(20):
            while (tmp_path / "tape").stat().st_size < file._bytes:
                await asyncio.sleep(0)
        assert len(records(tmp_path / "tape")) == 1
        file.close()

    asyncio.run(whole())


def opened(folder: Path, *flags: str) -> tuple[Path | None, list[str]]:
    async def whole() -> Path | None:
        given = parse(MASTER, flags, {}, effective={"record"})
        file = open_record(given, Turn(asyncio.get_running_loop()))
        if file is None:
            return None
        file.close()
        return file.path.relative_to(folder)

    with structlog.testing.capture_logs() as lines:
        return asyncio.run(whole()), [str(line["event"]) for line in lines]


def test_without_the_flag_nothing_is_recorded(tmp_path: Path) -> None:
    assert opened(tmp_path) == (None, [])
    assert list(tmp_path.iterdir()) == []


def test_a_recording_is_for_its_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    names = [opened(tmp_path, f"--record={tmp_path}/tape")[0] for _ in range(11)]
    assert names == [Path("tape"), *(Path(f"tape.{number}") for number in range(1, 10)), None]
    assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}


def test_a_record_that_can_not_be_had_is_one_line_in_the_log(tmp_path: Path) -> None:
    where = f"--record={tmp_path}/nowhere/tape"
    assert opened(tmp_path, where) == (None, ["nothing is recorded; all else goes on"])


def test_an_effect_that_closes_a_link_has_another_digest_for_another_link() -> None:
    one, other = recording.marks_of([CloseLink(1), CloseLink(2)])
    assert one[0] == other[0] == "CloseLink"
    assert one[1] != other[1]
