"""Devices of the machine in containers of images, for real."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from linux.cgroup_agent import left_of, new_root
from linux.cgroup_agent import why_not as cgroups_missing
from linux.image_agent import image_agent, why_not
from linux.loops import in_a_loop
from linux.test_gpus import RESOURCES, make_gpus

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.fixture(params=["crun", "runc"])
def runtime(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    reason = why_not() or cgroups_missing("devices")
    if reason:
        pytest.skip(reason)
    if not Path("/dev/loop6").exists():
        pytest.skip("this kernel has no loop devices")
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name}: apt-get install {name}")
    return f"--oci_runtime={name}"


@in_a_loop
async def test_a_container_has_nodes_of_what_the_operator_allowed_with_these_rights(
    tmp_path: Path, runtime: str
) -> None:
    allowed = {"allowed_devices": [{"device": {"path": "/dev/loop6"}, "access": {"read": True}}]}
    flags = (runtime, "--isolation=linux/devices", f"--allowed_devices={json.dumps(allowed)}")
    async with image_agent(tmp_path, *flags) as agent:
        line = "ls /dev/loop6; head -c 1 /dev/loop6 >/dev/null 2>&1 && echo read; dd if=/dev/zero of=/dev/loop6 count=1 2>&1 | grep -o permitted"
        assert (await agent.output_of("t", line)).split("\n")[:3] == ["/dev/loop6", "read", "permitted"]


@in_a_loop
async def test_a_container_of_an_image_has_nodes_of_its_gpus_and_no_others(tmp_path: Path, runtime: str) -> None:
    root = new_root()
    flags = (
        "--isolation=cgroups/devices,gpu/nvidia",
        f"--cgroups_root={root}",
        f"--gpu_devices={json.dumps(make_gpus(tmp_path))}",
        "--nvidia_gpu_devices=0,1",
        RESOURCES,
        runtime,
    )
    async with image_agent(tmp_path, *flags) as agent:
        gpu = {"name": "gpus", "type": "SCALAR", "scalar": {"value": 1}}
        hold = (
            f"ls {tmp_path}; head -c 1 {tmp_path}/gpu0 >/dev/null && echo opens; until [ -e go ]; do sleep 0.05; done"
        )
        agent.run("holds", hold, more=[gpu])
        await agent.agent.pid_of("holds")
        look = f"ls {tmp_path}; mknod /other b 7 6; head -c 1 /other; echo $NVIDIA_VISIBLE_DEVICES"
        output = await agent.output_of("t", look, more=[gpu])
        assert [line for line in output.split("\n") if "permitted" not in line] == ["gpu1", "1", ""]
        assert "not permitted" in output, "the other GPU can't be opened, whoever makes a node of it"
        (agent.sandbox("holds") / "go").touch()
        await agent.end_of("holds")
        assert agent.output("holds").split() == ["gpu0", "opens"]
    assert left_of(root) == []
