"""All endpoints of a master but the fast lane's, by path.

Rules: reads of records need a master that answers calls; `/health`, `/version`, `/flags`, `/metrics*`, `/redirect`, `/files/*` and
the page at `/` don't.
"""

from __future__ import annotations

import asyncio
import mimetypes
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import msgspec
from aiohttp import hdrs, web

from merismos.adapters.http import files as files_endpoints
from merismos.adapters.http import maintenance
from merismos.adapters.http.operator import NOT_IMPLEMENTED, OperatorEndpoint, require_leader
from merismos.adapters.http.prometheus import exposition
from merismos.adapters.http.sinks import slow_handler
from merismos.adapters.http.slow import Endpoint, Handler, Refused, body_of, not_allowed, reply, send_slices
from merismos.core.master.events import TaskKillAsked
from merismos.core.master.views import metrics, v0
from merismos.protocol import json
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import master as operator
from merismos.protocol.v1 import mesos, quota
from merismos.shell.quantities import parse_duration_s

if TYPE_CHECKING:
    from merismos.adapters.http.agent_proxy import AgentProxy
    from merismos.adapters.http.gate import Gate
    from merismos.adapters.http.scheduler import SchedulerEndpoint

UNGATED = frozenset({"/version", "/flags"})
CHANGES = ("/reserve", "/unreserve", "/create-volumes", "/destroy-volumes")
READS_AND_CHANGES = {"/weights": "PUT", "/quota": "POST", "/maintenance/schedule": "POST"}
_ENCODER = msgspec.json.Encoder()
_WRAPPING = re.compile(r"update_weights\.weight_infos(?:\[\d+\])?\.")
SystemMetrics = Callable[[], Mapping[str, float]]


