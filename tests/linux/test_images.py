"""Containers of images, for real: what they see, what they may do, how they end, and that nothing of them is left."""

from __future__ import annotations

import base64
import json
import os
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from linux.cgroup_agent import left_of, new_root
from linux.cgroup_agent import why_not as cgroups_missing
from linux.image_agent import ImageAgent, eventually, image_agent, make_images, of_docker, why_not
from linux.image_builder import BuiltImage, busybox_layer, entry, layer_of
from linux.loops import in_a_loop
from merismos.adapters.linux.mounts import mount_memory
from merismos.containers.supervisor import read_procs
from merismos.protocol import link
from process.link_master import FRAMEWORK, LinkMaster, task
from process.test_container_calls import Operator, try_a_terminal, typed

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def _needs_a_runtime() -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)


def volume(target: str, kind: str, value: dict[str, Any], mode: str = "RW") -> dict[str, Any]:
    return {"mode": mode, "container_path": target, "source": {"type": kind.upper(), kind: value}}


def capabilities(*names: str) -> dict[str, Any]:
    return {"capabilities": list(names)}


@in_a_loop
async def test_a_task_in_an_image_has_its_files_environment_processes_and_sandbox(tmp_path: Path) -> None:
    async with image_agent(tmp_path) as agent:
        line = "ls /; echo pid=$$ image=$FROM_IMAGE path=$PATH mine=$MINE; pwd; echo kept > file; echo $MESOS_SANDBOX; hostname"
        env = {"variables": [{"name": "MINE", "value": "yes"}]}
        output = await agent.output_of("t", {"value": line, "environment": env}, container={"hostname": "inside"})
        assert output.split() == [
            "bin", "dev", "etc", "mnt", "proc", "root", "sys", "tmp", "pid=1", "image=1", "path=/bin", "mine=yes",
            "/mnt/mesos/sandbox", "/mnt/mesos/sandbox", "inside",
        ]  # fmt: skip
        assert (agent.sandbox("t") / "file").read_text() == "kept\n"
        assert (agent.master.states("t"))[-3:] == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]


@in_a_loop
async def test_an_image_says_what_to_run_where_and_as_whom(tmp_path: Path) -> None:
    async with image_agent(tmp_path) as agent:
        agent.run("entry", {"shell": False}, image="server")
        agent.run("arguments", {"shell": False, "arguments": ["mine"]}, image="server")
        who = await agent.output_of("who", "id -u; id -g; id -G; pwd; touch /mnt/mesos/sandbox/mine", image="server")
        assert who.split() == ["1234", "1234", "1234", "77", "/srv/there"]
        assert (agent.sandbox("who") / "mine").stat().st_uid == 1234
        user = await agent.output_of("user", {"value": "id -u", "user": "nobody"}, image="server")
        assert user.split() == ["1234"], "an agent with --no-switch_user doesn't hear what a command says"
        await agent.end_of("entry")
        await agent.end_of("arguments")
        assert agent.output("entry") == "entry cmd\n"
        assert agent.output("arguments") == "entry mine\n"


@in_a_loop
async def test_a_user_of_the_machine_is_who_a_task_asks_to_be(tmp_path: Path) -> None:
    async with image_agent(tmp_path, "--switch_user") as agent:
        output = await agent.output_of(
            "t", {"value": "id -u; touch /mnt/mesos/sandbox/f", "user": "nobody"}, image="server"
        )
        assert output.split() == ["65534"], "what the command says comes before what the image does"
        assert (await agent.output_of("u", {"value": "id -u", "user": "root"}, image="server")).split() == ["0"]


