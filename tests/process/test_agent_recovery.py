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


def test_a_changed_configuration_is_refused_and_the_tasks_go_on(tmp_path: Path) -> None:
    grown = "--resources=cpus:8;mem:1024;disk:1024;ports:[31000-31999]"

    async def scenario() -> None:
        async with agent_under_test(tmp_path / "work") as agent:
            agent.master.run(task("t", "exec sleep 600"))
            pid = await agent.pid_of("t")
            await agent.kill()
            await agent.spawn(grown)
            assert await agent.ended() == 1
            assert "the agent's configuration changed: the resources were cpus:4" in agent.said()
            assert supervisor.read_proc(pid) is not None
            await agent.start(grown, "--reconfiguration_policy=additive")
            assert supervisor.read_proc(pid) is not None
            assert agent.master.of(link.ReregisterAgent)[-1].agent_id == "S0"

    asyncio.run(scenario())


def test_cleanup_ends_what_ran_and_the_next_start_is_a_new_agent(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with agent_under_test(tmp_path / "work") as agent:
            agent.master.run(task("t", "trap '' TERM; sleep 600; sleep 600"))
            pid = await agent.pid_of("t")
            await agent.kill()
            await agent.spawn("--recover=cleanup")
            assert await agent.ended() == 0
            assert supervisor.read_proc(pid) is None
            assert agent.supervisors() == []
            await agent.start()
            assert len(agent.master.of(link.RegisterAgent)) == 2
            assert agent.master.of(link.ReregisterAgent) == []

    asyncio.run(scenario())


def test_damage_stops_a_strict_agent_and_costs_a_lenient_one_what_it_hit(tmp_path: Path) -> None:
    checkpoints = tmp_path / "work/meta/slaves/S0/checkpoints"

    async def scenario() -> None:
        async with agent_under_test(tmp_path / "work") as agent:
            pids = {}
            for task_id in ("hit", "spared"):
                agent.master.run(task(task_id, "exec sleep 600"))
                pids[task_id] = await agent.pid_of(task_id)
            await agent.kill()
            data = bytearray(checkpoints.read_bytes())
            data[data.index(b"task/F/hit") + 100] ^= 0xFF
            checkpoints.write_bytes(data)
            await agent.spawn()
            assert await agent.ended() == 1
            assert "is damaged from byte" in agent.said()
            assert "--no-strict" in agent.said()
            await agent.start("--no-strict")
            (spared,) = agent.master.of(link.ReregisterAgent)[-1].tasks
            assert json.loads(spared.task)["name"] == "spared"
            await agent.until_gone(pids["hit"])
            assert supervisor.read_proc(pids["spared"]) is not None

    asyncio.run(scenario())


def test_a_second_agent_takes_over_and_the_first_leaves(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with agent_under_test(tmp_path / "work") as agent:
            agent.master.run(task("t", "exec sleep 600"))
            pid = await agent.pid_of("t")
            first = agent.process
            assert first is not None
            await agent.start()
            async with asyncio.timeout(30):
                assert await first.wait() == 1
            assert "another agent has taken over" in agent.said()
            assert supervisor.read_proc(pid) is not None

    asyncio.run(scenario())
