"""Tasks of a group in one cgroup, or in one each: for real, on the machine's own hierarchies."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from linux.cgroup_agent import CgroupAgent, amounts, cgroup_agent, eventually, why_not
from merismos.protocol import link
from process.link_master import FRAMEWORK, task

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
FLAGS = "cgroups/cpu,cgroups/mem"
REASON = "REASON_CONTAINER_LIMITATION_MEMORY"
OWN = {"type": "MESOS", "linux_info": {"share_cgroups": False}}
MB = 1 << 20


def run_group(agent: CgroupAgent, pod: str, lines: dict[str, str], **fields: Any) -> None:  # noqa: ANN401 - fields of each TaskInfo
    executor = {"executor_id": {"value": pod}, "type": "DEFAULT", "resources": amounts(0.1, 32)}
    tasks = [task(name, line, resources=amounts(0.1, 64), executor=executor, **fields) for name, line in lines.items()]
    raw = [json.dumps(one).encode() for one in tasks]
    framework, about = json.dumps(FRAMEWORK).encode(), json.dumps(executor).encode()
    agent.master.send(link.RunTaskGroup("F", framework, "eng", about, raw, starts=True))


def holding(megabytes: int, then: str) -> str:
    return f"python3 -c 'held = bytearray({megabytes} << 20)' && {then}"


def limits(agent: CgroupAgent) -> list[int]:
    """Return the limits of memory of all cgroups of containers, in MB."""
    return sorted(int(limit) // MB for limit in agent.read_all("memory", "memory.limit_in_bytes", "memory.max"))


def test_tasks_of_a_group_have_together_what_they_ask_for_and_end_together_when_it_is_used_up(tmp_path: Path) -> None:
    reason = why_not("cpu", "mem")
    if reason:
        pytest.skip(reason)

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", FLAGS) as agent:
            run_group(agent, "pod", {"big": holding(100, "exit 0"), "small": "until [ -e go ]; do sleep 0.05; done"})
            assert (await agent.end_of("big"))["state"] == "TASK_FINISHED", (
                "there is room for 64 MB of each, and 32 of the executor"
            )
            assert limits(agent) == [160], "memory that a container has is never taken away from it"
            await agent.agent.kill()
            await agent.agent.start()
            assert limits(agent) == [160]
            (sandbox,) = (
                path
                for path in agent.agent.work_dir.glob("slaves/*/frameworks/F/executors/pod/runs/*-*/containers/*")
                if agent.container("small") in path.name
            )
            (sandbox / "go").touch()
            assert (await agent.end_of("small"))["state"] == "TASK_FINISHED"
            await eventually(lambda: limits(agent) == [])
            run_group(agent, "full", {"eats": holding(400, "sleep 600"), "waits": "sleep 600"})
            for name in ("eats", "waits"):
                ended = await agent.end_of(name)
                assert (ended["state"], ended["reason"]) == ("TASK_FAILED", REASON), ended
                assert ended["message"].startswith("Memory limit exceeded: Requested: 160MB")
            await eventually(lambda: limits(agent) == [])

    asyncio.run(scenario())


def test_tasks_of_a_group_that_do_not_share_have_a_cgroup_each_and_limits_of_their_own(tmp_path: Path) -> None:
    reason = why_not("cpu", "mem")
    if reason:
        pytest.skip(reason)

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", FLAGS) as agent:
            run_group(
                agent,
                "pod",
                {"eats": "until [ -e go ]; do sleep 0.05; done; " + holding(200, "exit 0"), "waits": "sleep 600"},
                container=OWN,
            )
            await agent.agent.pid_of("waits")
            await agent.agent.pid_of("eats")
            assert limits(agent) == [64, 64]
            (sandbox,) = (
                path
                for path in agent.agent.work_dir.glob("slaves/*/frameworks/F/executors/pod/runs/*-*/containers/*")
                if agent.container("eats") in path.name
            )
            (sandbox / "go").touch()
            eats = await agent.end_of("eats")
            assert (eats["state"], eats["reason"]) == ("TASK_FAILED", REASON), eats
            assert (await agent.end_of("waits"))["state"] == "TASK_KILLED"
            await eventually(lambda: limits(agent) == [])

    asyncio.run(scenario())
