"""The agent's HTTP server: every endpoint also under `/slave(1)`, `/api/v1` and what lies below it the operator API.

Rules: statuses, texts and content types are those of a recorded agent; a `jsonp` parameter makes a read a script. Reads of files
may be used from other origins, so that a master's page can show logs.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Protocol

import msgspec
from aiohttp import hdrs, web

from merismos.adapters.agent_http import domain_socket
from merismos.adapters.agent_http.containers import ContainersEndpoint
from merismos.adapters.agent_http.executor import PATH as EXECUTOR_PATH
from merismos.adapters.agent_http.executor import ExecutorEndpoint
from merismos.adapters.agent_http.files import FileRefused, SandboxFiles, file_name, mode_text
from merismos.adapters.agent_http.first_head import HEAD_BYTES_MAX, HEAD_S_MAX, FirstHead
from merismos.adapters.agent_http.operator import CallRefused, OperatorReads
from merismos.adapters.agent_http.statistics import (
    NO_METERS,
    Meters,
    container_rows,
    containers_v0,
    machine_stats_v0,
    monitor_v0,
)
from merismos.adapters.http.answers import TEXT, method_not_allowed
from merismos.adapters.http.lane import Limits
from merismos.adapters.http.negotiation import (
    NOT_ACCEPTABLE,
    RECORDIO,
    Media,
    acceptable,
    media_for,
    media_of,
    refusal_of,
)
from merismos.adapters.http.server_log import server_logger
from merismos.adapters.http.slow import LIMITS, Refused, body_of
from merismos.core.agent.state import Agent
from merismos.core.agent.views import metrics, v0
from merismos.protocol import json, protobuf
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import agent as operator
from merismos.protocol.v1 import mesos
from merismos.shell.metrics_system import system_metrics

PREFIX = "/slave(1)"
API = "/api/v1"
_CALLBACK = re.compile(r"[A-Za-z_$][\w$.\[\]]{0,127}")
_PIECE_BYTES = 256 * 1024
_MAY_BE_EMPTY = frozenset({HTTPStatus.OK, HTTPStatus.ACCEPTED})
_ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}


class Pruner(Protocol):
    """Who removes images."""

    async def prune(self, excluded: Iterable[mesos.Image]) -> None:
        """Remove the images that no container stands on and that aren't named.

        Errors: OSError.
        """
        ...


class AgentHttp:
    """Serves one agent's state."""

    def __init__(
        self,
        agent: Agent,
        flags: dict[str, str],
        executors: ExecutorEndpoint,
        containers: ContainersEndpoint,
        images: Pruner | None = None,
        machine_metrics: Callable[[], dict[str, float]] = system_metrics,
        limits: Limits | None = None,
        meters: Meters = NO_METERS,
    ) -> None:
        self._agent = agent
        self._executors = executors
        self._containers = containers
        self._flags = flags
        self._files = SandboxFiles(agent)
        self._images = images
        self._operator = OperatorReads(agent, self._files, flags, machine_metrics, meters)
        self._limits = limits or Limits(first_s=HEAD_S_MAX)
        self._runner: web.AppRunner | None = None
        self._servers: list[asyncio.Server] = []
        self._silent: set[FirstHead] = set()
        self._json_reads: dict[str, Callable[[web.Request], object]] = {
            "/state": lambda _: v0.state(agent, flags),
            "/flags": lambda _: {"flags": flags},
            "/version": lambda _: v0.version(),
            "/containers": lambda request: containers_v0(agent, meters, request.query.get("container_id")),
            "/monitor/statistics": lambda _: [monitor_v0(row) for row in container_rows(agent, meters)],
            "/metrics/snapshot": lambda _: metrics.snapshot(agent, time.monotonic(), machine_metrics()),
            "/system/stats.json": lambda _: machine_stats_v0(),
            "/files/browse": self._browse,
            "/files/read": self._read,
            "/files/debug": lambda _: self._files.attached(),
        }

    async def start(self, listener: socket.socket, executors: socket.socket | None = None) -> None:
        """Begin to serve on a socket that listens, and executors on a Unix socket of theirs."""
        app = web.Application(client_max_size=self._limits.body_bytes)
        app[LIMITS] = self._limits
        app.router.add_route("*", "/{path:.*}", self._dispatch)
        app.on_response_prepare.append(_drop_type_of_nothing)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=server_logger(),
            shutdown_timeout=1.0,
            handler_cancellation=True,
            lingering_time=self._limits.linger_s,
            max_line_size=HEAD_BYTES_MAX,
            max_field_size=HEAD_BYTES_MAX,
        )
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._servers = [await loop.create_server(self._connection, sock=listener)]
        if executors is not None:
            self._servers.append(await loop.create_unix_server(self._connection, sock=executors))

    def _connection(self) -> FirstHead:
        assert self._runner is not None
        assert self._runner.server is not None
        return FirstHead(self._runner.server, self._silent, self._limits.first_s)

    async def close(self) -> None:
        """Stop serving."""
        self._executors.close()
        for server in self._servers:
            server.close()
        for connection in list(self._silent):
            connection.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except Refused as refused:
            response = _text(refused.status, str(refused.body))
            response.force_close()
            return response

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.rstrip("/").removeprefix(PREFIX)
        if path == EXECUTOR_PATH:
            return await self._executors.serve(request)
        if domain_socket.came_over_it(request):
            return _text(404, "404 Not Found.")
        if path == API or path.startswith(API + "/"):
            return await self._call(request)
        if path == "/health":
            return web.Response()
        try:
            if path in {"/files/download", "/files/download.json"}:
                return await self._download(request)
            read = self._json_reads.get(path)
            if read is None:
                return _text(404, "404 Not Found.")
            answer = json.to_ascii(msgspec.json.encode(read(request)))
        except FileRefused as refused:
            return _text(refused.status, refused.text)
        return _script(request, answer, _ANY_ORIGIN if path.startswith("/files/") else {})

    async def _call(self, request: web.Request) -> web.StreamResponse:
        if request.method != hdrs.METH_POST:
            return _text(405, method_not_allowed(request.method), {"Allow": "POST"})
        given = request.headers.get(hdrs.CONTENT_TYPE)
        if given == RECORDIO:
            return await self._containers.serve_stream(request)
        media = media_of(given or "")
        if media is None:
            return _text(*refusal_of(given))
        accept = request.headers.get(hdrs.ACCEPT)
        wanted = media_for(accept)
        if wanted is None and not acceptable(accept, RECORDIO):
            return _text(406, NOT_ACCEPTABLE)
        body = await body_of(request)
        try:
            codec = json.decode if media is Media.JSON else protobuf.decode
            call = codec(operator.Call, body)
            refusal = self._containers.refusal(request, call)
            if refusal is not None:
                return _text(*refusal)
            if self._containers.serves(call):
                return await self._containers.serve(request, call, wanted or Media.JSON)
            if call.type is operator.Call_Type.PRUNE_IMAGES:
                return await self._prune(call)
            answer = self._operator.answer(call)
        except DecodeError as error:
            return _text(400, str(error))
        except CallRefused as refused:
            return _text(refused.status, refused.text)
        assert wanted is not None, "what isn't streamed is refused where only a stream is acceptable"
        encoded = json.encode(answer) if wanted is Media.JSON else protobuf.encode(answer)
        return web.Response(body=encoded, headers={hdrs.CONTENT_TYPE: wanted.value, **_ANY_ORIGIN})

    async def _prune(self, call: operator.Call) -> web.Response:
        if self._images is not None:
            try:
                await self._images.prune(call.prune_images.excluded_images if call.prune_images is not None else ())
            except OSError as error:
                return _text(500, f"Failed to prune images: {error}")
        return web.Response()

    def _browse(self, request: web.Request) -> object:
        return [
            {
                "gid": entry.gid,
                "mode": mode_text(entry.info.st_mode),
                "mtime": float(int(entry.info.st_mtime)),
                "nlink": entry.info.st_nlink,
                "path": entry.path,
                "size": entry.info.st_size,
                "uid": entry.uid,
            }
            for entry in self._files.browse(_path(request))
        ]

    def _read(self, request: web.Request) -> object:
        path = _path(request)
        offset = _number(request, "offset", -1)
        length = _number(request, "length", -1)
        data, size = self._files.read(path, offset, length)
        return {"data": data.decode("utf-8", "replace"), "offset": offset if offset >= 0 else size}

    async def _download(self, request: web.Request) -> web.StreamResponse:
        fd, size = self._files.open(_path(request))
        try:
            answer = web.StreamResponse(
                headers={
                    "Content-Disposition": f"attachment; filename={file_name(_path(request))}",
                    hdrs.CONTENT_TYPE: "application/octet-stream",
                    **_ANY_ORIGIN,
                }
            )
            answer.content_length = size
            await answer.prepare(request)
            loop = asyncio.get_running_loop()
            offset = 0
            while offset < size:
                piece = await loop.run_in_executor(None, os.pread, fd, min(_PIECE_BYTES, size - offset), offset)
                if not piece:
                    break
                offset += len(piece)
                await answer.write(piece)
            await answer.write_eof()
        finally:
            os.close(fd)
        return answer


async def _drop_type_of_nothing(_request: web.Request, answer: web.StreamResponse) -> None:
    if answer.status in _MAY_BE_EMPTY and isinstance(answer, web.Response) and not answer.body:
        answer.headers.popall(hdrs.CONTENT_TYPE, None)


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=text.encode(), headers={hdrs.CONTENT_TYPE: TEXT, **(headers or {})})


def _script(request: web.Request, answer: bytes, headers: dict[str, str]) -> web.Response:
    callback = request.query.get("jsonp")
    if callback is None:
        return web.Response(body=answer, headers={hdrs.CONTENT_TYPE: "application/json", **headers})
    if _CALLBACK.fullmatch(callback) is None:
        return _text(400, f"'{callback}' can't be the name of a function")
    body = callback.encode() + b"(" + answer + b")"
    return web.Response(body=body, headers={hdrs.CONTENT_TYPE: "text/javascript", **headers})


def _path(request: web.Request) -> str:
    path = request.query.get("path")
    if not path:
        raise FileRefused(400, "Expecting 'path=value' in query.\n")
    return path


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise FileRefused(400, f"Failed to parse {name}: Failed to convert '{text}' to number.\n") from None
