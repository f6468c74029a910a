"""The output of Docker's containers, brought into the sandbox's files.

Rules: each stream of a container is followed by itself, since only within one do times never go back. What was copied is known
from the file's own length and a small record beside the agent's other ones, so that another agent goes on where this one was
killed, without loss and without doubles; only where something else cut the file meanwhile (log rotation) may a piece come twice.
What Docker throws away itself (a log driver's size bound, while no agent runs) is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from merismos.containers.docker.client import Engine, EngineDown, EngineError, named

STREAMS = ("stdout", "stderr")
AGAIN_S = 1.0
RECORD_BYTES = 1024 * 1024
_HEADER_BYTES = 8
_NOT_FOUND = 404


class _Position(msgspec.Struct):
    """The file had `size` bytes before what was written at `time` and later."""

    time: str
    size: int


def expect_output(container: str, directory: str, records: Path) -> None:
    """Write down where the output of a container that is about to be started begins.

    Errors: OSError.
    """
    records.mkdir(parents=True, exist_ok=True)
    for stream in STREAMS:
        path = Path(directory, stream)
        _write(records / f"{container}.{stream}", _Position("", path.stat().st_size if path.exists() else 0))


def is_expected(container: str, records: Path) -> bool:
    """Say whether output of a container may not have been copied yet."""
    return any((records / f"{container}.{stream}").exists() for stream in STREAMS)


class LogFollower:
    """Copies one stream of one container until it ends."""

    def __init__(self, engine: Engine, container: str, stream: str, directory: str, records: Path) -> None:
        self._engine = engine
        self._container = container
        self._stream = stream
        self._path = Path(directory, stream)
        self._record = records / f"{container}.{stream}"
        self._over = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def end(self, within_s: float) -> None:
        """Return once all is copied, or after a time; the record isn't needed any more."""
        self._over.set()
        await asyncio.wait({self._task}, timeout=within_s)
        await self.stop()
        self._record.unlink(missing_ok=True)

    async def stop(self) -> None:
        """Copy no more for now."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        """Follow the stream as often as it ends, then read what an Engine may have left out at the very end."""
        try:
            while not self._over.is_set():
                await self._try_to_copy(follows=True)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._over.wait(), AGAIN_S)
            await self._try_to_copy(follows=False)
        except EngineError as error:
            if error.status != _NOT_FOUND:
                self._complain(str(error))

    async def _try_to_copy(self, *, follows: bool) -> None:
        try:
            await self._copy(follows=follows)
        except EngineDown:
            return
        except OSError as error:
            why = "the output of a container can't be written"
            structlog.get_logger().warning(why, file=str(self._path), why=str(error))

    def _complain(self, why: str) -> None:
        """Say in the file itself that Docker doesn't give the output away: its log driver can't be read, for one."""
        with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.write(f"the container's {self._stream} can't be had from Docker: {why}\n")

    async def _copy(self, *, follows: bool) -> None:
        with self._path.open("ab", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            position = self._read_record(size)
            skip = max(size - position.size, 0)
            query = {"follow": str(int(follows)), "timestamps": "1", self._stream: "1"}
            if position.time:
                query["since"] = _seconds(position.time)
            async with self._engine.stream("GET", f"{named(self._container)}/logs", query) as pieces:
                buffered = bytearray()
                last = ""
                async for piece in pieces:
                    buffered += piece
                    out = bytearray()
                    for message in _take_frames(buffered):
                        stamp, _, text = message.partition(b" ")
                        time = stamp.decode(errors="replace")
                        if size + len(out) - position.size >= RECORD_BYTES and time != last and not skip:
                            size += _append(file, out)
                            out.clear()
                            position = _Position(time, size)
                            _write(self._record, position)
                        last = time
                        passed = min(skip, len(text))
                        skip -= passed
                        out += text[passed:]
                    size += _append(file, out)

    def _read_record(self, size: int) -> _Position:
        try:
            return msgspec.json.decode(self._record.read_bytes(), type=_Position)
        except (OSError, msgspec.DecodeError):
            position = _Position("", size)
            _write(self._record, position)
            return position


def _write(record: Path, position: _Position) -> None:
    new = record.with_name(record.name + ".new")
    new.write_bytes(msgspec.json.encode(position))
    new.replace(record)


def _append(file: io.FileIO, data: bytearray) -> int:
    """Write all of it; return how much that was.

    Errors: OSError.
    """
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]
    return len(data)


def _take_frames(buffered: bytearray) -> list[bytes]:
    """Take the whole messages off a buffer: one byte of stream, three of nothing, four of length, then the text."""
    messages = []
    at = 0
    while len(buffered) - at >= _HEADER_BYTES:
        end = at + _HEADER_BYTES + int.from_bytes(buffered[at + 4 : at + _HEADER_BYTES], "big")
        if len(buffered) < end:
            break
        messages.append(bytes(buffered[at + _HEADER_BYTES : end]))
        at = end
    del buffered[:at]
    return messages


def _seconds(time: str) -> str:
    """Return a time such as 2026-01-02T03:04:05.678901234Z, as SECONDS.NANOSECONDS."""
    whole, _, fraction = time.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
    return f"{seconds}.{fraction.ljust(9, '0')[:9]}"
