"""The agent's end of the supervisor's socket: finds or starts the supervisor, sends requests, hands its replies on.

Rules: all requests of a loop turn leave in one write. When the supervisor dies, its tasks are orphans without a parent that
knows them: they are killed, found by their session and the mark in their environment, before anyone hears of the loss.
An agent that another one has taken over from touches nothing any more.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from merismos.containers import supervisor, supervisor_socket
from merismos.core.agent.events import HeldContainer
from merismos.shell.turn import Turn

ANSWER_S_MAX = 20.0
END_S_MAX = 10.0
_ATTEMPTS = 5
_ROUNDS = 4
_ROUND_S = 0.01


class ContainerEars(Protocol):
    """Who hears of containers."""

    def on_started(self, container_id: str, pid: int) -> None:
        """A process runs."""
        ...

    def on_failed(self, container_id: str, code: int, text: str, directory: str) -> None:
        """A process could not be started in `directory`; `code` is the errno."""
        ...

    def on_exited(self, container_id: str, status: int) -> None:
        """Nothing of a container is left; `status` is in wait(2) form."""
        ...

    def on_lost(self, reason: str) -> None:
        """The supervisor died, and every container with it."""
        ...

    def on_taken_over(self) -> None:
        """Another agent has the supervisor now."""
        ...


class SupervisorLink(asyncio.Protocol):
    """The supervisor's process, and the socket to it at `path`.

    Shapes: `scope` are words that start a supervisor elsewhere than where we are; `holder` names the supervisor's process, `held` is what it had when we came.
    """

    def __init__(
        self, ears: ContainerEars, turn: Turn, path: Path, timeout_s: float, scope: Sequence[str] = ()
    ) -> None:
        self.pid = 0
        self.holder = ""
        self.held: list[HeldContainer] = []
        self._ears = ears
        self._turn = turn
        self._path = path
        self._timeout_s = timeout_s
        self._scope = scope
        self._reader = supervisor.FrameReader()
        self._transport: asyncio.Transport | None = None
        self._batch: list[bytes] = []
        self._pids: dict[bytes, int] = {}
        self._ours = 0
        self._closing = False
        self._ending = False
        self._fenced = False
        self._ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Take over the supervisor that is there, or start one; `held` is known then.

        Errors: OSError where the process or the socket can't be had, or nobody answers at it.
        """
        for _ in range(_ATTEMPTS):
            connection = supervisor_socket.connect(self._path)
            if connection is None:
                self._ours = supervisor_socket.start(self._path, self._timeout_s, self._scope)
                connection = supervisor_socket.connect(self._path)
                if connection is None:
                    continue
            connection.setblocking(False)
            self._ready = asyncio.get_running_loop().create_future()
            await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=connection)
            try:
                async with asyncio.timeout(ANSWER_S_MAX):
                    if await self._ready:
                        return
            except TimeoutError as error:
                text = f"the supervisor at {self._path} does not answer; if it is stopped, let it go on or kill it"
                raise OSError(text) from error
        raise OSError(f"no supervisor stays at {self._path}; look for what ends processes there")

    def spawn(
        self,
        container_id: str,
        directory: str,
        arguments: list[str],
        argv0: str,
        environment: list[str],
        *,
        boxed: bool = False,
    ) -> None:
        """Ask for a process in `directory`, its output appended to `stdout` and `stderr` there; `boxed`: it runs a container of its own.

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
        self._send(supervisor.SPAWN_BOXED if boxed else supervisor.SPAWN, fields)

    def signal(self, container_id: str, number: int) -> None:
        """Send a signal to every process of a container."""
        self._send(supervisor.SIGNAL, [container_id, str(number)])

    def collect(self, container_id: str) -> None:
        """Let the supervisor forget the exit status of a container."""
        self._send(supervisor.COLLECT, [container_id])

    async def close(self, *, end: bool) -> None:
        """Let go of the supervisor; with `end` it ends every container that it still has, and itself."""
        self._closing, self._ending = True, end
        if self._transport is None:
            return
        if end:
            self._send(supervisor.END, [""])
        self._flush()
        if end:
            async with asyncio.timeout(END_S_MAX):
                await asyncio.shield(self._gone)
        else:
            self._transport.close()
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
                ears.on_failed(container_id, int(fields[1]), fields[2].decode(), os.fsdecode(fields[3]))
            else:
                self._greet(kind, fields)

    def _greet(self, kind: bytes, fields: list[bytes]) -> None:
        if kind == supervisor.HELLO:
            self.holder = fields[0].decode()
            self.pid = int(fields[1])
        elif kind == supervisor.HELD:
            status = int(fields[2]) if fields[2] else None
            self.held.append(HeldContainer(fields[0].decode(), int(fields[1]), status, int(fields[3])))
            if status is None and fields[1] != b"0":
                self._pids[fields[0]] = int(fields[1])
        elif kind == supervisor.READY:
            self._ready.set_result(True)
        elif kind == supervisor.FENCED:
            self._fenced = True
            self._ears.on_taken_over()

    def connection_lost(self, exc: Exception | None) -> None:
        """Collect the supervisor; kill what it left behind."""
        self._transport = None
        if not self._ready.done():
            self.held.clear()
            self._reader = supervisor.FrameReader()
            self._reap()
            self._ready.set_result(False)
            return
        how = ""
        if not self._fenced and not self._closing:
            how = self._reap()
            self._kill_orphans()
            self._pids.clear()
        elif self._ending:
            self._reap()
        if not self._gone.done():
            self._gone.set_result(None)
        if how:
            self._ears.on_lost(f"the supervisor of this agent's tasks ended{how}" + (f" ({exc})" if exc else ""))

    def _reap(self) -> str:
        """Collect the supervisor where it is our child; return how it ended."""
        if not self._ours:
            return " (started by an earlier agent, so nobody knows how)"
        _, status = os.waitpid(self._ours, 0)
        self._ours = 0
        return f" with signal {status & 0x7F}" if status & 0x7F else f" with status {status >> 8}"

    def _kill_orphans(self) -> None:
        kill_remains(list(self._pids), list(self._pids.values()))

    def _send(self, kind: bytes, fields: list[str]) -> None:
        frame = supervisor.encode_frame(kind, "\0".join(fields).encode("utf-8", "surrogateescape"), len(fields))
        if not self._batch:
            self._turn.at_end(self._flush)
        self._batch.append(frame)

    def _flush(self) -> None:
        batch, self._batch = self._batch, []
        if self._transport is not None and batch:
            self._transport.write(b"".join(batch))


def kill_remains(container_ids: list[bytes], leaders: list[int]) -> None:
    """Kill every process that bears the mark of one of these containers, or is in a session that one of them led.

    Looked for more than once: a process has no environment for the moment in which it becomes another program.
    """
    wanted = dict.fromkeys(container_ids)
    sessions = dict.fromkeys(leaders)
    own = os.getpid()
    for again in range(_ROUNDS):
        if again:
            time.sleep(_ROUND_S)
        for row in supervisor.read_procs():
            if row.pid != own and (row.session in sessions or supervisor.container_id_of(row.pid) in wanted):
                supervisor.signal_pid(row.pid, signal.SIGKILL)
