"""Images and registries that mean harm: each fails its task with a clear reason, and the agent lives on with an empty store."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import zstandard
from aiohttp import web

from linux.image_agent import ImageAgent, eventually, image_agent, why_not
from linux.image_builder import BuiltImage, busybox_layer, digest_of, entry, layer_of, link
from linux.loops import in_a_loop

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
GOOD = BuiltImage(busybox_layer(), config={"Env": ["PATH=/bin"]})
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def _needs_a_runtime() -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)


class Registry:
    """A registry of images by name, in which some names answer as a test says."""

    def __init__(self) -> None:
        self.images = {"good": GOOD}
        self.odd: dict[str, Answer] = {}
        self.url = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        name, kind, what = request.match_info["name"], request.match_info["kind"], request.match_info["what"]
        odd = self.odd.get(f"{name}/{kind}")
        if odd is not None and what != digest_of(GOOD.config):
            return await odd(request)
        image = self.images.get(name, GOOD)
        if kind == "manifests":
            return web.Response(body=image.manifest)
        blob = next((one for one in (image.config, *image.blobs) if digest_of(one) == what), None)
        return web.Response(status=404) if blob is None else web.Response(body=blob)


async def stall(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    answer.content_length = len(GOOD.blobs[0])
    await answer.prepare(request)
    await answer.write(GOOD.blobs[0][:1000])
    await asyncio.Event().wait()
    return answer


async def drip(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    answer.content_length = len(GOOD.blobs[0])
    await answer.prepare(request)
    nobody = asyncio.Event()
    with contextlib.suppress(ConnectionError):
        for byte in GOOD.blobs[0]:
            await answer.write(bytes([byte]))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(nobody.wait(), 0.05)
    return answer


async def wrong(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"\0" * len(GOOD.blobs[0]))


async def circle(request: web.Request) -> web.StreamResponse:
    raise web.HTTPTemporaryRedirect(request.path)


async def page(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>Please log in</html>", content_type="text/html")


async def rubbish(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b'{"schemaVersion": 2, "layers": {"a": 1}}')


async def broken(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=500, text="oops")


async def elsewhere(_request: web.Request) -> web.StreamResponse:
    manifest = json.loads(GOOD.manifest)
    manifest["layers"][0]["digest"] = "sha256:../../../../etc/passwd"
    return web.json_response(manifest)


@asynccontextmanager
async def registry() -> AsyncIterator[Registry]:
    one = Registry()
    app = web.Application()
    app.router.add_get("/v2/{name}/{kind:manifests|blobs}/{what}", one.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield one
    finally:
        await runner.cleanup()


def stored(agent: ImageAgent) -> list[str]:
    """Return everything that a pull may have left, but for the mark of who stages."""
    found = [*agent.store.glob("layers/*"), *agent.store.glob("staging/*/*"), *agent.store.glob("leases/*/*")]
    return [str(path) for path in found if path.name not in {"alive", ".work_dir"}]


async def fail_all(agent: ImageAgent, reasons: dict[str, str]) -> None:
    """Run a task of each image at once; each fails for its reason, nothing is left, and a good image runs."""
    for name in reasons:
        agent.run(name, "true", image=name)
    for name, why in reasons.items():
        status = await agent.end_of(name)
        assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED"), (name, status)
        assert status["message"].startswith(f"Failed to launch container: Failed to pull image '{name}': "), status
        assert why in status["message"], (name, status["message"])
    await eventually(lambda: stored(agent) == [], lambda: stored(agent))
    assert await agent.output_of("after", "echo well", image="good") == "well\n"


@in_a_loop
async def test_a_registry_that_lies_stalls_or_leads_in_circles_fails_its_task_with_a_reason(tmp_path: Path) -> None:
    async with registry() as server:
        server.odd = {
            "stalls/blobs": stall, "drips/blobs": drip, "wrong/blobs": wrong, "circles/manifests": circle, "around/blobs": circle,
            "page/manifests": page, "paged/blobs": page, "rubbish/manifests": rubbish, "broken/manifests": broken,
            "elsewhere/manifests": elsewhere,
        }  # fmt: skip
        reasons = {
            "stalls": "nothing arrived for 2 s",
            "drips": "bytes a second; is the registry well?",
            "wrong": "arrived damaged: its digest is sha256:",
            "circles": "it sends us from one address to the next without end",
            "around": "it sends us from one address to the next without end",
            "page": "it answers with a web page; is that a registry, or is a proxy in between?",
            "paged": "it answers with a web page",
            "rubbish": "the manifest of",
            "broken": "it answers with status 500",
            "elsewhere": "is no digest that is known here",
        }
        async with image_agent(tmp_path, "--fetcher_stall_timeout=2secs", registry=server.url) as agent:
            await fail_all(agent, reasons)


@in_a_loop
async def test_a_layer_that_means_harm_fails_its_task_with_a_reason_and_nothing_of_it_stays(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    layers = {
        "up": [entry("../../../outside/x", b"x")],
        "through": [link("out", str(outside)), entry("out/x", b"x")],
        "linked": [link("passwd", "/etc/passwd", b"1")],
        "device": [entry("disk", type=b"4", devmajor=8)],
        "deep": [entry("d/" * 300 + "f", b"x")],
        "hides": [entry(".wh..", b"")],
    }
    reasons = {
        "up": "leads out of the image", "through": "lies below 'out', which is a link", "linked": "which the layer does not hold",
        "device": "is a device", "deep": "directories deep", "hides": "hides nothing that can be hidden", "empty": "has no layers",
        "lies": "its content has the digest", "bomb": "grows beyond 1073741824 bytes",
    }  # fmt: skip
    async with registry() as server:
        server.images |= {name: BuiltImage(layer_of(*entries)) for name, entries in layers.items()}
        server.images |= {"empty": BuiltImage(), "lies": lying(), "bomb": bomb()}
        async with image_agent(tmp_path, registry=server.url) as agent:
            await fail_all(agent, reasons)
    assert list(outside.iterdir()) == []


@in_a_loop
async def test_a_layer_in_zstd_is_unpacked_and_run(tmp_path: Path) -> None:
    layer = busybox_layer()
    image = BuiltImage(layer, config={"Env": ["PATH=/bin"]})
    async with registry() as server:
        kind = "application/vnd.oci.image.layer.v1.tar+zstd"
        server.images["packed"] = image.with_blobs([zstandard.compress(layer)], kind)
        async with image_agent(tmp_path, registry=server.url) as agent:
            assert await agent.output_of("t", "echo unpacked", image="packed") == "unpacked\n"


def lying() -> BuiltImage:
    """An image whose configuration names another content than its layer has."""
    honest, other = layer_of(entry("a", b"a")), layer_of(entry("b", b"b"))
    image = BuiltImage(honest)
    return image.with_blobs(BuiltImage(other).blobs)


def bomb() -> BuiltImage:
    """An image whose layer is a sparse file of a tebibyte."""
    member, data = entry("hole", b"1\n0\n1\n".ljust(512, b"\0") + b"z")
    size = str(1 << 40)
    member.pax_headers = {
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "hole", "GNU.sparse.realsize": size,
    }  # fmt: skip
    return BuiltImage(layer_of((member, data)))