class MasterEndpoints:
    """The slow lane of a master."""

    def __init__(
        self,
        gate: Gate,
        reads: v0.Reads,
        operators: OperatorEndpoint,
        schedulers: SchedulerEndpoint,
        files: files_endpoints.Files,
        pages: Path,
        system_metrics: SystemMetrics,
        proxy: AgentProxy,
    ) -> None:
        self._gate = gate
        self._reads = reads
        self._operators = operators
        self._schedulers = schedulers
        self._files = files
        self._pages = pages
        self._system_metrics = system_metrics
        self._proxy = proxy

    def table(self) -> dict[str, Endpoint]:
        """Return every endpoint by its path."""
        found: dict[str, Endpoint] = {path: Endpoint(self._read(path, view)) for path, view in v0.ROUTES.items()}
        found |= {path: Endpoint(self._changed_not, ("POST",)) for path in CHANGES}
        found |= {path: Endpoint(self._maintain, ("POST",)) for path in ("/machine/down", "/machine/up")}
        found |= files_endpoints.endpoints(self._files)
        found |= self._proxy.endpoints()
        found |= {
            "/": Endpoint(self._page, ("GET", "HEAD")),
            "/static": Endpoint(self._static, ("GET", "HEAD")),
            "/api/v1": Endpoint(self._operators.serve),
            "/api/v1/scheduler": Endpoint(slow_handler(self._schedulers)),
            "/flags": Endpoint(self._flags),
            "/health": Endpoint(_health),
            "/link": Endpoint(_link),
            "/metrics": Endpoint(self._prometheus, ("GET", "HEAD")),
            "/metrics/snapshot": Endpoint(self._metrics),
            "/redirect": Endpoint(self._redirect),
            "/system/stats.json": Endpoint(self._stats),
            "/tasks/kill": Endpoint(self._kill_task, ("POST",)),
            "/teardown": Endpoint(self._teardown, ("POST",)),
        }
        return found

    def _read(self, path: str, view: Callable[[v0.Reads, Mapping[str, str], float], Iterator[bytes]]) -> Handler:
        changing = READS_AND_CHANGES.get(path)

        async def read(request: web.Request) -> web.StreamResponse:
            if path not in UNGATED:
                require_leader(self._gate, request)
            if changing is not None and request.method not in {"GET", "HEAD"}:
                return await self._change(path, request)
            query = await _query_of(request)
            return await send_slices(request, view(self._reads, query, time.monotonic()))

        return read

    async def _change(self, path: str, request: web.Request) -> web.StreamResponse:
        if path == "/quota":
            return await self._change_quota(request)
        if path in maintenance.CHANGES:
            return await self._maintain(request)
        if path != "/weights":
            return await self._changed_not(request)
        text = (await body_of(request)).decode(errors="replace")
        wrapped = b'{"type":"UPDATE_WEIGHTS","update_weights":{"weight_infos":%b}}' % text.encode()
        try:
            call = json.decode(operator.Call, wrapped)
        except DecodeError as error:
            reason = _WRAPPING.sub("", str(error).partition(": ")[2])
            raise Refused(400, f"Failed to convert weights JSON array to protobuf '{text}': {reason}") from None
        return await self._operators.change(request, call)

    async def _change_quota(self, request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return await self._operators.change(request, _set_quota(await body_of(request)))
        if request.method != "DELETE":
            return not_allowed(request.method, ("GET", "POST", "DELETE"))
        role = request.path.partition("/quota/")[2].strip("/")
        path = f"/master/quota/{role}" if role else "/master/quota"
        if not role:
            text = f"Failed to parse remove quota request for path '{path}': expected 3 tokens, found 2 tokens"
            raise Refused(400, text)
        if role not in self._reads.master.quotas_asked:
            raise Refused(400, f"Failed to remove quota for path '{path}': Role '{role}' has no quota set")
        call = operator.Call(type=operator.Call_Type.REMOVE_QUOTA, remove_quota=operator.Call_RemoveQuota(role=role))
        return await self._operators.change(request, call)

    async def _maintain(self, request: web.Request) -> web.StreamResponse:
        require_leader(self._gate, request)
        path = request.path.removeprefix("/master")
        return await self._operators.change(request, maintenance.call_of(path, await body_of(request)))

    async def _changed_not(self, request: web.Request) -> web.StreamResponse:
        require_leader(self._gate, request)
        raise Refused(501, f"{NOT_IMPLEMENTED} {request.path} can't be changed in this version.")

    async def _teardown(self, request: web.Request) -> web.StreamResponse:
        require_leader(self._gate, request)
        form = parse_qs((await body_of(request)).decode(errors="replace"))
        framework_id = form.get("frameworkId", [""])[0]
        if not framework_id:
            raise Refused(400, "Missing 'frameworkId' query parameter in the request body")
        call = operator.Call(
            type=operator.Call_Type.TEARDOWN,
            teardown=operator.Call_Teardown(framework_id=mesos.FrameworkID(value=framework_id)),
        )
        return await self._operators.change(request, call)

    async def _kill_task(self, request: web.Request) -> web.StreamResponse:
        require_leader(self._gate, request)
        form = parse_qs((await body_of(request)).decode(errors="replace"))
        task_id, framework_id, grace = (form.get(name, [""])[0] for name in ("taskId", "frameworkId", "gracePeriod"))
        try:
            grace_s = max(0.0, parse_duration_s(grace)) if grace else None
        except ValueError as error:
            raise Refused(400, f"'gracePeriod': {error}") from None
        return await self._operators.ask(request, lambda number: TaskKillAsked(number, task_id, framework_id, grace_s))

    async def _flags(self, request: web.Request) -> web.StreamResponse:
        return await send_slices(request, _json({"flags": dict(self._reads.flags)}))

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        return await send_slices(request, _json(self._all_metrics()))

    async def _prometheus(self, request: web.Request) -> web.StreamResponse:  # noqa: ARG002 - a handler's signature
        return reply(200, exposition(self._all_metrics()), "text/plain; version=0.0.4; charset=utf-8")

    async def _stats(self, request: web.Request) -> web.StreamResponse:
        system = self._system_metrics()
        names = {"load_15min": "avg_load_15min", "load_1min": "avg_load_1min", "load_5min": "avg_load_5min"}
        bare = {name.removeprefix("system/"): value for name, value in system.items()}
        return await send_slices(request, _json({names.get(name, name): value for name, value in sorted(bare.items())}))

    def _all_metrics(self) -> dict[str, float]:
        found = dict(metrics.snapshot(self._reads.master, time.monotonic())) if self._gate.open else {}
        return dict(sorted({**found, **self._reads.timings(), **self._system_metrics()}.items()))

    async def _redirect(self, request: web.Request) -> web.StreamResponse:  # noqa: ARG002 - a handler's signature
        master = self._reads.master
        leader = f"{master.hostname}:{master.port}" if self._gate.open else self._gate.leader
        if not leader:
            raise Refused(503, "No leader elected")
        raise Refused(307, headers={hdrs.LOCATION: f"//{leader}"})

    async def _page(self, request: web.Request) -> web.StreamResponse:  # noqa: ARG002 - a handler's signature
        return await _file(self._pages / "index.html")

    async def _static(self, request: web.Request) -> web.StreamResponse:
        name = request.path.partition("/static/")[2].rstrip("/")
        wanted = (self._pages / name).resolve()
        if not name or not wanted.is_relative_to(self._pages.resolve()):
            raise Refused(404, "404 Not Found.")
        return await _file(wanted)


def _set_quota(body: bytes) -> operator.Call:
    """Return the call that a body of POST /quota stands for.

    Errors: Refused.
    """
    text = body.decode(errors="replace")
    try:
        asked = json.decode(quota.QuotaRequest, body)
    except DecodeError as error:
        reason = str(error).partition(": ")[2] or str(error)
        raise Refused(400, f"Failed to parse set quota request JSON '{text}': {reason}") from None
    set_quota = operator.Call_SetQuota(quota_request=asked)
    return operator.Call(type=operator.Call_Type.SET_QUOTA, set_quota=set_quota)


async def _health(request: web.Request) -> web.StreamResponse:  # noqa: ARG001 - a handler's signature
    return reply(200)


async def _link(request: web.Request) -> web.StreamResponse:  # noqa: ARG001 - a handler's signature
    return reply(
        426, "Agents ask for an upgrade here: Upgrade: merismos-link/1", headers={hdrs.UPGRADE: "merismos-link/1"}
    )


async def _file(path: Path) -> web.StreamResponse:
    try:
        data = await asyncio.to_thread(path.read_bytes)
    except OSError:
        raise Refused(404, "404 Not Found.") from None
    content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return reply(200, data, content_type)


async def _query_of(request: web.Request) -> dict[str, str]:
    """Return the parameters in the query, and in a posted form."""
    query = dict(request.query)
    if request.method == "POST":
        form = parse_qs((await body_of(request)).decode(errors="replace"))
        query |= {name: values[0] for name, values in form.items()}
    return query


def _json(value: object) -> Iterator[bytes]:
    data = _ENCODER.encode(value)
    yield data if data.isascii() else json.to_ascii(data)
