"""Calls about containers to a real agent: nested, standalone, sessions; the answers are those of a recorded Mesos."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from merismos.protocol import link, recordio
from process.agent_process import AgentUnderTest
from process.link_master import link_master, task

pytestmark = pytest.mark.process
LIMIT_S = 30.0
JSON = "application/json"
STREAMED = {"Content-Type": JSON, "Accept": "application/recordio", "Message-Accept": JSON}
INPUT = {"Content-Type": "application/recordio", "Message-Content-Type": JSON}


class Operator:
    """Somebody who calls an agent, whose task `t` runs in the container `parent`."""

    def __init__(self, agent: AgentUnderTest, session: aiohttp.ClientSession, parent: str) -> None:
        self.agent = agent
        self.session = session
        self.parent = parent

    @property
    def url(self) -> str:
        pid = (*self.agent.master.of(link.RegisterAgent), *self.agent.master.of(link.ReregisterAgent))[-1].pid
        return f"http://{pid.partition('@')[2]}/api/v1"

    def nested(self, own: str) -> dict[str, Any]:
        return {"value": own, "parent": {"value": self.parent}}

    async def call(self, kind: str, container_id: dict[str, Any], **fields: Any) -> tuple[int, Any]:  # noqa: ANN401 - fields of the call
        body = {"type": kind, kind.lower(): {"container_id": container_id, **fields}}
        async with asyncio.timeout(LIMIT_S), self.session.post(self.url, json=body) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if answer.content_type == JSON else text

    @asynccontextmanager
    async def stream(self, kind: str, container_id: dict[str, Any], **fields: Any) -> AsyncIterator[Output]:  # noqa: ANN401 - likewise
        body = json.dumps({"type": kind, kind.lower(): {"container_id": container_id, **fields}}).encode()
        async with self.session.post(self.url, data=body, headers=STREAMED) as answer:
            assert answer.status == 200, await answer.text()
            yield Output(answer)

    async def feed(self, container_id: dict[str, Any], *process_io: dict[str, Any]) -> tuple[int, str]:
        async def records() -> AsyncIterator[bytes]:
            yield record({"type": "CONTAINER_ID", "container_id": container_id})
            for one in process_io:
                yield record({"type": "PROCESS_IO", "process_io": one})

        async with asyncio.timeout(LIMIT_S), self.session.post(self.url, data=records(), headers=INPUT) as answer:
            return answer.status, await answer.text()

    async def status_of(self, container_id: dict[str, Any]) -> int | None:
        status, answer = await self.call("WAIT_NESTED_CONTAINER", container_id)
        assert status == 200, answer
        found: int | None = answer["wait_nested_container"].get("exit_status")
        return found


class Output:
    """What a session writes, by stream."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self._decoder = recordio.Decoder()
        self.written = {"STDOUT": bytearray(), "STDERR": bytearray()}

    async def until(self, text: bytes, name: str = "STDOUT") -> None:
        async with asyncio.timeout(LIMIT_S):
            while text not in self.written[name]:
                assert await self._more(), f"{text!r} never came: {self.written}"

    async def end(self) -> dict[str, bytearray]:
        async with asyncio.timeout(LIMIT_S):
            while await self._more():
                pass
        return self.written

    async def _more(self) -> bool:
        piece = await self._answer.content.readany()
        for raw in self._decoder.feed(piece):
            data = json.loads(raw)["data"]
            self.written[data["type"]] += base64.b64decode(data["data"])
        return bool(piece)


def record(asked: dict[str, Any]) -> bytes:
    return recordio.encode(json.dumps({"type": "ATTACH_CONTAINER_INPUT", "attach_container_input": asked}).encode())


def typed(data: bytes) -> dict[str, Any]:
    return {"type": "DATA", "data": {"type": "STDIN", "data": base64.b64encode(data).decode()}}


