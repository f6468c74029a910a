"""Custom executors as processes under a real agent: what they may do, and what becomes of those that don't."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from merismos.protocol import json as codec
from merismos.protocol import link, protobuf, recordio
from merismos.protocol.v1 import executor as api
from process.link_master import LIMIT_S, task
from process.test_agent import Running, running

pytestmark = pytest.mark.process
JSON = "application/json"
PROTOBUF = "application/x-protobuf"
CPU = {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}}
STAYS = "sleep 100"


def executor(command: object, executor_id: str = "e", **fields: object) -> dict[str, object]:
    given = {"value": command} if isinstance(command, str) else command
    return {
        "type": "CUSTOM",
        "executor_id": {"value": executor_id},
        "framework_id": {"value": "F"},
        "command": given,
        "resources": [CPU],
        **fields,
    }


def job(task_id: str, command: object = STAYS, executor_id: str = "e", **fields: object) -> dict[str, object]:
    entry = task(task_id, None, executor=executor(command, executor_id, **fields))
    del entry["command"]
    return entry


def run(agent: Running, *tasks: dict[str, Any], starts: list[str]) -> None:
    raw = [json.dumps(entry).encode() for entry in tasks]
    ids = [entry["task_id"]["value"] for entry in tasks]
    framework = json.dumps({"user": "root", "name": "f", "id": {"value": "F"}, "checkpoint": True}).encode()
    agent.master.send(link.RunTasks("F", framework, "eng", raw, ids, starts))


def call(kind: str, executor_id: str = "e", framework_id: str = "F", **fields: object) -> dict[str, object]:
    return {"type": kind, "framework_id": {"value": framework_id}, "executor_id": {"value": executor_id}, **fields}


def update(task_id: str, state: str, **fields: object) -> dict[str, object]:
    uuid = base64.b64encode(os.urandom(16)).decode()
    status = {"task_id": {"value": task_id}, "state": state, "source": "SOURCE_EXECUTOR", "uuid": uuid, **fields}
    return call("UPDATE", update={"status": status})


SUBSCRIBE = call("SUBSCRIBE", subscribe={"unacknowledged_tasks": [], "unacknowledged_updates": []})


class Played:
    """An executor that the test plays over HTTP, whatever process its container holds."""

    def __init__(self, url: str, media: str = JSON, connector: aiohttp.BaseConnector | None = None) -> None:
        self._url = url + "/api/v1/executor"
        self._media = media
        self.session = aiohttp.ClientSession(connector=connector)
        self._records = recordio.Decoder()
        self._waiting: list[bytes] = []
        self._answer: aiohttp.ClientResponse | None = None

    def _encode(self, body: dict[str, object]) -> bytes:
        raw = json.dumps(body).encode()
        return raw if self._media == JSON else protobuf.encode(codec.decode(api.Call, raw))

    async def post(self, body: dict[str, object] | bytes, **headers: str) -> tuple[int, str]:
        data = body if isinstance(body, bytes) else self._encode(body)
        given = {"Content-Type": self._media, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.session.post(self._url, data=data, headers=given) as answer:
            if answer.status == 200:
                return 200, ""
            return answer.status, await answer.text()

    async def subscribe(self, body: dict[str, object] | None = None, **headers: str) -> None:
        given = {"Content-Type": self._media, "Accept": self._media, **headers}
        self._answer = await self.session.post(self._url, data=self._encode(body or SUBSCRIBE), headers=given)
        assert self._answer.status == 200, await self._answer.text()
        assert self._answer.headers["Content-Type"] == self._media
        assert self._answer.headers["Transfer-Encoding"] == "chunked"

    async def close(self) -> None:
        if self._answer is not None:
            self._answer.close()
        await self.session.close()

    async def event(self) -> api.Event | None:
        """Return the next event, None when the stream has ended."""
        assert self._answer is not None
        async with asyncio.timeout(LIMIT_S):
            while not self._waiting:
                piece = await self._answer.content.readany()
                if not piece:
                    return None
                self._waiting += self._records.feed(piece)
        record = self._waiting.pop(0)
        return codec.decode(api.Event, record) if self._media == JSON else protobuf.decode(api.Event, record)

    async def expect(self, kind: str) -> api.Event:
        event = await self.event()
        assert event is not None
        assert event.type == kind
        return event


@asynccontextmanager
async def played(agent: Running, media: str = JSON) -> AsyncIterator[Played]:
    one = Played(agent.url, media)
    try:
        yield one
    finally:
        await one.close()


class Pipe:
    """A named pipe by which a process says something to the test."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self.says_up = f"echo up > {path}; exec sleep 100"
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    async def line(self) -> str:
        """Return what is said next."""
        said = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._fd, said.set)
        try:
            async with asyncio.timeout(LIMIT_S):
                await said.wait()
        finally:
            loop.remove_reader(self._fd)
        return os.read(self._fd, 65536).decode().strip()

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    one = Pipe(tmp_path / "pipe")
    yield one
    one.close()


