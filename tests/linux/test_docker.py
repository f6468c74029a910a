"""Tasks of type DOCKER, on a real Docker Engine."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linux.cgroup_agent import left_of, new_root
from linux.cgroup_agent import why_not as cgroups_missing
from linux.docker_daemon import (
    IMAGE,
    NETWORK,
    DockerAgent,
    DockerDaemon,
    RegistryBeside,
    amounts,
    docker_agent,
    why_not,
)
from linux.registry_server import NAME, PASSWORD, with_password
from linux.registry_server import why_not as why_no_registry
from linux.test_gpus import RESOURCES as GPUS
from linux.test_gpus import make_gpus
from merismos.protocol import link
from process.link_master import task

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]
LIMIT_S = 60.0
POLL_S = 0.05


@pytest.fixture(scope="module")
def daemon() -> Iterator[DockerDaemon]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with DockerDaemon() as one:
        yield one


def test_a_task_runs_in_its_image_and_its_output_is_in_the_sandbox(tmp_path: Path, daemon: DockerDaemon) -> None:
    async def scenario() -> None:
        async with docker_agent(tmp_path / "w", daemon) as agent:
            said = 'cat /etc/passwd; echo "$COLOUR $MESOS_SANDBOX $MESOS_TASK_ID"; echo oops >&2; echo kept > "$MESOS_SANDBOX/file"'
            variables = {"variables": [{"name": "COLOUR", "value": "blue"}]}
            agent.run("t", {"value": said, "environment": variables})
            status = await agent.end_of("t")
            assert (status["state"], status["message"]) == ("TASK_FINISHED", "Container exited with status 0")
            assert agent.output("t") == (
                "root:x:0:0:root:/root:/bin/sh\nweb:x:1234:1234::/:/bin/sh\nblue /mnt/mesos/sandbox t\n"
            )
            assert agent.output("t", "stderr") == "oops\n"
            assert (agent.sandbox("t") / "file").read_text() == "kept\n"
            agent.run("u", {"shell": False, "value": "sh", "arguments": ["-c", "exit 3"]})
            status = await agent.end_of("u")
            assert (status["state"], status["message"]) == ("TASK_FAILED", "Container exited with status 3")

    asyncio.run(scenario())


async def eventually(true: Callable[[], bool]) -> None:
    """Wait until something is so that nobody tells of, for a minute."""
    nobody = asyncio.Event()
    async with asyncio.timeout(LIMIT_S):
        while not await asyncio.to_thread(true):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(nobody.wait(), POLL_S)


def test_limits_volumes_parameters_and_labels_reach_docker(tmp_path: Path, daemon: DockerDaemon) -> None:
    async def scenario() -> None:
        async with docker_agent(tmp_path / "w", daemon) as agent:
            shared = tmp_path / "shared"
            shared.mkdir()
            (shared / "file").write_text("theirs\n")
            parameters = [
                ("label", "team=web"),
                ("tmpfs", "/scratch:size=1m"),
                ("user", "1234"),
                ("cap-drop", "NET_RAW"),
            ]
            agent.run(
                "t",
                "cat /in/file; echo no > /in/new || echo 'read only'; id -u; echo ok > /scratch/x && cat /scratch/x; sleep 600",
                docker={"parameters": [{"key": key, "value": value} for key, value in parameters], "privileged": False},
                container={"volumes": [{"host_path": str(shared), "container_path": "/in", "mode": "RO"}]},
                resources=amounts(0.5, 64),
                limits={"cpus": {"value": 1.0}, "mem": {"value": 128}},
            )
            await agent.runs("t")
            found = daemon.inspect(agent.name("t"))
            host, labels = found["HostConfig"], found["Config"]["Labels"]
            assert (host["CpuShares"], host["CpuQuota"], host["CpuPeriod"]) == (512, 100_000, 100_000)
            assert (host["Memory"], host["MemoryReservation"]) == (128 << 20, 64 << 20)
            assert (labels["team"], labels["MESOS_TASK_ID"]) == ("web", "t")
            assert (host["CapDrop"], host["NetworkMode"], host["Privileged"]) == (["NET_RAW"], "none", False)
            await eventually(lambda: agent.output("t") == "theirs\nread only\n1234\nok\n")

    asyncio.run(scenario())


def test_a_task_has_the_network_and_the_ports_that_it_asks_for(tmp_path: Path, daemon: DockerDaemon) -> None:
    async def scenario() -> None:
        async with docker_agent(tmp_path / "w", daemon) as agent:
            ports = {"port_mappings": [{"host_port": 31005, "container_port": 80}]}
            agent.run(
                "b", "sleep 600", docker={"network": "BRIDGE", **ports}, resources=amounts(0.1, 32, "31000-31009")
            )
            named = {"network_infos": [{"name": NETWORK}], "hostname": "me"}
            agent.run("u", "hostname; sleep 600", docker={"network": "USER"}, container=named)
            agent.run("h", "sleep 600", docker={"network": "HOST"})
            addresses = {}
            for task_id in "buh":
                status = await agent.runs(task_id)
                infos = status["container_status"]["network_infos"]
                addresses[task_id] = infos[0]["ip_addresses"][0]["ip_address"]
                (told,) = json.loads(base64.b64decode(status["data"]))
                assert told["Name"] == f"/{agent.name(task_id)}", "the status bears what `docker inspect` prints"
            assert addresses["b"].startswith("10.218.0.")
            assert addresses["u"].startswith("10.219.")
            assert addresses["h"] == "127.0.0.1", "the agent's own"
            found = daemon.inspect(agent.name("b"))
            assert found["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"] == "31005"
            assert list(daemon.inspect(agent.name("u"))["NetworkSettings"]["Networks"]) == [NETWORK]
            await eventually(lambda: agent.output("u") == "me\n")
            agent.run("x", "sleep 600", docker={"network": "BRIDGE", **ports})
            status = await agent.end_of("x")
            assert (status["state"], status["message"]) == ("TASK_ERROR", "Port [31005] not included in resources")

    asyncio.run(scenario())


def test_docker_kill_from_outside_fails_the_task(tmp_path: Path, daemon: DockerDaemon) -> None:
    async def scenario() -> None:
        async with docker_agent(tmp_path / "w", daemon) as agent:
            for task_id in ("killed", "removed"):
                agent.run(task_id, "sleep 600")
                await agent.runs(task_id)
            await asyncio.to_thread(daemon.ask, "POST", f"/containers/{agent.name('killed')}/kill")
            status = await agent.end_of("killed")
            assert (status["state"], status["message"]) == ("TASK_FAILED", "Container exited with status 137")
            await asyncio.to_thread(daemon.ask, "DELETE", f"/containers/{agent.name('removed')}?force=1")
            assert (await agent.end_of("removed"))["state"] == "TASK_FAILED"

    asyncio.run(scenario())


def test_a_killed_task_may_clean_up_within_its_grace_and_no_longer(tmp_path: Path, daemon: DockerDaemon) -> None:
    loop = "echo up; while :; do sleep 0.1; done"

    async def killed(agent: DockerAgent, task_id: str, command: str) -> None:
        agent.run(task_id, command)
        await agent.runs(task_id)
        await eventually(lambda: agent.output(task_id) == "up\n")
        agent.master.send(link.KillTask("F", task_id))
        assert (await agent.end_of(task_id))["state"] == "TASK_KILLED"

    async def scenario() -> None:
        async with docker_agent(tmp_path / "w", daemon) as agent:
            await killed(agent, "polite", f"trap 'echo bye; exit 0' TERM; {loop}")
            assert agent.output("polite") == "up\nbye\n", "without a flag it has the grace of all tasks"
        async with docker_agent(tmp_path / "v", daemon, "--docker_stop_timeout=1secs") as agent:
            await killed(agent, "deaf", f"trap '' TERM; {loop}")
            assert daemon.inspect(agent.name("deaf"))["State"]["ExitCode"] == 137

    asyncio.run(scenario())


def test_containers_outlive_a_killed_agent_and_nothing_of_them_is_lost_or_doubled(
    tmp_path: Path, daemon: DockerDaemon
) -> None:
    count = "i=0; while [ $i -lt {} ]; do echo line $i; echo err $i >&2; i=$((i+1)); done; "

    async def scenario() -> None:
        async with docker_agent(tmp_path / "w", daemon) as agent:
            agent.run(
                "stays", count.format(30_000) + "until [ -e $MESOS_SANDBOX/go ]; do sleep 0.1; done; echo last; exit 4"
            )
            agent.run("ends", "until [ -e $MESOS_SANDBOX/go ]; do sleep 0.1; done; echo last; exit 5")
            first = {task_id: (await agent.runs(task_id))["container_status"] for task_id in ("stays", "ends")}
            await eventually(lambda: len(agent.output("stays")) > 10_000)
            await agent.agent.kill()
            (agent.sandbox("ends") / "go").touch()
            await eventually(lambda: daemon.inspect(agent.name("ends"))["State"]["Status"] == "exited")
            await agent.agent.start()
            status = await agent.end_of("ends")
            assert (status["state"], status["message"]) == ("TASK_FAILED", "Container exited with status 5")
            assert agent.output("ends") == "last\n"
            await eventually(lambda: "line 29999\n" in agent.output("stays"))
            (agent.sandbox("stays") / "go").touch()
            status = await agent.end_of("stays")
            assert status["message"] == "Container exited with status 4"
            assert status["container_status"]["executor_pid"] == first["stays"]["executor_pid"], "the same container"
            assert agent.output("stays") == "".join(f"line {i}\n" for i in range(30_000)) + "last\n"
            assert agent.output("stays", "stderr") == "".join(f"err {i}\n" for i in range(30_000))

    asyncio.run(scenario())


def test_what_belongs_to_no_task_is_killed_unless_that_is_switched_off(tmp_path: Path, daemon: DockerDaemon) -> None:
    async def scenario() -> None:
        async with docker_agent(tmp_path / "w", daemon, "--docker_remove_delay=0ns") as agent:
            labels = {"org.merismos.work_dir": str(tmp_path / "w"), "org.merismos.container_id": "stray"}
            body = {"Image": IMAGE, "Cmd": ["sleep", "600"], "Labels": labels, "HostConfig": {"NetworkMode": "none"}}
            await agent.agent.kill()
            daemon.ask("POST", "/containers/create?name=mesos-stray", json.dumps(body).encode())
            daemon.ask("POST", "/containers/mesos-stray/start")
            await agent.agent.start("--no-docker_kill_orphans")
            agent.run("t", "true")
            await agent.end_of("t")
            assert daemon.containers(tmp_path / "w")["/mesos-stray"] == "running"
            await agent.agent.kill()
            await agent.agent.start()
            await eventually(lambda: daemon.containers(tmp_path / "w") == {})

    asyncio.run(scenario())


def test_a_daemon_that_hangs_degrades_the_agent_and_nothing_waits_for_it(tmp_path: Path, daemon: DockerDaemon) -> None:
    async def scenario() -> None:
        async with docker_agent(tmp_path / "w", daemon, "--docker_call_timeout=1500ms") as agent:
            check = {"type": "COMMAND", "command": {"value": "true"}, "delay_seconds": 0, "interval_seconds": 0.1}
            agent.run("t", "sleep 600", health_check={**check, "consecutive_failures": 1, "grace_period_seconds": 0})
            await agent.runs("t")
            daemon.signal(signal.SIGSTOP)
            try:
                await eventually(lambda: "DEGRADED: the Docker Engine does not answer" in agent.agent.said())
                agent.run("late", "true")
                status = await agent.end_of("late")
                assert status["state"] == "TASK_FAILED"
                assert "no answer within 1.5 s" in status["message"]
                agent.master.run(task("native", "true"))
                assert (await agent.end_of("native"))["state"] == "TASK_FINISHED"
                agent.master.send(link.KillTask("F", "t"))
                await agent.master.until(lambda: "TASK_KILLING" in agent.master.states("t"))
                await agent.agent.kill()
                await agent.agent.start()
                assert agent.master.states("t")[-1] == "TASK_KILLING", "nobody knows what became of it"
            finally:
                daemon.signal(signal.SIGCONT)
            assert (await agent.end_of("t"))["state"] == "TASK_KILLED"
            assert "TASK_FAILED" not in agent.master.states("t"), "a check that couldn't be asked says nothing"

    asyncio.run(scenario())


def test_a_daemon_that_is_restarted_takes_its_tasks_along_and_is_used_again(
    tmp_path: Path, daemon: DockerDaemon
) -> None:
    async def scenario() -> None:
        async with docker_agent(tmp_path / "w", daemon) as agent:
            agent.run("t", "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done")
            await eventually(
                lambda: (
                    agent.sandbox("t").exists()
                    and (agent.sandbox("t") / "stdout").exists()
                    and "up" in agent.output("t")
                )
            )
            await asyncio.to_thread(daemon.stop)
            try:
                await eventually(lambda: "DEGRADED: the Docker Engine does not answer" in agent.agent.said())
            finally:
                await asyncio.to_thread(daemon.start)
            status = await agent.end_of("t")
            assert (status["state"], status["message"]) == ("TASK_FAILED", "Container exited with status 7")
            await eventually(lambda: "DEGRADED no more" in agent.agent.said())
            agent.run("later", "true")
            assert (await agent.end_of("later"))["state"] == "TASK_FINISHED"

    asyncio.run(scenario())


def test_command_checks_run_inside_the_container(tmp_path: Path, daemon: DockerDaemon) -> None:
    async def scenario() -> None:
        async with docker_agent(tmp_path / "w", daemon) as agent:
            check = {"type": "COMMAND", "delay_seconds": 0, "interval_seconds": 0.1, "consecutive_failures": 1}
            inside = {
                "value": "test -e /inside && test $X = 1",
                "environment": {"variables": [{"name": "X", "value": "1"}]},
            }
            command = ": > /inside; until [ -e $MESOS_SANDBOX/go ]; do sleep 0.1; done; rm /inside; sleep 600"
            agent.run("t", command, health_check={**check, "command": inside, "grace_period_seconds": 60})
            await agent.master.until(lambda: any(one.get("healthy") for one in agent.master.statuses("t")))
            (agent.sandbox("t") / "go").touch()
            status = await agent.end_of("t")
            assert (status["state"], status["healthy"]) == ("TASK_KILLED", False)

    asyncio.run(scenario())


def test_a_container_that_takes_too_much_memory_is_told_so(tmp_path: Path, daemon: DockerDaemon) -> None:
    async def scenario() -> None:
        async with docker_agent(tmp_path / "w", daemon) as agent:
            agent.run("t", "x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done", resources=amounts(0.5, 32))
            status = await agent.end_of("t")
            assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LIMITATION_MEMORY")
            assert "more than its 32 MB" in status["message"]
            assert status["limitation"]["resources"][0]["scalar"]["value"] == 32.0

    asyncio.run(scenario())


def test_an_image_or_a_program_that_is_not_there_fails_the_task(tmp_path: Path, daemon: DockerDaemon) -> None:
    async def scenario() -> None:
        async with docker_agent(tmp_path / "w", daemon) as agent:
            agent.run("image", "true", docker={"image": "127.0.0.1:9/nothing:1"})
            agent.run("program", {"shell": False, "value": "/no/such"})
            for task_id, why in (("image", "127.0.0.1:9"), ("program", "/no/such")):
                status = await agent.end_of(task_id)
                assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED")
                assert why in status["message"]
            await eventually(lambda: daemon.containers(tmp_path / "w") == {})

    asyncio.run(scenario())


def test_an_image_is_pulled_again_with_a_login_and_not_without(tmp_path: Path, daemon: DockerDaemon) -> None:
    why = why_no_registry()
    if why:
        pytest.skip(why)

    async def scenario(image: str, config: str) -> None:
        async with docker_agent(tmp_path / "w", daemon, f"--docker_config={config}") as agent:
            agent.run("t", "echo pulled", docker={"image": image})
            assert (await agent.end_of("t"))["state"] == "TASK_FINISHED"
            agent.run("again", "echo pulled", docker={"image": image, "force_pull_image": True})
            assert (await agent.end_of("again"))["state"] == "TASK_FINISHED"
        async with docker_agent(tmp_path / "v", daemon) as agent:
            agent.run("t", "echo pulled", docker={"image": image, "force_pull_image": True})
            status = await agent.end_of("t")
            assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED")
            assert "no basic auth credentials" in status["message"]

    with RegistryBeside(tmp_path, with_password(tmp_path), daemon) as registry:
        name = f"{registry.host}/shell"
        login = base64.urlsafe_b64encode(json.dumps({"username": NAME, "password": PASSWORD}).encode()).decode()
        daemon.ask("POST", f"/images/{IMAGE}/tag?repo={name}&tag=2")
        pushed = daemon.ask("POST", f"/images/{name}/push?tag=2", X_Registry_Auth=login)
        assert b"error" not in pushed, pushed
        daemon.ask("DELETE", f"/images/{name}:2")
        auth = base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
        asyncio.run(scenario(f"{name}:2", json.dumps({"auths": {registry.host: {"auth": auth}}})))


def test_a_container_of_docker_has_the_devices_of_its_gpus_and_no_others(tmp_path: Path, daemon: DockerDaemon) -> None:
    reason = cgroups_missing("devices")
    if reason:
        pytest.skip(reason)
    root = new_root()
    flags = (
        "--isolation=cgroups/devices,gpu/nvidia", f"--cgroups_root={root}", f"--gpu_devices={json.dumps(make_gpus(tmp_path))}",
        "--nvidia_gpu_devices=0,1", GPUS,
    )  # fmt: skip

    async def scenario() -> None:
        async with docker_agent(tmp_path / "w", daemon, *flags) as agent:
            gpu = {"name": "gpus", "type": "SCALAR", "scalar": {"value": 1}}
            look = f"ls {tmp_path}; head -c 1 {tmp_path}/gpu* >/dev/null && echo opens; echo $NVIDIA_VISIBLE_DEVICES"
            agent.run("holds", "sleep 600", resources=[*amounts(0.1, 64), gpu])
            await agent.runs("holds")
            agent.run("t", look, resources=[*amounts(0.1, 64), gpu])
            await agent.end_of("t")
            assert agent.output("t") == "gpu1\nopens\n1\n", agent.output("t", "stderr")
            agent.run("none", f"ls {tmp_path}", resources=amounts(0.1, 64))
            assert (await agent.end_of("none"))["state"] == "TASK_FAILED"

    asyncio.run(scenario())
    assert left_of(root) == []
