"""HTTP and TCP checks: asks the tasks of this machine whether they answer.

Rules: the core says how long a probe may take, and aborts it then; a probe that is aborted says nothing more. Any certificate will do,
since the address is the machine's own; redirects are followed; what is answered is not read. A task with a network of its own is
asked within it: the connection's socket belongs there.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.connector import AddrInfoType

from merismos.adapters.linux import netns
from merismos.core.agent import effects, events
from merismos.core.kernel import Event


class Prober:
    """The probes that are under way."""

    def __init__(self, post: Callable[[Event], None], namespace_of: Callable[[str], Path | None] | None = None) -> None:
        self._post = post
        self._namespace_of = namespace_of
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
            self._session = self._session_in(None)
        session = self._session
        try:
            if effect.network:
                session = self._session_in(self._namespace(effect.network))
            async with session.get(effect.url) as answer:
                return events.ProbeEnded(effect.probe_id, status_code=answer.status)
        except (aiohttp.ClientError, OSError, ValueError):
            return events.ProbeEnded(effect.probe_id)
        finally:
            if session is not self._session:
                await session.close()

    async def _connect(self, effect: effects.ProbeTcp) -> events.ProbeEnded:
        try:
            if effect.network:
                await self._connect_in(self._namespace(effect.network), effect)
            else:
                _, writer = await asyncio.open_connection(effect.ip, effect.port)
                writer.close()
        except OSError:
            return events.ProbeEnded(effect.probe_id, connected=False)
        return events.ProbeEnded(effect.probe_id, connected=True)

    @staticmethod
    async def _connect_in(namespace: Path, effect: effects.ProbeTcp) -> None:
        family = socket.AF_INET6 if ":" in effect.ip else socket.AF_INET
        with netns.socket_in(namespace, family, socket.SOCK_STREAM) as connection:
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, (effect.ip, effect.port))

    @staticmethod
    def _session_in(namespace: Path | None) -> aiohttp.ClientSession:
        def make(address: AddrInfoType) -> socket.socket:
            assert namespace is not None
            family, kind, protocol, _, _ = address
            return netns.socket_in(namespace, family, kind, protocol)

        factory = None if namespace is None else make
        connector = aiohttp.TCPConnector(ssl=False, force_close=True, limit=0, socket_factory=factory)
        return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))

    def _namespace(self, owner: str) -> Path:
        """Return the namespace of a container's network.

        Errors: OSError where it is gone.
        """
        namespace = None if self._namespace_of is None else self._namespace_of(owner)
        if namespace is None:
            raise FileNotFoundError(f"the network of container {owner} is gone")
        return namespace
