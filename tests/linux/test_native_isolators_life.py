"""Containers without an image that are isolated: what is started in them, their agent's end, and agents that may not have an isolator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from linux.cgroup_agent import eventually
from linux.loops import in_a_loop
from linux.test_images_without_root import AS_USER
from linux.test_native_isolators import ISOLATION, NOBODY, children_of, has_said, is_alive, output, volume
from merismos.adapters.linux import isolator_detection
from merismos.adapters.linux.detection import obstacle_of_user_namespaces
from merismos.daemons.process import EXIT_USAGE
from merismos.protocol import link
from process.agent_process import AgentUnderTest, agent_under_test
from process.link_master import link_master, task
from process.test_container_calls import Operator, typed

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
SEEN = "echo $(readlink /proc/self/ns/pid) $(readlink /proc/self/ns/ipc) $(readlink /proc/self/ns/mnt)"


@pytest.fixture(autouse=True)
def _needs_root() -> None:
    every = (isolator_detection.obstacle(one) for one in isolator_detection.ISOLATORS)
    reason = next((why for why in (*every, obstacle_of_user_namespaces()) if why), None)
    if reason:
        pytest.skip(reason)


def reach(path: Path) -> None:
    """Let other users' tasks into their sandboxes below."""
    for one in (path, *path.parents):
        if not one.stat().st_mode & 1:
            one.chmod(0o711)


@asynccontextmanager
async def isolating_agent(tmp_path: Path, *flags: str) -> AsyncIterator[AgentUnderTest]:
    reach(tmp_path)
    async with agent_under_test(tmp_path / "w", f"--isolation={ISOLATION}", "--switch_user", *flags) as agent:
        yield agent


async def running(agent: AgentUnderTest, line: str, **fields: object) -> int:
    agent.master.run(task("t", {"value": f"{SEEN}; {line}", "user": NOBODY}, **fields))
    await eventually(lambda: has_said(agent, "t", "mnt:"))
    return await agent.pid_of("t")


@in_a_loop
async def test_a_session_is_in_the_namespaces_of_its_container_and_has_its_rights(tmp_path: Path) -> None:
    async with isolating_agent(tmp_path) as agent, aiohttp.ClientSession() as session:
        (tmp_path / "there").write_text("in the volume\n")
        volumes = [volume("v", source={"type": "HOST_PATH", "host_path": {"path": str(tmp_path)}})]
        await running(agent, "exec sleep 600", container={"type": "MESOS", "volumes": volumes})
        container = agent.master.statuses("t")[-1]["container_status"]["container_id"]["value"]
        operator = Operator(agent, session, container)
        own = operator.nested("s")
        line = f"id -un; {SEEN}; cat v/there; grep NoNew /proc/self/status; ls -d /proc/1; cat; exit 4"
        async with operator.stream("LAUNCH_NESTED_CONTAINER_SESSION", own, command={"value": line}) as stream:
            await stream.until(b"NoNewPrivs:\t1\n")
            assert await operator.feed(own, typed(b"typed\n"), typed(b"")) == (200, "")
            said = (await stream.end())["STDOUT"].decode().splitlines()
        assert said == [NOBODY, output(agent, "t").strip(), "in the volume", "NoNewPrivs:\t1", "/proc/1", "typed"]
        assert await operator.status_of(own) == 4 << 8
        killed = operator.nested("killed")
        assert (await operator.call("LAUNCH_NESTED_CONTAINER", killed, command={"value": "exec sleep 600"}))[0] == 200
        assert await operator.call("KILL_NESTED_CONTAINER", killed) == (200, "")
        assert await operator.status_of(killed) == 9
        status, said_of_it = await operator.call(
            "LAUNCH_NESTED_CONTAINER",
            operator.nested("own"),
            command={"value": "true"},
            container={"type": "MESOS", "linux_info": {}},
        )
        assert (status, "has its parent's limits, rights, namespaces and files" in said_of_it) == (400, True)


