"""Fetching URIs into a sandbox, from files and from a server of the test's own."""

from __future__ import annotations

import asyncio
import os
import socket
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from merismos.containers.fetcher import Fetcher, FetchError, basename_of, target_of
from merismos.containers.fetcher_cache import open_cache
from merismos.containers.transfers import Transfers, local_path
from merismos.core.agent import effects, events
from merismos.core.kernel import Event
from merismos.protocol.v1 import mesos

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def hello(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"hello\n")


async def fetch(sandbox: Path, *uris: mesos.CommandInfo_URI, stall_timeout_s: float = 5.0) -> Event:
    heard: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
    fetcher = Fetcher(heard.set_result, Transfers(stall_timeout_s))
    fetcher.fetch(effects.FetchUris("c", str(sandbox), list(uris), None))
    async with asyncio.timeout(20):
        event = await heard
    await fetcher.close()
    return event


def fetch_file(sandbox: Path, value: str, **fields: object) -> Event:
    sandbox.mkdir(exist_ok=True)
    return asyncio.run(fetch(sandbox, mesos.CommandInfo_URI(value=value, **fields)))  # type: ignore[arg-type]


def fetch_http(sandbox: Path, path: str, **fields: object) -> Event:
    sandbox.mkdir(exist_ok=True)

    async def scenario() -> Event:
        app = web.Application()
        app.add_routes([web.get("/hello.txt", hello)])
        runner = web.AppRunner(app, shutdown_timeout=0.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        try:
            uri = mesos.CommandInfo_URI(value=f"http://127.0.0.1:{port}{path}", **fields)  # type: ignore[arg-type]
            return await fetch(sandbox, uri)
        finally:
            await runner.cleanup()

    return asyncio.run(scenario())


def test_a_file_is_copied_by_either_spelling(tmp_path: Path) -> None:
    source = tmp_path / "hello.txt"
    source.write_text("hello\n")
    for number, value in enumerate((f"file://{source}", str(source))):
        sandbox = tmp_path / f"sandbox-{number}"
        assert fetch_file(sandbox, value) == events.UrisFetched("c")
        assert (sandbox / "hello.txt").read_text() == "hello\n"


def test_a_file_comes_over_http(tmp_path: Path) -> None:
    assert fetch_http(tmp_path / "s", "/hello.txt") == events.UrisFetched("c")
    assert (tmp_path / "s/hello.txt").read_text() == "hello\n"


def test_an_output_file_may_lie_in_a_new_directory(tmp_path: Path) -> None:
    assert fetch_http(tmp_path / "s", "/hello.txt", output_file="sub/x.txt") == events.UrisFetched("c")
    assert (tmp_path / "s/sub/x.txt").read_text() == "hello\n"


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/../../x", "."])
def test_an_output_file_outside_of_the_sandbox_is_refused(tmp_path: Path, name: str) -> None:
    event = fetch_http(tmp_path / "s", "/hello.txt", output_file=name)
    assert isinstance(event, events.FetchFailed)
    assert "is not a path inside the sandbox" in event.message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]


def test_a_missing_page_fails_with_its_status_in_the_message_and_in_stderr(tmp_path: Path) -> None:
    event = fetch_http(tmp_path / "s", "/none")
    assert isinstance(event, events.FetchFailed)
    assert event.message.startswith("Failed to fetch all URIs for container 'c': Failed to fetch 'http://127.0.0.1:")
    assert event.message.endswith("Error downloading resource, received HTTP return code 404")
    assert "404" in (tmp_path / "s/stderr").read_text()


def test_a_server_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    async def scenario() -> Event:
        with socket.create_server(("127.0.0.1", 0)) as never_accepts:
            uri = mesos.CommandInfo_URI(value=f"http://127.0.0.1:{never_accepts.getsockname()[1]}/x")
            return await fetch(tmp_path, uri, stall_timeout_s=0.05)

    event = asyncio.run(scenario())
    assert isinstance(event, events.FetchFailed)
    assert "Failed to fetch 'http://127.0.0.1:" in event.message


