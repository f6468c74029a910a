"""An Engine that a test plays, at a real socket: each path is answered as the test says, or not at all.

Rules: what it says where a test gives it no answer is what a real one says: tests/linux/test_docker_engine.py asks both the same.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

TURNS = 10
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def hang(_: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


def say(document: object, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=document if isinstance(document, str) else json.dumps(document), status=status)

    return answer


def no_such_container(name: str) -> Answer:
    """Refuse as the Engine does where it has no such container."""
    return say({"message": f"No such container: {name}"}, 404)


class FakeEngine:
    """What it is asked, and what it answers: by the longest beginning of `METHOD /path` that is known, else with nothing."""

    def __init__(self, socket: Path) -> None:
        self.socket = str(socket)
        self.answers: dict[str, Answer] = {"GET /_ping": say("OK"), "GET /events": self._events}
        self.asked: list[tuple[str, dict[str, str], Any, dict[str, str]]] = []
        self.over = asyncio.Event()
        self.transports: dict[asyncio.Transport, None] = {}
        self._streams: list[web.StreamResponse] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        what = f"{request.method} {request.path}"
        assert request.transport is not None
        self.transports[request.transport] = None
        raw = await request.read()
        body = json.loads(raw) if raw else None
        self.asked.append((what, dict(request.query), body, dict(request.headers)))
        known = [key for key in self.answers if what.startswith(key)]
        if not known:
            return web.Response(text="{}")
        answer = asyncio.ensure_future(self.answers[max(known, key=len)](request))
        over = asyncio.ensure_future(self.over.wait())
        await asyncio.wait({answer, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if answer.done():
            return answer.result()
        answer.cancel()
        return web.Response(status=503)

    def heard(self, what: str) -> list[tuple[str, dict[str, str], Any, dict[str, str]]]:
        return [one for one in self.asked if one[0] == what]

    async def _events(self, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        self._streams.append(stream)
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def tell(self, event: object) -> None:
        for stream in self._streams:
            await stream.write(json.dumps(event).encode() + b"\n")


@asynccontextmanager
async def fake_engine(socket: Path) -> AsyncIterator[FakeEngine]:
    engine = FakeEngine(socket)
    runner = web.ServerRunner(web.Server(engine.handle), shutdown_timeout=0.0)
    await runner.setup()
    await web.UnixSite(runner, engine.socket).start()
    try:
        yield engine
    finally:
        for _ in range(TURNS):
            await asyncio.sleep(0)  # whoever has connected is known to the server now
        engine.over.set()
        await runner.cleanup()
        for transport in engine.transports:
            transport.abort()
        for _ in range(TURNS):
            await asyncio.sleep(0)  # they close in the turns after this one
