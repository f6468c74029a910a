"""Containers of LXC, for real: what they see, how they end, and that nothing of them is left."""

from __future__ import annotations

import base64
import json
import pwd
from pathlib import Path
from typing import Any

import pytest

from linux.cgroup_agent import amounts
from linux.cgroup_agent import why_not as cgroups_missing
from linux.cni_agent import bridge, cni_agent
from linux.cni_agent import why_not as networks_missing
from linux.image_agent import eventually, make_images, of_docker
from linux.loops import in_a_loop
from linux.lxc_agent import NAME, lxc_agent, make_rootfs, why_not
from linux.test_gpus import RESOURCES as GPUS
from linux.test_gpus import make_gpus
from process.link_master import task

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


@in_a_loop
async def test_a_directory_of_the_machine_is_a_root_too_and_what_cannot_be_one_is_refused(tmp_path: Path) -> None:
    root = make_rootfs(tmp_path / "any where" / "root")
    async with lxc_agent(tmp_path, isolation="") as agent:
        assert await agent.output_of("t", "echo here", rootfs=str(root)) == "here\n"
        refusals = {"a/b": "must be the name", "..": "must be the name", "/": "must be the name", "": "must say"}
        for number, (name, refused) in enumerate(refusals.items()):
            agent.run(f"odd-{number}", "true", rootfs=name)
            status = await agent.end_of(f"odd-{number}")
            assert status["state"] == "TASK_ERROR"
            assert refused in status["message"]
        agent.run("shared", "true", container={"linux_info": {"share_pid_namespace": True}})
        assert "have processes and IPC of their own" in (await agent.end_of("shared"))["message"]
        lines = {"variables": [{"name": "TEXT", "value": "two\nlines"}]}
        agent.run("lines", {"value": "true", "environment": lines})
        assert "takes no line breaks" in (await agent.end_of("lines"))["message"]


@in_a_loop
async def test_volumes_and_users_are_as_asked_for(tmp_path: Path) -> None:
    shared = tmp_path / "a shared place"
    shared.mkdir()
    shared.chmod(0o777)
    (shared / "given").write_text("given\n")
    secret = {"type": "VALUE", "value": {"data": base64.b64encode(b"a secret\n").decode()}}
    volumes = [
        volume("/read", "host_path", {"path": str(shared)}, "RO"),
        volume("/write", "host_path", {"path": str(shared)}),
        volume("/one/file", "host_path", {"path": str(shared / "given")}, "RO"),
        volume("own", "sandbox_path", {"type": "SELF", "path": "a/b"}),
        volume("/run/secrets/key", "secret", secret, "RO"),
    ]
    line = "id -u; id -g; cat /read/given; touch /read/no; touch /write/yes; touch own/mine; cat /one/file /run/secrets/key; touch mine"
    async with lxc_agent(tmp_path, "--switch_user", isolation="") as agent:
        output = await agent.output_of("t", {"value": line, "user": "nobody"}, container={"volumes": volumes})
        uid, gid, *rest = output.splitlines()
        assert (uid, gid) == ("65534", str(pwd.getpwnam("nobody").pw_gid))
        assert rest[:3] == ["given", "given", "a secret"]
        assert "/read/no: Read-only file system" in output
        assert sorted(path.name for path in shared.iterdir()) == ["given", "yes"]
        assert (agent.sandbox("t") / "a/b/mine").stat().st_uid == 65534
        assert (agent.sandbox("t") / "mine").stat().st_uid == 65534


@in_a_loop
async def test_a_container_has_few_rights_unless_they_are_asked_for_and_allowed(tmp_path: Path) -> None:
    status = "cat /proc/self/status; mount -t tmpfs none /tmp || echo refused; mknod /tmp/k c 1 11; head -c 1 /tmp/k; ulimit -n; head -c1 /proc/kcore|od"
    allowed = {"capabilities": ["CHOWN", "MKNOD", "SYS_ADMIN"]}
    async with lxc_agent(tmp_path, f"--bounding_capabilities={json.dumps(allowed)}", isolation="") as agent:
        few = {"linux_info": {"effective_capabilities": {"capabilities": ["CHOWN"]}}}
        limits = {"rlimit_info": {"rlimits": [{"type": "RLMT_NOFILE", "soft": 77, "hard": 99}]}}
        usual = await agent.output_of("usual", status, container={**few, **limits})
        assert "CapEff:\t0000000000000001" in usual
        assert "CapBnd:\t0000000000000001" in usual
        assert "NoNewPrivs:\t1" in usual
        assert "Seccomp:\t2" in usual
        assert "refused" in usual
        assert "\n77\n" in usual
        more = await agent.output_of("more", status)
        assert "refused" not in more
        assert "k: Operation not permitted" in more, "devices are limited by their cgroup"
        unconfined = {"linux_info": {"seccomp": {"unconfined": True}}}
        assert "Seccomp:\t0" in await agent.output_of("open", status, container=unconfined)
        agent.run("beyond", "true", container={"linux_info": {"bounding_capabilities": {"capabilities": ["SYS_BOOT"]}}})
        assert "capability SYS_BOOT is not allowed" in (await agent.end_of("beyond"))["message"]