def test_nobody_who_listens_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    event = fetch_file(tmp_path / "s", "http://127.0.0.1:1/x")
    assert isinstance(event, events.FetchFailed)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "the URI names no file"),
        ("file:///no/such/file", "No such file or directory"),
        ("hdfs://host/a", "a URI of scheme 'hdfs' needs the Hadoop client, and there is none: set --hadoop_home"),
        ("ftp://127.0.0.1:1/a", "Connection refused"),
        ("relative/a", "--frameworks_home"),
        ("http://host", "names no file"),
        ("/etc", "Is a directory"),
    ],
)
def test_what_cannot_be_fetched_says_why(tmp_path: Path, value: str, said: str) -> None:
    event = fetch_file(tmp_path / "s", value)
    assert isinstance(event, events.FetchFailed)
    assert said in event.message


def test_executable_sets_the_bit_and_unpacks_nothing(tmp_path: Path) -> None:
    source = tmp_path / "a.tar"
    with tarfile.open(source, "w") as tar:
        tar.addfile(tarfile.TarInfo("inner"))
    assert fetch_file(tmp_path / "s", str(source), executable=True) == events.UrisFetched("c")
    assert os.access(tmp_path / "s/a.tar", os.X_OK)
    assert not (tmp_path / "s/inner").exists()


@pytest.mark.parametrize("extract", [True, False])
def test_an_archive_is_unpacked_where_that_is_wanted(tmp_path: Path, *, extract: bool) -> None:
    source = tmp_path / "a.tgz"
    with tarfile.open(source, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("inner"))
    assert fetch_file(tmp_path / "s", str(source), extract=extract) == events.UrisFetched("c")
    assert (tmp_path / "s/inner").exists() is extract


def test_an_aborted_fetch_says_nothing(tmp_path: Path) -> None:
    async def scenario() -> list[Event]:
        heard: list[Event] = []
        with socket.create_server(("127.0.0.1", 0)) as never_accepts:
            fetcher = Fetcher(heard.append, Transfers(20.0))
            uri = mesos.CommandInfo_URI(value=f"http://127.0.0.1:{never_accepts.getsockname()[1]}/x")
            fetcher.fetch(effects.FetchUris("c", str(tmp_path), [uri], None))
            await asyncio.sleep(0)
            fetcher.abort(effects.AbortFetch("c"))
            await fetcher.close()
        return heard

    assert asyncio.run(scenario()) == []


def test_a_relative_path_is_taken_from_the_frameworks_home() -> None:
    assert local_path("a/b", "/home/f") == Path("/home/f/a/b")


def test_a_name_is_the_last_part_of_its_uri() -> None:
    assert basename_of("http://h/a/b.txt") == "b.txt"
    assert basename_of("/a/b") == "b"


def test_a_link_in_the_sandbox_does_not_lead_a_uri_out(tmp_path: Path) -> None:
    sandbox = tmp_path / "s"
    sandbox.mkdir()
    (sandbox / "out").symlink_to(tmp_path)
    with pytest.raises(FetchError, match="leads out of the sandbox"):
        target_of(mesos.CommandInfo_URI(value="/x", output_file="out/x"), sandbox)


@pytest.mark.parametrize("cache", [False, True])
def test_a_local_file_is_read_with_the_rights_of_the_task_s_user(tmp_path: Path, *, cache: bool) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_mode & 0o777 == 0o700:
            parent.chmod(0o755)
    secret, public, sandbox = tmp_path / "secret", tmp_path / "public", tmp_path / "s"
    for source, mode in ((secret, 0o600), (public, 0o755)):
        source.write_text("hello\n")
        source.chmod(mode)
    sandbox.mkdir()

    async def scenario(source: Path) -> Event:
        heard: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        fetcher = Fetcher(heard.set_result, Transfers(5.0), open_cache(tmp_path / "cache", 1000))
        uri = mesos.CommandInfo_URI(value=str(source), cache=cache)
        fetcher.fetch(effects.FetchUris("c", str(sandbox), [uri], "nobody"))
        async with asyncio.timeout(20):
            event = await heard
        await fetcher.close()
        return event

    refused = asyncio.run(scenario(secret))
    assert isinstance(refused, events.FetchFailed)
    assert "Permission denied" in refused.message
    assert [path.name for path in sandbox.iterdir()] == ["stderr"]
    assert asyncio.run(scenario(public)) == events.UrisFetched("c")
    assert (sandbox / "public").read_text() == "hello\n"
    assert (sandbox / "public").owner() == "nobody"
    assert os.access(sandbox / "public", os.X_OK)
