"""`POST /api/v1`: the operator API, reads answered from the views, changes handed to the core.

Rules: checked in Mesos' order: this master leads, the method, Content-Type, the body's syntax, the call's shape, Accept. A protobuf
answer is made from the JSON one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from merismos.adapters.http.exchange import Exchange, not_wired
from merismos.adapters.http.negotiation import (
    NOT_ACCEPTABLE,
    PROTOBUF,
    Media,
    media_for,
    media_of,
    refusal_of,
)
from merismos.adapters.http.sinks import SlowCaller
from merismos.adapters.http.slow import Refused, body_of, not_allowed, reply, send_slices
from merismos.adapters.http.transcode import transcode
from merismos.core.master.events import OperatorCalled, OperatorSubscribed
from merismos.core.master.views import operator as views
from merismos.protocol import json, protobuf
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import master as operator
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.adapters.http.files import Files
    from merismos.adapters.http.gate import Gate
    from merismos.adapters.http.streams import EventStream
    from merismos.core.kernel import Event
    from merismos.core.master.views.v0 import Reads

INVALID = "Failed to validate master::Call: "
NOT_IMPLEMENTED = "501 Not Implemented."
VERBOSITY_MAX = 3
_TYPES = operator.Call_Type


class OperatorEndpoint:
    """Serves operator calls."""

    def __init__(
        self,
        gate: Gate,
        exchange: Exchange,
        reads: Reads,
        files: Files,
        set_logging_level: Callable[[int, float], None],
    ) -> None:
        self._gate = gate
        self._exchange = exchange
        self._reads = reads
        self._files = files
        self._set_logging_level = set_logging_level
        self.post: Callable[[Event], None] = not_wired
        self._greeting: set[asyncio.Task[None]] = set()
        exchange.greet = self._greet

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one request."""
        require_leader(self._gate, request)
        if request.method != hdrs.METH_POST:
            return not_allowed(request.method, (hdrs.METH_POST,))
        call = await _call_of(request)
        media = media_for(request.headers.get(hdrs.ACCEPT))
        if media is None:
            raise Refused(406, NOT_ACCEPTABLE)
        match call.type:
            case _TYPES.UNKNOWN:
                raise Refused(501, NOT_IMPLEMENTED)
            case _TYPES.SUBSCRIBE:
                caller = SlowCaller(media)
                self.post(OperatorSubscribed(self._exchange.ask(caller), self._exchange.next_token()))
                return await caller.response(request)
            case _TYPES.LIST_FILES:
                return await self._list_files(request, call, media)
            case _TYPES.READ_FILE:
                return await self._read_file(request, call, media)
            case _TYPES.SET_LOGGING_LEVEL:
                return self._set_level(call)
        slices = views.answer(self._reads, call, time.monotonic())
        if slices is not None:
            return await _send(request, slices, media)
        return await self.change(request, call)

    async def change(self, request: web.Request, call: operator.Call) -> web.StreamResponse:
        """Hand a changing call to the core and send its answer."""
        return await self.ask(request, lambda number: OperatorCalled(number, call, None))

    async def ask(self, request: web.Request, event_of: Callable[[int], Event]) -> web.StreamResponse:
        """Hand the core what `event_of` makes of a request's number, and send its answer."""
        caller = SlowCaller(None)
        self.post(event_of(self._exchange.ask(caller)))
        return await caller.response(request)

    def _greet(self, stream: EventStream) -> None:
        """Open an operator's stream with the whole state, made slice by slice; what happens meanwhile follows it."""
        stream.hold()
        task = asyncio.get_running_loop().create_task(self._send_state(stream))
        self._greeting.add(task)
        task.add_done_callback(self._greeting.discard)

    async def _send_state(self, stream: EventStream) -> None:
        data = await _joined(views.subscribed(self._reads))
        if not stream.json:
            data = await transcode("Event", data)
        stream.release(data)

    async def _list_files(self, request: web.Request, call: operator.Call, media: Media) -> web.StreamResponse:
        assert call.list_files is not None
        found = await asyncio.to_thread(self._files.list, call.list_files.path)
        if found is None:
            raise Refused(404)
        infos = [
            mesos.FileInfo(
                path=entry.path,
                nlink=entry.nlink,
                size=entry.size,
                mtime=mesos.TimeInfo(nanoseconds=int(entry.mtime * 1e9)),
                uid=entry.uid,
                gid=entry.gid,
            )
            for entry in found
        ]
        response = operator.Response(
            type=operator.Response_Type.LIST_FILES, list_files=operator.Response_ListFiles(file_infos=infos)
        )
        return await _send(request, iter([json.encode(response)]), media)

    async def _read_file(self, request: web.Request, call: operator.Call, media: Media) -> web.StreamResponse:
        wanted = call.read_file
        assert wanted is not None
        found = await asyncio.to_thread(self._files.read, wanted.path, wanted.offset, wanted.length)
        if found is None:
            raise Refused(404)
        data, size = found
        response = operator.Response(
            type=operator.Response_Type.READ_FILE, read_file=operator.Response_ReadFile(size=size, data=data)
        )
        return await _send(request, iter([json.encode(response)]), media)

    def _set_level(self, call: operator.Call) -> web.StreamResponse:
        wanted = call.set_logging_level
        assert wanted is not None
        if wanted.level > VERBOSITY_MAX:
            raise Refused(400, f"Invalid level '{wanted.level}'; the most verbose is {VERBOSITY_MAX}.\n")
        self._set_logging_level(wanted.level, wanted.duration.nanoseconds / 1e9)
        return reply(200)


def require_leader(gate: Gate, request: web.Request) -> None:
    """Go on only where this master answers.

    Errors: Refused with 503 or 307.
    """
    if not gate.open:
        status, body, _ = gate.refusal(request.raw_path)
        elsewhere = gate.leader and not gate.leads
        headers = {str(hdrs.LOCATION): f"//{gate.leader}{request.raw_path}"} if elsewhere else None
        raise Refused(status, body, headers)


async def _call_of(request: web.Request) -> operator.Call:
    """Return the call in a request's body.

    Errors: Refused.
    """
    body = await body_of(request)
    content_type = request.headers.get(hdrs.CONTENT_TYPE)
    media = media_of(content_type or "")
    if media is None:
        raise Refused(*refusal_of(content_type))
    try:
        call = json.decode(operator.Call, body) if media is Media.JSON else protobuf.decode(operator.Call, body)
    except DecodeError as error:
        raise Refused(400, str(error)) from None
    if call.type is None:
        raise Refused(400, f"{INVALID}Expecting 'type' to be present")
    field = call.type.value.lower()
    if field in operator.Call.__struct_fields__ and getattr(call, field) is None:
        raise Refused(400, f"{INVALID}Expecting '{field}' to be present")
    return call


async def _send(request: web.Request, slices: Iterator[bytes], media: Media) -> web.StreamResponse:
    if media is Media.JSON:
        return await send_slices(request, slices)
    return reply(200, await transcode("Response", await _joined(slices)), PROTOBUF)


async def _joined(slices: Iterator[bytes]) -> bytes:
    """Return all slices as one, letting the loop run after each."""
    parts: list[bytes] = []
    for piece in slices:
        parts.append(piece)
        await asyncio.sleep(0)
    return b"".join(parts)
