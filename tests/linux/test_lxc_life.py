"""How containers of LXC live: kills, signals, freezing, what enters them, and agents and supervisors that die."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from linux.image_agent import eventually
from linux.loops import in_a_loop
from linux.lxc_agent import LxcAgent, lxc_agent, why_not
from merismos.adapters.linux.mounts import mount_memory
from merismos.containers.supervisor import read_procs
from merismos.protocol import link
from process.test_container_calls import Operator, try_a_terminal, typed

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
BOMB = "bomb() { bomb & while true; do setsid sleep 600 & done; }; bomb 2>/dev/null & exec sleep 600"


@pytest.fixture(autouse=True)
def _needs_lxc() -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)


def kill_of(task_id: str, grace_s: float) -> Any:  # noqa: ANN401 - a message
    return link.KillTask("F", task_id, grace_s)


def first_process(agent: LxcAgent, task_id: str) -> int:
    """Return the pid on the machine of a container's first process."""
    monitor = agent.master.statuses(task_id)[-1]["container_status"]["executor_pid"]
    (pid,) = [row.pid for row in read_procs() if row.ppid == monitor]
    return pid


@in_a_loop
async def test_a_signal_that_ends_a_container_is_told_by_its_name(tmp_path: Path) -> None:
    async with lxc_agent(tmp_path, isolation="") as agent:
        agent.run("t", "echo ready; while true; do sleep 1; done")
        await eventually(lambda: "ready" in agent.output("t"))
        os.kill(first_process(agent, "t"), signal.SIGKILL)
        status = await agent.end_of("t")
        assert (status["state"], status["message"]) == ("TASK_FAILED", "Command terminated with signal Killed")


@in_a_loop
async def test_a_kill_reaches_a_handler_once_and_what_has_none_ends_at_once(tmp_path: Path) -> None:
    async with lxc_agent(tmp_path) as agent:
        handler = (
            "trap 'echo asked; n=$((n+1)); test $n = 1 && exit 0' TERM; echo ready; while true; do sleep 0.1; done"
        )
        agent.run("polite", handler)
        agent.run("plain", {"shell": False, "value": "sleep", "arguments": ["sleep", "600"]})
        await eventually(lambda: "ready" in agent.output("polite"))
        await agent.agent.pid_of("plain")
        await eventually(lambda: len(agent.processes()) >= 4)
        for name in ("polite", "plain"):
            agent.master.send(kill_of(name, grace_s=600.0))
            assert (await agent.end_of(name))["state"] == "TASK_KILLED"
        assert agent.output("polite").count("asked") == 1


@pytest.mark.parametrize("isolation", ["cgroups/cpu,cgroups/mem,cgroups/pids", ""])
@in_a_loop
async def test_what_ignores_a_kill_ends_with_its_grace_and_so_does_all_that_it_forked(
    tmp_path: Path, isolation: str
) -> None:
    async with lxc_agent(tmp_path, "--cgroups_pids_max=100", isolation=isolation) as agent:
        forks = "(setsid env -i sleep 600 &); setsid sleep 600 &"
        agent.run("stubborn", f"trap '' TERM; {forks} echo ready; while true; do sleep 0.1; done")
        agent.run("ends", f"{forks} sleep 600 & echo ready; exit 4")
        if isolation:
            agent.run("bomb", BOMB)
            await agent.agent.pid_of("bomb")
            await eventually(lambda: len(agent.members("bomb", "pids")) > 50)
            agent.master.send(kill_of("bomb", grace_s=0.1))
            assert (await agent.end_of("bomb"))["state"] == "TASK_KILLED"
        assert (await agent.end_of("ends"))["message"] == "Command exited with status 4"
        await eventually(lambda: "ready" in agent.output("stubborn"))
        agent.master.send(kill_of("stubborn", grace_s=0.2))
        assert (await agent.end_of("stubborn"))["state"] == "TASK_KILLED"
        await agent.until_clean()
        assert agent.processes() == []


