"""The SDK's executor, by the example that ships, under a real agent."""

from __future__ import annotations

import asyncio
import base64
import sys
from pathlib import Path

import pytest

from merismos.protocol import link
from merismos.protocol.v1 import mesos
from merismos.sdk.executor import Executor, ExecutorError
from process.executors.test_custom_executors import job, run
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


class Idle(Executor):
    async def launch(self, task: mesos.TaskInfo) -> None:
        pass

    async def kill(self, task_id: str, grace_s: float | None) -> None:
        pass


def test_an_executor_that_no_agent_started_says_what_it_lacks() -> None:
    with pytest.raises(ExecutorError, match="MESOS_FRAMEWORK_ID is not set"):
        Idle({})