def sized(rows: int, columns: int) -> dict[str, Any]:
    return {"window_size": {"rows": rows, "columns": columns}}


async def try_a_terminal(operator: Operator) -> None:
    """Have a session with a terminal in the operator's container: keys arrive, and its exit status is told."""
    session = operator.nested("terminal")
    fields = {
        "command": {"value": "test -t 0 && echo a terminal; read line; echo got $line; exit 3"},
        "container": {"type": "MESOS", "tty_info": sized(30, 100)},
    }
    async with operator.stream("LAUNCH_NESTED_CONTAINER_SESSION", session, **fields) as output:
        await output.until(b"a terminal\r\n")
        assert (await operator.feed(session, typed(b"a key\n")))[0] == 200
        await output.until(b"got a key\r\n")
        await output.end()
    assert await operator.status_of(session) == 3 << 8


def with_operator(work_dir: Path, scenario: Callable[[Operator], Awaitable[None]]) -> None:
    async def run() -> None:
        async with link_master() as master, aiohttp.ClientSession() as session:
            agent = AgentUnderTest(master, work_dir / "work", ())
            await agent.start()
            try:
                variables = [{"name": "MARK", "value": "of the task"}]
                master.run(task("t", {"value": "sleep 600", "environment": {"variables": variables}}))
                await agent.pid_of("t")
                container_id = master.statuses("t")[-1]["container_status"]["container_id"]["value"]
                await scenario(Operator(agent, session, container_id))
            finally:
                await agent.end()

    asyncio.run(run())


def test_a_nested_container_is_launched_waited_for_killed_and_removed(tmp_path: Path) -> None:
    async def scenario(operator: Operator) -> None:
        one, two = operator.nested("nested-1"), operator.nested("nested-2")
        assert await operator.call("LAUNCH_NESTED_CONTAINER", one, command={"value": "echo $MARK; exit 3"}) == (200, "")
        assert await operator.status_of(one) == 768
        home = operator.agent.work_dir / "slaves/S0/frameworks/F/executors/t/runs/latest/containers"
        assert (home / "nested-1/stdout").read_text() == "of the task\n"
        assert (await operator.call("LAUNCH_NESTED_CONTAINER", two, command={"value": "sleep 1000"}))[0] == 200
        assert (await operator.call("REMOVE_NESTED_CONTAINER", two))[0] == 500
        assert await operator.call("KILL_NESTED_CONTAINER", two) == (200, "")
        assert await operator.status_of(two) == 9
        assert await operator.call("REMOVE_NESTED_CONTAINER", one) == (200, "")
        assert (await operator.call("WAIT_NESTED_CONTAINER", one))[0] == 404

    with_operator(tmp_path, scenario)


def test_a_standalone_container_outlives_its_agent(tmp_path: Path) -> None:
    async def scenario(operator: Operator) -> None:
        alone = {"value": "standalone-1"}
        line = "echo up; until [ -e stop ]; do sleep 0.05; done; exit 2"
        assert await operator.call("LAUNCH_CONTAINER", alone, command={"value": line}) == (200, "")
        await operator.agent.kill()
        await operator.agent.start()
        waiting = asyncio.create_task(operator.call("WAIT_CONTAINER", alone))
        (operator.agent.work_dir / "containers/standalone-1/stop").touch()
        assert await waiting == (200, {"type": "WAIT_CONTAINER", "wait_container": {"exit_status": 512}})

    with_operator(tmp_path, scenario)


def test_a_session_brings_both_outputs_and_takes_input_to_its_end(tmp_path: Path) -> None:
    async def scenario(operator: Operator) -> None:
        own = operator.nested("s")
        command = {"value": "echo $MARK; echo err >&2; cat; pwd; exit 4"}
        async with operator.stream("LAUNCH_NESTED_CONTAINER_SESSION", own, command=command) as output:
            await output.until(b"of the task\n")
            assert await operator.feed(own, typed(b"from us\n"), typed(b"")) == (200, "")
            written = await output.end()
        assert written["STDOUT"].startswith(b"of the task\nfrom us\n")
        assert written["STDOUT"].strip().endswith(f"runs/{operator.parent}".encode())
        assert written["STDERR"] == b"err\n"
        assert await operator.status_of(own) == 4 << 8

    with_operator(tmp_path, scenario)


