"""What an agent answers to those who reach only the master."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
from aiohttp import web

from merismos.adapters.http import agent_proxy
from merismos.adapters.http.agent_proxy import AgentProxy, Pace
from merismos.adapters.http.gate import Gate
from merismos.adapters.http.slow import Router, application

LIMIT_S = 30.0
BIG = 32 << 20


class Address:
    """What a proxy needs to know of an agent."""

    def __init__(self, port: int) -> None:
        self.id, self.ip, self.port = "S1", "127.0.0.1", port


class Agent:
    """An agent that answers as the test says, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.answer: Callable[[web.Request], Awaitable[web.StreamResponse]] = self.plain
        self.gone = asyncio.Event()

    async def plain(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text="from the agent", headers={"X-Own": "1", "Keep-Alive": "5"})

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.raw_path, dict(request.headers)))
        try:
            return await self.answer(request)
        except asyncio.CancelledError:
            self.gone.set()
            raise


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[int]:
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield cast("int", runner.addresses[0][1])
    finally:
        await runner.cleanup()


Scenario = Callable[[aiohttp.ClientSession, Agent, dict[str, Any], Gate], Awaitable[None]]


def through_a_master(scenario: Scenario) -> None:
    async def run() -> None:
        agent, gate = Agent(), Gate()
        gate.recovered = True
        behind = web.Application(client_max_size=2 * BIG)
        behind.router.add_route("*", "/{path:.*}", agent.serve)
        agents: dict[str, Any] = {}
        proxy = AgentProxy(gate, agents)
        front = application(Router(proxy.endpoints(), "/master"))
        async with asyncio.timeout(LIMIT_S), listening(behind) as port, listening(front) as at:
            agents["S1"] = Address(port)
            try:
                async with aiohttp.ClientSession(f"http://127.0.0.1:{at}") as session:
                    await scenario(session, agent, agents, gate)
            finally:
                await proxy.close()

    asyncio.run(run())


def test_a_read_is_passed_on_as_it_is_and_its_answer_comes_back() -> None:
    async def scenario(session: aiohttp.ClientSession, agent: Agent, _agents: object, _gate: Gate) -> None:
        for prefix in ("/agent", "/slave", "/master/agent"):
            path = f"{prefix}/S1/files/read?path=/a%26b%20c&offset=0"
            async with session.get(path, headers={"Authorization": "Basic eA==", "TE": "x"}) as answer:
                assert (answer.status, await answer.text()) == (200, "from the agent")
                assert answer.headers["X-Own"] == "1"
                assert answer.headers["Via"] == "1.1 merismos-master"
                assert "Keep-Alive" not in answer.headers
            method, target, headers = agent.asked.pop()
            assert (method, target) == ("GET", "/files/read?path=/a%26b%20c&offset=0")
            assert headers["Authorization"] == "Basic eA=="
            assert "TE" not in headers
        async with session.get("/agent/S1/slave(1)/state") as answer:
            assert answer.status == 200
        async with session.head("/agent/S1/files/download?path=/x") as answer:
            assert (answer.status, answer.content_length, await answer.read()) == (200, 14, b"")

    through_a_master(scenario)


