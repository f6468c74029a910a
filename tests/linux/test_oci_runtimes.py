"""The runtimes of containers of images: each does the same for a task, and an agent takes the one that works on its machine."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from linux.cgroup_agent import left_of, new_root
from linux.cgroup_agent import why_not as cgroups_missing
from linux.image_agent import eventually, image_agent, why_not
from linux.loops import in_a_loop
from linux.test_images import children_of_runtime, kill_of
from merismos.containers.oci_runtimes import CRUN, RUNC, RUNTIMES, choose

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def _needs_runtimes() -> None:
    missing = [name for name in RUNTIMES if shutil.which(name) is None]
    reason = why_not() or (f"apt-get install {' '.join(missing)}" if missing else "")
    if reason:
        pytest.skip(reason)


@pytest.mark.parametrize("runtime", RUNTIMES)
@in_a_loop
async def test_a_container_ends_as_it_ended_whatever_runs_it(tmp_path: Path, runtime: str) -> None:
    async with image_agent(tmp_path, f"--oci_runtime={runtime}") as agent:
        agent.run("exits", "exit 3")
        agent.run("absent", {"shell": False, "value": "/no/such", "arguments": ["such"]})
        agent.run("asked", "trap 'exit 0' TERM; echo ready; while true; do sleep 0.1; done")
        agent.run("stays", "trap '' TERM; sleep 600")
        assert (await agent.end_of("exits"))["message"] == "Command exited with status 3"
        assert (await agent.end_of("absent"))["state"] == "TASK_FAILED"
        assert "such" in agent.output("absent")
        await eventually(lambda: "ready" in agent.output("asked"))
        agent.master.send(kill_of("asked", grace_s=600.0))
        assert (await agent.end_of("asked"))["state"] == "TASK_KILLED"
        pid = await agent.agent.pid_of("stays")
        await eventually(lambda: children_of_runtime(agent, "stays"))
        os.kill(pid, signal.SIGKILL)  # the runtime, not what it runs
        assert (await agent.end_of("stays"))["state"] == "TASK_FAILED"
        await eventually(lambda: agent.remains() == [], agent.remains)


@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize("runtime", RUNTIMES)
@in_a_loop
async def test_no_device_of_the_machine_can_be_opened_in_a_container(
    tmp_path: Path, runtime: str, *, isolated: bool
) -> None:
    reason = cgroups_missing("mem", "devices")
    if reason:
        pytest.skip(reason)
    root = new_root()
    flags = ("--isolation=cgroups/mem,cgroups/devices", f"--cgroups_root={root}") if isolated else ()
    async with image_agent(tmp_path, f"--oci_runtime={runtime}", *flags) as agent:
        line = "mknod /tmp/m c 1 1 && mknod /dev/m c 1 1 && cat /tmp/m; cat /dev/m; head -c 1 /dev/zero | wc -c; echo x > /dev/null"
        output = await agent.output_of("t", line)
        assert output.count("Operation not permitted") == 2, output
        assert output.startswith("1\n")
        await eventually(lambda: agent.remains() == [], agent.remains)
    assert left_of(root) == []


@pytest.mark.parametrize("runtime", RUNTIMES)
@in_a_loop
async def test_a_container_of_either_runtime_is_held_to_its_memory(tmp_path: Path, runtime: str) -> None:
    reason = cgroups_missing("mem")
    if reason:
        pytest.skip(reason)
    root = new_root()
    flags = ("--isolation=cgroups/mem", f"--cgroups_root={root}", f"--oci_runtime={runtime}")
    async with image_agent(tmp_path, *flags) as agent:
        agent.run("hungry", "tail /dev/zero; sleep 600")
        hungry = await agent.end_of("hungry")
        assert hungry["reason"] == "REASON_CONTAINER_LIMITATION_MEMORY", hungry
        await eventually(lambda: agent.remains() == [], agent.remains)
    assert left_of(root) == []


@in_a_loop
async def test_a_check_in_a_container_goes_on_under_an_agent_that_prefers_the_other_runtime(tmp_path: Path) -> None:
    check = {
        "type": "COMMAND",
        "command": {"command": {"value": "cat /mnt/mesos/sandbox/code | grep -q here && exit 7"}},
        "interval_seconds": 0.1,
    }

    async with image_agent(tmp_path, f"--oci_runtime={RUNC}") as agent:
        agent.run("t", "sleep 600", check=check)
        await agent.agent.pid_of("t")
        await eventually(lambda: children_of_runtime(agent, "t"))
        await agent.agent.kill()
        agent.agent.flags = tuple(one for one in agent.agent.flags if "oci_runtime" not in one)
        await agent.agent.start(f"--oci_runtime={CRUN}")
        (agent.sandbox("t") / "code").write_text("here\n")

        def checked() -> bool:
            statuses = agent.master.statuses("t")
            return any(one.get("check_status", {}).get("command", {}).get("exit_code") == 7 for one in statuses)

        await agent.master.until(checked)
        agent.master.send(kill_of("t", grace_s=600.0))
        assert (await agent.end_of("t"))["state"] == "TASK_KILLED"


def test_the_runtime_that_works_is_taken_before_one_that_does_not(tmp_path: Path) -> None:
    broken = tmp_path / CRUN
    broken.write_text("#!/bin/sh\necho this machine is odd >&2\nexit 1\n")
    broken.chmod(0o755)
    real = {CRUN: str(broken), RUNC: shutil.which(RUNC)}
    assert choose(tmp_path / "oci", which=real.get).program == real[RUNC]
    with pytest.raises(LookupError, match="this machine is odd"):
        choose(tmp_path / "oci", CRUN, which=real.get)
    assert not list(tmp_path.glob("oci/trial"))
    assert not list(tmp_path.glob("oci/state*/*"))


def test_a_machine_without_a_runtime_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="install one of crun, runc"):
        choose(tmp_path, which=lambda _: None)
    with pytest.raises(LookupError, match="give one of crun, runc"):
        choose(tmp_path, "docker")