@in_a_loop
async def test_limits_of_cgroups_hold_and_what_takes_too_much_memory_is_told_so(tmp_path: Path) -> None:
    reason = cgroups_missing("cpu", "mem", "pids")
    if reason:
        pytest.skip(reason)
    async with lxc_agent(tmp_path, isolation="cgroups/cpu,cgroups/mem,cgroups/pids") as agent:
        agent.run("hungry", "head -c 200000000 /dev/zero | tail; sleep 600", mem=48)
        agent.run("greedy", "exec tail /dev/zero", mem=48)
        agent.run("modest", "cat /proc/self/cgroup; exit 3")
        for name in ("hungry", "greedy"):
            status = await agent.end_of(name)
            assert status["state"] == "TASK_FAILED"
            assert status["reason"] == "REASON_CONTAINER_LIMITATION_MEMORY", status
            assert status["message"].startswith("Memory limit exceeded: Requested: 48MB")
        assert (await agent.end_of("modest"))["message"] == "Command exited with status 3"
        agent.run("limited", "echo ready; exec sleep 600")
        await eventually(lambda: "ready" in agent.output("limited"))
        assert agent.limit("limited", "cpu", "cpu.shares") == "102"
        assert agent.limit("limited", "memory", "memory.limit_in_bytes") == str(64 << 20)
        pids = set(agent.processes())
        assert pids
        for controller in ("cpu", "memory", "pids"):
            assert pids <= agent.members("limited", controller)


@in_a_loop
async def test_images_are_lxcs_where_it_is_named_first(tmp_path: Path) -> None:
    flags = (
        "--image_providers=docker",
        f"--docker_registry={make_images(tmp_path)}",
        f"--docker_store_dir={tmp_path / 'store'}",
    )
    async with lxc_agent(tmp_path, *flags, containerizers="lxc,mesos", isolation="") as agent:
        image = {"mesos": {"image": of_docker("server")}}
        agent.run("entry", {"shell": False}, container=image)
        assert (await agent.end_of("entry"))["state"] == "TASK_FINISHED"
        assert agent.output("entry") == "entry cmd\n"
        who = await agent.output_of("who", "id -u; id -G; pwd; echo $container", container=image)
        assert who.split() == ["1234", "1234", "77", "/srv/there", "lxc"]
        agent.master.run(task("native", "exit 3"))
        assert (await agent.end_of("native"))["message"] == "Command exited with status 3"
        await agent.until_clean()
        assert [path for path in (tmp_path / "store").glob("leases/*/*") if not path.name.startswith(".")] == []


@in_a_loop
async def test_an_agent_with_lxc_alone_refuses_what_has_no_root_of_its_own(tmp_path: Path) -> None:
    async with lxc_agent(tmp_path, containerizers="lxc", isolation="") as agent:
        agent.master.run(task("native", "true"))
        status = await agent.end_of("native")
        assert status["state"] == "TASK_ERROR"
        assert "None of the enabled containerizers (lxc) could create a container for the task" in status["message"]
        assert await agent.output_of("t", "echo here") == "here\n"


def volume(target: str, kind: str, value: dict[str, Any], mode: str = "RW") -> dict[str, Any]:
    return {"mode": mode, "container_path": target, "source": {"type": kind.upper(), kind: value}}


@in_a_loop
async def test_a_container_of_lxc_has_the_devices_of_its_gpus_and_no_others(tmp_path: Path) -> None:
    flags = (f"--gpu_devices={json.dumps(make_gpus(tmp_path))}", "--nvidia_gpu_devices=0,1", GPUS)
    async with lxc_agent(tmp_path, *flags, isolation="cgroups/devices,gpu/nvidia") as agent:
        image = {"type": "MESOS", "mesos": {"image": {"type": "APPC", "appc": {"name": NAME}}}}
        resources = [*amounts(0.1, 64), {"name": "gpus", "type": "SCALAR", "scalar": {"value": 1}}]
        look = f"ls {tmp_path}; mknod /other b 7 7; head -c 1 {tmp_path}/gpu* >/dev/null && echo opens; head -c 1 /other; echo $NVIDIA_VISIBLE_DEVICES"
        agent.master.run(task("t", look, container=image, resources=resources))
        assert (await agent.end_of("t"))["state"] == "TASK_FINISHED", agent.output("t")
        lines = agent.output("t").splitlines()
        assert lines[:3] == ["gpu0", "opens", "0"]
        assert "not permitted" in lines[3], "the other GPU can't be opened, whoever makes a node of it"


@in_a_loop
async def test_a_container_in_a_network_of_cni_is_there_and_so_is_what_enters_it(tmp_path: Path) -> None:
    reason = networks_missing()
    if reason:
        pytest.skip(reason)
    make_rootfs(tmp_path / "lxc/box/rootfs")
    flags = ("--containerizers=mesos,lxc", f"--lxc_path={tmp_path / 'lxc'}")
    async with cni_agent(tmp_path, *flags, configs=[bridge("one", tmp_path, "10.31.7.0/24")]) as agent:
        seen = "test $(readlink /proc/self/ns/net) = $(readlink /proc/1/ns/net) && cat /etc/hosts"
        check = {"type": "COMMAND", "command": {"command": {"value": f"{seen} > seen"}}, "delay_seconds": 0.0}
        container = {"mesos": {"image": {"type": "APPC", "appc": {"name": "box"}}}, "hostname": "boxed"}
        line = "hostname; cat /etc/hosts; while ! test -s seen; do sleep 0.1; done"
        output = await agent.output_of("t", line, "one", container=container, check=check)
        assert output.startswith("boxed\n")
        assert f"{(await agent.ip_of('t'))}\tboxed" in output
