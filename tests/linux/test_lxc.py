"""Containers of LXC, for real: what they see, how they end, and that nothing of them is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from linux.loops import in_a_loop
from linux.lxc_agent import lxc_agent, why_not

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def _needs_lxc() -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)


@in_a_loop
async def test_a_task_in_a_root_of_lxc_has_its_files_environment_processes_and_sandbox(tmp_path: Path) -> None:
    async with lxc_agent(tmp_path) as agent:
        line = 'ls /; echo "pid=$$ path=$PATH mine=$MINE"; pwd; echo kept > file; echo $MESOS_SANDBOX; hostname; touch /gone'
        env = {"variables": [{"name": "MINE", "value": " a 'quoted' \"text\" # "}]}
        output = await agent.output_of("t", {"value": line, "environment": env}, container={"hostname": "inside"})
        assert output.splitlines() == [
            "bin", "dev", "etc", "mnt", "proc", "root", "sys", "tmp",
            "pid=1 path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin mine= a 'quoted' \"text\" # ",
            "/mnt/mesos/sandbox", "/mnt/mesos/sandbox", "inside",
        ]  # fmt: skip
        assert (agent.sandbox("t") / "file").read_text() == "kept\n"
        assert agent.master.states("t")[-3:] == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
        assert not (agent.path / "box/rootfs/gone").exists(), "a container writes to a layer of its own"


@in_a_loop
async def test_an_exit_code_passes_and_what_cannot_be_run_says_why(tmp_path: Path) -> None:
    async with lxc_agent(tmp_path, isolation="") as agent:
        agent.run("code", "exit 42")
        agent.run("absent", {"shell": False, "value": "nosuch"})
        agent.run("missing", "true", rootfs="missing")
        assert (await agent.end_of("code"))["message"] == "Command exited with status 42"
        assert (await agent.end_of("absent"))["state"] == "TASK_FAILED"
        assert 'Failed to exec "nosuch"' in agent.output("absent")
        missing = await agent.end_of("missing")
        assert missing["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
        assert f"{agent.path}/missing/rootfs does not exist on this agent; make one: lxc-create" in missing["message"]
