"""An event stream: RecordIO records in HTTP chunks, one record a chunk, in the encoding that the client asked for.

Rules: what is sent after the end, or after the client went, is dropped. A stream is lost once, by whichever side ends first. While
its first record is being made, what is sent waits behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from merismos.adapters.http.negotiation import Media

if TYPE_CHECKING:
    from collections.abc import Callable


class Sink(Protocol):
    """The connection under a stream."""

    def send_record(self, record: bytes) -> None:
        """Send one record as one HTTP chunk, with all else of this loop turn."""
        ...

    def end_stream(self) -> None:
        """Send the last chunk."""
        ...

    def drop_stream(self) -> None:
        """Close the connection under the stream, after what was sent."""
        ...


def recordio(record: bytes) -> bytes:
    """Return a record with its length before it."""
    return b"%d\n%b" % (len(record), record)


class EventStream:
    """One open stream of a scheduler or an operator."""

    __slots__ = ("_on_lost", "_sink", "_waiting", "json", "media", "open", "token")

    def __init__(self, token: int, media: Media, sink: Sink, on_lost: Callable[[EventStream], None]) -> None:
        self.token = token
        self.media = media
        self.json = media is Media.JSON
        self.open = True
        self._waiting: list[bytes] | None = None
        self._sink = sink
        self._on_lost = on_lost

    def send(self, record: bytes) -> None:
        """Send one record."""
        if self._waiting is not None:
            self._waiting.append(record)
        elif self.open:
            self._sink.send_record(record)

    def hold(self) -> None:
        """Let what is sent from now on wait for `release`."""
        self._waiting = []

    def release(self, first: bytes) -> None:
        """Send `first`, then what waited."""
        waiting, self._waiting = self._waiting or [], None
        for record in (first, *waiting):
            self.send(record)

    def end(self) -> None:
        """End the stream, after what was sent on it."""
        if self.open:
            self.open = False
            self._sink.end_stream()

    def drop(self) -> None:
        """Break the stream off, so that its client sees a lost connection and not an end."""
        if self.open:
            self.open = False
            self._sink.drop_stream()

    def lost(self) -> None:
        """Learn that the client is gone."""
        if self.open:
            self.open = False
            self._on_lost(self)