@pytest.mark.parametrize("media", [JSON, PROTOBUF])
def test_an_executor_runs_two_tasks_and_is_shut_down(tmp_path: Path, pipe: Pipe, media: str) -> None:
    async def scenario() -> None:
        async with running(tmp_path, "--executor_shutdown_grace_period=200ms") as agent, played(agent, media) as one:
            run(agent, job("a", pipe.says_up), job("b", pipe.says_up), starts=["e"])
            await pipe.line()
            await one.subscribe()
            subscribed = (await one.expect("SUBSCRIBED")).subscribed
            assert subscribed is not None
            assert subscribed.executor_info.executor_id.value == "e"
            assert subscribed.agent_info.hostname == "localhost"
            for task_id in ("a", "b"):
                launch = (await one.expect("LAUNCH")).launch
                assert launch is not None
                assert launch.task.task_id.value == task_id
            assert await one.post(update("a", "TASK_RUNNING", message="on it")) == (202, "")
            await one.expect("ACKNOWLEDGED")
            await agent.master.until(lambda: agent.master.states("a") == ["TASK_RUNNING"])
            assert agent.master.statuses("a")[0]["message"] == "on it"
            assert await one.post(call("MESSAGE", message={"data": "dXA="})) == (202, "")
            await agent.master.until(lambda: bool(agent.master.of(link.MessageFramework)))
            assert agent.master.of(link.MessageFramework)[0] == link.MessageFramework("F", "e", b"up")
            agent.master.send(link.MessageExecutor("F", "e", b"down"))
            message = (await one.expect("MESSAGE")).message
            assert message is not None
            assert message.data == b"down"
            agent.master.send(link.KillTask("F", "a", 2.0))
            await one.expect("KILL")
            assert await one.post(update("a", "TASK_KILLED")) == (202, "")
            await one.expect("ACKNOWLEDGED")
            await agent.master.end_of("a")
            agent.master.send(link.ShutdownExecutor("F", "e"))
            await one.expect("SHUTDOWN")
            assert await one.event() is None
            last = await agent.master.end_of("b")
            assert (last["state"], last["reason"]) == ("TASK_FAILED", "REASON_EXECUTOR_TERMINATED")
            assert agent.master.of(link.ExitedExecutor) == [link.ExitedExecutor("F", "e", 9)]

    asyncio.run(scenario())


def test_a_dead_executor_leaves_no_process_behind(tmp_path: Path, pipe: Pipe) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as agent:
            run(agent, job("a", f"sleep 300 & echo $! > {pipe.path}; exec sleep 301"), starts=["e"])
            pid = int(await pipe.line())
            (row,) = (await agent.get("/containers"))[1]
            os.kill(row["status"]["executor_pid"], 9)
            last = await agent.master.end_of("a")
            assert last["message"] == "Executor terminated"
            assert agent.master.of(link.ExitedExecutor) == [link.ExitedExecutor("F", "e", 9)]
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)

    asyncio.run(scenario())


def test_an_executor_that_never_subscribes_is_given_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, "--executor_registration_timeout=300ms") as agent:
            run(agent, job("a"), starts=["e"])
            last = await agent.master.end_of("a")
            assert last["reason"] == "REASON_EXECUTOR_REGISTRATION_TIMEOUT"
            assert last["message"] == "Executor did not register within 300ms"
            assert agent.master.of(link.ExitedExecutor) == [link.ExitedExecutor("F", "e", 9)]

    asyncio.run(scenario())