@in_a_loop
async def test_an_exit_code_passes_and_what_cannot_be_run_says_why(tmp_path: Path) -> None:
    async with image_agent(tmp_path) as agent:
        agent.run("code", "exit 42")
        agent.run("absent", {"shell": False, "value": "nosuch"})
        agent.run("nothing", {"shell": False})
        agent.run("missing", "true", image="missing")
        assert (await agent.end_of("code"))["message"] == "Command exited with status 42"
        assert (await agent.end_of("absent"))["state"] == "TASK_FAILED"
        assert "nosuch" in agent.output("absent")
        assert "neither the task nor its image says what to run" in (await agent.end_of("nothing"))["message"]
        missing = await agent.end_of("missing")
        assert missing["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
        assert "Failed to pull image 'missing': there is no image missing:latest" in missing["message"]


@in_a_loop
async def test_volumes_of_the_machine_the_sandbox_and_secrets_are_where_they_shall_be(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "given").write_text("given\n")
    secret = {"type": "VALUE", "value": {"data": base64.b64encode(b"a secret\n").decode()}}
    volumes = [
        volume("/read", "host_path", {"path": str(shared)}, "RO"),
        volume("/write", "host_path", {"path": str(shared)}),
        volume("/own", "sandbox_path", {"type": "SELF", "path": "a/b"}),
        volume("relative", "host_path", {"path": str(shared)}),
        volume("/run/secrets/key", "secret", secret, "RO"),
    ]
    line = (
        "cat /read/given; touch /read/no; touch /write/yes; touch /own/mine; cat relative/given; cat /run/secrets/key"
    )
    async with image_agent(tmp_path) as agent:
        output = await agent.output_of("t", line, container={"volumes": volumes})
        assert "given\ngiven\na secret\n" in output
        assert "/read/no: Read-only file system" in output
        assert sorted(path.name for path in shared.iterdir()) == ["given", "yes"]
        assert (agent.sandbox("t") / "a/b/mine").exists()
        assert not any(b"a secret" in file.read_bytes() for file in agent.sandbox("t").rglob("*") if file.name == "key")
        absent = volume("/x", "host_path", {"path": str(tmp_path / "absent")})
        agent.run("absent", "true", container={"volumes": [absent]})
        assert "does not exist on this agent" in (await agent.end_of("absent"))["message"]


def of_image(target: str, name: str, mode: str) -> dict[str, Any]:
    return {"mode": mode, "container_path": target, "image": of_docker(name)}


@in_a_loop
async def test_an_image_is_a_volume_to_read_or_to_write_to_for_one_container_only(tmp_path: Path) -> None:
    data = layer_of(entry("data/"), entry("data/words", b"some words\n", mode=0o666))
    images = make_images(tmp_path)
    BuiltImage(data, config={}).save(images / "data.tar", "data:latest")
    volumes = [of_image("/read", "data", "RO"), of_image("/write", "data", "RW"), of_image("here", "data", "RO")]
    line = "cat /read/data/words here/data/words; echo mine > /write/data/words; cat /write/data/words; touch /read/x; true"
    async with image_agent(tmp_path) as agent:
        for name in ("first", "second"):
            output = await agent.output_of(name, line, container={"volumes": volumes})
            assert output.startswith("some words\nsome words\nmine\n"), output
            assert "/read/x: Read-only file system" in output
        agent.run("absent", "true", container={"volumes": [of_image("/x", "nosuch", "RO")]})
        assert "Failed to pull image 'nosuch'" in (await agent.end_of("absent"))["message"]
        agent.run(
            "kept", "while ! test -e go; do sleep 0.1; done; cat /read/data/words", container={"volumes": volumes}
        )
        await agent.agent.pid_of("kept")
        async with aiohttp.ClientSession() as session:
            operator = Operator(agent.agent, session, "")
            async with session.post(operator.url, json={"type": "PRUNE_IMAGES"}) as answer:
                assert answer.status == 200
        (agent.sandbox("kept") / "go").touch()
        assert (await agent.end_of("kept"))["state"] == "TASK_FINISHED"
        assert agent.output("kept") == "some words\n"
        await eventually(lambda: agent.remains() == [], agent.remains)


@in_a_loop
async def test_tasks_of_a_group_share_their_executor_s_sandbox_by_a_volume(tmp_path: Path) -> None:
    async with image_agent(tmp_path) as agent:
        shared = volume("/shared", "sandbox_path", {"type": "PARENT", "path": "pipe"})
        container = {"type": "MESOS", "mesos": {"image": of_docker("shell")}, "volumes": [shared]}
        lines = {
            "writer": "echo hello > /shared/it.new; mv /shared/it.new /shared/it",
            "reader": "while ! cat /shared/it; do sleep 0.1; done 2>/dev/null",
        }
        run_group(agent.master, [task(name, line, container=container) for name, line in lines.items()])
        for name in lines:
            assert (await agent.end_of(name))["state"] == "TASK_FINISHED"
        (written,) = agent.work_dir.glob("slaves/S0/frameworks/F/executors/E/runs/latest/pipe/it")
        assert written.read_text() == "hello\n"


def run_group(master: LinkMaster, tasks: list[dict[str, Any]], container: dict[str, Any] | None = None) -> None:
    executor: dict[str, Any] = {"executor_id": {"value": "E"}, "type": "DEFAULT", "framework_id": {"value": "F"}}
    if container is not None:
        executor["container"] = container
    raw = [json.dumps({**one, "executor": executor}).encode() for one in tasks]
    framework, about = json.dumps(FRAMEWORK).encode(), json.dumps(executor).encode()
    master.send(link.RunTaskGroup("F", framework, "eng", about, raw, starts=True))


@in_a_loop
async def test_a_sandbox_path_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    async with image_agent(tmp_path) as agent:
        trap = volume("/x", "sandbox_path", {"type": "PARENT", "path": "trap"})
        first = {
            "type": "MESOS",
            "mesos": {"image": of_docker("shell")},
            "volumes": [volume("/up", "sandbox_path", {"type": "PARENT", "path": "."})],
        }
        second = {"type": "MESOS", "mesos": {"image": of_docker("shell")}, "volumes": [trap]}
        run_group(agent.master, [task("first", "ln -s /etc /up/trap; sleep 600", container=first)])
        await agent.agent.pid_of("first")
        (sandbox,) = [
            path for path in agent.work_dir.glob("slaves/S0/frameworks/F/executors/E/runs/*") if not path.is_symlink()
        ]
        await eventually((sandbox / "trap").is_symlink)
        run_group(agent.master, [task("second", "cat /x/passwd", container=second)])
        assert "leads out of the sandbox" in (await agent.end_of("second"))["message"]


@in_a_loop
async def test_a_container_has_few_rights_unless_they_are_asked_for_and_allowed(tmp_path: Path) -> None:
    status = "grep -E 'CapBnd|CapEff|NoNewPrivs|Seccomp:' /proc/self/status; mount -t tmpfs none /tmp || echo refused"
    async with image_agent(
        tmp_path, f"--bounding_capabilities={json.dumps(capabilities('CHOWN', 'NET_RAW', 'SYS_ADMIN'))}"
    ) as agent:
        usual = await agent.output_of(
            "usual", status, container={"linux_info": {"effective_capabilities": capabilities("CHOWN")}}
        )
        assert "CapEff:\t0000000000000001" in usual
        assert "CapBnd:\t0000000000000001" in usual
        assert "NoNewPrivs:\t1" in usual
        assert "Seccomp:\t2" in usual
        assert "refused" in usual
        mounts = await agent.output_of("mounts", status)
        assert "refused" not in mounts
        open_to = {"effective_capabilities": capabilities("CHOWN"), "seccomp": {"unconfined": True}}
        assert "Seccomp:\t0" in await agent.output_of("open", status, container={"linux_info": open_to})
        agent.run("beyond", "true", container={"linux_info": {"bounding_capabilities": capabilities("SYS_BOOT")}})
        assert "capability SYS_BOOT is not allowed" in (await agent.end_of("beyond"))["message"]


@in_a_loop
async def test_limits_of_processes_are_those_that_were_asked_for(tmp_path: Path) -> None:
    async with image_agent(tmp_path) as agent:
        limits = {
            "rlimits": [{"type": "RLMT_NOFILE", "soft": 77, "hard": 99}, {"type": "RLMT_CORE", "soft": 0, "hard": 0}]
        }
        output = await agent.output_of("t", "ulimit -n; ulimit -Hn; ulimit -c", container={"rlimit_info": limits})
        assert output.split() == ["77", "99", "0"]


@in_a_loop
async def test_a_kill_reaches_a_handler_once_and_what_has_none_ends_at_once(tmp_path: Path) -> None:
    async with image_agent(tmp_path) as agent:
        agent.run(
            "polite",
            "trap 'echo asked; n=$((n+1)); test $n = 1 && exit 0' TERM; echo ready; while true; do sleep 0.1; done",
        )
        agent.run("plain", {"shell": False, "value": "sleep", "arguments": ["sleep", "600"]})
        await eventually(lambda: "ready" in agent.output("polite"))
        await agent.agent.pid_of("plain")
        await eventually(lambda: children_of_runtime(agent, "plain"))
        for name in ("polite", "plain"):
            agent.master.send(kill_of(name, grace_s=600.0))
            assert (await agent.end_of(name))["state"] == "TASK_KILLED"
        assert agent.output("polite").count("asked") == 1


@in_a_loop
async def test_what_ignores_a_kill_ends_with_its_grace_and_so_does_all_that_it_forked(tmp_path: Path) -> None:
    async with image_agent(tmp_path) as agent:
        agent.run(
            "t", "trap '' TERM; (setsid sleep 12345 &); setsid sleep 12345 & echo ready; while true; do sleep 0.1; done"
        )
        await eventually(lambda: "ready" in agent.output("t"))
        agent.master.send(kill_of("t", grace_s=0.2))
        assert (await agent.end_of("t"))["state"] == "TASK_KILLED"
        await eventually(lambda: agent.remains() == [], agent.remains)
        assert not [row.pid for row in read_procs() if b"12345" in command(row.pid)]


def kill_of(task_id: str, grace_s: float) -> Any:  # noqa: ANN401 - a message
    from merismos.protocol import link

    return link.KillTask("F", task_id, grace_s)


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def children_of_runtime(agent: ImageAgent, task_id: str) -> bool:
    pid = agent.master.statuses(task_id)[-1]["container_status"]["executor_pid"]
    return any(row.ppid == pid and b"sleep" in command(row.pid) for row in read_procs())


@in_a_loop
async def test_containers_outlive_a_killed_agent_and_go_on_under_the_next(tmp_path: Path) -> None:
    async with image_agent(tmp_path) as agent:
        agent.run("stays", "echo ready; while ! test -e go; do sleep 0.1; done; exit 5")
        agent.run("ends", "echo ready; while ! test -e go; do sleep 0.1; done; exit 6")
        pid = await agent.agent.pid_of("stays")
        ended = await agent.agent.pid_of("ends")
        await eventually(lambda: all("ready" in agent.output(name) for name in ("stays", "ends")))
        await agent.agent.kill()
        (agent.sandbox("ends") / "go").touch()
        await agent.agent.until_gone(ended)
        orphan = agent.work_dir / "meta/oci/bundles/orphan/rootfs"
        orphan.mkdir(parents=True)
        mount_memory(orphan, 4096)
        await agent.agent.start()
        assert (await agent.end_of("ends"))["message"] == "Command exited with status 6"
        assert await agent.agent.pid_of("stays") == pid
        assert len(agent.bundles()) == 1, "what nobody holds any more is removed, with its mounts"
        (agent.sandbox("stays") / "go").touch()
        assert (await agent.end_of("stays"))["message"] == "Command exited with status 5"
        await eventually(lambda: agent.remains() == [], agent.remains)


@in_a_loop
async def test_a_lost_supervisor_fails_its_containers_and_leaves_nothing(tmp_path: Path) -> None:
    async with image_agent(tmp_path) as agent:
        agent.run("t", "sleep 600")
        await agent.agent.pid_of("t")
        await eventually(lambda: children_of_runtime(agent, "t"))
        (pid,) = agent.agent.supervisors()
        os.kill(pid, signal.SIGKILL)
        assert (await agent.end_of("t"))["state"] == "TASK_FAILED"
        await eventually(lambda: agent.remains() == [], agent.remains)
        assert await agent.output_of("again", "echo again") == "again\n"


@in_a_loop
async def test_many_tasks_at_once_share_one_pull_and_leave_nothing(tmp_path: Path) -> None:
    async with image_agent(tmp_path) as agent:
        names = [f"t{number}" for number in range(12)]
        for name in names:
            agent.run(name, f"echo {name}")
        for name in names:
            assert (await agent.end_of(name))["state"] == "TASK_FINISHED"
            assert agent.output(name) == f"{name}\n"
        await eventually(lambda: agent.remains() == [], agent.remains)
        assert len(list(agent.store.glob("layers/*"))) == 1


@in_a_loop
async def test_layers_that_are_copied_instead_of_stacked_run_as_well(tmp_path: Path) -> None:
    async with image_agent(tmp_path, "--image_provisioner_backend=copy") as agent:
        assert await agent.output_of("t", "echo copied > /tmp/x; cat /tmp/x") == "copied\n"


@in_a_loop
async def test_command_checks_run_in_the_container(tmp_path: Path) -> None:
    async with image_agent(tmp_path) as agent:
        check = {
            "type": "COMMAND",
            "command": {"command": {"value": "exit $(cat /tmp/code)"}},
            "delay_seconds": 0.0,
            "interval_seconds": 0.2,
        }
        agent.run("t", "echo 7 > /tmp/code; exec sleep 600", check=check)

        def checked() -> bool:
            found = [
                one.get("check_status", {}).get("command", {}).get("exit_code") for one in agent.master.statuses("t")
            ]
            return 7 in found

        await agent.master.until(checked)
        agent.master.send(kill_of("t", grace_s=600.0))
        assert (await agent.end_of("t"))["state"] == "TASK_KILLED"


@in_a_loop
async def test_limits_of_cgroups_hold_for_a_container_of_an_image_too(tmp_path: Path) -> None:
    reason = cgroups_missing("cpu", "mem", "pids")
    if reason:
        pytest.skip(reason)
    root = new_root()
    flags = (
        "--isolation=cgroups/cpu,cgroups/mem,cgroups/pids,filesystem/linux,docker/runtime",
        f"--cgroups_root={root}",
    )
    async with image_agent(tmp_path, *flags) as agent:
        agent.run(
            "hungry",
            "head -c 300000000 /dev/zero > /dev/shm/x; tail /dev/zero; sleep 600",
            container={"linux_info": {"shm_size": 500}},
        )
        agent.run("modest", "cat /proc/self/cgroup; exit 3")
        hungry = await agent.end_of("hungry")
        assert hungry["state"] == "TASK_FAILED"
        assert hungry["reason"] == "REASON_CONTAINER_LIMITATION_MEMORY", hungry
        assert hungry["message"].startswith("Memory limit exceeded: Requested: 64MB")
        assert (await agent.end_of("modest"))["message"] == "Command exited with status 3"
        assert f"/{root}/" in agent.output("modest")
        await eventually(lambda: agent.remains() == [], agent.remains)
    assert left_of(root) == []


@in_a_loop
async def test_a_session_with_a_task_of_an_image_is_inside_of_its_container(tmp_path: Path) -> None:
    async with image_agent(tmp_path) as agent, aiohttp.ClientSession() as session:
        agent.run("t", "touch /tmp/here; echo ready; exec sleep 600")
        await eventually(lambda: "ready" in agent.output("t"))
        container_id = agent.master.statuses("t")[-1]["container_status"]["container_id"]["value"]
        operator = Operator(agent.agent, session, container_id)
        kind, piped = "LAUNCH_NESTED_CONTAINER_SESSION", operator.nested("piped")
        command = {"value": "ls /tmp; cat; echo image=$FROM_IMAGE; exit 4"}
        async with operator.stream(kind, piped, command=command) as output:
            await output.until(b"here\n")
            assert await operator.feed(piped, typed(b"from us\n"), typed(b"")) == (200, "")
            assert (await output.end())["STDOUT"] == b"here\nfrom us\nimage=1\n"
        assert await operator.status_of(piped) == 4 << 8
        await try_a_terminal(operator)
        agent.master.send(kill_of("t", grace_s=600.0))
        await agent.end_of("t")


@in_a_loop
async def test_an_agent_that_is_killed_while_it_pulls_or_makes_containers_leaves_nothing_and_starts_none_twice(
    tmp_path: Path,
) -> None:
    async with image_agent(tmp_path) as agent:
        for begun in ("leases", "bundles"):
            names = [f"{begun}-{number}" for number in range(8)]
            for name in names:
                agent.run(name, "echo once >> /mnt/mesos/sandbox/times")
            folder, pattern = (
                (agent.store, "leases/*/[!.]*") if begun == "leases" else (agent.work_dir, "meta/oci/bundles/*")
            )
            await eventually(lambda at=folder, of=pattern: any(at.glob(of)))
            await agent.agent.kill()
            await agent.agent.start()
            for name in names:
                if not agent.master.states(name):
                    agent.run(name, "echo once >> /mnt/mesos/sandbox/times")
            for name in names:
                status = await agent.end_of(name)
                times = agent.sandbox(name) / "times"
                if status["state"] == "TASK_FINISHED":
                    assert times.read_text() == "once\n"
                else:  # it might have been started, and what would know is gone: a supervisor ends with nothing to hold
                    assert status["message"].startswith("what held the agent's containers ended"), status
                    assert not times.exists()
            await eventually(lambda: agent.remains() == [], agent.remains)


@in_a_loop
async def test_an_image_with_a_user_beyond_all_numbers_fails_its_task_and_nothing_else(tmp_path: Path) -> None:
    images = make_images(tmp_path)
    BuiltImage(busybox_layer(), config={"Cmd": ["true"], "User": "9" * 30}).save(images / "odd.tar", "odd:latest")
    async with image_agent(tmp_path) as agent:
        agent.run("odd", {"shell": False}, image="odd")
        assert (await agent.end_of("odd"))["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
        await eventually(lambda: agent.remains() == [], agent.remains)
        assert await agent.output_of("t", "echo on") == "on\n"
