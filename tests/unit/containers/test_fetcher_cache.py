"""Files that are fetched once and kept: by one transfer for all who ask, within a bound, whole or not at all."""

from __future__ import annotations

import asyncio
import os
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from merismos.containers import fetcher_cache
from merismos.containers.fetcher import Fetcher
from merismos.containers.fetcher_cache import Bring, FetcherCache, NoRoom, UnsafeDirectory, name_of, open_cache
from merismos.containers.transfers import Transfers
from merismos.core.agent import effects, events
from merismos.core.kernel import Event
from merismos.protocol.v1 import mesos

LIMIT_S = 30.0
MEGABYTE = 1 << 20


class Server:
    """Serves `/SIZE/NAME`, or 5 bytes as `/NAME`, and counts."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[str] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.body: Callable[[int], bytes] = bytes

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path)
        if request.path == "/none":
            raise web.HTTPNotFound
        answer = web.StreamResponse()
        size = request.path.split("/")[1]
        body = self.body(int(size) if size.isdecimal() else 5)
        answer.content_length = len(body)
        await answer.prepare(request)
        await answer.write(body[:3])
        await self.hold.wait()
        if request.path.endswith("/broken"):
            assert request.transport is not None
            request.transport.abort()
            return answer
        await answer.write(body[3:])
        return answer


class Agent:
    """A fetcher with its cache, and sandboxes."""

    def __init__(self, folder: Path, server: Server, bytes_max: int, stall_s: float) -> None:
        self.folder = folder
        self.server = server
        self.heard: dict[str, asyncio.Future[Event]] = {}
        cache = open_cache(folder / "cache", bytes_max)
        self.fetcher = Fetcher(self._post, Transfers(stall_s), cache)

    def _post(self, event: Event) -> None:
        assert isinstance(event, events.UrisFetched | events.FetchFailed)
        self.heard[event.container_id].set_result(event)

    def ask(self, name: str, path: str, **fields: object) -> asyncio.Future[Event]:
        sandbox = self.folder / name
        sandbox.mkdir(exist_ok=True)
        heard = self.heard[name] = asyncio.get_running_loop().create_future()
        uri = mesos.CommandInfo_URI(value=self.server.url + path, cache=True, **fields)  # type: ignore[arg-type]
        self.fetcher.fetch(effects.FetchUris(name, str(sandbox), [uri], None))
        return heard

    async def fetched(self, name: str, path: str, **fields: object) -> None:
        assert await self.ask(name, path, **fields) == events.UrisFetched(name)

    @property
    def used(self) -> float:
        return self.fetcher.metrics()["containerizer/fetcher/cache_size_used_bytes"]

    def kept(self) -> list[int]:
        return sorted(path.stat().st_size for path in (self.folder / "cache").iterdir())


def with_agent(
    folder: Path,
    scenario: Callable[[Agent, Server], Awaitable[None]],
    bytes_max: int = 100 * MEGABYTE,
    stall_s: float = 20.0,
) -> None:
    async def run() -> None:
        server = Server()
        app = web.Application()
        app.router.add_get("/{path:.*}", server.serve)
        runner = web.AppRunner(app, shutdown_timeout=0.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        agent = Agent(folder, server, bytes_max, stall_s)
        try:
            async with asyncio.timeout(LIMIT_S):
                await scenario(agent, server)
        finally:
            server.hold.set()
            await agent.fetcher.close()
            await runner.cleanup()

    asyncio.run(run())


def test_a_second_fetch_of_a_large_file_makes_no_request(tmp_path: Path) -> None:
    async def scenario(agent: Agent, server: Server) -> None:
        size = 64 * MEGABYTE
        for name in ("a", "b"):
            await agent.fetched(name, f"/{size}/big")
            assert (agent.folder / name / "big").stat().st_size == size
        assert server.requests == [f"/{size}/big"]
        assert agent.used == size

    with_agent(tmp_path, scenario)


def test_twenty_who_ask_at_once_wait_for_one_request(tmp_path: Path) -> None:
    async def scenario(agent: Agent, server: Server) -> None:
        server.hold.clear()
        asked = [agent.ask(f"t{number}", "/x") for number in range(20)]
        while not server.requests:
            await asyncio.sleep(0)
        server.hold.set()
        assert await asyncio.gather(*asked) == [events.UrisFetched(f"t{number}") for number in range(20)]
        assert server.requests == ["/x"]
        assert all((agent.folder / f"t{number}" / "x").read_bytes() == bytes(5) for number in range(20))

    with_agent(tmp_path, scenario)


def test_what_is_longest_unused_goes_first_and_the_limit_holds(tmp_path: Path) -> None:
    async def scenario(agent: Agent, server: Server) -> None:
        for number, path in enumerate(("/40/a", "/40/b", "/40/a", "/40/c", "/40/a", "/40/b")):
            await agent.fetched(f"t{number}", path)
            assert agent.used <= 100
            assert sum(agent.kept()) == agent.used
        assert server.requests == ["/40/a", "/40/b", "/40/c", "/40/b"]

    with_agent(tmp_path, scenario, bytes_max=100)


def test_what_finds_no_room_is_fetched_past_the_cache(tmp_path: Path) -> None:
    async def scenario(agent: Agent, server: Server) -> None:
        await agent.fetched("small", "/40/small")
        await agent.fetched("big", "/101/big")
        assert (tmp_path / "big" / "big").stat().st_size == 101
        assert agent.kept() == [40], "nothing was given up for what can't fit anyway"
        server.hold.clear()
        coming = agent.ask("coming", "/90/coming")
        while "/90/coming" not in server.requests:
            await asyncio.sleep(0)
        server.requests.clear()
        other = agent.ask("other", "/90/other")
        while len(server.requests) < 2:
            await asyncio.sleep(0)
        server.hold.set()
        assert await coming == events.UrisFetched("coming")
        assert await other == events.UrisFetched("other")
        assert server.requests == ["/90/other", "/90/other"]
        assert agent.kept() == [90]

    with_agent(tmp_path, scenario, bytes_max=100)


def test_a_file_outlives_its_agent_and_nothing_half_made_does(tmp_path: Path) -> None:
    async def first(agent: Agent, _server: Server) -> None:
        await agent.fetched("a", "/7/x")

    with_agent(tmp_path, first)
    (whole,) = (tmp_path / "cache").iterdir()
    kept_as = whole.name
    (tmp_path / "cache" / "3.part").write_bytes(b"half")
    (tmp_path / "cache" / "4.part.d").mkdir()
    (tmp_path / "cache" / f"{name_of(None, 'torn')}-9").write_bytes(b"torn")
    cache = FetcherCache(tmp_path / "cache", 100)
    cache.open()
    assert cache.bytes_used == 7
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [kept_as]


@pytest.mark.parametrize("path", ["/none", "/50/broken", "/50/stalls"])
def test_a_failed_transfer_fails_all_who_wait_and_leaves_nothing(tmp_path: Path, path: str) -> None:
    async def scenario(agent: Agent, server: Server) -> None:
        if path.endswith("/stalls"):
            server.hold.clear()
        asked = [agent.ask(name, path) for name in ("a", "b")]
        for event in await asyncio.gather(*asked):
            assert isinstance(event, events.FetchFailed)
            assert f"Failed to fetch '{server.url}{path}': " in event.message
        assert len(server.requests) == 1
        assert agent.kept() == []
        assert agent.used == 0
        assert [file.name for file in (tmp_path / "a").iterdir()] == ["stderr"]

    with_agent(tmp_path, scenario, stall_s=0.3 if "stalls" in path else 20.0)


def test_who_stops_waiting_doesnt_stop_the_transfer_unless_nobody_waits(tmp_path: Path) -> None:
    async def scenario(agent: Agent, server: Server) -> None:
        server.hold.clear()
        agent.ask("gone", "/50/x")
        stays = agent.ask("stays", "/50/x")
        while not server.requests:
            await asyncio.sleep(0)
        agent.fetcher.abort(effects.AbortFetch("gone"))
        agent.ask("also-gone", "/50/y")
        while len(server.requests) < 2:
            await asyncio.sleep(0)
        agent.fetcher.abort(effects.AbortFetch("also-gone"))
        server.hold.set()
        assert await stays == events.UrisFetched("stays")
        await agent.fetched("later", "/50/y")
        assert server.requests == ["/50/x", "/50/y", "/50/y"]
        assert agent.kept() == [50, 50]

    with_agent(tmp_path, scenario)


def test_an_archive_is_unpacked_from_the_cache_and_does_not_lie_in_the_sandbox(tmp_path: Path) -> None:
    source = tmp_path / "a.tgz"
    with tarfile.open(source, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("inner"))

    async def scenario(agent: Agent, server: Server) -> None:
        server.body = lambda _: source.read_bytes()
        for name in ("a", "b"):
            await agent.fetched(name, "/a.tgz")
            assert [file.name for file in (tmp_path / name).iterdir()] == ["inner"]
        await agent.fetched("c", "/a.tgz", executable=True)
        assert os.access(tmp_path / "c" / "a.tgz", os.X_OK)
        await agent.fetched("d", "/a.tgz", extract=False, output_file="sub/b")
        assert (tmp_path / "d" / "sub" / "b").read_bytes() == source.read_bytes()
        assert server.requests == ["/a.tgz"]
        (kept,) = (tmp_path / "cache").iterdir()
        assert not kept.stat().st_mode & 0o111

    with_agent(tmp_path, scenario)


def test_a_kept_file_that_somebody_removed_or_cut_is_fetched_again(tmp_path: Path) -> None:
    async def scenario(agent: Agent, server: Server) -> None:
        await agent.fetched("a", "/7/x")
        (kept,) = (tmp_path / "cache").iterdir()
        kept.unlink()
        await agent.fetched("b", "/7/x")
        kept.write_bytes(b"cut")
        await agent.fetched("c", "/7/x")
        assert (tmp_path / "c" / "x").read_bytes() == bytes(7)
        assert len(server.requests) == 3
        assert agent.used == 7

    with_agent(tmp_path, scenario)


def names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def bringing(size: int) -> Bring:
    async def bring(part: Path, _room: object) -> None:
        await asyncio.to_thread(part.write_bytes, bytes(size))

    return bring


def test_what_is_in_use_is_never_given_up(tmp_path: Path) -> None:
    bring = bringing(6)

    async def scenario() -> None:
        cache = FetcherCache(tmp_path, 10)
        async with cache.lease(None, "a", bring) as path:
            with pytest.raises(NoRoom, match="has no room for 6 more"):
                async with cache.lease(None, "b", bring):
                    raise AssertionError("there was room")
            assert path.exists()
        async with cache.lease(None, "b", bring):
            assert not path.exists()
        async with cache.lease("somebody", "b", bring) as path:
            assert names_in(tmp_path) == [path.name], "each user has his own"

    asyncio.run(scenario())


def test_a_restarted_agent_still_knows_what_is_longest_unused(tmp_path: Path) -> None:
    bring = bringing(4)

    async def use(cache: FetcherCache, *uris: str) -> None:
        for uri in uris:
            async with cache.lease(None, uri, bring) as path:
                os.utime(path, ns=(0, len(seen)))
                seen.append(uri)

    seen: list[str] = []
    asyncio.run(use(FetcherCache(tmp_path, 12), "a", "b", "c", "a"))
    again = FetcherCache(tmp_path, 8)
    again.open()
    kept = {path.name.partition("-")[0] for path in tmp_path.iterdir()}
    assert kept == {name_of(None, "c"), name_of(None, "a")}
    assert again.bytes_used == 8


def test_a_directory_that_others_can_write_to_is_not_used(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "mine").mkdir(parents=True)
    shared.chmod(0o777)
    with pytest.raises(UnsafeDirectory, match="can write to"):
        FetcherCache(shared / "mine", 100).open()
    assert open_cache(shared / "mine", 100) is None

    async def lease(cache: FetcherCache) -> None:
        async with cache.lease(None, "a", bringing(4)):
            return

    new = FetcherCache(shared / "new", 100)
    new.open()
    with pytest.raises(NoRoom, match="can write to"):
        asyncio.run(lease(new))
    shared.chmod(0o1777)
    asyncio.run(lease(new))
    assert new.bytes_used == 4


def test_a_cache_that_nobody_wants_makes_no_directory(tmp_path: Path) -> None:
    assert open_cache(tmp_path / "cache", 100) is not None
    assert open_cache(tmp_path / "cache", 0) is None, "a size of 0 turns it off"
    assert list(tmp_path.iterdir()) == []
    assert fetcher_cache.directory_of(str(tmp_path), "/w/one") != fetcher_cache.directory_of(str(tmp_path), "/v/one")
