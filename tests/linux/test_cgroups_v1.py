"""Isolators that user-mode Linux lacks: CPU sets, and limits on block devices."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from linux.cgroup_agent import cgroup_agent, eventually, why_not

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
MB = 1 << 20


def needs(isolator: str) -> None:
    reason = why_not(isolator)
    if reason:
        pytest.skip(reason)


def disk_of(path: Path) -> str:
    """Return major:minor of the whole disk that a path is on."""
    number = path.stat().st_dev
    name = f"{os.major(number)}:{os.minor(number)}"
    device = Path("/sys/dev/block", name)
    if not device.exists():
        pytest.skip(f"{path} is on no block device, so there is nothing to throttle")
    return (device.resolve().parent / "dev").read_text().strip() if (device / "partition").exists() else name


def test_a_task_that_writes_to_a_disk_gets_the_rate_that_containers_have(tmp_path: Path) -> None:
    needs("blkio")
    rate = f"--cgroups_io_max={disk_of(tmp_path)} wbps={2 * MB}"

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/blkio", rate) as agent:
            began = time.monotonic()
            agent.run("t", "dd if=/dev/zero of=data bs=64k count=64 oflag=direct")
            assert (await agent.end_of("t"))["state"] == "TASK_FINISHED", agent.output("t")
            assert time.monotonic() - began >= 1.8, "4 MB at 2 MB a second"

    asyncio.run(scenario())


def test_a_task_runs_on_the_cpus_that_containers_may_use_and_no_others(tmp_path: Path) -> None:
    needs("cpuset")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/cpuset", "--cgroups_cpuset_cpus=0") as agent:
            agent.run("t", "nproc; taskset -c 1 true && echo escaped")
            await agent.end_of("t")
            assert agent.output("t").splitlines()[0] == "1"
            assert "escaped" not in agent.output("t")

    asyncio.run(scenario())


def test_a_cgroup_that_cannot_be_removed_is_named_and_tried_again_and_holds_nobody_up(tmp_path: Path) -> None:
    needs("mem")
    needs("pids")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/mem,cgroups/pids") as agent:
            agent.run("t", "until [ -e go ]; do sleep 0.05; done")
            await agent.agent.pid_of("t")
            folder = agent.folder("t", "memory")
            stays = await asyncio.create_subprocess_exec("sleep", "600")
            (folder / "cgroup.procs").write_text(str(stays.pid))
            (agent.sandbox("t") / "go").touch()
            assert (await agent.end_of("t"))["state"] == "TASK_FINISHED"
            agent.run("next", "true")
            assert (await agent.end_of("next"))["state"] == "TASK_FINISHED"
            await eventually(lambda: not folder.exists())
            await stays.wait()
            assert "a cgroup can't be removed yet" in agent.agent.said()

    asyncio.run(scenario())
