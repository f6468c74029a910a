"""Images from a real registry, from archives and from layouts: one suite for all, and what only one of them has."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from yarl import URL

from linux import registry_server
from linux.image_builder import BuiltImage, entry, layer_of, push_index
from linux.loops import in_a_loop
from linux.registry_server import NAME, PASSWORD, RegistryServer
from merismos.containers.images.archives import Archives
from merismos.containers.images.credentials import Login
from merismos.containers.images.documents import ImageError, local_architecture
from merismos.containers.images.registry import Registry
from merismos.containers.images.source import ImageSource
from merismos.model.image_reference import ImageReference, parse_reference

LIMIT_S = 30.0
STALL_S = 20.0
IMAGE = BuiltImage(layer_of(entry("a", b"1" * 5000)), layer_of(entry("b", b"2")), config={"Cmd": ["/a"]})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    reason = registry_server.why_not()
    if reason:
        pytest.skip(reason)
    with RegistryServer(tmp_path_factory.mktemp("registry")) as started:
        yield started


def reference(text: str, host: str = "") -> ImageReference:
    parsed = parse_reference(text)
    assert isinstance(parsed, ImageReference)
    return parsed.at(host)


@asynccontextmanager
async def registry_at(
    url: str, *, stall_s: float = STALL_S, tls: ssl.SSLContext | None = None, login: Login | None = None
) -> AsyncIterator[Registry]:
    known = {} if login is None else {URL(url).authority: login}
    registry = Registry(URL(url), known, stall_timeout_s=stall_s, tls=tls)
    try:
        async with asyncio.timeout(LIMIT_S):
            yield registry
    finally:
        await registry.close()


@asynccontextmanager
async def source_of(kind: str, tmp_path: Path, server: RegistryServer) -> AsyncIterator[tuple[ImageSource, str]]:
    if kind == "registry":
        await IMAGE.push(server.url, "team/app", "1.0")
        async with registry_at(server.url) as registry:
            yield registry, server.host
        return
    if kind == "saved":
        IMAGE.save(tmp_path / "team/app:1.0.tar", "team/app:1.0")
    else:
        IMAGE.lay_out(tmp_path / "team/app", "1.0")
    yield Archives(tmp_path), ""


@pytest.mark.parametrize("kind", ["registry", "saved", "layout"])
@in_a_loop
async def test_an_image_is_found_with_its_layers(kind: str, tmp_path: Path, server: RegistryServer) -> None:
    async with source_of(kind, tmp_path, server) as (source, host):
        wanted = reference("team/app:1.0", host)
        found = await source.find(wanted)
        assert found.configuration == IMAGE.config
        expected = IMAGE.layers if kind == "saved" else IMAGE.blobs
        for blob, content in zip(found.blobs, expected, strict=True):
            await source.bring(wanted, blob, tmp_path / "blob")
            assert (tmp_path / "blob").read_bytes() == content
        if kind != "saved":
            assert found.digest == IMAGE.digest
            by_digest = await source.find(reference(f"team/app@{IMAGE.digest}", host))
            assert by_digest.digest == IMAGE.digest


@pytest.mark.parametrize("kind", ["registry", "saved", "layout"])
@in_a_loop
async def test_an_image_that_is_not_there_is_an_error_that_names_it(
    kind: str, tmp_path: Path, server: RegistryServer
) -> None:
    async with source_of(kind, tmp_path, server) as (source, host):
        with pytest.raises(ImageError, match="team/absent:latest"):
            await source.find(reference("team/absent", host))


@in_a_loop
async def test_an_index_gives_the_image_of_this_machine(server: RegistryServer) -> None:
    ours = BuiltImage(layer_of(entry("ours", b"")), architecture=local_architecture())
    await push_index(server.url, "many", "1", {"s390x": IMAGE, local_architecture(): ours})
    await push_index(server.url, "foreign", "1", {"s390x": IMAGE})
    async with registry_at(server.url) as registry:
        assert (await registry.find(reference("many:1", server.host))).digest == ours.digest
        with pytest.raises(ImageError, match="only for linux/s390x"):
            await registry.find(reference("foreign:1", server.host))


@in_a_loop
async def test_a_registry_that_wants_a_password_gets_the_one_that_it_knows(tmp_path: Path) -> None:
    reason = registry_server.why_not()
    if reason:
        pytest.skip(reason)
    with RegistryServer(tmp_path, registry_server.with_password(tmp_path)) as server:
        await IMAGE.push(server.url, "team/app", "1.0", {"Authorization": Login(NAME, PASSWORD).basic})
        wanted = reference("team/app:1.0", server.host)
        async with registry_at(server.url, login=Login(NAME, PASSWORD)) as registry:
            found = await registry.find(wanted)
            await registry.bring(wanted, found.blobs[0], tmp_path / "blob")
        async with registry_at(server.url) as registry:
            with pytest.raises(ImageError, match="asks who we are"):
                await registry.find(wanted)
            with_login = registry.with_logins({server.host: Login(NAME, PASSWORD)})
            assert (await with_login.find(wanted)).digest == IMAGE.digest
            await with_login.close()
        async with registry_at(server.url, login=Login(NAME, "wrong")) as registry:
            with pytest.raises(ImageError, match="we may not have it"):
                await registry.find(wanted)


@in_a_loop
async def test_a_registry_with_tls_is_trusted_by_its_certificate_only(tmp_path: Path) -> None:
    reason = registry_server.why_not()
    if reason:
        pytest.skip(reason)
    with RegistryServer(tmp_path, registry_server.with_certificate(tmp_path), scheme="https") as server:
        known = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        async with registry_at(server.url, tls=known) as registry:
            with pytest.raises(ImageError, match="there is no such image"):
                await registry.find(reference("absent", server.host))
        async with registry_at(server.url) as registry:
            with pytest.raises(ImageError, match=r"certificate|CERTIFICATE"):
                await registry.find(reference("absent", server.host))


class Counterpart:
    """A registry that answers as a test says."""

    def __init__(self, answer: web.Application) -> None:
        self._runner = web.AppRunner(answer, access_log=None, shutdown_timeout=0.1)
        self.url = ""

    async def __aenter__(self) -> str:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


@pytest.mark.parametrize(("given", "known"), [("token", True), ("access_token", True), ("token", False)])
@in_a_loop
async def test_a_token_is_asked_for_with_the_login_and_the_scope(tmp_path: Path, given: str, known: bool) -> None:
    asked = []

    async def token(request: web.Request) -> web.Response:
        asked.append((request.query.get("scope"), request.query.get("service"), request.headers.get("Authorization")))
        return web.json_response({given: "the-token"})

    app = web.Application()
    app.router.add_get("/token", token)
    reason = registry_server.why_not()
    if reason:
        pytest.skip(reason)
    async with Counterpart(app) as url:
        # this kind of authentication lets everybody in who brings a token at all
        settings = f"auth:\n  silly: {{realm: '{url}/token', service: ours}}\n"
        with RegistryServer(tmp_path, settings) as server:
            login = Login(NAME, PASSWORD) if known else None
            async with registry_at(server.url, login=login) as registry:
                with pytest.raises(ImageError, match="there is no such image"):
                    await registry.find(reference("team/app:1.0", server.host))
    basic = "Basic " + base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode() if known else None
    assert asked == [("repository:team/app:pull", "ours", basic)]


@in_a_loop
async def test_a_login_is_not_sent_to_where_a_registry_points_without_tls() -> None:
    challenge = 'Bearer realm="http://elsewhere.example/token",service="x"'

    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    app = web.Application()
    app.router.add_get("/{path:.*}", refuse)
    async with Counterpart(app) as url:
        host = URL(url).authority
        registry = Registry(URL("https://default.example"), {host: Login(NAME, PASSWORD)}, stall_timeout_s=STALL_S)
        with pytest.raises(ImageError):
            await registry.find(reference("app", host))
        await registry.close()


@pytest.mark.parametrize("where", ["manifests", "blobs"])
@in_a_loop
async def test_a_registry_that_falls_silent_is_given_up(where: str) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if where not in request.path:
            return web.Response(body=IMAGE.manifest)
        response = web.StreamResponse()
        response.content_length = 1000
        await response.prepare(request)
        await response.write(b"{")
        await asyncio.Event().wait()
        return response

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with Counterpart(app) as url, registry_at(url, stall_s=0.3) as registry:
        with pytest.raises(ImageError, match=r"nothing arrived for 0\.3 s"):
            await registry.find(reference("app", URL(url).authority))


@pytest.mark.parametrize(
    ("sent", "why"),
    [(b"2" * len(IMAGE.blobs[0]), "arrived damaged"), (b"1" * 60_000, "longer than"), (b"", "arrived damaged")],
)
@in_a_loop
async def test_a_layer_that_is_not_what_was_announced_is_refused(sent: bytes, why: str, tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        if "manifests" in request.path:
            return web.Response(body=IMAGE.manifest)
        whole = request.path.endswith(json.loads(IMAGE.manifest)["config"]["digest"])
        return web.Response(body=IMAGE.config if whole else sent)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with Counterpart(app) as url, registry_at(url) as registry:
        wanted = reference("app", URL(url).authority)
        found = await registry.find(wanted)
        with pytest.raises(ImageError, match=why):
            await registry.bring(wanted, found.blobs[0], tmp_path / "blob")


@in_a_loop
async def test_a_manifest_that_is_not_the_one_asked_for_is_refused() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=IMAGE.manifest)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with Counterpart(app) as url, registry_at(url) as registry:
        with pytest.raises(ImageError, match="arrived damaged"):
            await registry.find(reference(f"app@sha256:{'0' * 64}", URL(url).authority))


@in_a_loop
async def test_an_archive_cannot_name_a_file_outside_of_it(tmp_path: Path) -> None:
    layout = tmp_path / "app"
    IMAGE.lay_out(layout, "latest")
    (tmp_path / "secret").write_text("secret")
    name = IMAGE.digest.removeprefix("sha256:")
    (layout / "blobs/sha256" / name).unlink()
    (layout / "blobs/sha256" / name).symlink_to(tmp_path / "secret")
    with pytest.raises(ImageError, match="lies outside of"):
        await Archives(tmp_path).find(reference("app"))


@in_a_loop
async def test_a_layout_with_a_damaged_layer_is_refused(tmp_path: Path) -> None:
    layout = tmp_path / "app"
    IMAGE.lay_out(layout, "latest")
    source = Archives(tmp_path)
    found = await source.find(reference("app"))
    (layout / found.blobs[0].where).write_bytes(b"other")
    with pytest.raises(ImageError, match="is damaged"):
        await source.bring(reference("app"), found.blobs[0], tmp_path / "blob")
