"""An agent's checkpoints in one append-only file, `META/slaves/ID/checkpoints`; `META/slaves/latest` leads to ID.

Rules: all changes of a loop turn are one write; what must survive a power cut is followed by one fdatasync on a thread, and what
comes meanwhile waits for the next write. The file is written anew, without what was dropped, when it has grown, when it is opened
(so an agent that was overtaken writes into a file that nobody reads) and after a failed sync; renamed into place, it is whole or
not there. A disk that is full or broken is tried again every second, and nothing is reported as written meanwhile.
Shapes: a frame is two magic bytes, length and CRC-32 of its body; a body is a kind byte, the key's length, the key, the record.
Errors: CheckpointError out of `load`. A frame that is cut off, or garbled with nothing readable behind it, was never reported as
written: it is left out. One with readable frames behind it is damage.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from merismos.ports.checkpoints import Change, CheckpointError, Entries, Written
from merismos.shell.turn import Turn

FORMAT = b"merismos checkpoints 1"
RETRY_S = 1.0
GROWN_BYTES_MIN = 8 << 20
GROWN_TIMES = 4
_MAGIC = b"\xa5\x5a"
_HEAD = struct.Struct(">2sII")
_BODY = struct.Struct(">cH")
_KEEP, _DROP, _FORMAT = b"k", b"d", b"f"
_CLOSED = -1


def frame(kind: bytes, key: str, record: bytes = b"") -> bytes:
    """Return one frame."""
    raw = key.encode()
    body = _BODY.pack(kind, len(raw)) + raw + record
    return _HEAD.pack(_MAGIC, len(body), zlib.crc32(body)) + body


def body_at(data: bytes, start: int) -> bytes | None:
    """Return the body of the frame that begins at `start`, None where there is no whole and sound one."""
    if len(data) - start < _HEAD.size:
        return None
    magic, length, checksum = _HEAD.unpack_from(data, start)
    body = data[start + _HEAD.size : start + _HEAD.size + length]
    sound = magic == _MAGIC and len(body) == length >= _BODY.size and zlib.crc32(body) == checksum
    return body if sound else None


def next_sound(data: bytes, start: int) -> int | None:
    """Return where the next sound frame begins, None where nothing sound follows."""
    while (start := data.find(_MAGIC, start)) >= 0:
        if body_at(data, start) is not None:
            return start
        start += 1
    return None


def read_frames(data: bytes, path: Path) -> tuple[Entries, list[str]]:
    """Return what a file holds, and what of it is damaged.

    Errors: CheckpointError for a file of another form.
    """
    entries: Entries = {}
    damage: list[str] = []
    start = 0
    while start < len(data):
        body = body_at(data, start)
        if body is None:
            following = next_sound(data, start + 1)
            if following is None:
                break
            damage.append(f"{path} is damaged from byte {start} to byte {following}")
            start = following
            continue
        kind, length = _BODY.unpack_from(body)
        key = body[_BODY.size : _BODY.size + length].decode()
        record = body[_BODY.size + length :]
        if kind == _KEEP:
            entries.setdefault(key, []).append(record)
        elif kind == _DROP:
            entries.pop(key, None)
        elif record != FORMAT:
            raise CheckpointError(f"{path} has the form '{record.decode()}': start the version that wrote it")
        start += _HEAD.size + len(body)
    return entries, damage


class CheckpointLog:
    """The checkpoints of one agent.

    Shapes: `written` is called with the sequence numbers; `stalled` with what keeps it from writing, then with None once it writes.
    """

    def __init__(self, meta: Path, turn: Turn, written: Written, stalled: Callable[[str | None], None]) -> None:
        self._slaves = meta / "slaves"
        self._turn = turn
        self._written = written
        self._stalled = stalled
        self._directory: Path | None = None
        self._live: dict[str, list[bytes]] = {}
        self._buffer: list[bytes] = []
        self._sequence = 0
        self._durable = False
        self._asked = False
        self._busy = False
        self._failing = False
        self._fd = _CLOSED
        self._size = 0
        self._size_max = GROWN_BYTES_MIN
        self._retrying: asyncio.TimerHandle | None = None
        self._thread = ThreadPoolExecutor(1, "checkpoints")

    def load(self) -> tuple[Entries, list[str]]:
        """Return what the latest agent wrote down, and what of it is damaged."""
        try:
            path = (self._slaves / "latest").resolve(strict=True) / "checkpoints"
            data = path.read_bytes()
        except FileNotFoundError:
            return {}, []
        except OSError as error:
            raise CheckpointError(f"the agent's checkpoints can't be read: {error}") from error
        entries, damage = read_frames(data, path)
        for key, records in entries.items():
            self._live[key] = [frame(_KEEP, key, record) for record in records]
        return entries, damage

    def open(self, agent_id: str) -> None:
        """Write for this agent from now on; what another left is forgotten."""
        directory = self._slaves / agent_id
        latest = self._slaves / "latest"
        if not latest.is_symlink() or latest.readlink().name != agent_id:
            self._live.clear()
        self._directory = directory
        self._close_file()

    def forget(self) -> None:
        """Let nothing be found by the next start."""
        (self._slaves / "latest").unlink(missing_ok=True)
        if self._directory is not None:
            (self._directory / "checkpoints").unlink(missing_ok=True)
        self._directory = None
        if not self._busy:
            self._close_file()

    def write(self, sequence: int, changes: Sequence[Change], *, durable: bool) -> None:
        """Write changes at the end of this turn."""
        live = self._live
        for key, record in changes:
            if record is None:
                if live.pop(key, None) is not None:
                    self._buffer.append(frame(_DROP, key))
            else:
                made = frame(_KEEP, key, record)
                live.setdefault(key, []).append(made)
                self._buffer.append(made)
        self._sequence = sequence
        self._durable = self._durable or durable
        if not self._asked and not self._busy and self._retrying is None:
            self._asked = True
            self._turn.at_end(self._flush)

    async def close(self) -> None:
        """Write what waits, if it can be written."""
        if self._retrying is not None:
            self._retrying.cancel()
        await asyncio.get_running_loop().run_in_executor(self._thread, lambda: None)
        if self._buffer and self._fd != _CLOSED:
            with contextlib.suppress(OSError):
                self._append(b"".join(self._buffer))
        self._directory = None
        self._close_file()
        self._thread.shutdown(wait=True)

    # ------------------------------------------------------------ writing
    def _flush(self) -> None:
        self._asked = False
        self._retrying = None
        if self._busy:
            return
        if self._directory is None:
            self._report(self._take())
        elif self._fd == _CLOSED or self._size > self._size_max:
            frames = [one for frames in self._live.values() for one in frames]
            self._in_thread(self._rewrite, self._directory, frames)
        else:
            try:
                self._append(b"".join(self._buffer))
            except OSError as error:
                self._fail(error)
                return
            if self._durable:
                self._in_thread(os.fdatasync, self._fd)
            else:
                self._report(self._take())

    def _append(self, data: bytes) -> None:
        try:
            written = 0
            while written < len(data):
                written += os.write(self._fd, data[written:] if written else data)
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)
        self._buffer.clear()

    def _in_thread(self, work: Callable[..., None], *arguments: object) -> None:
        self._busy = True
        sequence = self._take()
        future = asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        future.add_done_callback(lambda done: self._done(sequence, done.exception()))

    def _done(self, sequence: int, error: BaseException | None) -> None:
        self._busy = False
        if self._directory is None:
            self._close_file()
        if error is None or self._directory is None:
            self._report(sequence)
            if self._sequence > sequence:
                self._flush()
        else:
            self._durable = True
            self._close_file()
            self._fail(error)

    def _take(self) -> int:
        self._durable = False
        self._buffer.clear()
        return self._sequence

    def _report(self, sequence: int) -> None:
        if self._failing:
            self._failing = False
            self._stalled(None)
        self._written(sequence)

    def _fail(self, error: BaseException) -> None:
        if not self._failing:
            self._failing = True
            self._stalled(f"{self._directory}: {error}")
        self._retrying = asyncio.get_running_loop().call_later(RETRY_S, self._flush)

    def _rewrite(self, directory: Path, frames: Iterable[bytes]) -> None:
        fresh = not directory.is_dir()
        directory.mkdir(parents=True, exist_ok=True)
        if self._fd != _CLOSED and not names(directory / "checkpoints", self._fd):
            raise OSError(f"another agent writes {directory / 'checkpoints'}")
        new = directory / "checkpoints.new"
        data = frame(_FORMAT, "", FORMAT) + b"".join(frames)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            written = 0
            while written < len(data):
                written += os.write(fd, data[written:])
            os.fsync(fd)
            new.replace(directory / "checkpoints")
            sync_directory(directory)
            point(self._slaves / "latest", directory.name)
            if fresh:
                remove_others(self._slaves, directory.name)
        except OSError:
            os.close(fd)
            new.unlink(missing_ok=True)
            raise
        old, self._fd = self._fd, fd
        self._size = len(data)
        self._size_max = max(GROWN_BYTES_MIN, GROWN_TIMES * len(data))
        if old != _CLOSED:
            os.close(old)

    def _close_file(self) -> None:
        if self._fd != _CLOSED:
            os.close(self._fd)
            self._fd = _CLOSED


def names(path: Path, fd: int) -> bool:
    """Say whether a path leads to an open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def point(link: Path, name: str) -> None:
    """Let a symbolic link lead to `name`, whole or not at all."""
    if link.is_symlink() and link.readlink().name == name:
        return
    new = link.with_name("latest.new")
    new.unlink(missing_ok=True)
    new.symlink_to(name)
    new.replace(link)
    sync_directory(link.parent)


def remove_others(slaves: Path, name: str) -> None:
    """Remove what agents of other ids left."""
    for entry in slaves.iterdir():
        if entry.is_dir() and not entry.is_symlink() and entry.name != name:
            shutil.rmtree(entry, ignore_errors=True)
