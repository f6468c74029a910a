"""Answers of the fast lane as bytes, in the form and header order of a real Mesos.

Rules: an error is `text/plain; charset=utf-8`; an empty body has no Content-Type, whatever the status but an error's; the Date
header is rendered once a second. An answer after which the connection closes doesn't say so where Mesos doesn't.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
TEXT = "text/plain; charset=utf-8"
NOT_RECOVERED = "Master has not finished recovery"


def method_not_allowed(received: str, allowed: tuple[str, ...] = ("POST",)) -> str:
    """Return the text of a 405."""
    expected = ", ".join(f"'{method}'" for method in allowed)
    return f"405 Method Not Allowed. Expecting one of {{ {expected} }}, but received '{received}'."


def reason_of(status: int) -> str:
    """Return the words of a status line."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class Answers:
    """Renders status lines and headers, with the Date of this second."""

    __slots__ = ("_accepted", "_clock", "_date", "_until")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._until = 0.0
        self._date = b""
        self._accepted = b""

    def accepted(self) -> bytes:
        """Return the 202 that answers a call."""
        if self._clock() >= self._until:
            self._new_second()
        return self._accepted

    def answer(
        self, status: int, body: bytes = b"", headers: str = "", content_type: str = TEXT, *, head_only: bool = False
    ) -> bytes:
        """Return a whole answer; `headers` is lines that each end in CRLF."""
        if self._clock() >= self._until:
            self._new_second()
        typed = f"Content-Type: {content_type}\r\n" if body or status >= HTTPStatus.BAD_REQUEST else ""
        top = f"HTTP/1.1 {status} {reason_of(status)}\r\n".encode()
        rest = f"{headers}{typed}Content-Length: {len(body)}\r\n\r\n".encode("latin-1", "replace")
        return top + self._date + rest + (b"" if head_only else body)

    def stream_head(self, stream_id: str, content_type: str) -> bytes:
        """Return the head of an event stream."""
        if self._clock() >= self._until:
            self._new_second()
        identity = f"Mesos-Stream-Id: {stream_id}\r\n" if stream_id else ""
        rest = f"Transfer-Encoding: chunked\r\n{identity}Content-Type: {content_type}\r\n\r\n"
        return b"HTTP/1.1 200 OK\r\n" + self._date + rest.encode()

    def _new_second(self) -> None:
        second = int(self._clock())
        self._until = second + 1.0
        self._date = f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
        self._accepted = b"HTTP/1.1 202 Accepted\r\n" + self._date + b"Content-Length: 0\r\n\r\n"
