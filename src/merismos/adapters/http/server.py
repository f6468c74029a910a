"""One port: the fast lane first, aiohttp or an agent's link for what isn't a call.

Rules: listening starts before the machine answers (503 until then) and stops first. Closing gives answers under way a moment.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from merismos.adapters.http.answers import Answers
from merismos.adapters.http.heads import Heads
from merismos.adapters.http.lane import FastLane, Limits
from merismos.adapters.http.server_log import server_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from merismos.adapters.http.scheduler import SchedulerEndpoint
    from merismos.shell.turn import Turn
    from merismos.shell.wheel import Wheel

BACKLOG = 4096
KEEP_ALIVE_S = 300.0
CLOSE_LIMIT_S = 1.0
LINE_BYTES_MAX = 64 * 1024


class HttpServer:
    """A listening socket and all its connections."""

    def __init__(
        self, app: web.Application, scheduler: SchedulerEndpoint, turn: Turn, wheel: Wheel, limits: Limits | None = None
    ) -> None:
        self.scheduler = scheduler
        self.turn = turn
        self.wheel = wheel
        self.limits = limits or Limits()
        self.heads = Heads()
        self.answers = Answers()
        self.connections: dict[FastLane, None] = {}
        self.links: Callable[[asyncio.Transport, bytes], None] | None = None
        self._runner = web.AppRunner(
            app,
            handle_signals=False,
            handler_cancellation=True,
            access_log=None,
            logger=server_logger(),
            keepalive_timeout=KEEP_ALIVE_S,
            shutdown_timeout=CLOSE_LIMIT_S,
            lingering_time=self.limits.linger_s,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=LINE_BYTES_MAX,
        )
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> int:
        """Open the port and return its number, which the system chose if `port` is 0.

        Errors: OSError.
        """
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: FastLane(self), host, port, backlog=BACKLOG, reuse_address=True)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Close the port, then every connection."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.end()
        await self._runner.cleanup()
        for connection in list(self.connections):
            connection.cut()

    def other_lane(self) -> asyncio.Protocol:
        """Return a fresh aiohttp connection."""
        server = self._runner.server
        assert server is not None
        return server()

    def link_lane(self) -> Callable[[asyncio.Transport, bytes], None] | None:
        """Return what takes an agent's link over; None while this master doesn't lead."""
        return self.links
