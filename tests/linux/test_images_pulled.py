"""Images from a real registry to real containers: pulled once, kept while they are needed, pruned by an operator."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from linux import registry_server
from linux.image_agent import eventually, image_agent, of_docker, why_not
from linux.image_builder import BuiltImage, busybox_layer, entry, layer_of
from linux.loops import in_a_loop
from linux.registry_server import NAME, PASSWORD, RegistryServer
from merismos.containers.images.credentials import Login

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
ENV = {"Env": ["PATH=/bin"]}


@pytest.fixture(autouse=True)
def _needs_both() -> None:
    reason = why_not() or registry_server.why_not()
    if reason:
        pytest.skip(reason)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RegistryServer]:
    (tmp_path / "r").mkdir()
    with RegistryServer(tmp_path / "r", registry_server.with_password(tmp_path / "r")) as started:
        yield started


@in_a_loop
async def test_an_image_with_its_own_login_is_pulled_once_and_pruned_once_nobody_needs_it(
    tmp_path: Path, server: RegistryServer
) -> None:
    headers = {"Authorization": Login(NAME, PASSWORD).basic}
    base = busybox_layer()
    upper = layer_of(entry("etc/release", b"from above\n"), entry("tmp/.wh.nothing"), entry("root/.wh..wh..opq"))
    await BuiltImage(base, upper, config=ENV).push(server.url, "team/app", "1", headers)
    await BuiltImage(base, config=ENV).push(server.url, "team/other", "1", headers)
    login = {"auths": {server.host: {"username": NAME, "password": PASSWORD}}}
    config = {"type": "VALUE", "value": {"data": base64.b64encode(json.dumps(login).encode()).decode()}}
    async with image_agent(tmp_path, registry=server.url) as agent:
        agent.run("refused", "true", image="team/app:1")
        assert "asks who we are" in (await agent.end_of("refused"))["message"]

        image = {"type": "DOCKER", "docker": {"name": "team/app:1", "config": config}}
        names = [f"t{number}" for number in range(4)]
        for name in names:
            agent.run(name, "cat /etc/release", container={"mesos": {"image": image}})
        for name in names:
            assert (await agent.end_of(name))["state"] == "TASK_FINISHED"
            assert agent.output(name) == "from above\n"
        layers = sorted(path.name for path in agent.store.glob("layers/*"))
        assert len(layers) == 2

        stays = {"type": "DOCKER", "docker": {"name": "team/other:1", "config": config}}
        agent.run(
            "stays", "while ! test -e go; do sleep 0.1; done; cat /etc/passwd", container={"mesos": {"image": stays}}
        )
        await agent.agent.pid_of("stays")
        assert len(list(agent.store.glob("layers/*"))) == 2, "the lower layer is shared"
        await prune(agent.agent.said(), "team/app:1")
        assert len(list(agent.store.glob("layers/*"))) == 2
        await prune(agent.agent.said())
        assert len(list(agent.store.glob("layers/*"))) == 1, "a container stands on what is left"
        (agent.sandbox("stays") / "go").touch()
        assert (await agent.end_of("stays"))["state"] == "TASK_FINISHED"
        await eventually(lambda: agent.remains() == [], agent.remains)
        await prune(agent.agent.said())
        assert list(agent.store.glob("layers/*")) == []
    said = agent.agent.said()
    assert PASSWORD not in said


async def prune(said: str, *spared: str) -> None:
    (port,) = re.findall(r"event=listening ip=127\.0\.0\.1 port=(\d+)", said)[-1:]
    excluded = [of_docker(name) for name in spared]
    body = {"type": "PRUNE_IMAGES", "prune_images": {"excluded_images": excluded}}
    url = f"http://127.0.0.1:{port}/api/v1"
    async with asyncio.timeout(30), aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        assert (answer.status, await answer.read()) == (200, b"")
