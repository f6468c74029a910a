"""A chunked request body, cut out of a byte stream.

Rules: only what RFC 9112 section 7.1 allows: hexadecimal sizes, CRLF everywhere; extensions and trailers are read and dropped.
"""

from __future__ import annotations

import re

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\Z")
LINE_BYTES_MAX = 4096
TRAILER_BYTES_MAX = 16 * 1024


class ChunkedError(Exception):
    """The body isn't chunked as it says, or over its limit; `status` is the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class ChunkedBody:
    """Takes bytes as they come, until the last chunk's trailers have ended.

    Shapes: `feed` gives the position after the body, or -1 while more must come; `body` is whole then.
    """

    __slots__ = (
        "_bytes_max",
        "_ended",
        "_held",
        "_held_size",
        "_in_trailers",
        "_parts",
        "_size",
        "_trailer_bytes",
        "_wanted",
    )

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._parts: list[bytes] = []
        self._size = 0
        self._held: list[bytes] = []
        self._held_size = 0
        self._wanted = 0
        self._in_trailers = False
        self._trailer_bytes = 0
        self._ended = False

    @property
    def body(self) -> bytes:
        """The bytes so far."""
        return b"".join(self._parts)

    def feed(self, data: bytes, start: int = 0) -> int:
        """Take `data` from `start`; bytes after the body are left to the caller.

        Errors: ChunkedError.
        """
        offset = 0
        if self._held:
            if self._held_size + len(data) - start < self._wanted:
                self._hold(data[start:], self._wanted)
                return -1
            offset = start - self._held_size
            self._held.append(data[start:])
            data, start = b"".join(self._held), 0
            self._held, self._held_size = [], 0
        position = start
        while not self._ended:
            following = self._step(data, position)
            if following < 0:
                self._hold(data[position:], -following)
                return -1
            position = following
        return position + offset

    def _hold(self, data: bytes, wanted: int) -> None:
        # a chunk is joined once, when it is all there: joining at every piece would cost the square of its size
        self._held.append(data)
        self._held_size += len(data)
        self._wanted = wanted

    def _step(self, data: bytes, position: int) -> int:
        """Take one line or one whole chunk; minus the bytes it takes where it isn't all there."""
        end = data.find(b"\r\n", position)
        if end < 0:
            if len(data) - position > LINE_BYTES_MAX:
                raise ChunkedError(400, f"A line of the chunked body is longer than {LINE_BYTES_MAX} bytes")
            return -1
        if self._in_trailers:
            return self._trailer(position, end)
        match = _SIZE.match(data, position, end)
        if match is None:
            raise ChunkedError(400, "A chunk's size is no hexadecimal number")
        size = int(match[1], 16)
        if size == 0:
            self._in_trailers = True
            return end + 2
        if self._size + size > self._bytes_max:
            raise ChunkedError(413, f"The body is longer than {self._bytes_max} bytes")
        stop = end + 2 + size
        if len(data) < stop + 2:
            return position - stop - 2
        if data[stop : stop + 2] != b"\r\n":
            raise ChunkedError(400, "A chunk is longer than its size says")
        self._parts.append(data[end + 2 : stop])
        self._size += size
        return stop + 2

    def _trailer(self, position: int, end: int) -> int:
        if end == position:
            self._ended = True
        else:
            self._trailer_bytes += end - position
            if self._trailer_bytes > TRAILER_BYTES_MAX:
                raise ChunkedError(400, f"The trailers are longer than {TRAILER_BYTES_MAX} bytes")
        return end + 2