@in_a_loop
async def test_a_check_is_in_the_namespaces_of_its_task(tmp_path: Path) -> None:
    async with isolating_agent(tmp_path) as agent:
        command = {"value": 'test "$(readlink /proc/self/ns/pid)" = "$(readlink /proc/1/ns/pid)" && kill -0 1'}
        check = {"type": "COMMAND", "command": {"command": command}, "delay_seconds": 0.0, "interval_seconds": 0.1}
        await running(agent, "exec sleep 600", check=check)
        passed = {"command": {"exit_code": 0}, "type": "COMMAND"}
        await agent.master.until(lambda: any(one.get("check_status") == passed for one in agent.master.statuses("t")))


@in_a_loop
async def test_what_is_isolated_outlives_its_agent_with_all_that_it_has(tmp_path: Path) -> None:
    async with isolating_agent(tmp_path) as agent, aiohttp.ClientSession() as session:
        waits = await running(agent, "until [ -e stop ]; do sleep 0.05; done; exit 9")
        (first,) = children_of(waits)
        await agent.kill()
        await agent.start()
        assert is_alive(first)
        container = agent.master.statuses("t")[-1]["container_status"]["container_id"]["value"]
        operator = Operator(agent, session, container)
        own = operator.nested("after")
        async with operator.stream("LAUNCH_NESTED_CONTAINER_SESSION", own, command={"value": SEEN}) as stream:
            said = (await stream.end())["STDOUT"].decode()
        assert said == output(agent, "t"), "a later agent enters the same namespaces"
        stop(agent)
        assert (await agent.master.end_of("t"))["message"] == "Command exited with status 9"
        assert not is_alive(waits)


def stop(agent: AgentUnderTest) -> None:
    (agent.work_dir / "slaves/S0/frameworks/F/executors/t/runs/latest/stop").touch()


@in_a_loop
async def test_a_killed_agent_leaves_no_secret_that_nobody_took(tmp_path: Path) -> None:
    async with isolating_agent(tmp_path) as agent:
        await agent.kill()
        left = agent.work_dir / "meta/secrets/nobody's"
        make(left)
        await agent.start()
        assert not there(left)


def make(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "0").write_text("secret")


def there(path: Path) -> bool:
    return path.exists()


@pytest.mark.parametrize(
    ("info", "what"),
    [({"share_pid_namespace": True}, "PID"), ({"ipc_mode": "SHARE_PARENT"}, "IPC")],
)
def test_an_operator_keeps_tasks_out_of_the_agents_namespaces(tmp_path: Path, info: dict[str, Any], what: str) -> None:
    async def run() -> None:
        flags = ("--disallow_sharing_agent_pid_namespace", "--disallow_sharing_agent_ipc_namespace")
        async with isolating_agent(tmp_path, *flags) as agent:
            agent.master.run(task("t", "true", container={"type": "MESOS", "linux_info": info}))
            status = await agent.master.end_of("t")
            assert status["state"] == "TASK_ERROR"
            assert f"Sharing agent's {what} namespace is not allowed" in status["message"]

    asyncio.run(run())


@in_a_loop
async def test_without_root_limits_and_no_new_privileges_hold_and_the_rest_is_refused_at_the_start(
    tmp_path: Path,
) -> None:
    flags = ("--isolation=posix/rlimits,linux/nnp,environment_secret", "--no-switch_user")
    async with agent_under_test(tmp_path / "w", *flags, launcher=AS_USER) as agent:
        limits = {"type": "MESOS", "rlimit_info": {"rlimits": [{"type": "RLMT_NOFILE", "soft": 9, "hard": 9}]}}
        agent.master.run(task("t", "ulimit -n; grep NoNew /proc/self/status", container=limits))
        await agent.master.end_of("t")
        assert output(agent, "t").split() == ["9", "NoNewPrivs:", "1"]
    async with link_master() as master:
        agent = AgentUnderTest(master, tmp_path / "x", ("--isolation=filesystem/linux,namespaces/pid",))
        agent.launcher = AS_USER
        await agent.spawn()
        assert await agent.ended() == EXIT_USAGE
        assert "--isolation names filesystem/linux, but it needs an agent that is root" in agent.said()
        assert not master.of(link.RegisterAgent)