@pytest.mark.parametrize("isolation", ["cgroups/cpu,cgroups/mem", ""])
@in_a_loop
async def test_a_frozen_container_stands_still_goes_on_and_can_be_killed(tmp_path: Path, isolation: str) -> None:
    async with lxc_agent(tmp_path, isolation=isolation) as agent:
        agent.run("t", "while true; do echo . >> ticks; sleep 0.01; done")
        ticks = agent.sandbox("t") / "ticks"
        await eventually(lambda: ticks.exists() and ticks.stat().st_size > 4)
        lxc(agent, "freeze", "t")
        assert state_of(agent, "t") == "FROZEN"
        lxc(agent, "unfreeze", "t")
        before = ticks.stat().st_size
        await eventually(lambda: ticks.stat().st_size > before)
        lxc(agent, "freeze", "t")
        agent.master.send(kill_of("t", grace_s=0.2))
        assert (await agent.end_of("t"))["state"] == "TASK_KILLED"


def lxc(agent: LxcAgent, what: str, task_id: str, *more: str) -> str:
    net = agent.bundles().parent / "net/monitors"
    words = [
        "nsenter",
        f"--net={net}",
        f"lxc-{what}",
        "-P",
        str(agent.bundles()),
        "-n",
        agent.container(task_id),
        *more,
    ]
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=30).stdout


def state_of(agent: LxcAgent, task_id: str) -> str:
    return lxc(agent, "info", task_id, "-s", "-H").strip()


@in_a_loop
async def test_containers_outlive_a_killed_agent_and_go_on_under_the_next(tmp_path: Path) -> None:
    async with lxc_agent(tmp_path) as agent:
        waits = "echo ready; while ! test -e go; do sleep 0.1; done"
        for name, code in (("stays", 5), ("ends", 6), ("succeeds", 0)):
            agent.run(name, f"{waits}; exit {code}")
        pids = {name: await agent.agent.pid_of(name) for name in ("stays", "ends", "succeeds")}
        await eventually(lambda: all("ready" in agent.output(name) for name in pids))
        inner = first_process(agent, "stays")
        await agent.agent.kill()
        for name in ("ends", "succeeds"):
            (agent.sandbox(name) / "go").touch()
            await agent.agent.until_gone(pids[name])
        orphan = agent.bundles() / "orphan/rootfs"
        orphan.mkdir(parents=True)
        mount_memory(orphan, 4096)
        await agent.agent.start()
        assert (await agent.end_of("ends"))["message"] == "Command exited with status 6"
        assert (await agent.end_of("succeeds"))["state"] == "TASK_FINISHED"
        assert await agent.agent.pid_of("stays") == pids["stays"]
        assert first_process(agent, "stays") == inner
        assert [path.name for path in agent.bundles().iterdir()] == [agent.container("stays")]
        (agent.sandbox("stays") / "go").touch()
        assert (await agent.end_of("stays"))["message"] == "Command exited with status 5"
        await agent.until_clean()


@pytest.mark.parametrize("isolation", ["cgroups/cpu,cgroups/mem", ""])
@in_a_loop
async def test_a_lost_supervisor_fails_its_containers_and_leaves_nothing(tmp_path: Path, isolation: str) -> None:
    async with lxc_agent(tmp_path, isolation=isolation) as agent:
        agent.run("t", "(setsid env -i sleep 600 &); echo ready; sleep 600")
        await eventually(lambda: "ready" in agent.output("t"))
        (pid,) = agent.agent.supervisors()
        os.kill(pid, signal.SIGKILL)
        assert (await agent.end_of("t"))["state"] == "TASK_FAILED"
        await agent.until_clean()
        await eventually(lambda: agent.processes() == [], agent.processes)
        assert await agent.output_of("again", "echo again") == "again\n"


