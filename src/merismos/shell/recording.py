"""Records what a machine handles, so that `merismos-sim replay` can let another one live the same life.

Rules: a recording is only ever added to, never overwritten and never cut, since its first events are what the later ones stand on:
where the file exists, the next of FILE.1 to FILE.9 is taken, and at its bound a recording stops. Nothing that goes wrong with it
touches the machine: it stops, and says so once. The disk is waited for in a thread of its own; what was handed over is in the
file's pages, and outlives the process.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue

import structlog

from merismos.core import recording
from merismos.core.kernel import Effect, Event, Machine
from merismos.shell.flags import Flags
from merismos.shell.turn import Turn

FILES_MAX = 10
BACKLOG_BYTES_MAX = 64 * 1024 * 1024
HAND_OVER_BYTES = 1024 * 1024
CLOSE_S_MAX = 2.0

log = structlog.get_logger()


class RecordFile:
    """A file that takes records, written by a thread; `is_open` until it is closed, full or broken.

    Errors: OSError from the constructor.
    """

    def __init__(self, path: Path, bytes_max: int, turn: Turn) -> None:
        self.path, self._file = _create(path)
        self.is_open = True
        self._bytes_max = bytes_max
        self._turn = turn
        self._bytes = 0
        self._written = 0
        self._pending = bytearray()
        self._asked = False
        self._is_told = False
        self._batches: SimpleQueue[bytes | None] = SimpleQueue()
        self._writer = threading.Thread(target=self._write_all, name="recording", daemon=True)
        self._writer.start()
        self._take(recording.MAGIC)

    def add(self, record: recording.Record) -> None:
        """Write a record at the end of the turn."""
        data = recording.encode(record)
        if self._bytes + len(data) > self._bytes_max:
            self.stop(f"it reached its bound of {self._bytes_max} bytes (--record_size)")
        elif self._bytes - self._written > BACKLOG_BYTES_MAX:
            self.stop("its disk is too slow")
        else:
            self._take(data)

    def stop(self, reason: str) -> None:
        """Record nothing more, and say why: here, and as the last record."""
        if self.is_open:
            self._tell(reason)
            self._take(recording.encode(recording.Stopped(reason)))
            self._end()

    def close(self) -> None:
        """Write what there is, and end; a disk that hangs is not waited for."""
        if self.is_open:
            self._end()
        self._writer.join(CLOSE_S_MAX)

    def _end(self) -> None:
        self.is_open = False
        self._hand_over()
        self._batches.put(None)

    def _take(self, data: bytes) -> None:
        self._bytes += len(data)
        self._pending += data
        if len(self._pending) >= HAND_OVER_BYTES:
            self._hand_over()
        elif not self._asked:
            self._asked = True
            self._turn.at_end(self._at_end)

    def _at_end(self) -> None:
        self._asked = False
        self._hand_over()

    def _hand_over(self) -> None:
        if self._pending:
            self._batches.put(bytes(self._pending))
            self._pending.clear()

    def _tell(self, reason: str) -> None:
        if not self._is_told:
            self._is_told = True
            log.error("the recording stops; all else goes on", file=str(self.path), reason=reason)

    def _write_all(self) -> None:
        try:
            while (batch := self._batches.get()) is not None:
                rest = memoryview(batch)
                while rest:
                    rest = rest[os.write(self._file, rest) :]
                self._written += len(batch)
        except OSError as error:
            self.is_open = False
            self._tell(str(error))
        finally:
            os.close(self._file)


class RecordingMachine:
    """A machine whose events and effects go to a file; innermost, so that it sees all that the machine sees."""

    __slots__ = ("_file", "_handle", "next_deadline")

    def __init__(self, machine: Machine, file: RecordFile, made: recording.Made) -> None:
        self._handle = machine.handle
        self.next_deadline = machine.next_deadline
        self._file = file
        file.add(made)

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        """Let the machine handle `event`, and record both."""
        file = self._file
        if not file.is_open:
            return self._handle(event, now)
        kind = event.__class__.__name__
        try:
            body, is_json = recording.pack_event(event)
        except Exception as error:  # noqa: BLE001 - whatever can't be written, the machine has to handle
            file.stop(f"a {kind} can't be written: {error!r}")
            return self._handle(event, now)
        try:
            effects = self._handle(event, now)
        except Exception as error:
            file.add(recording.Handled(now, kind, body, is_json, fault=recording.fault_of(error)))
            raise
        try:
            file.add(recording.Handled(now, kind, body, is_json, recording.marks_of(effects)))
        except Exception as error:  # noqa: BLE001 - likewise for the shell and what it has to perform
            file.stop(f"an effect of a {kind} can't be written: {error!r}")
        return effects


def open_record(flags: Flags, turn: Turn) -> RecordFile | None:
    """Return the file of --record; None where there is none, or it can't be had."""
    name = flags.text("record")
    if name is None:
        return None
    try:
        file = RecordFile(Path(name), flags.whole("record_size"), turn)
    except OSError as error:
        log.error("nothing is recorded; all else goes on", file=name, reason=str(error))  # noqa: TRY400 - no bug
        return None
    log.warning("every event is recorded, with all that it holds, secrets too", file=str(file.path))
    return file


def _create(path: Path) -> tuple[Path, int]:
    """Create the first of FILE, FILE.1 ... that isn't there yet."""
    for number in range(FILES_MAX):
        one = path.with_name(f"{path.name}.{number}") if number else path
        try:
            return one, os.open(one, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            continue
    raise FileExistsError(f"{path} and {path.name}.1 to .{FILES_MAX - 1} exist; move away what is no longer wanted")
