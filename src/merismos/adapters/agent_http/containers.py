"""The calls of the agent's operator API that launch, wait for, attach to, kill and remove containers.

Rules: what becomes of a container is the core's business; the bytes of a session go past it. A streamed answer is RecordIO, one record
a chunk, in the encoding of Message-Accept; a streamed request likewise, in that of Message-Content-Type. Who hangs up waits no more,
and a session ends with the connection that asked for it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import hdrs, web

from merismos.adapters.http.answers import TEXT
from merismos.adapters.http.negotiation import RECORDIO, Media, acceptable, media_of
from merismos.containers.sessions import Session, SessionError, Sessions
from merismos.core.agent import events
from merismos.core.agent.nested_state import path_of
from merismos.protocol import json, protobuf, recordio
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import agent as operator

if TYPE_CHECKING:
    from collections.abc import Callable

    from merismos.core.agent import effects
    from merismos.core.agent.state import Agent
    from merismos.core.kernel import Event

MESSAGE_CONTENT_TYPE = "Message-Content-Type"
MESSAGE_ACCEPT = "Message-Accept"
_RECORD_BYTES_MAX = 1024 * 1024
_OK = 200
_NO_SWITCHBOARD = "I/O switchboard server was disabled for this container"
_Type = operator.Call_Type
_CALLS = frozenset(
    {
        _Type.LAUNCH_NESTED_CONTAINER,
        _Type.LAUNCH_CONTAINER,
        _Type.WAIT_NESTED_CONTAINER,
        _Type.WAIT_CONTAINER,
        _Type.KILL_NESTED_CONTAINER,
        _Type.KILL_CONTAINER,
        _Type.REMOVE_NESTED_CONTAINER,
        _Type.REMOVE_CONTAINER,
    }
)
_STREAMING = frozenset({_Type.LAUNCH_NESTED_CONTAINER_SESSION, _Type.ATTACH_CONTAINER_OUTPUT})


class _Answered(NamedTuple):
    """How the core answered, and the session that is open then."""

    status: int
    text: str
    answer: operator.Response_WaitContainer | None
    session: Session | None


class ContainersEndpoint:
    """Turns calls about containers into events; the core's effects answer them."""

    def __init__(self, post: Callable[[Event], None], agent: Agent, sessions: Sessions) -> None:
        self._post = post
        self._agent = agent
        self._sessions = sessions
        self._number = 0
        self._waiting: dict[int, tuple[str, asyncio.Future[_Answered]]] = {}

    def answer(self, effect: effects.AnswerContainerCall) -> None:
        """Answer a call."""
        path, waiting = self._waiting.get(effect.request, ("", None))
        if waiting is not None and not waiting.done():
            session = self._sessions.get(path)
            waiting.set_result(_Answered(effect.status, effect.text, effect.answer, session))

    @staticmethod
    def serves(call: operator.Call) -> bool:
        """Say whether a call is about a container."""
        return call.type in _CALLS or call.type in _STREAMING or call.type is _Type.ATTACH_CONTAINER_INPUT

    @staticmethod
    def refusal(request: web.Request, call: operator.Call) -> tuple[int, str] | None:
        """Return what is wrong with the headers of a call that isn't streamed itself; None where nothing is."""
        name = str(call.type)
        if call.type is _Type.ATTACH_CONTAINER_INPUT:
            return 415, f"Expecting 'Content-Type' to be {RECORDIO} for {name} call"
        if call.type in _STREAMING:
            return None
        accept = request.headers.get(hdrs.ACCEPT)
        if accept is not None and RECORDIO in accept and not acceptable(accept, Media.JSON.value):
            return 406, f"Streaming response is not supported for {name} call"
        if MESSAGE_ACCEPT in request.headers:
            return 406, f"Expecting '{MESSAGE_ACCEPT}' to be not set for non-streaming responses"
        return None

    async def serve(self, request: web.Request, call: operator.Call, media: Media) -> web.StreamResponse:
        """Serve a call that came in one piece; `media` is that of an answer in one piece."""
        if call.type is _Type.ATTACH_CONTAINER_OUTPUT:
            return await self._attach_output(request, call)
        number = self._number = self._number + 1
        body = getattr(call, str(call.type).lower())
        path = "" if body is None else path_of(body.container_id)
        waiting: asyncio.Future[_Answered] = asyncio.get_running_loop().create_future()
        self._waiting[number] = path, waiting
        try:
            self._post(events.ContainerCalled(number, call))
            answered = await waiting
            if answered.status == _OK and answered.session is not None and call.type in _STREAMING:
                return await _stream(request, answered.session)
        finally:
            del self._waiting[number]
            self._post(events.ContainerCallerGone(number))
        if answered.answer is None:
            return _text(answered.status, answered.text)
        return _wait_answer(call, answered.answer, media)

    async def _attach_output(self, request: web.Request, call: operator.Call) -> web.StreamResponse:
        if call.attach_container_output is None:
            return _text(400, "Failed to validate agent::Call: Expecting 'attach_container_output' to be present")
        found = self._find(path_of(call.attach_container_output.container_id))
        return await _stream(request, found) if isinstance(found, Session) else found

    def _find(self, path: str) -> Session | web.Response:
        session = self._sessions.get(path)
        if session is not None:
            return session
        agent = self._agent
        if path in agent.containers or path in agent.executors or path in agent.nested:
            return _text(500, _NO_SWITCHBOARD)
        return _text(404, f"Container {path} cannot be found")

    # ------------------------------------------------------------------ streamed requests

    async def serve_stream(self, request: web.Request) -> web.Response:
        """Serve a call whose body is RecordIO: input for a session."""
        given = request.headers.get(MESSAGE_CONTENT_TYPE)
        media = media_of(given or "")
        if given is None:
            return _text(400, f"Expecting '{MESSAGE_CONTENT_TYPE}' to be set for streaming requests")
        if media is None:
            return _text(415, f"Unsupported '{MESSAGE_CONTENT_TYPE}': {given}")
        decode = json.decode if media is Media.JSON else protobuf.decode
        decoder = recordio.Decoder(_RECORD_BYTES_MAX)
        session: Session | None = None
        try:
            async for piece in request.content.iter_any():
                for record in decoder.feed(piece):
                    call = decode(operator.Call, record)
                    if session is None:
                        found = self._first(call)
                        if not isinstance(found, Session):
                            return found
                        session = found
                    else:
                        await _feed(session, call)
        except DecodeError as error:
            return _text(400, str(error))
        except SessionError as error:
            return _text(500, str(error))
        return _text(400, "Received EOF while reading request body") if session is None else _text(200, "")

    def _first(self, call: operator.Call) -> Session | web.Response:
        if call.type is not _Type.ATTACH_CONTAINER_INPUT:
            return _text(415, f"Streaming 'Content-Type' {RECORDIO} is not supported for {call.type} call")
        asked = call.attach_container_input
        if asked is None or asked.container_id is None:
            expected = "Expecting 'attach_container_input.container_id' to be present"
            return _text(400, f"Failed to validate agent::Call: {expected}")
        return self._find(path_of(asked.container_id))


