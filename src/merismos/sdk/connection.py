"""One HTTP connection over asyncio: whole answers one after the other, or one endless answer.

Rules: a connection that the other side closed while it was idle is opened anew, once, and only if no byte of an answer came.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from merismos.sdk.http import Answer, AnswerReader, BrokenAnswerError, render_request

if TYPE_CHECKING:
    from merismos.sdk.address import Address

_READ_BYTES = 64 * 1024


class Stream:
    """An answer that is read piece by piece.

    Units: `silence_s_max` is how long nothing may come; None for ever.
    """

    def __init__(self, reader: asyncio.StreamReader, answer: AnswerReader, first: list[bytes]) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.silence_s_max: float | None = None
        self._reader = reader
        self._answer = answer
        self._first = first

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the pieces of the body as they come, to its end.

        Errors: TimeoutError after too long a silence; OSError; BrokenAnswerError.
        """
        for piece in self._first:
            yield piece
        while not self._answer.complete:
            async with asyncio.timeout(self.silence_s_max):
                data = await self._reader.read(_READ_BYTES)
            if not data:
                self._answer.end()
            for piece in self._answer.feed(data) if data else ():
                yield piece

    async def body(self) -> bytes:
        """Return all of the body."""
        return b"".join([piece async for piece in self.pieces()])


class Connection:
    """A connection to one address, opened when it is first used.

    Shapes: with `socket` the connection goes to that Unix socket, and the address only names who is there.
    Units: `timeout_s` bounds the opening, and a whole answer of `ask`; `connect_s` the opening more narrowly, where given.
    Errors: OSError (TimeoutError among them) and BrokenAnswerError, from every method.
    """

    def __init__(
        self, address: Address, *, timeout_s: float = 30.0, connect_s: float | None = None, socket: str = ""
    ) -> None:
        self.address = address
        self._socket = socket
        self._timeout_s = timeout_s
        self._connect_s = connect_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()
        self._abandoned = False

    async def ask(
        self, method: str, target: str, *, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a request and return the whole answer; callers take turns."""
        request = render_request(method, str(self.address), target, body=body, headers=headers)
        async with self._turn:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._ask(request)
            except BaseException:
                self._drop()
                raise

    async def open_stream(self, target: str, *, body: bytes, headers: dict[str, str]) -> Stream:
        """Send a POST and return its answer as soon as its head is there."""
        async with asyncio.timeout(self._timeout_s):
            reader, writer = await self._connected()
            writer.write(render_request("POST", str(self.address), target, body=body, headers=headers))
            answer = AnswerReader()
            first: list[bytes] = []
            while not answer.status:
                data = await reader.read(_READ_BYTES)
                first += answer.feed(data) if data else []
                if not data:
                    answer.end()
        return Stream(reader, answer, first)

    def abandon(self) -> None:
        """Close at once and for good, whatever is under way."""
        self._abandoned = True
        self._drop()

    async def close(self) -> None:
        """Close, after what was written has gone out."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            try:
                await streams[1].wait_closed()
            except OSError:
                return  # the other side was first

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            async with asyncio.timeout(self._connect_s):
                if self._socket:
                    self._streams = await asyncio.open_unix_connection(self._socket)
                else:
                    self._streams = await asyncio.open_connection(self.address.host, self.address.port)
            if self._abandoned:
                self._drop()
                raise ConnectionAbortedError(f"the connection to {self.address} was given up while it opened")
        return self._streams

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _ask(self, request: bytes) -> Answer:
        reused = self._streams is not None
        answer = AnswerReader()
        try:
            body = await self._exchange(request, answer)
        except (ConnectionError, BrokenAnswerError):
            if not reused or answer.status or self._abandoned:
                raise
            self._drop()
            answer = AnswerReader()
            body = await self._exchange(request, answer)
        if not answer.reusable:
            self._drop()
        return Answer(answer.status, answer.headers, body)

    async def _exchange(self, request: bytes, answer: AnswerReader) -> bytes:
        reader, writer = await self._connected()
        writer.write(request)
        pieces: list[bytes] = []
        while not answer.complete:
            data = await reader.read(_READ_BYTES)
            if data:
                pieces += answer.feed(data)
            else:
                answer.end()
        return b"".join(pieces)