@in_a_loop
async def test_an_agent_that_was_killed_with_its_supervisor_ends_orphans_at_its_next_start(tmp_path: Path) -> None:
    async with lxc_agent(tmp_path, isolation="") as agent:
        agent.run("t", "echo ready; sleep 600")
        await eventually(lambda: "ready" in agent.output("t"))
        inner = first_process(agent, "t")
        (pid,) = agent.agent.supervisors()
        await agent.agent.kill()
        os.kill(pid, signal.SIGKILL)
        await agent.agent.until_gone(pid)
        await agent.agent.start()
        assert (await agent.end_of("t"))["state"] == "TASK_FAILED"
        await agent.agent.until_gone(inner)
        await agent.until_clean()


@in_a_loop
async def test_many_tasks_at_once_leave_nothing(tmp_path: Path) -> None:
    async with lxc_agent(tmp_path) as agent:
        names = [f"t{number}" for number in range(10)]
        for name in names:
            agent.run(name, f"echo {name}", mem=32)
        for name in names:
            status = await agent.end_of(name)
            assert status["state"] == "TASK_FINISHED", (status["message"], agent.output(name))
            assert agent.output(name) == f"{name}\n"


@in_a_loop
async def test_command_checks_run_in_the_container(tmp_path: Path) -> None:
    async with lxc_agent(tmp_path) as agent:
        check = {
            "type": "COMMAND",
            "command": {
                "command": {"value": "test $PWD = /mnt/mesos/sandbox && test $MINE = yes && exit $(cat /tmp/code)"}
            },
            "delay_seconds": 0.0,
            "interval_seconds": 0.2,
        }
        env = {"variables": [{"name": "MINE", "value": "yes"}]}
        agent.run("t", {"value": "echo 7 > /tmp/code; exec sleep 600", "environment": env}, check=check)

        def checked() -> bool:
            found = [
                one.get("check_status", {}).get("command", {}).get("exit_code") for one in agent.master.statuses("t")
            ]
            return 7 in found

        await agent.master.until(checked)


@in_a_loop
async def test_a_session_with_a_task_is_inside_of_its_container(tmp_path: Path) -> None:
    async with lxc_agent(tmp_path, "--switch_user") as agent, aiohttp.ClientSession() as session:
        agent.run("t", {"value": "touch /tmp/here; echo ready; exec sleep 600", "user": "nobody"})
        await eventually(lambda: "ready" in agent.output("t"))
        operator = Operator(agent.agent, session, agent.container("t"))
        kind, piped = "LAUNCH_NESTED_CONTAINER_SESSION", operator.nested("piped")
        command = {"value": "ls /tmp; id -u; cat; echo sandbox=$MESOS_SANDBOX; pwd; exit 4"}
        async with operator.stream(kind, piped, command=command) as output:
            await output.until(b"here\n")
            assert await operator.feed(piped, typed(b"from us\n"), typed(b"")) == (200, "")
            written = (await output.end())["STDOUT"]
        assert written == b"here\n65534\nfrom us\nsandbox=/mnt/mesos/sandbox\n/mnt/mesos/sandbox\n"
        assert await operator.status_of(piped) == 4 << 8
        await try_a_terminal(operator)
        nested = operator.nested("nested")
        assert (await operator.call("LAUNCH_NESTED_CONTAINER", nested, command={"value": "ls /tmp/here && exit 2"}))[
            0
        ] == 200
        assert await operator.status_of(nested) == 2 << 8


@in_a_loop
async def test_who_orders_containers_about_is_in_a_network_that_none_of_them_is_in(tmp_path: Path) -> None:
    async with lxc_agent(tmp_path, isolation="") as agent:
        agent.run("t", "cat /proc/net/unix; echo ready; exec sleep 600")
        await eventually(lambda: "ready" in agent.output("t"))
        assert "/command" in lxc_sockets(agent)
        assert str(agent.bundles()) not in agent.output("t")
        assert network_of(str(first_process(agent, "t"))) == network_of("self")


def lxc_sockets(agent: LxcAgent) -> str:
    words = ["nsenter", f"--net={agent.bundles().parent / 'net/monitors'}", "cat", "/proc/net/unix"]
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=30).stdout


def network_of(pid: str) -> Path:
    return Path(f"/proc/{pid}/ns/net").readlink()
