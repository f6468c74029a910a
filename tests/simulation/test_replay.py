"""What simulated machines lived through is replayed from their recordings, and a difference is found where it is."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

import merismos
from merismos.core import recording
from merismos.core.agent.state import AgentSettings
from merismos.core.master import events
from merismos.core.master.machine import MasterMachine
from merismos.core.master.state import Config
from merismos.core.recording import Handled, Made, RecordingError, Stopped
from merismos.protocol.v1 import mesos
from merismos.simulation.__main__ import main
from merismos.simulation.replay import Recording
from simulation.tapes import tapes_of

if TYPE_CHECKING:
    from merismos.core.kernel import Effect, Event


@functools.cache
def tapes(seed: int = 3) -> list[bytes]:
    return tapes_of(seed, 1500)


def read(tape: bytes) -> Recording:
    return Recording(io.BytesIO(tape))


def longest(role: str) -> bytes:
    return max((tape for tape in tapes() if read(tape).made.role == role), key=len)


def records(tape: bytes) -> Iterator[recording.AnyRecord]:
    rest = tape[len(recording.MAGIC) :]
    while rest:
        (length,) = recording.LENGTH.unpack_from(rest)
        yield recording.decode(rest[4 : 4 + length])
        rest = rest[4 + length :]


def tape_of(*all_records: recording.Record) -> bytes:
    return recording.MAGIC + b"".join(recording.encode(one) for one in all_records)


def replay(capsys: pytest.CaptureFixture[str], folder: Path, tape: bytes, *flags: str) -> tuple[int, str]:
    file = folder / "tape"
    file.write_bytes(tape)
    code = main(["replay", str(file), *flags])
    said = capsys.readouterr()
    return code, said.out + said.err


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_whatever_simulated_machines_lived_through_is_replayed_with_equal_effects(seed: int) -> None:
    lived: dict[str, None] = {}
    for tape in tapes(seed):
        source = read(tape)
        for replayed in source.replay(recording.machine_of(source.made)):
            assert replayed.is_equal(), f"{source.made.role}: {replayed}"
            lived[f"{source.made.role} {replayed.record.kind}"] = None
        assert source.notes == []
    assert {"master SchedulerCalled", "master LinkReceived", "agent Started", "agent Checkpointed"} <= lived.keys()


@pytest.mark.parametrize("role", ["master", "agent"])
def test_a_replay_says_how_much_was_equal(role: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tape = longest(role)
    all_events = [record for record in records(tape) if isinstance(record, Handled)]
    effects = sum(len(record.effects) for record in all_events)
    code, said = replay(capsys, tmp_path, tape)
    assert (code, said.splitlines()[-1]) == (0, f"{role}: {len(all_events)} events, {effects} effects, all equal")
    assert said.startswith(f"recorded by 0, replayed by {merismos.__version__}\n")


class Mute(MasterMachine):
    """Answers no call to kill."""

    def handle(self, event: Event, now: float) -> list[Effect]:
        done = super().handle(event, now)
        is_kill = isinstance(event, events.SchedulerCalled) and event.call.type == "KILL"
        return [] if is_kill else done


def test_the_first_event_of_which_other_effects_come_is_named() -> None:
    source = read(longest("master"))
    replayed = next(one for one in source.replay(Mute(Config())) if not one.is_equal())
    assert isinstance(replayed.event, events.SchedulerCalled)
    assert replayed.event.call.type == "KILL"
    assert replayed.effects == []
    lived = read(longest("master")).replay(MasterMachine())
    first = next(
        one for one in lived if isinstance(one.event, events.SchedulerCalled) and one.event.call.type == "KILL"
    )
    assert replayed.number == first.number


def test_a_difference_is_shown_from_both_sides(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    altered = list(records(longest("master")))
    number = next(n for n, one in enumerate(altered) if isinstance(one, Handled) and one.kind == "SchedulerSubscribed")
    record = altered[number]
    assert isinstance(record, Handled)
    record.effects[0] = ("OpenStream", 0)
    code, said = replay(capsys, tmp_path, tape_of(*altered))
    assert code == 1
    assert f"the first {number - 1} events gave the same effects; event {number} gave others" in said
    assert "effect 1, recorded: OpenStream, digest 00000000" in said
    assert "effect 1, replayed: OpenStream {'request': " in said
    assert "'framework_id': {'value': " in said


def test_a_machine_that_was_made_otherwise_differs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    first, *rest = records(longest("master"))
    assert isinstance(first, Made)
    config = Config()
    config.heartbeat_s = 1.0
    code, said = replay(capsys, tmp_path, tape_of(recording.made_master(config, "0"), *rest))
    assert code == 1
    assert "SendHeartbeat" in said


@pytest.mark.parametrize("role", ["master", "agent"])
def test_a_recording_that_was_cut_anywhere_is_replayed_as_far_as_it_goes(role: str) -> None:
    tape = longest(role)
    ends = ends_of(tape)
    made_end = ends[1]
    for end in [*range(0, made_end + 300, 7), *range(made_end, len(tape), len(tape) // 10), *ends[1:6]]:
        if end < made_end:
            with pytest.raises(RecordingError):
                read(tape[:end])
            continue
        source = read(tape[:end])
        assert all(one.is_equal() for one in source.replay(recording.machine_of(source.made)))
        assert bool(source.notes) == (end not in ends)


def ends_of(tape: bytes) -> list[int]:
    """Where each record ends."""
    ends = [len(recording.MAGIC)]
    for one in records(tape):
        ends.append(ends[-1] + len(recording.encode(one)))
    return ends


def test_zeros_at_the_end_are_what_a_power_cut_leaves(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, said = replay(capsys, tmp_path, longest("agent") + bytes(100))
    assert code == 0
    assert "it ends within a record, as after kill -9" in said


def test_a_recording_that_stopped_says_why(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, said = replay(capsys, tmp_path, longest("agent") + recording.encode(Stopped("its disk is too slow")))
    assert code == 0
    assert "the recording stopped before its agent did: its disk is too slow\n" in said


class Buggy(MasterMachine):
    """Raises where a link closes."""

    def handle(self, event: Event, now: float) -> list[Effect]:
        if event.__class__ is events.LinkClosed:
            raise RuntimeError(f"why on earth: {object()}")
        return super().handle(event, now)


def test_a_bug_is_replayed_as_a_bug(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = recording.made_master(Config(), merismos.__version__)
    body = msgspec.msgpack.encode(events.LinkClosed(7))
    tape = tape_of(
        made,
        Handled(1.0, "LinkClosed", body, is_json=False, fault="RuntimeError('why on earth: <object object at 0x>')"),
    )
    (replayed,) = read(tape).replay(Buggy())
    assert replayed.is_equal()
    code, said = replay(capsys, tmp_path, tape)
    assert code == 1
    assert (
        "  recorded: raises RuntimeError('why on earth: <object object at 0x>')\n  replayed: raises nothing\n" in said
    )


def test_one_event_can_be_looked_at(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, said = replay(capsys, tmp_path, longest("master"), "--show", "1")
    assert code == 0
    assert "event 1 at " in said
    assert "  Started {'master_id': " in said
    code, said = replay(capsys, tmp_path, longest("master"), "--show", "1000000")
    assert code == 2
    assert "there is no event 1000000" in said


def unknown_settings() -> bytes:
    return tape_of(Made("master", "9", msgspec.msgpack.encode({"colour": "red"})))


def of_a_new_event() -> bytes:
    info = mesos.AgentInfo(hostname="h")
    settings = AgentSettings(info=info, ip="", port=1, pid="", version="", work_dir="")
    return tape_of(
        recording.made_agent(settings, "9"),
        Handled(1.0, "MoonRisen", b"", is_json=False),
    )


@pytest.mark.parametrize(
    ("tape", "complaint"),
    [
        (b"", "it does not begin with 'merismos-recording/1'"),
        (b"merismos-recording/2\n", "it does not begin with 'merismos-recording/1'"),
        (recording.MAGIC, "it does not say which machine it is of"),
        (recording.MAGIC + b"\0\0\0\x03abc", "a record does not decode"),
        (tape_of(Made("moon", "9", b"")), "it is of a 'moon', which is neither master nor agent"),
        (unknown_settings(), "settings that this version does not take: colour is unknown"),
        (of_a_new_event(), "this version's agent knows no event MoonRisen"),
        (tape_of(*2 * [recording.made_master(Config(), "0")]), "a second machine begins after event 0"),
    ],
    ids=str,
)
def test_a_file_that_is_no_recording_is_refused_with_what_is_wrong(
    tape: bytes, complaint: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, said = replay(capsys, tmp_path, tape)
    assert code == 2
    assert complaint in said


def test_an_altered_body_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = recording.made_master(Config(), "0")
    code, said = replay(capsys, tmp_path, tape_of(made, Handled(1.0, "LinkClosed", b"\xc1", is_json=False)))
    assert code == 2
    assert "an event LinkClosed does not decode" in said


def test_a_file_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["replay", str(tmp_path / "nothing")]) == 2
    assert "No such file" in capsys.readouterr().err