def test_what_is_no_read_and_no_call_is_refused_by_the_master_itself() -> None:
    async def scenario(session: aiohttp.ClientSession, agent: Agent, _agents: object, gate: Gate) -> None:
        refusals = [
            ("GET", "/agent/S1/api/v1", 405),
            ("POST", "/agent/S1/api/v1/executor", 404),
            ("POST", "/agent/S1/files/read", 405),
            ("GET", "/agent/S1/agent/S1/state", 404),
            ("GET", "/agent/S1", 404),
            ("GET", "/agent", 404),
            ("GET", "/agent/S2/state", 404),
        ]
        for method, path, status in refusals:
            async with session.request(method, path) as answer:
                assert answer.status == status, path
                assert "Via" not in answer.headers
        async with session.get("/agent/S2/state") as answer:
            assert await answer.text() == "No agent 'S2' is registered with this master"
        gate.leads, gate.leader = False, "10.0.0.9:5050"
        async with session.get("/agent/S1/files/read?path=/x", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (307, "//10.0.0.9:5050/agent/S1/files/read?path=/x")
        assert agent.asked == []

    through_a_master(scenario)


def test_an_agent_that_can_not_be_reached_is_a_bad_gateway_and_says_who() -> None:
    async def scenario(session: aiohttp.ClientSession, _agent: Agent, agents: dict[str, Any], _gate: Gate) -> None:
        agents["S1"].port = 1
        async with session.get("/agent/S1/state") as answer:
            assert answer.status == 502
            assert answer.headers["Via"] == agent_proxy.VIA
            assert "agent S1 at 127.0.0.1:1 can't be reached from this master" in await answer.text()

    through_a_master(scenario)


def test_bodies_stream_both_ways_while_both_are_under_way() -> None:
    async def scenario(session: aiohttp.ClientSession, agent: Agent, _agents: object, _gate: Gate) -> None:
        async def echo(request: web.Request) -> web.StreamResponse:
            answer = web.StreamResponse()
            await answer.prepare(request)
            while piece := await request.content.readany():
                await answer.write(piece.upper())
            await answer.write_eof()
            return answer

        agent.answer = echo
        heard = asyncio.Event()

        async def words() -> AsyncIterator[bytes]:
            yield b"one"
            await heard.wait()
            yield b"two"

        async with session.post("/agent/S1/api/v1", data=words()) as answer:
            assert await answer.content.readany() == b"ONE"
            heard.set()
            assert await answer.content.read() == b"TWO"

    through_a_master(scenario)


def test_a_big_body_is_neither_kept_nor_shortened() -> None:
    async def scenario(session: aiohttp.ClientSession, agent: Agent, _agents: object, _gate: Gate) -> None:
        produced = 0

        async def endless(request: web.Request) -> web.StreamResponse:
            nonlocal produced
            await request.read()
            answer = web.StreamResponse()
            answer.content_length = BIG
            await answer.prepare(request)
            while produced < BIG:
                await answer.write(bytes(1 << 16))
                produced += 1 << 16
            return answer

        agent.answer = endless
        async with session.get("/agent/S1/files/download?path=/big") as answer:
            assert answer.content_length == BIG
            first = await answer.content.readany()
            size = len(first)
            for _ in range(50):
                await asyncio.sleep(0)
            assert produced < BIG, "what nobody reads is not fetched"
            async for piece in answer.content.iter_any():
                size += len(piece)
        assert size == BIG

    through_a_master(scenario)


def test_who_leaves_lets_the_agent_know_and_an_answer_that_breaks_off_is_no_whole_one() -> None:
    async def scenario(session: aiohttp.ClientSession, agent: Agent, _agents: object, _gate: Gate) -> None:
        async def hang(request: web.Request) -> web.StreamResponse:
            answer = web.StreamResponse()
            await answer.prepare(request)
            await answer.write(b"begun")
            await asyncio.Event().wait()
            return answer

        async def break_off(request: web.Request) -> web.StreamResponse:
            answer = web.StreamResponse()
            await answer.prepare(request)
            await answer.write(b"begun")
            assert request.transport is not None
            request.transport.abort()
            return answer

        agent.answer = hang
        async with session.post("/agent/S1/api/v1", data=b"{}") as answer:
            assert await answer.content.readany() == b"begun"
            answer.close()
        await agent.gone.wait()
        agent.answer = break_off
        try:
            async with session.post("/agent/S1/api/v1", data=b"{}") as answer:
                await answer.read()
        except aiohttp.ClientError:
            return
        raise AssertionError("an answer that broke off was told as whole")

    through_a_master(scenario)


def test_those_who_send_together_are_held_to_one_pace() -> None:
    async def scenario() -> float:
        loop, pace = asyncio.get_running_loop(), Pace(1_000_000)

        async def send() -> None:
            for _ in range(10):
                await pace.keep(10_000)

        began = loop.time()
        await asyncio.gather(send(), send())
        return loop.time() - began

    assert asyncio.run(scenario()) >= 0.19
