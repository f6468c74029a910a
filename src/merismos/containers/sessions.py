"""The input and output of sessions: a terminal or three pipes for each, read by whoever is attached.

Rules: a process gets its end by path, opened by a shell that becomes the process, so that nobody else ever waits for a pipe; the
agent holds the other end, without blocking. That shell says when it has opened them: a pipe that we closed before would be lost. What is written before somebody is attached is kept up to a bound, then the process has
to wait; a reader that is slower than the process makes it wait, too. A session is over when its process is and all is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import shutil
import struct
import termios
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

from merismos.core.agent import effects

READ_BYTES = 32 * 1024
KEPT_BYTES_MAX = 1024 * 1024
WAITING_INPUT_BYTES_MAX = 1024 * 1024
PROLOGUE = 'exec <"$1" >"$2" 2>"$3"; : >"$4"; shift 4; exec "$@"'
TERMINAL_PROLOGUE = 'exec <>"$1" >&0 2>&0; shift 1; exec "$@"'

Piece = tuple[str, bytes]  # STDOUT or STDERR, and what was written


class SessionError(Exception):
    """A session can't take that; the text says why."""


class Session:
    """The agent's ends of one process' input and output."""

    def __init__(
        self, outputs: dict[str, int], writer: int, keeps: list[int], opened: int = -1, *, is_tty: bool
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._outputs = outputs
        self._writer = writer
        self._keeps = keeps
        self.is_tty = is_tty
        self._readers: list[deque[Piece]] = []
        self._kept: deque[Piece] = deque()
        self._kept_bytes = 0
        self._paused: set[str] = set()
        self._input: deque[bytes] = deque()
        self._input_ends = False
        self._changed = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._opened = opened
        for name, fd in outputs.items():
            self._loop.add_reader(fd, self._read, name)
        if opened >= 0:
            self._loop.add_reader(opened, self._on_opened)

    # ------------------------------------------------------------------ output

    async def read(self) -> AsyncIterator[Piece]:
        """Yield what the process writes, from what nobody has read yet to the end."""
        mine: deque[Piece] = deque()
        if not self._readers:
            mine, self._kept, self._kept_bytes = self._kept, deque(), 0
        self._readers.append(mine)
        self._resume()
        try:
            while True:
                while mine:
                    yield mine.popleft()
                    if not mine:
                        self._resume()
                if not self._outputs:
                    return
                self._changed.clear()
                await self._changed.wait()
        finally:
            self._readers = [one for one in self._readers if one is not mine]
            self._resume()

    def _read(self, name: str) -> None:
        fd = self._outputs[name]
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:  # a terminal whose other end nobody has open any more
                raise
            data = b""
        if not data:
            self._close_output(name)
            return
        for reader in self._readers:
            reader.append((name, data))
        if not self._readers:
            self._kept.append((name, data))
            self._kept_bytes += len(data)
        if self._is_full():
            self._loop.remove_reader(fd)
            self._paused.add(name)
        self._changed.set()

    def _is_full(self) -> bool:
        if not self._readers:
            return self._kept_bytes >= KEPT_BYTES_MAX
        return max(sum(len(data) for _, data in reader) for reader in self._readers) >= KEPT_BYTES_MAX

    def _resume(self) -> None:
        if self._paused and not self._is_full():
            for name in self._paused:
                if name in self._outputs:
                    self._loop.add_reader(self._outputs[name], self._read, name)
            self._paused.clear()

    def _close_output(self, name: str) -> None:
        fd = self._outputs.pop(name)
        self._loop.remove_reader(fd)
        if fd != self._writer:
            os.close(fd)
        if not self._outputs:
            self._close_input()
        self._changed.set()

    # ------------------------------------------------------------------ input

    async def write(self, data: bytes) -> None:
        """Give the process input; nothing ends it. Waits while the process doesn't take it.

        Errors: SessionError where its input has ended already.
        """
        if self._input_ends or self._writer < 0:
            raise SessionError("Disconnected")
        if not data:
            self._input_ends = True
        self._input.append(data)
        self._flush()
        if sum(map(len, self._input)) > WAITING_INPUT_BYTES_MAX:
            self._drained.clear()
            await self._drained.wait()

    def _on_opened(self) -> None:
        """The process has its ends: input may be written, and end."""
        if self._opened >= 0:
            self._loop.remove_reader(self._opened)
            os.close(self._opened)
            self._opened = -1
            self._flush()

    def _flush(self) -> None:
        if self._opened >= 0:
            return
        while self._input and self._writer >= 0:
            data = self._input[0]
            if not data:
                self._end_input()
                break
            try:
                written = os.write(self._writer, data)
            except BlockingIOError:
                self._loop.add_writer(self._writer, self._flush)
                return
            except OSError:
                self._close_input()
                break
            if written == len(data):
                self._input.popleft()
            else:
                self._input[0] = data[written:]
        if self._writer >= 0:
            self._loop.remove_writer(self._writer)
        self._drained.set()

    def _end_input(self) -> None:
        self._input.clear()
        if self.is_tty:
            os.write(self._writer, b"\x04")
        else:
            self._close_input()

    def _close_input(self) -> None:
        if self._writer >= 0:
            self._loop.remove_writer(self._writer)
            os.close(self._writer)
            self._writer = -1
        self._input.clear()
        self._drained.set()

    def resize(self, rows: int, columns: int) -> None:
        """Give the terminal another size; a process without one doesn't care."""
        if self.is_tty and self._writer >= 0:
            fcntl.ioctl(self._writer, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    # ------------------------------------------------------------------ the end

    def end(self) -> None:
        """The process is gone: what it wrote is read, then the output ends."""
        self._on_opened()
        for fd in self._keeps:
            os.close(fd)
        self._keeps.clear()
        for name in list(self._outputs):
            if name not in self._paused:
                self._read(name)  # nothing wakes a pipe that nobody ever opened to write

    def abort(self) -> None:
        """End at once, whatever isn't read."""
        self.end()
        for name in list(self._outputs):
            self._close_output(name)


class Sessions:
    """The sessions of one agent, by container id; their pipes lie under one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._sessions: dict[str, Session] = {}
        shutil.rmtree(directory, ignore_errors=True)

    def get(self, container_id: str) -> Session | None:
        """Return a session, None for a container that has none."""
        return self._sessions.get(container_id)

    def open(self, effect: effects.LaunchContainer, owner: int | None) -> list[str]:
        """Make the streams of a session; return the words that are to come before its command.

        Errors: OSError.
        """
        assert effect.streams is not None, "only a session has streams"
        make = self._open_pipes if effect.streams.tty is None else self._open_terminal
        session, prologue, paths = make(effect, owner)
        self._sessions[effect.container_id] = session
        return ["/bin/sh", "-c", prologue, "sh", *paths]

    def _open_pipes(self, effect: effects.LaunchContainer, owner: int | None) -> tuple[Session, str, list[str]]:
        del owner  # they are opened before the user is taken on
        home = self._directory / effect.container_id
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        paths = {name: str(home / name) for name in ("STDIN", "STDOUT", "STDERR", "OPENED")}
        for path in paths.values():
            os.mkfifo(path, 0o600)
        reads = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        outputs = {name: os.open(paths[name], reads) for name in ("STDOUT", "STDERR")}
        opened = os.open(paths["OPENED"], reads)
        # Read and write: a pipe that nobody reads yet can't be opened to write.
        writer = os.open(paths["STDIN"], os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        return Session(outputs, writer, [], opened, is_tty=False), PROLOGUE, list(paths.values())

    def _open_terminal(self, effect: effects.LaunchContainer, owner: int | None) -> tuple[Session, str, list[str]]:
        assert effect.streams is not None
        assert effect.streams.tty is not None
        ours, theirs = os.openpty()
        path = os.ttyname(theirs)
        if owner is not None:
            os.chown(path, owner, -1)
        os.set_blocking(ours, False)
        session = Session({"STDOUT": ours}, ours, [theirs], is_tty=True)
        session.resize(*effect.streams.tty)
        return session, TERMINAL_PROLOGUE, [path]

    def end(self, effect: effects.EndStreams) -> None:
        """The process of a session is gone."""
        session = self._sessions.pop(effect.container_id, None)
        shutil.rmtree(self._directory / effect.container_id, ignore_errors=True)
        if session is not None:
            session.end()

    def close(self) -> None:
        """End every session."""
        for session in self._sessions.values():
            with contextlib.suppress(OSError):
                session.abort()
        self._sessions.clear()
