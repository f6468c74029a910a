"""GPUs for real: containers that see theirs and no others, on device cgroups of either version. Two harmless disks play the GPUs."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from linux.cgroup_agent import HIERARCHY, VERSION, CgroupAgent, cgroup_agent
from linux.loops import in_a_loop
from merismos.adapters.linux import cgroup_detection
from process.link_master import task

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
LOOP_MAJOR = 7
UNIFIED = HIERARCHY / "unified"
RESOURCES = "--resources=cpus:4;mem:1024;disk:1024;ports:[31000-31999];gpus:2"


def hierarchies() -> list[Path]:
    return [HIERARCHY] if VERSION != 1 else [HIERARCHY, UNIFIED]


@pytest.fixture(params=["v1", "v2"])
def hierarchy(request: pytest.FixtureRequest) -> Path:
    for path in hierarchies():
        version = cgroup_detection.version_of(path)
        if request.param == f"v{version}":
            reason = cgroup_detection.obstacle(path, version, "devices")
            if reason is not None:
                pytest.skip(reason)
            return path
    pytest.skip(f"no cgroups of {request.param} are mounted here")


def make_gpus(folder: Path) -> dict[str, list[str]]:
    """Make two devices that anybody can open who may."""
    if not Path("/sys/block/loop6").exists():
        pytest.skip("this kernel has no loop devices to play GPUs")
    paths = {}
    for index in (0, 1):
        path = folder / f"gpu{index}"
        os.mknod(path, 0o666 | stat.S_IFBLK, os.makedev(LOOP_MAJOR, 6 + index))
        paths[str(index)] = [str(path)]
    return paths


class GpuAgent:
    def __init__(self, agent: CgroupAgent, folder: Path) -> None:
        self.agent = agent
        self._folder = folder

    def run(self, task_id: str, count: int, line: str = "") -> None:
        """Run a task that says which GPUs it can open."""
        look = f"for g in 0 1; do head -c 0 {self._folder}/gpu$g && head -c 1 {self._folder}/gpu$g >/dev/null && echo sees $g; done"
        resources = [{"name": "gpus", "type": "SCALAR", "scalar": {"value": count}}] if count else []
        cpus = {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}}
        command = f"{look}; echo told $NVIDIA_VISIBLE_DEVICES; {line} true"
        self.agent.master.run(task(task_id, command, resources=[cpus, *resources]))

    async def seen_by(self, task_id: str) -> list[str]:
        status = await self.agent.end_of(task_id)
        assert status["state"] == "TASK_FINISHED", self.agent.output(task_id)
        return (self.agent.sandbox(task_id) / "stdout").read_text().splitlines()


@asynccontextmanager
async def gpu_agent(folder: Path, hierarchy: Path) -> AsyncIterator[GpuAgent]:
    flags = (
        f"--cgroups_hierarchy={hierarchy}",
        f"--gpu_devices={json.dumps(make_gpus(folder))}",
        "--nvidia_gpu_devices=0,1",
        RESOURCES,
    )
    async with cgroup_agent(folder / "w", "cgroups/devices,gpu/nvidia", *flags) as agent:
        yield GpuAgent(agent, folder)


@in_a_loop
async def test_a_task_with_one_of_two_gpus_sees_exactly_one_and_one_without_sees_none(
    tmp_path: Path, hierarchy: Path
) -> None:
    async with gpu_agent(tmp_path, hierarchy) as gpus:
        wait = f"until [ -e {tmp_path}/go ]; do sleep 0.02; done;"
        gpus.run("first", 1, wait)
        gpus.run("second", 1, wait)
        gpus.run("none", 0, wait)
        for name in ("first", "second", "none"):
            await gpus.agent.agent.pid_of(name)
        (tmp_path / "go").touch()
        assert await gpus.seen_by("first") == ["sees 0", "told 0"]
        assert await gpus.seen_by("second") == ["sees 1", "told 1"]
        assert await gpus.seen_by("none") == ["told"]
        gpus.run("both", 2)
        assert await gpus.seen_by("both") == ["sees 0", "sees 1", "told 0,1"]


@in_a_loop
async def test_a_gpu_stays_its_containers_when_the_agent_is_killed(tmp_path: Path, hierarchy: Path) -> None:
    async with gpu_agent(tmp_path, hierarchy) as gpus:
        gpus.run("ends", 1)
        gpus.run("stays", 1, f"until [ -e {tmp_path}/go ]; do sleep 0.02; done;")
        await gpus.seen_by("ends")
        pid = await gpus.agent.agent.pid_of("stays")
        await gpus.agent.agent.stop(signal.SIGKILL)
        await gpus.agent.agent.start()
        os.kill(pid, 0)
        gpus.run("next", 1)
        assert await gpus.seen_by("next") == ["sees 0", "told 0"]
        gpus.run("too many", 2)
        status = await gpus.agent.end_of("too many")
        assert (status["state"], status["message"]) == ("TASK_ERROR", "Requested 2 GPUs but only 1 available")
        (tmp_path / "go").touch()
        await gpus.seen_by("stays")
        gpus.run("two", 2)
        assert await gpus.seen_by("two") == ["sees 0", "sees 1", "told 0,1"]
