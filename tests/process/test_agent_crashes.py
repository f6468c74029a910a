"""kill -9 of an agent at any instant, while containers of every kind start, run and end.

Each leaves a line in a file of its own as it starts, so that one that ran twice shows, and what is on the machine is listed
before and after. `MERISMOS_CRASHES` says how often to kill (`make crash`: 100 times); the instants come from a seed.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from linux import cgroup_agent, docker_daemon, image_agent
from linux.docker_daemon import DockerDaemon
from process.agent_process import agent_under_test
from process.crashes.crashing import Crashing
from process.crashes.kinds import NEED_NOTHING, NEED_ROOT, Kind
from process.crashes.leaks import Leaks

pytestmark = [pytest.mark.process, pytest.mark.timeout(3600)]
CRASHES = int(os.environ.get("MERISMOS_CRASHES", "20"))
SEED = 20
FLAGS = ("--http_executor_domain_sockets", "--executor_reregistration_timeout=30secs")


def test_an_agent_that_is_killed_at_any_instant_loses_no_task_and_runs_none_twice(tmp_path: Path) -> None:
    crash_often(tmp_path, NEED_NOTHING, max(CRASHES // 4, 1), Leaks(tmp_path, tmp_path / "w"))


def test_an_agent_that_is_killed_at_any_instant_leaks_nothing_of_any_kind_of_container(tmp_path: Path) -> None:
    reason = cgroup_agent.why_not("mem", "pids") or image_agent.why_not() or docker_daemon.why_not()
    if reason:
        pytest.skip(reason)
    root = cgroup_agent.new_root()
    with DockerDaemon() as daemon:
        flags = (
            "--isolation=cgroups/mem,cgroups/pids,filesystem/linux,docker/runtime",
            f"--cgroups_root={root}",
            "--image_providers=docker",
            f"--docker_registry={image_agent.make_images(tmp_path)}",
            f"--docker_store_dir={tmp_path / 'store'}",
            "--containerizers=mesos,docker",
            f"--docker_socket={daemon.socket}",
            "--docker_remove_delay=0ns",
        )
        leaks = Leaks(tmp_path, tmp_path / "w", root, daemon)
        crash_often(tmp_path, NEED_NOTHING + NEED_ROOT, CRASHES, leaks, *flags)


def crash_often(folder: Path, kinds: tuple[Kind, ...], crashes: int, leaks: Leaks, *flags: str) -> None:
    marks = folder / "marks"
    marks.mkdir()

    async def scenario() -> None:
        async with agent_under_test(leaks.work_dir, *FLAGS, *flags) as agent:
            crashing = Crashing(agent, kinds, marks, SEED)
            try:
                await crashing.begin()
                before = await crashing.until_clean(leaks)
                for _ in range(crashes):
                    crashing.launch_some()
                    crashing.kill_some()
                    await crashing.crash()
                assert len(crashing.lines) > crashes, "most of the tasks were never taken: nothing is shown"
                await crashing.finish()
                crashing.check()
                assert await crashing.until_clean(leaks, before) == before
            finally:
                await crashing.session.close()

    nothing = leaks.listed()
    asyncio.run(scenario())
    assert [one for one in leaks.listed() if not one.startswith(f"file {folder / 'store/layers'}")] == nothing
