"""An agent that is killed and started again goes on with its tasks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from merismos.containers import supervisor
from merismos.protocol import link
from process.agent_process import agent_under_test
from process.link_master import task

pytestmark = pytest.mark.process


def test_a_task_keeps_its_pid_over_kill_9_and_its_end_arrives(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")

    async def scenario() -> None:
        async with agent_under_test(tmp_path / "work") as agent:
            agent.master.run(task("t", f"read line < {tmp_path / 'go'}; exit 7"))
            pid = await agent.pid_of("t")
            await agent.kill()
            await agent.start()
            (back,) = agent.master.of(link.ReregisterAgent)
            assert back.agent_id == "S0"
            assert [(json.loads(one.task)["name"], one.state) for one in back.tasks] == [("t", "TASK_RUNNING")]
            assert supervisor.read_proc(pid) is not None
            await release(tmp_path / "go")
            status = await agent.master.end_of("t")
            assert status["message"] == "Command exited with status 7"
            assert agent.master.told("t") == ["TASK_STARTING", "TASK_RUNNING", "TASK_FAILED"]

    asyncio.run(scenario())


def test_what_ends_while_there_is_no_agent_is_told_by_the_next(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")

    async def scenario() -> None:
        async with agent_under_test(tmp_path / "work") as agent:
            agent.master.run(task("t", f"read line < {tmp_path / 'go'}; exit 7"))
            pid = await agent.pid_of("t")
            await agent.kill()
            await release(tmp_path / "go")
            await agent.until_gone(pid)
            await agent.start()
            assert (await agent.master.end_of("t"))["message"] == "Command exited with status 7"

    asyncio.run(scenario())


def test_a_stopped_agent_leaves_its_tasks_to_the_next(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with agent_under_test(tmp_path / "work") as agent:
            agent.master.run(task("t", "exec sleep 600"))
            pid = await agent.pid_of("t")
            assert await agent.stop(signal.SIGTERM) == 0
            assert not agent.master.of(link.UnregisterAgent)
            assert supervisor.read_proc(pid) is not None
            await agent.start()
            agent.master.send(link.KillTask("F", "t"))
            assert (await agent.master.end_of("t"))["state"] == "TASK_KILLED"
            assert supervisor.read_proc(pid) is None

    asyncio.run(scenario())


async def release(pipe: Path) -> None:
    await asyncio.get_running_loop().run_in_executor(None, pipe.write_text, "go\n")