def test_nonsense_is_refused_and_the_agent_lives_on(tmp_path: Path, pipe: Pipe) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as agent, played(agent) as one:
            run(agent, job("a", pipe.says_up), starts=["e"])
            await pipe.line()
            assert await one.post(update("a", "TASK_RUNNING")) == (403, "Executor is not subscribed")
            assert (await one.post(b"{"))[0] == 400
            assert (await one.post(b"\xff\xfe", Content_Type=PROTOBUF))[0] == 400
            assert (await one.post(b"{}"))[0] == 400
            assert (await one.post(b"hello", Content_Type="text/plain"))[0] == 415
            invalid = "Failed to validate Executor::Call: "
            for body, fault in (
                (call("SUBSCRIBE"), "Expecting 'subscribe' to be present"),
                (call("NOPE"), "Expecting 'type' to be present"),
                (call("UPDATE"), "Expecting 'update' to be present"),
                (call("MESSAGE"), "Expecting 'message' to be present"),
                (update("a", "TASK_RUNNING", uuid=None), "Expecting 'uuid' to be present"),
                (update("a", "TASK_RUNNING", uuid="YQ=="), "Not a valid UUID"),
            ):
                assert await one.post(body) == (400, invalid + fault)
            assert await one.post(SUBSCRIBE, Accept="text/html") == (
                406,
                "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'",
            )
            wrong = {**SUBSCRIBE, "framework_id": {"value": "nope"}}
            assert await one.post(wrong) == (400, "Framework cannot be found")
            wrong = {**SUBSCRIBE, "executor_id": {"value": "nope"}}
            assert await one.post(wrong) == (400, "Executor cannot be found")
            await one.subscribe()
            await one.expect("SUBSCRIBED")
            await one.expect("LAUNCH")
            assert (await one.post(update("b", "TASK_RUNNING")))[0] == 400
            assert await one.post(call("HEARTBEAT")) == (202, "")
            assert await one.post(update("a", "TASK_FINISHED")) == (202, "")
            assert (await agent.master.end_of("a"))["state"] == "TASK_FINISHED"

    asyncio.run(scenario())


def test_a_lost_connection_ends_nothing(tmp_path: Path, pipe: Pipe) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as agent:
            run(agent, job("a", pipe.says_up), starts=["e"])
            await pipe.line()
            async with played(agent) as first:
                await first.subscribe()
                await first.expect("SUBSCRIBED")
                await first.expect("LAUNCH")
            async with played(agent) as second:
                body = {
                    "unacknowledged_tasks": [job("a", pipe.says_up)],
                    "unacknowledged_updates": [update("a", "TASK_RUNNING")["update"]],
                }
                await second.subscribe(call("SUBSCRIBE", subscribe=body))
                await second.expect("SUBSCRIBED")
                await second.expect("ACKNOWLEDGED")
                await agent.master.until(lambda: agent.master.states("a") == ["TASK_RUNNING"])
                assert await second.post(update("a", "TASK_FINISHED")) == (202, "")
                assert (await agent.master.end_of("a"))["state"] == "TASK_FINISHED"

    asyncio.run(scenario())


def test_a_token_lets_an_executor_speak_for_itself_and_for_no_other(tmp_path: Path, pipe: Pipe) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"secret")
    flags = ("--authenticate_http_executors", f"--jwt_secret_key={key}")
    command = f"echo $MESOS_EXECUTOR_AUTHENTICATION_TOKEN > {pipe.path}; exec sleep 100"

    async def scenario() -> None:
        async with running(tmp_path / "work", *flags) as agent, played(agent) as one:
            run(agent, job("a", command), starts=["e"])
            mine = await pipe.line()
            run(agent, job("b", command, "e-2"), starts=["e-2"])
            other = await pipe.line()
            assert (await one.post(SUBSCRIBE))[0] == 401
            assert (await one.post(SUBSCRIBE, Authorization=f"Bearer {mine}x"))[0] == 401
            assert (await one.post(SUBSCRIBE, Authorization="Bearer a.b.c"))[0] == 401
            status, text = await one.post(SUBSCRIBE, Authorization=f"Bearer {other}")
            assert status == 403
            assert "executor 'e-2'" in text
            await one.subscribe(Authorization=f"Bearer {mine}")
            await one.expect("SUBSCRIBED")

    asyncio.run(scenario())
