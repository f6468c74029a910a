"""The slow lane: aiohttp's side of the port, with routing and answers in Mesos' form.

Rules: a path is served by its longest known prefix of whole segments, trailing slashes stripped, with or without the daemon's own
prefix (`/master`, `/slave(1)`). Errors are plain text, an empty body has no Content-Type, nothing names the server software. A body
must arrive, and an answer's slice must leave, within its time of `Limits`, else the connection is cut. Big answers are made
and sent slice by slice; after each slice the loop runs.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final, NamedTuple

from aiohttp import hdrs, web

from merismos.adapters.http.answers import TEXT, method_not_allowed, reason_of
from merismos.adapters.http.lane import Limits
from merismos.adapters.http.negotiation import JSON

LIMITS: Final = web.AppKey("limits", Limits)
GZIP_BYTES_MIN = 1024
GZIP_LEVEL = 4
NOT_FOUND = "404 Not Found."
JAVASCRIPT = "text/javascript"
_CALLBACK = re.compile(r"[A-Za-z_$][\w.$]{0,127}", re.ASCII)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Endpoint(NamedTuple):
    """What serves a path; `methods` empty takes all."""

    handler: Handler
    methods: tuple[str, ...] = ()


class Refused(Exception):
    """A request can't be served; the answer says why, and the connection `closes` where what follows can't be told apart."""

    def __init__(
        self, status: int, body: str = "", headers: Mapping[str, str] | None = None, *, closes: bool = False
    ) -> None:
        super().__init__(body)
        self.closes = closes
        self.status = status
        self.body = body
        self.headers = headers or {}


class Router:
    """Finds the endpoint of a path by its longest prefix."""

    def __init__(self, endpoints: Mapping[str, Endpoint], prefix: str) -> None:
        self._endpoints = endpoints
        self._prefix = prefix

    def find(self, path: str) -> Endpoint | None:
        """Return what serves `path`."""
        bare = path.rstrip("/")
        if bare == self._prefix or bare.startswith(self._prefix + "/"):
            bare = bare[len(self._prefix) :]
        if not bare:
            return self._endpoints.get("/")
        while bare:
            endpoint = self._endpoints.get(bare)
            if endpoint is not None:
                return endpoint
            bare = bare.rpartition("/")[0]
        return None

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve a request."""
        try:
            endpoint = self.find(request.path)
            if endpoint is None:
                return reply(404, NOT_FOUND)
            if endpoint.methods and request.method not in endpoint.methods:
                return not_allowed(request.method, endpoint.methods)
            return await endpoint.handler(request)
        except Refused as refused:
            response = reply(refused.status, refused.body, headers=refused.headers)
            if refused.closes:
                response.force_close()
            return response


def application(router: Router, limits: Limits | None = None) -> web.Application:
    """Return the aiohttp application around a router."""
    limits = limits or Limits()
    app = web.Application(client_max_size=limits.body_bytes)
    app[LIMITS] = limits
    app.router.add_route("*", "/{path:.*}", router.serve)
    app.on_response_prepare.append(_finish_headers)
    return app


async def _finish_headers(request: web.Request, response: web.StreamResponse) -> None:  # noqa: ARG001 - aiohttp's signature
    response.headers.popall(hdrs.SERVER, None)
    if isinstance(response, web.Response) and not response.body and response.status < 400:  # noqa: PLR2004 - errors keep theirs
        response.headers.popall(hdrs.CONTENT_TYPE, None)


def reply(
    status: int, body: str | bytes = b"", content_type: str = TEXT, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return a whole answer."""
    data = body.encode() if isinstance(body, str) else body
    return web.Response(
        status=status, reason=reason_of(status), body=data, headers={**(headers or {}), hdrs.CONTENT_TYPE: content_type}
    )


def not_allowed(received: str, methods: tuple[str, ...]) -> web.Response:
    """Return a 405."""
    return reply(405, method_not_allowed(received, methods), headers={hdrs.ALLOW: ", ".join(methods)})


async def body_of(request: web.Request) -> bytes:
    """Return a request's body.

    Errors: Refused for one that is too long or too slow.
    """
    limits = request.app[LIMITS]
    too_long = Refused(413, f"The body is longer than {limits.body_bytes} bytes", closes=True)
    length = request.content_length or 0
    if length > limits.body_bytes:
        raise too_long
    try:
        async with asyncio.timeout(limits.body_s + length / limits.body_bytes_per_s):
            return await request.read()
    except TimeoutError:
        raise Refused(408, "The request took too long to arrive", closes=True) from None
    except web.HTTPRequestEntityTooLarge:
        raise too_long from None


async def write(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    """Send a piece of an answer; who doesn't read it in time is cut off."""
    try:
        async with asyncio.timeout(request.app[LIMITS].unread_s):
            await response.write(data)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the client doesn't read its answer") from None


async def send_slices(request: web.Request, slices: Iterator[bytes], content_type: str = JSON) -> web.StreamResponse:
    """Answer with slices: whole when there is one, chunked when there are more; `jsonp` and gzip where asked for.

    Errors: Refused for a `jsonp` that names no function.
    """
    callback = request.query.get("jsonp")
    if callback is not None:
        if not _CALLBACK.fullmatch(callback):
            raise Refused(400, f"'jsonp={callback[:64]}' names no function; write a name such as jsonp=cb")
        slices, content_type = _in_call(callback, slices), JAVASCRIPT
    first = next(slices, b"")
    second = next(slices, None)
    zipped = "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower()
    if second is None:
        return _whole(first, content_type, zipped=zipped and len(first) >= GZIP_BYTES_MIN)
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: content_type})
    if request.version >= (1, 1):
        response.enable_chunked_encoding()
    if zipped:
        response.headers[hdrs.CONTENT_ENCODING] = "gzip"
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response
    squeeze = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16) if zipped else None
    piece: bytes | None = first
    following: Iterator[bytes] = _chain(second, slices)
    while piece is not None:
        data = squeeze.compress(piece) if squeeze else piece
        if data:
            await write(request, response, data)
        await asyncio.sleep(0)
        piece = next(following, None)
    if squeeze:
        await write(request, response, squeeze.flush())
    await response.write_eof()
    return response


def _whole(data: bytes, content_type: str, *, zipped: bool) -> web.Response:
    if not zipped:
        return reply(200, data, content_type)
    squeeze = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return reply(200, squeeze.compress(data) + squeeze.flush(), content_type, {hdrs.CONTENT_ENCODING: "gzip"})


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _in_call(callback: str, slices: Iterator[bytes]) -> Iterator[bytes]:
    """Put a call around slices, without making one slice two."""
    held = callback.encode() + b"(" + next(slices, b"")
    for piece in slices:
        yield held
        held = piece
    yield held + b")"
