"""A command that runs beside a task while we look: its output here, our input there, through the master or with the agent itself.

Rules: two connections, as the agent's API wants it: one launches the session and brings its output until it ends; one takes our input. The
exit code is that of the command, 128 and the signal's number where a signal ended it. A terminal is given back as it was.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from merismos.cli import sandbox
from merismos.cli.errors import CommandError
from merismos.protocol import recordio
from merismos.sdk.connection import Connection
from merismos.sdk.http import JSON, AnswerReader, BrokenAnswerError

if TYPE_CHECKING:
    from merismos.sdk.address import Address
    from merismos.sdk.connection import Stream

RECORDIO: Final = "application/recordio"
_READ_BYTES: Final = 16 * 1024
_OK: Final = 200
_SIGNALLED: Final = 128


class Terminal:
    """The terminal that we are at; `rows` and `columns` are its size when it was looked at."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows = rows
        self.columns = columns

    @classmethod
    def of_this(cls) -> Terminal:
        """Return ours, of a usual size where there is none."""
        size = shutil.get_terminal_size()
        return cls(size.lines, size.columns)

    @contextlib.contextmanager
    def raw(self) -> Iterator[None]:
        """Pass every key on as it is, until the end of the block."""
        before = termios.tcgetattr(sys.stdin)
        tty.setraw(sys.stdin, termios.TCSADRAIN)  # what was typed ahead counts
        try:
            yield
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)

    def info(self) -> dict[str, Any]:
        """Return the TTYInfo of the terminal."""
        return {"window_size": {"rows": self.rows, "columns": self.columns}}


class Place(NamedTuple):
    """Where an agent's operator API is served."""

    address: Address
    target: str


