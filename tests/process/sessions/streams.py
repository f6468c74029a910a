"""A client of our own for tests: one socket, one HTTP answer that doesn't end, RecordIO in chunks.

Rules: no thread, no wait without a deadline; who waits reads. Events that were read but not asked for are kept in `pending`, so
that the order in which a test asks doesn't matter; `events` has all of them in the order of the wire.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
WAIT_S_MAX = 15.0
QUIET_S = 0.4  # eight batches of the clusters of these tests: what doesn't come in these doesn't come


class Late(AssertionError):
    """What a test waited for did not come in time."""


class Chunks:
    """Takes an answer of HTTP/1.1 with Transfer-Encoding chunked apart."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.is_over = False
        self._data = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take what came in; return the chunks that are complete."""
        self._data += data
        if not self.status and not self._read_head():
            return []
        if self.headers.get("transfer-encoding") != "chunked":
            self.body, self._data = self.body + self._data, b""
            self.is_over = len(self.body) >= int(self.headers.get("content-length", 0))
            return []
        found = []
        while not self.is_over and b"\r\n" in self._data:
            size_text, _, rest = self._data.partition(b"\r\n")
            size = int(size_text, 16)
            if len(rest) < size + 2:
                break
            assert rest[size : size + 2] == b"\r\n", "a chunk ends with CRLF"
            self._data = rest[size + 2 :]
            self.is_over = size == 0
            if size:
                found.append(rest[:size])
        return found

    def _read_head(self) -> bool:
        head, separator, rest = self._data.partition(b"\r\n\r\n")
        if not separator:
            return False
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        self._data = rest
        return True


def record_of(chunk: bytes) -> bytes:
    """Return the one record that a chunk holds."""
    length, _, record = chunk.partition(b"\n")
    assert int(length) == len(record), f"a chunk is not one record: {chunk[:80]!r}"
    return record


class Stream:
    """One streaming call; what it answers is read while somebody waits."""

    def __init__(self, port: int, path: str, body: Json | bytes, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"Host": "x", "Content-Type": "application/json", "Accept": "application/json"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        self.records: list[bytes] = []
        self.events: list[Json] = []
        self.pending: list[Json] = []
        self.is_closed = False
        self._is_json = named["Accept"] == "application/json"
        self._chunks = Chunks()
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S_MAX)
        self._socket.sendall(f"POST {path} HTTP/1.1\r\n{lines}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        self.wait(lambda: self._chunks.status != 0, "an answer")

    @property
    def status(self) -> int:
        return self._chunks.status

    @property
    def headers(self) -> dict[str, str]:
        return self._chunks.headers

    @property
    def body(self) -> bytes:
        return self._chunks.body

    @property
    def has_ended(self) -> bool:
        """Whether the last chunk came: the end that HTTP wants."""
        return self._chunks.is_over

    def read(self, deadline: float) -> bool:
        """Read what is there; return whether something came before the deadline."""
        if self.is_closed or not select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return False
        data = self._socket.recv(1 << 20)
        if not data:
            self.is_closed = True
            return False
        for chunk in self._chunks.feed(data):
            record = record_of(chunk)
            self.records.append(record)
            if self._is_json:
                event: Json = json.loads(record)
                self.events.append(event)
                self.pending.append(event)
        return True

    def wait(self, is_true: Callable[[], bool], what: str, within_s: float = WAIT_S_MAX) -> None:
        """Read until something holds."""
        deadline = time.monotonic() + within_s
        while not is_true():
            if not self.read(deadline) and (self.is_closed or time.monotonic() >= deadline):
                last = [json.dumps(event)[:400] for event in self.events[-8:]]
                raise Late(f"no {what} within {within_s} s (closed: {self.is_closed}); the last events: {last}")

    def take(self, kind: str, is_wanted: Callable[[Json], bool] = lambda _: True, within_s: float = WAIT_S_MAX) -> Json:
        """Return the next event of a kind that is wanted, and have it no more."""
        found: list[Json] = []

        def look() -> bool:
            for event in self.pending:
                if event.get("type") == kind and is_wanted(event):
                    found.append(event)
                    self.pending.remove(event)
                    return True
            return False

        self.wait(look, kind, within_s)
        return found[0]

    def stays_without(self, kind: str, for_s: float, is_wanted: Callable[[Json], bool] = lambda _: True) -> bool:
        """Say whether no such event comes in the given time."""
        try:
            self.take(kind, is_wanted, for_s)
        except Late:
            return True
        return False

    def until_over(self, within_s: float = WAIT_S_MAX) -> None:
        """Wait for the end of the answer."""
        self.wait(lambda: self.has_ended or self.is_closed, "end of the stream", within_s)

    def close(self) -> None:
        self.is_closed = True
        self._socket.close()
