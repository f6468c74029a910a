"""Nested, standalone and session containers with an image of their own, for real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from linux.cgroup_agent import left_of, new_root
from linux.cgroup_agent import why_not as cgroups_missing
from linux.image_agent import ImageAgent, eventually, image_agent, of_docker, why_not
from linux.image_builder import BuiltImage, busybox_layer, entry, layer_of
from linux.loops import in_a_loop
from linux.test_images import kill_of, run_group, volume
from process.link_master import task
from process.test_container_calls import Operator, sized, typed

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def _needs_a_runtime() -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)


def image(name: str = "server", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of ContainerInfo
    return {"type": "MESOS", "mesos": {"image": of_docker(name)}, **fields}


async def of_task(agent: ImageAgent, session: aiohttp.ClientSession, command: str, **fields: Any) -> Operator:  # noqa: ANN401 - fields of TaskInfo
    agent.run("t", command, **fields)
    await agent.agent.pid_of("t")
    container_id = agent.master.statuses("t")[-1]["container_status"]["container_id"]["value"]
    return Operator(agent.agent, session, container_id)


@in_a_loop
async def test_a_container_nested_in_a_task_of_an_image_has_an_image_of_its_own(tmp_path: Path) -> None:
    shared = volume("/shared", "sandbox_path", {"type": "PARENT", "path": "shared"})
    async with image_agent(tmp_path) as agent, aiohttp.ClientSession() as session:
        operator = await of_task(agent, session, "touch /only-in-the-task; exec sleep 600")
        own = operator.nested("n")
        command = {"value": "ls /; pwd; id -u; echo $MESOS_SANDBOX; echo from the nested > /shared/it"}
        answer = await operator.call("LAUNCH_NESTED_CONTAINER", own, command=command, container=image(volumes=[shared]))
        assert answer[0] == 200, answer
        assert await operator.status_of(own) == 0
        nested = agent.sandbox("t") / "containers/n"
        said = (nested / "stdout").read_text().split()
        assert "only-in-the-task" not in said
        assert said[-3:] == ["/srv/there", "1234", "/mnt/mesos/sandbox"], "the image says where and as whom"
        assert (agent.sandbox("t") / "shared/it").read_text() == "from the nested\n"
        bare = operator.nested("bare")
        assert (await operator.call("LAUNCH_NESTED_CONTAINER", bare, command={"shell": False}, container=image()))[
            0
        ] == 200
        assert await operator.status_of(bare) == 0
        assert (agent.sandbox("t") / "containers/bare/stdout").read_text() == "entry cmd\n"
        stays = operator.nested("stays")
        sleep = {"value": "exec sleep 600"}
        assert (await operator.call("LAUNCH_NESTED_CONTAINER", stays, command=sleep, container=image()))[0] == 200
        inner = {"value": "inner", "parent": stays}
        assert (await operator.call("LAUNCH_NESTED_CONTAINER", inner, command={"value": "pwd"}))[0] == 200
        assert await operator.status_of(inner) == 0
        agent.master.send(kill_of("t", grace_s=0.0))
        await agent.end_of("t")
        await eventually(lambda: agent.remains() == [], agent.remains)


@in_a_loop
async def test_an_image_that_cannot_be_had_is_told_to_who_asked_and_nothing_is_left(tmp_path: Path) -> None:
    async with image_agent(tmp_path) as agent, aiohttp.ClientSession() as session:
        operator = await of_task(agent, session, "exec sleep 600")
        own = operator.nested("n")
        command = {"value": "true"}
        status, said = await operator.call("LAUNCH_NESTED_CONTAINER", own, command=command, container=image("missing"))
        assert status == 500
        assert "Failed to launch container: Failed to pull image 'missing': there is no image missing:latest" in said
        status, said = await operator.call(
            "LAUNCH_NESTED_CONTAINER", own, command={"shell": False}, container=image("shell")
        )
        assert status == 500
        assert "neither the task nor its image says what to run" in said
        assert (await operator.call("LAUNCH_NESTED_CONTAINER", own, command=command, container=image()))[0] == 200
        assert await operator.status_of(own) == 0
        agent.master.send(kill_of("t", grace_s=0.0))
        await agent.end_of("t")
        await eventually(lambda: agent.remains() == [], agent.remains)


@in_a_loop
async def test_a_session_in_an_image_of_its_own_has_pipes_or_a_terminal_in_its_parent_s_sandbox(tmp_path: Path) -> None:
    async with image_agent(tmp_path) as agent, aiohttp.ClientSession() as session:
        operator = await of_task(agent, session, "echo mine > kept; exec sleep 600")
        await eventually((agent.sandbox("t") / "kept").exists)
        kind, piped, terminal = "LAUNCH_NESTED_CONTAINER_SESSION", operator.nested("piped"), operator.nested("terminal")
        command = {"value": "cat $MESOS_SANDBOX/kept; cat; id -u; exit 4"}
        async with operator.stream(kind, piped, command=command, container=image("shell")) as output:
            await output.until(b"mine\n")
            assert await operator.feed(piped, typed(b"from us\n"), typed(b"")) == (200, "")
            assert (await output.end())["STDOUT"] == b"mine\nfrom us\n0\n"
        assert await operator.status_of(piped) == 4 << 8
        command = {"value": "test -t 0 && echo a terminal; read line; echo got $line; exit 3"}
        async with operator.stream(
            kind, terminal, command=command, container=image("shell", tty_info=sized(30, 100))
        ) as output:
            await output.until(b"a terminal\r\n")
            assert (await operator.feed(terminal, typed(b"a key\n")))[0] == 200
            await output.until(b"got a key\r\n")
            await output.end()
        assert await operator.status_of(terminal) == 3 << 8
        agent.master.send(kill_of("t", grace_s=0.0))
        await agent.end_of("t")
        await eventually(lambda: agent.remains() == [], agent.remains)


@in_a_loop
async def test_a_standalone_container_of_an_image_outlives_its_agent_and_leaves_nothing(tmp_path: Path) -> None:
    async with image_agent(tmp_path) as agent, aiohttp.ClientSession() as session:
        operator = Operator(agent.agent, session, "")
        alone = {"value": "alone"}
        command = {"value": "echo ready; while ! test -e go; do sleep 0.1; done; exit 7"}
        assert (await operator.call("LAUNCH_CONTAINER", alone, command=command, container=image("shell")))[0] == 200
        sandbox = agent.work_dir / "containers/alone"
        await eventually(lambda: (sandbox / "stdout").read_text() == "ready\n")
        await agent.agent.kill()
        await agent.agent.start()
        (sandbox / "go").touch()
        status, answer = await operator.call("WAIT_CONTAINER", alone)
        assert (status, answer["wait_container"]["exit_status"]) == (200, 7 << 8)
        assert (await operator.call("REMOVE_CONTAINER", alone))[0] == 200
        await eventually(lambda: agent.remains() == [], agent.remains)


@in_a_loop
async def test_each_task_of_a_group_has_its_own_image_and_all_share_a_volume_and_the_network(tmp_path: Path) -> None:
    shared = volume("/shared", "sandbox_path", {"type": "PARENT", "path": "pipe"})
    async with image_agent(tmp_path) as agent:
        other = layer_of(entry("only-here", b"other\n"))
        BuiltImage(busybox_layer(), other, config={"Env": ["PATH=/bin"]}).save(
            tmp_path / "images/other.tar", "other:latest"
        )
        network = "cat /proc/net/route /etc/hosts > /shared/network-of-$ME"
        lines = {
            "shell": f"ME=shell; {network}; echo hello > /shared/it.new; mv /shared/it.new /shared/it; test ! -e /only-here",
            "other": f"ME=other; {network}; while ! cat /shared/it; do sleep 0.1; done 2>/dev/null; cat /only-here",
        }
        run_group(
            agent.master, [task(name, line, container=image(name, volumes=[shared])) for name, line in lines.items()]
        )
        for name in lines:
            assert (await agent.end_of(name))["state"] == "TASK_FINISHED"
        (pipe,) = agent.work_dir.glob("slaves/S0/frameworks/F/executors/E/runs/latest/pipe")
        assert (pipe / "it").read_text() == "hello\n"
        assert (pipe / "network-of-shell").read_text() == (pipe / "network-of-other").read_text()
        written = [file.read_text() for file in pipe.parent.glob("containers/*/stdout")]
        assert sorted(written) == ["", "hello\nother\n"]
        await eventually(lambda: agent.remains() == [], agent.remains)


@in_a_loop
async def test_a_nested_container_of_an_image_counts_for_its_parent_s_cgroup(tmp_path: Path) -> None:
    reason = cgroups_missing("cpu", "mem")
    if reason:
        pytest.skip(reason)
    root = new_root()
    flags = ("--isolation=cgroups/cpu,cgroups/mem", f"--cgroups_root={root}")
    async with image_agent(tmp_path, *flags) as agent, aiohttp.ClientSession() as session:
        operator = await of_task(agent, session, "exec sleep 600")
        own = operator.nested("n")
        command = {"value": "cat /proc/self/cgroup; tail /dev/zero"}
        assert (await operator.call("LAUNCH_NESTED_CONTAINER", own, command=command, container=image("shell")))[
            0
        ] == 200
        ended = await agent.end_of("t")
        assert ended["reason"] == "REASON_CONTAINER_LIMITATION_MEMORY", ended
        assert f"/{root}/{operator.parent}" in (agent.sandbox("t") / "containers/n/stdout").read_text()
        await eventually(lambda: agent.remains() == [], agent.remains)
    assert left_of(root) == []