class Session:
    """One command beside a task.

    Shapes: `places` are ways to the agent, the first that leads there is taken; `container_id` is dotted: the task's container, then
    our own.
    """

    def __init__(
        self,
        places: list[Place],
        container_id: str,
        command: list[str],
        terminal: Terminal | None,
        *,
        has_input: bool,
    ) -> None:
        self.terminal = terminal
        self._places = places
        self._place = places[0]
        self._id = _nested(container_id)
        self._command = command
        self._has_input = has_input
        self._input: asyncio.StreamWriter | None = None

    async def run(self) -> int:
        """Run it; return its exit code.

        Errors: CommandError.
        """
        try:
            return await self._run()
        except ConnectionRefusedError as error:
            todo = "If it was started again just now, try once more; else look at: merismos agents"
            raise CommandError(f"no agent answers at {self._place.address}: Connection refused", todo) from error
        except (OSError, BrokenAnswerError) as error:
            raise CommandError(f"the session by way of {self._place.address} broke: {error}") from error

    async def _run(self) -> int:
        output, stream = await self._open()
        feeding = asyncio.create_task(self._feed()) if self._has_input else None
        decoder = recordio.Decoder()
        async for piece in stream.pieces():
            for record in decoder.feed(piece):
                _write(json.loads(record))
        if feeding is not None:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        await output.close()
        return await self._exit_code()

    async def _open(self) -> tuple[Connection, Stream]:
        """Launch the session by the first way that leads to the agent."""
        body = json.dumps(self._launch()).encode()
        headers = {"Content-Type": JSON, "Accept": RECORDIO, "Message-Accept": JSON}
        for place in self._places:
            self._place = place
            output = Connection(place.address)
            stream = await output.open_stream(place.target, body=body, headers=headers)
            if stream.status == _OK:
                return output, stream
            why = (await stream.body()).decode("utf-8", "replace").strip()
            await output.close()
            if place is self._places[-1] or sandbox.is_relayed(stream.status, stream.headers):
                raise CommandError(f"the agent answered {stream.status}: {why}")
        raise AssertionError("the last way is tried to its end")

    def _launch(self) -> dict[str, Any]:
        variables = [{"name": "TERM", "type": "VALUE", "value": os.environ.get("TERM", "xterm")}]
        command = {
            "shell": False,
            "value": self._command[0],
            "arguments": self._command,
            **({"environment": {"variables": variables}} if self.terminal is not None else {}),
        }
        asked: dict[str, Any] = {"container_id": self._id, "command": command}
        if self.terminal is not None:
            asked["container"] = {"type": "MESOS", "tty_info": self.terminal.info()}
        return {"type": "LAUNCH_NESTED_CONTAINER_SESSION", "launch_nested_container_session": asked}

    async def _exit_code(self) -> int:
        connection = Connection(self._place.address, timeout_s=60.0)
        call = {"type": "WAIT_NESTED_CONTAINER", "wait_nested_container": {"container_id": self._id}}
        headers = {"Content-Type": JSON, "Accept": JSON}
        answer = await connection.ask("POST", self._place.target, body=json.dumps(call).encode(), headers=headers)
        await connection.close()
        if answer.status != _OK:
            raise CommandError(f"how the command ended is not known: {answer.text()}")
        status = int(json.loads(answer.body)["wait_nested_container"].get("exit_status", 0))
        ended_by = status & 0x7F
        return _SIGNALLED + ended_by if ended_by else (status >> 8) & 0xFF

    # ------------------------------------------------------------------ input

    async def _feed(self) -> None:
        """Pass on what is typed, until the end of it."""
        reader, writer = await asyncio.open_connection(*self._place.address)
        self._input = writer
        head = (
            f"POST {self._place.target} HTTP/1.1\r\nHost: {self._place.address}\r\n"
            f"Content-Type: {RECORDIO}\r\nMessage-Content-Type: {JSON}\r\nAccept: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        writer.write(head.encode())
        self._send({"type": "CONTAINER_ID", "container_id": self._id})
        loop = asyncio.get_running_loop()
        if self.terminal is not None:
            loop.add_signal_handler(signal.SIGWINCH, self._resize)
        typed: asyncio.Queue[bytes] = asyncio.Queue(maxsize=16)
        fd = sys.stdin.fileno()
        reading = asyncio.create_task(_read_all(fd, typed))
        try:
            while True:
                data = await typed.get()
                self._send_io({"type": "DATA", "data": {"type": "STDIN", "data": base64.b64encode(data).decode()}})
                await writer.drain()
                if not data:
                    break
            writer.write(b"0\r\n\r\n")
            await _answer(reader)
        finally:
            reading.cancel()
            writer.close()

    def _resize(self) -> None:
        self.terminal = Terminal.of_this()
        self._send_io({"type": "CONTROL", "control": {"type": "TTY_INFO", "tty_info": self.terminal.info()}})

    def _send_io(self, process_io: dict[str, Any]) -> None:
        self._send({"type": "PROCESS_IO", "process_io": process_io})

    def _send(self, asked: dict[str, Any]) -> None:
        assert self._input is not None
        call = {"type": "ATTACH_CONTAINER_INPUT", "attach_container_input": asked}
        record = recordio.encode(json.dumps(call).encode())
        self._input.write(b"%x\r\n%b\r\n" % (len(record), record))


async def _read_all(fd: int, typed: asyncio.Queue[bytes]) -> None:
    """Read a file, a pipe or a terminal to its end; the empty piece is the end."""
    while True:
        await _until_readable(fd)
        data = os.read(fd, _READ_BYTES)
        await typed.put(data)
        if not data:
            return


async def _until_readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    try:
        loop.add_reader(fd, _settle, ready)
    except PermissionError:
        return  # a file is always ready
    try:
        await ready
    finally:
        loop.remove_reader(fd)


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def _answer(reader: asyncio.StreamReader) -> None:
    """Wait for the answer to our input, whatever it is: the output's end says more."""
    answer = AnswerReader()
    while not answer.complete:
        data = await reader.read(_READ_BYTES)
        if not data:
            return
        answer.feed(data)


def _nested(dotted: str) -> dict[str, Any]:
    parent, _, own = dotted.rpartition(".")
    return {"value": own, "parent": _nested(parent)} if parent else {"value": own}


def _write(process_io: dict[str, Any]) -> None:
    data = process_io.get("data")
    if data is None:
        return
    out = sys.stderr if data.get("type") == "STDERR" else sys.stdout
    out.buffer.write(base64.b64decode(data.get("data", "")))
    out.flush()
