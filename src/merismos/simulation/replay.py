"""Replays a recording of a real master or agent: a new machine takes the same events, and its effects are compared with the old.

Rules: it stops at the first event whose effects differ, since what follows differs for that reason. A recording that ends within a
record is usual (kill -9, a power cut): what is whole counts. Exit codes: 0 all equal, 1 a difference, 2 a file that can't be read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

import merismos
from merismos.core import recording
from merismos.core.kernel import Effect, Event, Machine
from merismos.core.recording import Handled, Made, RecordingError, Stopped

TEXT_MAX = 4000
RECORD_BYTES_MAX = 1 << 30


class Replayed(NamedTuple):
    """One event of a recording, and what came of it this time."""

    number: int
    record: Handled
    event: Event
    effects: list[Effect]
    marks: list[tuple[str, int]]
    fault: str

    def is_equal(self) -> bool:
        """Say whether the same came of it as before."""
        return self.fault == self.record.fault and self.marks == self.record.effects


class Recording:
    """A recording that is read from a file, its beginning at once.

    Shapes: `notes` say, once it is read, how it ended where that isn't as usual.
    Errors: RecordingError.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.notes: list[str] = []
        if file.read(len(recording.MAGIC)) != recording.MAGIC:
            said = recording.MAGIC.decode().strip()
            raise RecordingError(f"it is no recording that this version reads: it does not begin with '{said}'")
        made = next(self._records(), None)
        if not isinstance(made, Made):
            raise RecordingError("it does not say which machine it is of: nothing but the beginning was written")
        self.made = made

    def replay(self, machine: Machine) -> Iterator[Replayed]:
        """Let a machine handle every event.

        Errors: RecordingError.
        """
        number = 0
        for record in self._records():
            match record:
                case Handled():
                    number += 1
                    yield _handle(machine, number, record, recording.unpack_event(self.made.role, record))
                case Stopped(reason):
                    self.notes.append(f"the recording stopped before its {self.made.role} did: {reason}")
                case Made():
                    raise RecordingError(f"a second machine begins after event {number}")

    def _records(self) -> Iterator[recording.AnyRecord]:
        read = self._file.read
        length_bytes = recording.LENGTH.size
        while head := read(length_bytes):
            length = recording.LENGTH.unpack(head)[0] if len(head) == length_bytes else 0
            if length > RECORD_BYTES_MAX:
                raise RecordingError(f"a record of {length} bytes can't be: it is damaged")
            body = read(length)
            if not length or len(body) < length:  # zeros are what a power cut leaves
                self.notes.append(
                    f"it ends within a record, as after kill -9: {len(head) + len(body)} bytes are left out"
                )
                return
            yield recording.decode(body)


def _handle(machine: Machine, number: int, record: Handled, event: Event) -> Replayed:
    try:
        effects = list(machine.handle(event, record.at))
        marks = recording.marks_of(effects)
        machine.next_deadline()  # the driver asks too, and a machine may tidy up when it is asked
    except Exception as error:  # noqa: BLE001 - a bug is part of a recording
        return Replayed(number, record, event, [], [], recording.fault_of(error))
    return Replayed(number, record, event, effects, marks, "")


def parser_of() -> argparse.ArgumentParser:
    """Return what the command understands."""
    parser = argparse.ArgumentParser(prog="merismos-sim replay", description=__doc__)
    parser.add_argument("file", type=Path, help="what mesos-master or mesos-agent wrote with --record=FILE")
    parser.add_argument(
        "--show", type=int, metavar="N", help="print event N and what comes of it in this version, in full"
    )
    return parser


def main(arguments: list[str]) -> int:
    """Replay a file and say what came of it."""
    given = parser_of().parse_args(arguments)
    try:
        with given.file.open("rb") as file:
            return _replay(Recording(file), given.show)
    except (OSError, RecordingError) as error:
        sys.stderr.write(f"merismos-sim replay: {given.file}: {error}\n")
        return 2


def _replay(source: Recording, show: int | None) -> int:
    made = source.made
    events = effects = 0
    if made.version != merismos.__version__:
        sys.stdout.write(f"recorded by {made.version}, replayed by {merismos.__version__}\n")
    for replayed in source.replay(recording.machine_of(made)):
        events += 1
        effects += len(replayed.effects)
        if replayed.number == show:
            sys.stdout.write("\n".join([*_event_lines(replayed, None), *_sides(replayed, None)]) + "\n")
        if not replayed.is_equal():
            lines = [
                f"{made.role}: the first {events - 1} events gave the same effects; event {events} gave others",
                *_event_lines(replayed, TEXT_MAX),
                *_sides(replayed, TEXT_MAX),
                f"the recorded side in full: let the version that recorded it ({made.version}) replay with --show {events}",
            ]
            sys.stdout.write("\n".join(lines) + "\n")
            return 1
    if show is not None and not 0 < show <= events:
        raise RecordingError(f"there is no event {show}: it has {events}")
    sys.stdout.write("".join(f"{note}\n" for note in source.notes))
    sys.stdout.write(f"{made.role}: {events} events, {effects} effects, all equal\n")
    return 0


def _event_lines(replayed: Replayed, limit: int | None) -> list[str]:
    record = replayed.record
    return [f"event {replayed.number} at {record.at:.6f} s:", f"  {record.kind} {_readable(replayed.event, limit)}"]


def _sides(replayed: Replayed, limit: int | None) -> list[str]:
    """Return the effects of both sides, one below the other, in order."""
    lines = []
    before, now = replayed.record.fault, replayed.fault
    if before or now:
        lines += [f"  recorded: raises {before or 'nothing'}", f"  replayed: raises {now or 'nothing'}"]
    triples = zip_longest(replayed.record.effects, replayed.marks, replayed.effects)
    for number, (old, new, effect) in enumerate(triples, 1):
        text = "" if effect is None else f"{type(effect).__name__} {_readable(recording.as_seen(effect), limit)}"
        if old == new:
            lines.append(f"  effect {number}, equal: {text}")
            continue
        recorded = "nothing" if old is None else f"{old[0]}, digest {old[1]:08x}"
        repeated = "nothing" if new is None else f"{text}, digest {new[1]:08x}"
        lines += [f"  effect {number}, recorded: {recorded}", f"  effect {number}, replayed: {repeated}"]
    return lines


def _readable(value: object, limit: int | None) -> str:
    """Return a value as one line of Python; bytes stay as they are, since most hold JSON."""
    text = repr(value)
    with suppress(TypeError, ValueError):
        text = repr(msgspec.to_builtins(value, builtin_types=(bytes,), enc_hook=recording.stand_in))
    if limit is None or len(text) <= limit:
        return text
    return f"{text[:limit]} ... ({len(text)} characters, all of which --show prints)"
