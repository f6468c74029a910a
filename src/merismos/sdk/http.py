"""HTTP/1.1 as a client speaks it, sans-IO: a request as bytes, an answer out of pieces of any size.

Rules: the same pieces serve the async SDK and the synchronous command line. Header names are lower-case once read. An answer
that is neither chunked nor counted ends with its connection.
"""

from __future__ import annotations

from typing import NamedTuple

import httptools

JSON = "application/json"


class BrokenAnswerError(Exception):
    """The other side doesn't speak HTTP/1.1, or its connection ended inside an answer."""


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def text(self) -> str:
        """Return the body as text, whatever bytes it is made of."""
        return self.body.decode("utf-8", "replace").strip()


def render_request(
    method: str, host: str, target: str, *, body: bytes = b"", headers: dict[str, str] | None = None
) -> bytes:
    """Return a request, its length counted."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class AnswerReader:
    """Reads one answer: `feed` returns the pieces of its body as they come.

    Errors: BrokenAnswerError.
    """

    __slots__ = ("_open_ended", "_parser", "_pieces", "complete", "headers", "reusable", "status")

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.complete = False
        self.reusable = False
        self._open_ended = False
        self._pieces: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> list[bytes]:
        """Take what came from the connection; return what of it is body."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise BrokenAnswerError(f"the answer is not HTTP/1.1: {error}") from error
        pieces, self._pieces = self._pieces, []
        return pieces

    def end(self) -> None:
        """Say that the connection is over."""
        if self.complete:
            return
        if not self._open_ended:
            raise BrokenAnswerError("the connection ended before the answer did")
        self.complete = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Know the status from here on, and how the answer will end."""
        self.status = self._parser.get_status_code()
        self._open_ended = "content-length" not in self.headers and "transfer-encoding" not in self.headers

    def on_body(self, piece: bytes) -> None:
        """Collect a piece of the body."""
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """Know that the answer is whole."""
        self.complete = True
        self.reusable = self._parser.should_keep_alive()
