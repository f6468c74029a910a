"""RecordIO: each record is its length in decimal, a newline, and that many bytes. Sans-IO.

Rules: a length is 1 to 10 digits and nothing else; a record over the bound is refused on sight of its length, before any of it
is kept. After an error the stream has lost its place: the decoder stays broken and the connection is to be closed.
"""

from __future__ import annotations

from merismos.protocol.errors import DecodeError

RECORD_BYTES_MAX = 64 * 1024 * 1024
_DIGITS_MAX = 10


def encode(record: bytes) -> bytes:
    """Return the record with its length before it."""
    return b"%d\n%b" % (len(record), record)


class Decoder:
    """Cuts a byte stream, in pieces of any size, into records.

    Units: `bytes_max` is the length of the longest record that is taken.
    Errors: DecodeError for a length that is none or is over the bound, and again for every later call.
    """

    __slots__ = ("_buffer", "_bytes_max", "_error", "_length")

    def __init__(self, bytes_max: int = RECORD_BYTES_MAX) -> None:
        self._buffer = bytearray()
        self._bytes_max = bytes_max
        self._length: int | None = None
        self._error: DecodeError | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Return the records that `data` completes.

        Errors: DecodeError. Records that came before the error in the same piece are lost with it.
        """
        if self._error is not None:
            raise self._error
        buffer = self._buffer
        buffer += data
        records: list[bytes] = []
        start = 0
        while True:
            if self._length is None:
                newline = buffer.find(b"\n", start, start + _DIGITS_MAX + 1)
                if newline < 0 and len(buffer) - start <= _DIGITS_MAX and self._is_number_so_far(buffer[start:]):
                    break
                self._length = self._parse_length(bytes(buffer[start:newline] if newline >= 0 else buffer[start:]))
                start = newline + 1
            end = start + self._length
            if len(buffer) < end:
                break
            records.append(bytes(buffer[start:end]))
            self._length = None
            start = end
        del buffer[:start]
        return records

    def end(self) -> None:
        """Say that the stream is over.

        Errors: DecodeError when it ended inside a record.
        """
        if self._error is not None:
            raise self._error
        if self._buffer or self._length is not None:
            raise self._broken("the stream ended inside a record")

    @staticmethod
    def _is_number_so_far(text: bytearray) -> bool:
        return not text or text.isdigit()

    def _parse_length(self, text: bytes) -> int:
        if not text.isdigit() or len(text) > _DIGITS_MAX:
            raise self._broken(f"{text[: _DIGITS_MAX + 1]!r} is not the length of a record")
        length = int(text)
        if length > self._bytes_max:
            raise self._broken(f"a record of {length} bytes is over the limit of {self._bytes_max}")
        return length

    def _broken(self, reason: str) -> DecodeError:
        self._buffer.clear()
        self._error = DecodeError(f"Failed to decode RecordIO: {reason}")
        return self._error
