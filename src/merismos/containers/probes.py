"""HTTP and TCP checks: asks the tasks of this machine whether they answer.

Rules: the core says how long a probe may take, and aborts it then; a probe that is aborted says nothing more. Any certificate will do,
since the address is the machine's own; redirects are followed; what is answered is not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp

from merismos.core.agent import effects, events
from merismos.core.kernel import Event


class Prober:
    """The probes that are under way."""

    def __init__(self, post: Callable[[Event], None]) -> None:
        self._post = post
        self._session: aiohttp.ClientSession | None = None
        self._running: dict[str, asyncio.Task[None]] = {}

    def ask(self, effect: effects.ProbeHttp) -> None:
        """Ask for a URL."""
        self._start(effect.probe_id, self._ask(effect))

    def connect(self, effect: effects.ProbeTcp) -> None:
        """Open a TCP connection."""
        self._start(effect.probe_id, self._connect(effect))

    def abort(self, effect: effects.AbortProbe) -> None:
        """Give a probe up."""
        probe = self._running.pop(effect.probe_id, None)
        if probe is not None:
            probe.cancel()

    async def close(self) -> None:
        """Give every probe up."""
        for probe in self._running.values():
            probe.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        self._running.clear()
        if self._session is not None:
            await self._session.close()

    def _start(self, probe_id: str, work: Coroutine[Any, None, events.ProbeEnded]) -> None:
        async def run() -> None:
            ended = await work
            if self._running.pop(probe_id, None) is not None:
                self._post(ended)

        self._running[probe_id] = asyncio.get_running_loop().create_task(run())

    async def _ask(self, effect: effects.ProbeHttp) -> events.ProbeEnded:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=False, force_close=True, limit=0)
            self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        try:
            async with self._session.get(effect.url) as answer:
                return events.ProbeEnded(effect.probe_id, status_code=answer.status)
        except (aiohttp.ClientError, OSError, ValueError):
            return events.ProbeEnded(effect.probe_id)

    async def _connect(self, effect: effects.ProbeTcp) -> events.ProbeEnded:
        try:
            _, writer = await asyncio.open_connection(effect.ip, effect.port)
        except OSError:
            return events.ProbeEnded(effect.probe_id, connected=False)
        writer.close()
        return events.ProbeEnded(effect.probe_id, connected=True)
