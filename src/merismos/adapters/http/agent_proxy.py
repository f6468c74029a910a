"""`/agent/<agent id>/…` on a master: what an agent answers, for those who reach only the master.

Rules: agents that are registered, by id, and nothing else of their machines; of an agent its reads and `POST /api/v1`, never the
executors' API. Bodies stream both ways with nothing kept but what is under way: who doesn't read isn't read for. What the agent
answers is passed on as it is, with `Via` to tell it from the master's own words. At most `REQUESTS_MAX` at once, and together at most
`BYTES_PER_S_MAX` of answers, so that downloads leave the master's loop to schedulers.
Source: DC/OS' Admin Router serves agents under the same paths, `/agent/` and the older `/slave/`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict
from yarl import URL

from merismos.adapters.http.operator import require_leader
from merismos.adapters.http.slow import NOT_FOUND, Endpoint, Refused, not_allowed, write
from merismos.adapters.sockets import notice_dead_peer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from merismos.adapters.http.gate import Gate
    from merismos.core.master.state import Agent

PATHS: Final = ("/agent", "/slave")
VIA: Final = "1.1 merismos-master"
API: Final = "/api/v1"
READS: Final = frozenset(
    {
        *(f"/files/{what}{form}" for what in ("browse", "read", "download", "debug") for form in ("", ".json")),
        *("/containers", "/flags", "/health", "/metrics/snapshot", "/monitor/statistics", "/state", "/version"),
    }
)
REQUESTS_MAX = 512
CONNECT_S_MAX = 5.0
READ_S_MAX = 60.0
BYTES_PER_S_MAX = 128 << 20
SILENT_PEER_S = 60
_PIECE_BYTES: Final = 64 * 1024
_EARLY_S: Final = 0.002
_OWN: Final = "/slave(1)"
_OF_ONE_HOP: Final = frozenset(
    {
        *(
            "connection",
            "expect",
            "host",
            "keep-alive",
            "proxy-authenticate",
            "proxy-authorization",
            "proxy-connection",
        ),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    }
)
_ADDED_BY_AIOHTTP: Final = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT, hdrs.CONTENT_TYPE)


class Pace:
    """Holds those who send together to a number of bytes a second."""

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._free_at = 0.0

    async def keep(self, size: int) -> None:
        """Wait until `size` more bytes are in time."""
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now) + size / self._bytes_per_s
        if self._free_at - now > _EARLY_S:
            await asyncio.sleep(self._free_at - now)


class AgentProxy:
    """Passes requests on to agents; `agents` is the master's own table."""

    def __init__(self, gate: Gate, agents: Mapping[str, Agent]) -> None:
        self._gate = gate
        self._agents = agents
        self._session: aiohttp.ClientSession | None = None
        self._under_way = 0
        self._pace = Pace(BYTES_PER_S_MAX)

    def endpoints(self) -> dict[str, Endpoint]:
        """Return what serves the paths of agents."""
        return {path: Endpoint(self.serve) for path in PATHS}

    async def close(self) -> None:
        """Close the connections to agents."""
        if self._session is not None:
            await self._session.close()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Pass one request on, and its answer back."""
        require_leader(self._gate, request)
        agent_id, target = _parts_of(request)
        _check(request, target)
        agent = self._agents.get(agent_id)
        if agent is None:
            raise Refused(404, f"No agent '{agent_id}' is registered with this master")
        if self._under_way >= REQUESTS_MAX:
            raise Refused(503, f"{REQUESTS_MAX} requests to agents are under way already; try again in a moment")
        self._under_way += 1
        try:
            return await self._pass_on(request, agent, target)
        finally:
            self._under_way -= 1

    async def _pass_on(self, request: web.Request, agent: Agent, target: str) -> web.StreamResponse:
        url = URL.build(
            scheme="http",
            host=agent.ip.strip("[]"),
            port=agent.port,
            path=target,
            query_string=request.rel_url.raw_query_string,
            encoded=True,
        )
        limit = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_S_MAX, sock_read=None if target == API else READ_S_MAX
        )
        headers = _passed(request.headers)
        headers.add(hdrs.VIA, VIA)
        who = f"agent {agent.id} at {agent.ip}:{agent.port}"
        async with contextlib.AsyncExitStack() as stack:
            try:
                asking = self._client().request(
                    request.method,
                    url,
                    headers=headers,
                    data=_pieces(request) if request.can_read_body else None,
                    allow_redirects=False,
                    timeout=limit,
                )
                answer = await stack.enter_async_context(asking)
            except TimeoutError:
                raise Refused(504, f"{who} doesn't answer this master", {hdrs.VIA: VIA}, closes=True) from None
            except (aiohttp.ClientError, OSError) as error:
                text = f"{who} can't be reached from this master: {error}"
                raise Refused(502, text, {hdrs.VIA: VIA}, closes=True) from None
            return await _pass_back(request, answer, self._pace)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=REQUESTS_MAX, keepalive_timeout=15.0),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=_ADDED_BY_AIOHTTP,
                auto_decompress=False,
                read_bufsize=_PIECE_BYTES,
            )
        return self._session


def _parts_of(request: web.Request) -> tuple[str, str]:
    """Return the id of the agent that is meant, and the path of its own that is."""
    path = request.path.removeprefix("/master")
    agent_id, _, rest = path.partition("/")[2].partition("/")[2].partition("/")
    return agent_id, ("/" + rest.rstrip("/")).removeprefix(_OWN)


def _check(request: web.Request, target: str) -> None:
    """Go on with what may be asked of an agent.

    Errors: Refused.
    """
    if target == API:
        methods: tuple[str, ...] = (hdrs.METH_POST,)
    elif target in READS:
        methods = (hdrs.METH_GET, hdrs.METH_HEAD)
    else:
        raise Refused(404, NOT_FOUND)
    if request.method not in methods:
        answer = not_allowed(request.method, methods)
        raise Refused(405, answer.text or "", {hdrs.ALLOW: answer.headers[hdrs.ALLOW]})


def _passed(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """Return the headers that aren't between two neighbours only."""
    named = {name.strip().lower() for name in headers.get(hdrs.CONNECTION, "").split(",")}
    pairs: Iterable[tuple[str, str]] = headers.items()
    return CIMultiDict((name, value) for name, value in pairs if name.lower() not in _OF_ONE_HOP | named)


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    """Yield a request's body as it comes."""
    while piece := await request.content.readany():
        yield piece


async def _pass_back(request: web.Request, answer: aiohttp.ClientResponse, pace: Pace) -> web.StreamResponse:
    """Send an agent's answer on, piece by piece; an answer that breaks off breaks off here too."""
    if answer.connection is not None and answer.connection.transport is not None:
        notice_dead_peer(answer.connection.transport, SILENT_PEER_S)
    headers = _passed(answer.headers)
    headers.add(hdrs.VIA, VIA)
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    if hdrs.CONTENT_LENGTH not in headers and request.version >= (1, 1):
        response.enable_chunked_encoding()
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response
    try:
        async for piece in answer.content.iter_any():
            await write(request, response, piece)
            await pace.keep(len(piece))
        await response.write_eof()
    except (aiohttp.ClientError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the agent's answer broke off") from None
    return response