def test_a_session_with_a_terminal_follows_its_size_and_its_keys(tmp_path: Path) -> None:
    async def scenario(operator: Operator) -> None:
        own = operator.nested("tty")
        container = {"type": "MESOS", "tty_info": sized(24, 80)}
        command = {"value": "stty size; echo ready; while read line; do echo got $line $(stty size); done; exit 3"}
        fields = {"command": command, "container": container}
        async with operator.stream("LAUNCH_NESTED_CONTAINER_SESSION", own, **fields) as output:
            await output.until(b"24 80\r\nready\r\n")
            resized = {"type": "CONTROL", "control": {"type": "TTY_INFO", "tty_info": sized(30, 100)}}
            heartbeat = {"type": "CONTROL", "control": {"type": "HEARTBEAT", "heartbeat": {}}}
            assert (await operator.feed(own, resized, heartbeat, typed(b"a key\n")))[0] == 200
            await output.until(b"got a key 30 100\r\n")
            async with operator.stream("ATTACH_CONTAINER_OUTPUT", own) as second:
                assert (await operator.feed(own, typed(b"both\n")))[0] == 200
                await second.until(b"got both 30 100\r\n")
                await output.until(b"got both 30 100\r\n")
                assert (await operator.feed(own, typed(b"\x04")))[0] == 200
                await output.end()
                await second.end()
        assert await operator.status_of(own) == 3 << 8

    with_operator(tmp_path, scenario)


def test_a_session_ends_with_its_connection_and_a_reader_that_is_slow_loses_nothing(tmp_path: Path) -> None:
    async def scenario(operator: Operator) -> None:
        own, much = operator.nested("left"), operator.nested("much")
        async with operator.stream(
            "LAUNCH_NESTED_CONTAINER_SESSION", own, command={"value": "echo up; sleep 1000"}
        ) as output:
            await output.until(b"up\n")
        assert await operator.status_of(own) == 9
        line = {"value": "head -c 4000000 /dev/zero; sleep 600"}
        async with operator.stream("LAUNCH_NESTED_CONTAINER_SESSION", much, command=line) as output:
            await output.until(b"\0" * 4_000_000)

    with_operator(tmp_path, scenario)


def test_what_can_not_be_attached_to_is_refused_as_recorded(tmp_path: Path, recordings: Path) -> None:
    async def scenario(operator: Operator) -> None:
        for name in (
            "agent_attach_input_json_ct",
            "agent_attach_input_no_message_ct",
            "agent_attach_output_unknown",
            "agent_health_message_accept",
            "agent_health_message_accept_only",
            "agent_recordio_get_health",
        ):
            recorded = json.loads((recordings / "bad" / f"{name}.json").read_text())
            request, expected = recorded["request"], recorded["response"]
            headers = {key: value for key, value in request["headers"] if key not in {"Host", "Content-Length"}}
            body = request["body"]
            data = base64.b64decode(body["base64"]) if "base64" in body else json.dumps(body).encode()
            async with operator.session.post(operator.url, data=data, headers=headers) as answer:
                assert (answer.status, await answer.text()) == (expected["status"], expected["body"]), name
        body = {
            "type": "ATTACH_CONTAINER_OUTPUT",
            "attach_container_output": {"container_id": {"value": operator.parent}},
        }
        async with operator.session.post(operator.url, json=body, headers=STREAMED) as answer:
            text = "I/O switchboard server was disabled for this container"
            assert (answer.status, await answer.text()) == (500, text)

    with_operator(tmp_path, scenario)
