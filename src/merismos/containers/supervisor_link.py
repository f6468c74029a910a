"""The agent's end of the supervisor's socket: starts the supervisor, sends requests, hands its replies on.

Rules: all requests of a loop turn leave in one write. When the supervisor dies, its tasks are orphans without a parent that
knows them: they are killed, found by their session and the mark in their environment, before anyone hears of the loss.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Protocol, cast

from merismos.containers import supervisor
from merismos.shell.turn import Turn

_SCRIPT = Path(supervisor.__file__)
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


class ContainerEars(Protocol):
    """Who hears of containers."""

    def on_started(self, container_id: str, pid: int) -> None:
        """A process runs."""
        ...

    def on_failed(self, container_id: str, code: int, text: str) -> None:
        """A process could not be started; `code` is the errno."""
        ...

    def on_exited(self, container_id: str, status: int) -> None:
        """Nothing of a container is left; `status` is in wait(2) form."""
        ...

    def on_lost(self, reason: str) -> None:
        """The supervisor died, and every container with it."""
        ...


class SupervisorLink(asyncio.Protocol):
    """One supervisor process and the socket to it."""

    def __init__(self, ears: ContainerEars, turn: Turn) -> None:
        self.pid = 0
        self._ears = ears
        self._turn = turn
        self._reader = supervisor.FrameReader()
        self._transport: asyncio.Transport | None = None
        self._batch: list[bytes] = []
        self._pids: dict[bytes, int] = {}
        self._closing = False
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Start the supervisor.

        Errors: OSError where the process or the socket can't be had.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            self.pid = os.posix_spawn(  # noqa: ASYNC221 - takes under a millisecond
                sys.executable,
                [sys.executable, "-I", "-S", str(_SCRIPT)],
                _ENVIRONMENT,
                file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0)],
                setsid=True,
            )
        ours.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=ours)

    def spawn(
        self, container_id: str, directory: str, arguments: list[str], argv0: str, environment: list[str]
    ) -> None:
        """Ask for a process in `directory`, its output appended to `stdout` and `stderr` there.

        Errors: ValueError where something holds a NUL or can't be encoded.
        """
        fields = [
            container_id,
            directory,
            f"{directory}/stdout",
            f"{directory}/stderr",
            str(len(arguments) + 1),
            arguments[0],
            argv0,
            *arguments[1:],
            *environment,
        ]
        self._send(supervisor.SPAWN, fields)

    def signal(self, container_id: str, number: int) -> None:
        """Send a signal to every process of a container."""
        self._send(supervisor.SIGNAL, [container_id, str(number)])

    async def close(self) -> None:
        """End the supervisor and every container it still has."""
        self._closing = True
        if self._transport is not None:
            self._flush()
            self._transport.write_eof()
            await self._gone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand replies on."""
        ears = self._ears
        for kind, fields in self._reader.feed(data):
            container_id = fields[0].decode()
            if kind == supervisor.STARTED:
                self._pids[fields[0]] = int(fields[1])
                ears.on_started(container_id, int(fields[1]))
            elif kind == supervisor.EXITED:
                self._pids.pop(fields[0], None)
                ears.on_exited(container_id, int(fields[1]))
            elif kind == supervisor.FAILED:
                ears.on_failed(container_id, int(fields[1]), fields[2].decode())

    def connection_lost(self, exc: Exception | None) -> None:
        """Collect the supervisor; kill what it left behind."""
        self._transport = None
        _, status = os.waitpid(self.pid, 0)
        if not self._gone.done():
            self._gone.set_result(None)
        if self._closing:
            return
        self._kill_orphans()
        self._pids.clear()
        how = f"signal {status & 0x7F}" if status & 0x7F else f"status {status >> 8}"
        self._ears.on_lost(f"the supervisor of this agent's tasks ended with {how}" + (f" ({exc})" if exc else ""))

    def _kill_orphans(self) -> None:
        sessions = set(self._pids.values())
        own = os.getpid()
        for row in supervisor.read_procs():
            if row.pid == own:
                continue
            if row.session in sessions or supervisor.container_id_of(row.pid) in self._pids:
                supervisor.signal_pid(row.pid, signal.SIGKILL)

    def _send(self, kind: bytes, fields: list[str]) -> None:
        frame = supervisor.encode_frame(kind, "\0".join(fields).encode("utf-8", "surrogateescape"), len(fields))
        if not self._batch:
            self._turn.at_end(self._flush)
        self._batch.append(frame)

    def _flush(self) -> None:
        batch, self._batch = self._batch, []
        if self._transport is not None and batch:
            self._transport.write(b"".join(batch))
