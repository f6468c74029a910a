"""Request heads: parsed by httptools once, then known by their bytes.

Rules: pipelined calls of one client have byte-identical heads, so a head that was parsed before is a dictionary look-up. What
isn't a call for the fast lane keeps nothing but its route: its bytes go to the other lane.
Source: docs/decisions/0002-two-lanes.md.
"""

from __future__ import annotations

import enum

import httptools

from merismos.adapters.http.negotiation import Media, media_for, media_of
from merismos.protocol.link import UPGRADE_PROTOCOL

HEAD_BYTES_MAX = 64 * 1024
KNOWN_HEADS_MAX = 8192
KNOWN_HEAD_BYTES_MAX = 2048
CHUNKED = -1


class Route(enum.IntEnum):
    """Who serves a request."""

    SCHEDULER = 0
    LINK = 1
    OTHER = 2


class Head:
    """All that the fast lane reads of a request's head."""

    __slots__ = (
        "accept",
        "content_type",
        "expects_continue",
        "keep_alive",
        "length",
        "media",
        "method",
        "path",
        "principal",
        "route",
        "stream_id",
    )

    def __init__(self, method: str, path: str) -> None:
        self.method = method
        self.path = path  # as written, query included
        self.route = Route.OTHER
        self.length = 0
        self.content_type: str | None = None
        self.media: Media | None = None
        self.accept: Media | None = Media.JSON
        self.stream_id: str | None = None
        self.principal: str | None = None
        self.keep_alive = True
        self.expects_continue = False


class HeadError(Exception):
    """A head that isn't HTTP/1."""


def without_master(path: str) -> str:
    """Return a path without query, trailing slashes and the `/master` prefix."""
    bare = path.partition("?")[0].rstrip("/")
    if bare == "/master" or bare.startswith("/master/"):
        bare = bare[len("/master") :]
    return bare or "/"


def is_below(path: str, prefix: str) -> bool:
    """Return whether `prefix` is `path` or a whole-segment prefix of it."""
    return path == prefix or path.startswith(prefix + "/")


def route_of(path: str) -> Route:
    """Return who serves a path, by its longest known prefix."""
    bare = without_master(path)
    if is_below(bare, "/api/v1/scheduler"):
        return Route.SCHEDULER
    if bare == "/link":
        return Route.LINK
    return Route.OTHER


class _Collector:
    """What httptools calls while it reads one head."""

    __slots__ = ("complete", "headers", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[str, str]] = []
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self.complete = True


def parse(block: bytes) -> Head:
    """Return the head that `block` is, its closing empty line included.

    Errors: HeadError.
    """
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    try:
        parser.feed_data(block)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise HeadError(str(error)) from error
    if not collector.complete:
        raise HeadError("The head has no end")
    head = Head(parser.get_method().decode("latin-1"), collector.url.decode("latin-1"))
    headers = dict(collector.headers)
    head.route = route_of(head.path)
    if head.route is Route.LINK and headers.get("upgrade", "").lower() != UPGRADE_PROTOCOL:
        head.route = Route.OTHER
    head.keep_alive = parser.should_keep_alive() or parser.should_upgrade()
    head.content_type = headers.get("content-type")
    head.media = media_of(head.content_type or "")
    head.accept = media_for(headers.get("accept"))
    head.stream_id = headers.get("mesos-stream-id")
    head.expects_continue = headers.get("expect", "").lower() == "100-continue"
    head.length = CHUNKED if "transfer-encoding" in headers else int(headers.get("content-length") or 0)
    return head


class Heads:
    """Heads by their bytes, bounded."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: dict[bytes, Head] = {}

    def learn(self, block: bytes) -> Head:
        """Parse a head that isn't known and keep it where that may pay.

        Errors: HeadError.
        """
        head = parse(block)
        if head.route is Route.SCHEDULER and len(block) <= KNOWN_HEAD_BYTES_MAX:
            if len(self.known) >= KNOWN_HEADS_MAX:
                self.known.clear()
            self.known[block] = head
        return head
