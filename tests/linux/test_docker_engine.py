"""What the fake Engine of the unit tests says is what a real one says: the same questions to both."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from linux.docker_daemon import DockerDaemon, why_not
from merismos.containers.docker.client import Engine, EngineError
from merismos.containers.docker.states import Row
from unit.containers.docker.fake_engine import fake_engine, no_such_container, say

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
NAME = "mesos-nobody"


@asynccontextmanager
async def fake() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory(prefix="mfe") as folder:
        async with fake_engine(Path(folder, "s")) as engine:
            engine.answers |= {
                f"GET /containers/{NAME}": no_such_container(NAME),
                f"POST /containers/{NAME}": no_such_container(NAME),
                f"DELETE /containers/{NAME}": no_such_container(NAME),
                "GET /containers/json": say([]),
            }
            yield engine.socket


async def ask_all(socket: str) -> list[object]:
    """Return what is said to each question, in a form that is the same for any Engine."""
    engine = Engine(socket, 30.0, lambda _: None)
    said: list[object] = []
    try:
        said.append(await engine.ask("GET", "/_ping", is_probe=True))
        filters = '{"label":["org.merismos.work_dir=/nowhere"]}'
        said.append(await engine.ask("GET", "/containers/json", {"all": "1", "filters": filters}, kind=list[Row]))
        for method, path, query in (
            ("GET", f"/containers/{NAME}/json", None),
            ("POST", f"/containers/{NAME}/start", None),
            ("POST", f"/containers/{NAME}/kill", {"signal": "9"}),
            ("DELETE", f"/containers/{NAME}", {"force": "1"}),
        ):
            try:
                await engine.ask(method, path, query)
            except EngineError as error:
                said.append((method, path, error.status, "No such container" in str(error)))
        async with engine.stream("GET", "/events", {"filters": '{"type":["container"]}'}):
            said.append("the events begin at once, whether there are any or not")
    finally:
        await engine.close()
    return said


def test_a_fake_engine_says_what_a_real_one_says() -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)

    async def of_fake() -> list[object]:
        async with fake() as socket:
            return await ask_all(socket)

    with DockerDaemon() as daemon:
        real = asyncio.run(ask_all(daemon.socket))
    assert len(real) == 7
    assert asyncio.run(of_fake()) == real
