"""The SDK's executor, by the example that ships, under a real agent."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from pathlib import Path

import aiohttp
import pytest

from merismos.adapters.agent_http import domain_socket
from merismos.protocol import link
from merismos.protocol.v1 import mesos
from merismos.sdk.executor import Executor, ExecutorError
from process.agent_process import AgentUnderTest
from process.executors.test_custom_executors import job, run
from process.link_master import FRAMEWORK, link_master
from process.test_agent import running

pytestmark = pytest.mark.process
EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "hello_executor.py"


def test_the_example_counts_is_stopped_shouts_and_leaves(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as agent:
            command = f"exec {sys.executable} {EXAMPLE}"
            none, many = (base64.b64encode(number).decode() for number in (b"0", b"1000"))
            run(agent, {**job("quick", command), "data": none}, {**job("slow", command), "data": many}, starts=["e"])
            assert (await agent.master.end_of("quick"))["message"] == "counted to 0"
            await agent.master.until(lambda: agent.master.states("slow") == ["TASK_RUNNING"])
            agent.master.send(link.MessageExecutor("F", "e", b"hello"))
            await agent.master.until(lambda: bool(agent.master.of(link.MessageFramework)))
            assert agent.master.of(link.MessageFramework)[0].data == b"HELLO"
            agent.master.send(link.KillTask("F", "slow", 1.5))
            last = await agent.master.end_of("slow")
            assert (last["state"], last["message"]) == ("TASK_KILLED", "stopped, grace 1.5")
            agent.master.send(link.ShutdownExecutor("F", "e"))
            await agent.master.until(lambda: bool(agent.master.of(link.ExitedExecutor)))
            assert agent.master.of(link.ExitedExecutor) == [link.ExitedExecutor("F", "e", 0)]

    asyncio.run(scenario())


def test_the_example_takes_a_group_in_one_event(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as agent:
            data = base64.b64encode(b"0").decode()
            tasks = [{**job(name, f"exec {sys.executable} {EXAMPLE}"), "data": data} for name in ("a", "b")]
            raw = [json.dumps(one).encode() for one in tasks]
            framework = json.dumps(FRAMEWORK).encode()
            about = json.dumps(tasks[0]["executor"]).encode()
            agent.master.send(link.RunTaskGroup("F", framework, "eng", about, raw, starts=True))
            for name in ("a", "b"):
                assert (await agent.master.end_of(name))["message"] == "counted to 0"

    asyncio.run(scenario())


def test_an_executor_on_a_unix_socket_follows_its_agent_to_another_port(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with link_master() as master:
            agent = AgentUnderTest(master, tmp_path / "w", ("--http_executor_domain_sockets",))
            await agent.start()
            try:
                data = base64.b64encode(b"1000").decode()
                run(agent, {**job("slow", f"exec {sys.executable} {EXAMPLE}"), "data": data}, starts=["e"])
                pid = await agent.pid_of("slow")
                await agent.kill()
                await agent.start("--executor_reregistration_timeout=15secs")
                ports = [
                    one.pid.rpartition(":")[2]
                    for one in (*master.of(link.RegisterAgent), *master.of(link.ReregisterAgent))
                ]
                assert ports[0] != ports[-1], "the system gives another port"
                assert await agent.pid_of("slow") == pid
                master.send(link.KillTask("F", "slow", 1.5))
                assert (await master.end_of("slow"))["message"] == "stopped, grace 1.5"
                async with (
                    aiohttp.ClientSession(
                        connector=aiohttp.UnixConnector(str(tmp_path / "w/executors.sock"))
                    ) as session,
                    session.get("http://agent/state") as answer,
                ):
                    assert answer.status == 404, "nothing but the executor API"
            finally:
                await agent.end()

    asyncio.run(scenario())


def test_a_socket_of_executors_takes_no_file_s_place_and_no_long_path(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    with pytest.raises(OSError, match="is no socket; choose another --domain_socket_location"):
        domain_socket.listen(taken)
    assert taken.read_text() == "mine"
    with pytest.raises(OSError, match="too long for a socket"):
        domain_socket.listen(tmp_path / ("x" * 110))


class Idle(Executor):
    async def launch(self, task: mesos.TaskInfo) -> None:
        pass

    async def kill(self, task_id: str, grace_s: float | None) -> None:
        pass


def test_an_executor_that_no_agent_started_says_what_it_lacks() -> None:
    with pytest.raises(ExecutorError, match="MESOS_FRAMEWORK_ID is not set"):
        Idle({})