async def _feed(session: Session, call: operator.Call) -> None:
    """Give a session what one record holds."""
    asked = call.attach_container_input
    process_io = None if asked is None else asked.process_io
    if process_io is None:
        raise DecodeError("Failed to validate agent::Call: Expecting 'attach_container_input.process_io' to be present")
    if process_io.data is not None:
        await session.write(process_io.data.data or b"")
    elif process_io.control is not None and process_io.control.tty_info is not None:
        window = process_io.control.tty_info.window_size
        if window is not None:
            session.resize(window.rows & 0xFFFF, window.columns & 0xFFFF)


async def _stream(request: web.Request, session: Session) -> web.StreamResponse:
    """Answer with what a session writes, to its end."""
    media = media_of(request.headers.get(MESSAGE_ACCEPT, Media.JSON.value)) or Media.JSON
    encode = json.encode if media is Media.JSON else protobuf.encode
    answer = web.StreamResponse()
    answer.headers[hdrs.CONTENT_TYPE] = Media.JSON.value
    if acceptable(request.headers.get(hdrs.ACCEPT), RECORDIO):
        answer.headers[hdrs.CONTENT_TYPE] = RECORDIO
        answer.headers[MESSAGE_CONTENT_TYPE] = media.value
    answer.enable_chunked_encoding()
    await answer.prepare(request)
    async for name, data in session.read():
        piece = operator.ProcessIO_Data(type=operator.ProcessIO_Data_Type(name), data=data)
        record = operator.ProcessIO(type=operator.ProcessIO_Type.DATA, data=piece)
        await answer.write(recordio.encode(encode(record)))
    await answer.write_eof()
    return answer


def _wait_answer(call: operator.Call, answer: operator.Response_WaitContainer, media: Media) -> web.Response:
    if call.type is _Type.WAIT_NESTED_CONTAINER:
        nested = operator.Response_WaitNestedContainer(exit_status=answer.exit_status)
        response = operator.Response(type=operator.Response_Type.WAIT_NESTED_CONTAINER, wait_nested_container=nested)
    else:
        response = operator.Response(type=operator.Response_Type.WAIT_CONTAINER, wait_container=answer)
    encoded = json.encode(response) if media is Media.JSON else protobuf.encode(response)
    return web.Response(body=encoded, headers={hdrs.CONTENT_TYPE: media.value})


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, body=text.encode(), headers={hdrs.CONTENT_TYPE: TEXT} if text else {})
