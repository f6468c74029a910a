"""Agents that die, agents that share, a supervisor that dies: what becomes of cgroups then."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from linux.cgroup_agent import HUNGRY, LIMIT_S, cgroup_agent, eventually, why_not
from merismos.daemons.process import EXIT_USAGE
from process.agent_process import AgentUnderTest

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


def needs(*isolators: str) -> None:
    reason = why_not(*isolators)
    if reason:
        pytest.skip(reason)


def test_a_container_outlives_its_agent_in_its_cgroup_and_an_orphan_of_before_does_not(tmp_path: Path) -> None:
    needs("mem", "pids")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/mem,cgroups/pids") as agent:
            agent.run("t", f"until [ -e go ]; do sleep 0.05; done; {HUNGRY}; sleep 600", mem=48)
            pid = await agent.agent.pid_of("t")
            await agent.agent.kill()
            orphan = agent.folder("t", "pids").with_name("orphan")
            orphan.mkdir()
            lost = await asyncio.create_subprocess_exec("sleep", "600")
            (orphan / "cgroup.procs").write_text(str(lost.pid))
            await agent.agent.start()
            async with asyncio.timeout(LIMIT_S):
                assert await lost.wait() == -signal.SIGKILL
            await eventually(lambda: not orphan.exists())
            assert str(pid) in (agent.folder("t", "pids") / "cgroup.procs").read_text()
            (agent.sandbox("t") / "go").touch()
            assert (await agent.end_of("t"))["reason"] == "REASON_CONTAINER_LIMITATION_MEMORY"

    asyncio.run(scenario())


def test_what_ran_out_of_memory_while_the_agent_was_down_is_told_by_the_next_one(tmp_path: Path) -> None:
    needs("mem", "pids")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/mem,cgroups/pids") as agent:
            agent.run("t", f"until [ -e go ]; do sleep 0.05; done; {HUNGRY}", mem=48)
            pid = await agent.agent.pid_of("t")
            await agent.agent.kill()
            (agent.sandbox("t") / "go").touch()
            await agent.agent.until_gone(pid)
            await agent.agent.start()
            status = await agent.end_of("t")
            assert status["reason"] == "REASON_CONTAINER_LIMITATION_MEMORY"
            assert status["limitation"]["resources"]

    asyncio.run(scenario())


def test_a_supervisor_that_dies_leaves_no_cgroup(tmp_path: Path) -> None:
    needs("pids")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/pids") as agent:
            agent.run("t", "(env -i setsid sleep 600 &); sleep 600")
            await agent.agent.pid_of("t")
            folder = agent.folder("t", "pids")
            (holder,) = agent.agent.supervisors()
            os.kill(holder, signal.SIGKILL)
            assert (await agent.end_of("t"))["reason"] == "REASON_EXECUTOR_TERMINATED"
            await eventually(lambda: not folder.exists())

    asyncio.run(scenario())


def test_a_second_agent_with_the_same_root_does_not_start_and_says_what_to_change(tmp_path: Path) -> None:
    needs("pids")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/pids") as agent:
            other = AgentUnderTest(agent.master, tmp_path / "other", agent.agent.flags)
            await other.spawn()
            assert await other.ended() == EXIT_USAGE
            assert "another agent of this machine uses" in other.said()
            assert "choose another --cgroups_root" in other.said()

    asyncio.run(scenario())
