"""A connection to the agent until its first head is there: who takes too long or sends too much is turned away.

Rules: nothing of aiohttp's is made for a connection that never asks for anything. A whole head is handed on, bytes and all; what
follows it on the same connection is bounded by aiohttp's keep-alive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, cast

HEAD_S_MAX: Final = 60.0
HEAD_BYTES_MAX: Final = 64 * 1024
_END: Final = b"\r\n\r\n"


class FirstHead(asyncio.Protocol):
    """Waits for one head, then lets another protocol serve the connection."""

    def __init__(self, serve: Callable[[], asyncio.Protocol], open_connections: set[FirstHead], limit_s: float) -> None:
        self._serve = serve
        self._open = open_connections
        self._limit_s = limit_s
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._received = bytearray()

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the client its time."""
        self._transport = cast("asyncio.Transport", transport)
        self._open.add(self)
        self._deadline = asyncio.get_running_loop().call_later(
            self._limit_s, self._refuse, HTTPStatus.REQUEST_TIMEOUT, "The request took too long to arrive"
        )

    def data_received(self, data: bytes) -> None:
        """Look for the end of the head; empty lines before it are none."""
        searched = max(0, len(self._received) - len(_END))
        self._received += data if self._received else data.lstrip(b"\r\n")
        end = self._received.find(_END, searched)
        if end > HEAD_BYTES_MAX or (end < 0 and len(self._received) > HEAD_BYTES_MAX):
            text = f"The head is longer than {HEAD_BYTES_MAX} bytes"
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)
        elif end >= 0:
            self._hand_on()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget a connection that never asked."""
        del error
        self._leave()

    def close(self) -> None:
        """Close the connection without an answer."""
        if self._transport is not None:
            self._transport.close()

    def _leave(self) -> None:
        self._open.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()

    def _hand_on(self) -> None:
        assert self._transport is not None
        self._leave()
        server = self._serve()
        self._transport.set_protocol(server)
        server.connection_made(self._transport)
        server.data_received(bytes(self._received))

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            return
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
        self._transport.write(f"{head}Content-Length: {len(text)}\r\n\r\n{text}".encode())
        self._transport.close()
