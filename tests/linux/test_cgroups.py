"""Each isolator of cgroups, with a task that goes too far and is stopped: on the machine's own hierarchies, whichever they are."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from linux.cgroup_agent import cgroup_agent, why_not
from merismos.containers import supervisor
from merismos.daemons.process import EXIT_USAGE
from merismos.protocol import link
from process.agent_process import AgentUnderTest

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
NO_GRACE = {"grace_period": {"nanoseconds": 1}}
LIMIT_S = 30.0
POLL_S = 0.02
SPIN = "exec python3 -c 'held = bytearray(20 << 20)\nwhile True: pass'"
BOMB = "exec python3 -c 'import os\nwhile True:\n  try: os.fork()\n  except OSError: pass'"
HUNGRY = "python3 -c 'held = bytearray(200 << 20)'"


def needs(*isolators: str) -> None:
    reason = why_not(*isolators)
    if reason:
        pytest.skip(reason)


def has(path: Path, text: str) -> bool:
    return path.exists() and text in path.read_text()


async def eventually(true: Callable[[], bool]) -> None:
    """Wait until something is so that nobody tells of, for half a minute."""
    nobody = asyncio.Event()
    async with asyncio.timeout(LIMIT_S):
        while not true():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(nobody.wait(), POLL_S)


def test_a_task_that_takes_more_memory_than_it_has_fails_and_the_numbers_are_told(tmp_path: Path) -> None:
    needs("mem")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/mem") as agent:
            agent.run("t", f"{HUNGRY}; sleep 600", mem=48)
            status = await agent.end_of("t")
            assert status["state"] == "TASK_FAILED"
            assert status["source"] == "SOURCE_AGENT"
            assert status["reason"] == "REASON_CONTAINER_LIMITATION_MEMORY"
            assert status["message"].startswith("Memory limit exceeded: Requested: 48MB Maximum Used: ")
            assert "\nMEMORY STATISTICS: \n" in status["message"]
            (mem,) = status["limitation"]["resources"]
            assert mem["name"] == "mem"
            assert 40 < mem["scalar"]["value"] <= 48

    asyncio.run(scenario())


def test_a_task_that_ended_within_its_memory_has_no_limitation(tmp_path: Path) -> None:
    needs("mem")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/mem") as agent:
            agent.run("t", "exit 3")
            status = await agent.end_of("t")
            assert (status["message"], status.get("limitation")) == ("Command exited with status 3", None)

    asyncio.run(scenario())


def test_a_task_may_burst_past_its_request_up_to_its_limit(tmp_path: Path) -> None:
    needs("cpu", "mem")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/cpu,cgroups/mem") as agent:
            limits = {"mem": {"value": 512}, "cpus": {"value": "Infinity"}}
            agent.run("t", f"{HUNGRY} && cat /proc/self/oom_score_adj; sleep 600", mem=48, limits=limits)
            await eventually(lambda: has(agent.sandbox("t") / "stdout", "\n"))
            assert int(agent.output("t").strip()) > 0, "it is an earlier victim than one that may not grow"
            assert agent.read("t", "memory", "memory.limit_in_bytes", "memory.max") == str(512 << 20)
            assert agent.read("t", "memory", "memory.soft_limit_in_bytes", "memory.low") == str(48 << 20)
            assert agent.read("t", "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] in {"-1", "max"}

    asyncio.run(scenario())


def test_a_task_that_spins_gets_the_cpu_time_that_it_has_and_no_more(tmp_path: Path) -> None:
    needs("cpu", "mem")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/cpu,cgroups/mem", "--cgroups_enable_cfs") as agent:
            agent.run("t", SPIN, cpus=0.2)
            await agent.agent.pid_of("t")
            port = agent.master.of(link.RegisterAgent)[0].pid.partition("@")[2]
            url = f"http://{port}/monitor/statistics"
            await eventually(lambda: is_throttled(read_json(url)))
            (seen,) = read_json(url)
            used = seen["cpus_user_time_secs"] + seen["cpus_system_time_secs"]
            assert used <= 0.02 * (seen["cpus_nr_periods"] + 2) * 1.5 + 0.05
            assert seen["cpus_throttled_time_secs"] > 0
            assert (seen["processes"], seen["threads"]) == (1, 1)
            assert seen["mem_total_bytes"] >= seen["mem_rss_bytes"] >= 20 << 20
            assert seen["mem_limit_bytes"] == 64 << 20

    asyncio.run(scenario())


def read_json(url: str) -> list[dict[str, float]]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return [row["statistics"] for row in json.load(answer)]


def is_throttled(rows: list[dict[str, float]]) -> bool:
    return all(row["cpus_nr_throttled"] >= 5 and row["mem_rss_bytes"] >= 20 << 20 for row in rows)


def test_a_task_that_forks_too_often_is_refused_more_processes(tmp_path: Path) -> None:
    needs("pids")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/pids", "--cgroups_pids_max=20") as agent:
            agent.run("t", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21; do sleep 600 & done; wait")
            assert (await agent.end_of("t"))["state"] == "TASK_FAILED"
            assert "fork" in agent.output("t").lower()

    asyncio.run(scenario())


def test_a_task_runs_on_the_cpus_that_containers_may_use_and_no_others(tmp_path: Path) -> None:
    needs("cpuset")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/cpuset", "--cgroups_cpuset_cpus=0") as agent:
            agent.run("t", "nproc; taskset -c 1 true && echo escaped")
            await agent.end_of("t")
            assert agent.output("t").splitlines()[0] == "1"
            assert "escaped" not in agent.output("t")

    asyncio.run(scenario())


def test_a_fork_bomb_is_gone_entirely_after_a_kill(tmp_path: Path) -> None:
    needs("pids")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/pids", "--cgroups_pids_max=150") as agent:
            agent.run("t", BOMB, kill_policy=NO_GRACE)
            await agent.agent.pid_of("t")
            folder = agent.folder("t", "pids")
            await eventually(lambda: int((folder / "pids.current").read_text()) >= 100)
            agent.master.send(link.KillTask("F", "t"))
            assert (await agent.end_of("t"))["state"] == "TASK_KILLED"
            container = agent.container("t").encode()
            assert [
                row.pid for row in supervisor.read_procs() if supervisor.container_id_of(row.pid) == container
            ] == []

    asyncio.run(scenario())


def test_a_double_fork_in_another_session_without_an_environment_ends_with_its_task(tmp_path: Path) -> None:
    needs("pids")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/pids") as agent:
            agent.run("t", "(env -i setsid sh -c 'echo $$ > pid; exec sleep 600' &); until [ -s pid ]; do :; done")
            assert (await agent.end_of("t"))["state"] == "TASK_FINISHED"
            assert supervisor.read_proc(int((agent.sandbox("t") / "pid").read_text())) is None

    asyncio.run(scenario())


def test_a_command_that_is_not_there_fails_as_without_cgroups(tmp_path: Path) -> None:
    needs("pids")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/pids") as agent:
            agent.run("gone", {"shell": False, "value": "no-such-program", "arguments": ["no-such-program"]})
            assert (await agent.end_of("gone"))["message"] == "Command exited with status 1"
            assert agent.output("gone") == "Failed to execute the command: No such file or directory\n"
            agent.run(
                "named", {"shell": False, "value": "/bin/bash", "arguments": ["another", "-c", "echo $0 $1", "x", "y"]}
            )
            assert (await agent.end_of("named"))["state"] == "TASK_FINISHED"
            assert agent.output("named") == "x y\n"

    asyncio.run(scenario())


def test_a_container_outlives_its_agent_in_its_cgroup_and_an_orphan_of_before_does_not(tmp_path: Path) -> None:
    needs("mem", "pids")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/mem,cgroups/pids") as agent:
            agent.run("t", f"until [ -e go ]; do sleep 0.05; done; {HUNGRY}; sleep 600", mem=48)
            pid = await agent.agent.pid_of("t")
            await agent.agent.kill()
            orphan = agent.folder("t", "pids").with_name("orphan")
            orphan.mkdir()
            lost = await asyncio.create_subprocess_exec("sleep", "600")
            (orphan / "cgroup.procs").write_text(str(lost.pid))
            await agent.agent.start()
            async with asyncio.timeout(LIMIT_S):
                assert await lost.wait() == -signal.SIGKILL
            await eventually(lambda: not orphan.exists())
            assert str(pid) in (agent.folder("t", "pids") / "cgroup.procs").read_text()
            (agent.sandbox("t") / "go").touch()
            assert (await agent.end_of("t"))["reason"] == "REASON_CONTAINER_LIMITATION_MEMORY"

    asyncio.run(scenario())


def test_what_ran_out_of_memory_while_the_agent_was_down_is_told_by_the_next_one(tmp_path: Path) -> None:
    needs("mem", "pids")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/mem,cgroups/pids") as agent:
            agent.run("t", f"until [ -e go ]; do sleep 0.05; done; {HUNGRY}", mem=48)
            pid = await agent.agent.pid_of("t")
            await agent.agent.kill()
            (agent.sandbox("t") / "go").touch()
            await agent.agent.until_gone(pid)
            await agent.agent.start()
            status = await agent.end_of("t")
            assert status["reason"] == "REASON_CONTAINER_LIMITATION_MEMORY"
            assert status["limitation"]["resources"]

    asyncio.run(scenario())


def test_a_supervisor_that_dies_leaves_no_cgroup(tmp_path: Path) -> None:
    needs("pids")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/pids") as agent:
            agent.run("t", "(env -i setsid sleep 600 &); sleep 600")
            await agent.agent.pid_of("t")
            folder = agent.folder("t", "pids")
            (holder,) = agent.agent.supervisors()
            os.kill(holder, signal.SIGKILL)
            assert (await agent.end_of("t"))["reason"] == "REASON_EXECUTOR_TERMINATED"
            await eventually(lambda: not folder.exists())

    asyncio.run(scenario())


def test_a_second_agent_with_the_same_root_does_not_start_and_says_what_to_change(tmp_path: Path) -> None:
    needs("pids")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/pids") as agent:
            other = AgentUnderTest(agent.master, tmp_path / "other", agent.agent.flags)
            await other.spawn()
            assert await other.ended() == EXIT_USAGE
            assert "another agent of this machine uses" in other.said()
            assert "choose another --cgroups_root" in other.said()

    asyncio.run(scenario())
