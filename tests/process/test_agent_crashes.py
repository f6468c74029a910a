"""kill -9 of an agent at any instant, while containers of every kind start, run and end.

Each leaves a line in a file of its own as it starts, so that one that ran twice shows, and what is on the machine is listed
before and after. `MERISMOS_CRASHES` says how often to kill (`make crash`: 100 times); the instants come from a seed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from linux import cgroup_agent, cni_agent, docker_daemon, image_agent, lxc_agent
from linux.cni_agent import PLUGINS, Machine, bridge
from linux.docker_daemon import DockerDaemon
from process.agent_process import AgentUnderTest
from process.crashes.crashing import Crashing
from process.crashes.kinds import NEED_NOTHING, NEED_ROOT, NETWORK, Kind
from process.crashes.leaks import Leaks
from process.link_master import link_master

pytestmark = [pytest.mark.process, pytest.mark.timeout(3600)]
CRASHES = int(os.environ.get("MERISMOS_CRASHES", "20"))
SEED = 20
FLAGS = ("--http_executor_domain_sockets", "--executor_reregistration_timeout=30secs")


def test_an_agent_that_is_killed_at_any_instant_loses_no_task_and_runs_none_twice(tmp_path: Path) -> None:
    crash_often(NEED_NOTHING, max(CRASHES // 4, 1), Leaks(tmp_path))


def test_an_agent_that_is_killed_at_any_instant_leaks_nothing_of_any_kind_of_container(tmp_path: Path) -> None:
    reasons = (
        cgroup_agent.why_not("mem", "pids"),
        image_agent.why_not(),
        lxc_agent.why_not(),
        cni_agent.why_not(),
        docker_daemon.why_not(),
    )
    reason = next(filter(None, reasons), "")
    if reason:
        pytest.skip(reason)
    machine = Machine(tmp_path)
    try:
        with DockerDaemon() as daemon:
            leaks = Leaks(tmp_path, cgroup_agent.new_root(), daemon, machine)
            crash_often(NEED_NOTHING + NEED_ROOT, CRASHES, leaks, *flags_for_all(leaks, machine, daemon))
    finally:
        machine.close()


def flags_for_all(leaks: Leaks, machine: Machine, daemon: DockerDaemon) -> list[str]:
    """Return the flags of an agent that runs every kind, and make what it needs for them."""
    folder = leaks.folder
    machine.add(bridge(NETWORK, folder, "10.217.0.0/16"))
    lxc_agent.make_rootfs(folder / "lxc" / lxc_agent.NAME / "rootfs")
    return [
        "--isolation=cgroups/mem,cgroups/pids,filesystem/linux,docker/runtime,network/cni",
        f"--cgroups_root={leaks.root}",
        f"--network_cni_config_dir={machine.configs}",
        f"--network_cni_plugins_dir={PLUGINS}",
        "--image_providers=docker",
        f"--docker_registry={image_agent.make_images(folder)}",
        f"--docker_store_dir={folder / 'store'}",
        "--containerizers=mesos,lxc,docker",
        f"--lxc_path={folder / 'lxc'}",
        f"--docker_socket={daemon.socket}",
        "--docker_remove_delay=0ns",
    ]


@asynccontextmanager
async def crashing_agent(leaks: Leaks, *flags: str) -> AsyncIterator[AgentUnderTest]:
    """Start an agent, in a network namespace of its own where there is one."""
    machine = leaks.machine
    async with link_master(None if machine is None else machine.listen()) as master:
        agent = AgentUnderTest(master, leaks.work_dir, (*FLAGS, *flags))
        agent.launcher = () if machine is None else machine.command()
        try:
            await agent.start()
            yield agent
        finally:
            await agent.end()


def crash_often(kinds: tuple[Kind, ...], crashes: int, leaks: Leaks, *flags: str) -> None:
    marks = leaks.folder / "marks"
    marks.mkdir()

    async def scenario() -> None:
        async with crashing_agent(leaks, *flags) as agent:
            crashing = Crashing(agent, kinds, marks, SEED, leaks.machine)
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
    layers = f"file {leaks.folder / 'store/layers'}"
    assert [one for one in leaks.listed() if not one.startswith(layers)] == nothing
