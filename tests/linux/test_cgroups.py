"""Each isolator of cgroups, with a task that goes too far and is stopped: on the machine's own hierarchies, whichever they are."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from linux.cgroup_agent import HUNGRY, VERSION, CgroupAgent, amounts, cgroup_agent, eventually, why_not
from merismos.containers import supervisor
from merismos.protocol import link
from process.link_master import FRAMEWORK, task

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
NO_GRACE = {"grace_period": {"nanoseconds": 1}}
PIDS_MAX = 80
SPIN = "exec python3 -c 'held = bytearray(20 << 20)\nwhile True: pass'"
BOMB = "exec python3 -c 'import os\nwhile True:\n  try: os.fork()\n  except OSError: pass'"


class Shared:
    """One agent with many isolators for all tests here, and the loop that it is heard on; each test has a task of its own."""

    def __init__(self, runner: asyncio.Runner, agent: CgroupAgent) -> None:
        self._runner = runner
        self._agent = agent
        self._number = 0

    def run(self, scenario: Callable[[CgroupAgent, str], Coroutine[None, None, None]]) -> None:
        self._number += 1
        self._runner.run(scenario(self._agent, f"t{self._number}"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    isolators = ("cpu", "mem", "pids")
    reason = why_not(*isolators)
    if reason:
        pytest.skip(reason)
    flags = ("--cgroups_enable_cfs", f"--cgroups_pids_max={PIDS_MAX}")
    work_dir = tmp_path_factory.mktemp("agent") / "w"
    context = cgroup_agent(work_dir, ",".join(f"cgroups/{one}" for one in isolators), *flags)
    with asyncio.Runner() as runner:
        agent = runner.run(enter(context))
        try:
            yield Shared(runner, agent)
        finally:
            runner.run(leave(context))


async def enter(context: AbstractAsyncContextManager[CgroupAgent]) -> CgroupAgent:
    return await context.__aenter__()


async def leave(context: AbstractAsyncContextManager[CgroupAgent]) -> None:
    await context.__aexit__(None, None, None)


def has(path: Path, text: str) -> bool:
    return path.exists() and text in path.read_text()


def test_a_task_that_takes_more_memory_than_it_has_fails_and_the_numbers_are_told(shared: Shared) -> None:
    async def scenario(agent: CgroupAgent, t: str) -> None:
        agent.run(t, f"{HUNGRY}; sleep 600", mem=48)
        status = await agent.end_of(t)
        assert status["state"] == "TASK_FAILED"
        assert status["source"] == "SOURCE_AGENT"
        assert status["reason"] == "REASON_CONTAINER_LIMITATION_MEMORY"
        assert status["message"].startswith("Memory limit exceeded: Requested: 48MB Maximum Used: ")
        assert "\nMEMORY STATISTICS: \n" in status["message"]
        (mem,) = status["limitation"]["resources"]
        assert mem["name"] == "mem"
        assert 40 < mem["scalar"]["value"] <= 48

    shared.run(scenario)


def test_a_task_that_ended_within_its_memory_has_no_limitation(shared: Shared) -> None:
    async def scenario(agent: CgroupAgent, t: str) -> None:
        agent.run(t, "exit 3")
        status = await agent.end_of(t)
        assert (status["message"], status.get("limitation")) == ("Command exited with status 3", None)

    shared.run(scenario)


def test_a_task_may_burst_past_its_request_up_to_its_limit(shared: Shared) -> None:
    async def scenario(agent: CgroupAgent, t: str) -> None:
        limits = {"mem": {"value": 512}, "cpus": {"value": "Infinity"}}
        agent.run(t, f"{HUNGRY} && cat /proc/self/oom_score_adj; sleep 600", mem=48, limits=limits)
        await eventually(lambda: has(agent.sandbox(t) / "stdout", "\n"))
        assert int(agent.output(t).strip()) > 0, "it is an earlier victim than one that may not grow"
        assert agent.read(t, "memory", "memory.limit_in_bytes", "memory.max") == str(512 << 20)
        assert agent.read(t, "memory", "memory.soft_limit_in_bytes", "memory.low") == str(48 << 20)
        assert agent.read(t, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] in {"-1", "max"}

    shared.run(scenario)


def test_a_task_that_spins_gets_the_cpu_time_that_it_has_and_no_more(shared: Shared) -> None:
    async def scenario(agent: CgroupAgent, t: str) -> None:
        agent.run(t, SPIN, cpus=0.2)
        await agent.agent.pid_of(t)
        port = agent.master.of(link.RegisterAgent)[0].pid.partition("@")[2]
        url = f"http://{port}/monitor/statistics"
        await eventually(lambda: is_throttled(read_statistics(url, t)))
        seen = read_statistics(url, t)
        used = seen["cpus_user_time_secs"] + seen["cpus_system_time_secs"]
        assert used <= 0.02 * (seen["cpus_nr_periods"] + 2) * 1.5 + 0.05
        assert seen["cpus_throttled_time_secs"] > 0
        assert (seen["processes"], seen["threads"]) == (1, 1)
        assert seen["mem_total_bytes"] >= seen["mem_rss_bytes"] >= 20 << 20
        assert seen["mem_limit_bytes"] == 64 << 20

    shared.run(scenario)


def read_statistics(url: str, task_id: str) -> dict[str, float]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        (found,) = [row["statistics"] for row in json.load(answer) if row["source"] == task_id]
    return dict(found)


def is_throttled(seen: dict[str, float]) -> bool:
    return seen["cpus_nr_throttled"] >= 5 and seen["mem_rss_bytes"] >= 20 << 20


def test_a_task_that_forks_too_often_is_refused_more_processes(shared: Shared) -> None:
    async def scenario(agent: CgroupAgent, t: str) -> None:
        agent.run(t, "i=0; while [ $i -lt 100 ]; do sleep 600 & i=$((i+1)); done; wait")
        assert (await agent.end_of(t))["state"] == "TASK_FAILED"
        assert "fork" in agent.output(t).lower()

    shared.run(scenario)


def test_a_fork_bomb_is_gone_entirely_after_a_kill(shared: Shared) -> None:
    async def scenario(agent: CgroupAgent, t: str) -> None:
        agent.run(t, BOMB, kill_policy=NO_GRACE)
        await agent.agent.pid_of(t)
        folder = agent.folder(t, "pids")
        await eventually(lambda: int((folder / "pids.current").read_text()) >= PIDS_MAX // 2)
        agent.master.send(link.KillTask("F", t))
        assert (await agent.end_of(t))["state"] == "TASK_KILLED"
        container = agent.container(t).encode()
        assert [row.pid for row in supervisor.read_procs() if supervisor.container_id_of(row.pid) == container] == []

    shared.run(scenario)


def test_a_double_fork_in_another_session_without_an_environment_ends_with_its_task(shared: Shared) -> None:
    async def scenario(agent: CgroupAgent, t: str) -> None:
        agent.run(t, "(env -i setsid sh -c 'echo $$ > pid; exec sleep 600' &); until [ -s pid ]; do :; done")
        assert (await agent.end_of(t))["state"] == "TASK_FINISHED"
        assert supervisor.read_proc(int((agent.sandbox(t) / "pid").read_text())) is None

    shared.run(scenario)


@pytest.mark.parametrize(
    ("line", "output"),
    [
        ('echo "$0 $#"; set -- a b; echo $#', "sh 0\n2\n"),
        ("# a comment first\ncat <<E\n$#\nE", "0\n"),
        ("no-such-program", "1: no-such-program:"),
        ("true\nno-such-program", "2: no-such-program:"),
        ("for x in 1 2\ndo echo first; done; exit 0; )", "2: "),
        ("echo first; )", "1: "),
    ],
)
def test_a_line_of_shell_means_the_same_as_without_cgroups(shared: Shared, line: str, output: str) -> None:
    async def scenario(agent: CgroupAgent, t: str) -> None:
        agent.run(t, line)
        await agent.end_of(t)
        said = agent.output(t)
        assert output in said, said
        assert "first\n" not in said, "what is no shell ends before anything ran"

    shared.run(scenario)


def test_a_line_of_shell_is_in_its_cgroups_before_its_first_word(shared: Shared) -> None:
    async def scenario(agent: CgroupAgent, t: str) -> None:
        agent.run(t, "cat /proc/self/cgroup; exec cat /proc/self/cgroup")
        assert (await agent.end_of(t))["state"] == "TASK_FINISHED"
        rows = [row.split(":") for row in agent.output(t).splitlines()]
        inside = [names for _, names, path in rows if path.endswith(f"/{agent.container(t)}")]
        wanted = ["cpu", "memory", "pids", "freezer"] if VERSION == 1 else [""]
        assert [inside.count(name) for name in wanted] == [2] * len(wanted), rows

    shared.run(scenario)


def test_a_command_that_is_not_there_fails_as_without_cgroups(shared: Shared) -> None:
    async def scenario(agent: CgroupAgent, t: str) -> None:
        agent.run(t, {"shell": False, "value": "no-such-program", "arguments": ["no-such-program"]})
        assert (await agent.end_of(t))["message"] == "Command exited with status 1"
        assert agent.output(t) == "Failed to execute the command: No such file or directory\n"
        agent.run(
            f"{t}-named", {"shell": False, "value": "/bin/bash", "arguments": ["another", "-c", "echo $0 $1", "x", "y"]}
        )
        assert (await agent.end_of(f"{t}-named"))["state"] == "TASK_FINISHED"
        assert agent.output(f"{t}-named") == "x y\n"

    shared.run(scenario)


def test_the_limit_of_an_executor_follows_its_tasks_and_all_of_them_fail_with_it(shared: Shared) -> None:
    async def scenario(agent: CgroupAgent, t: str) -> None:
        command = {"value": f"until [ -e go ]; do sleep 0.05; done; {HUNGRY}; sleep 600"}
        executor = {"type": "CUSTOM", "executor_id": {"value": t}, "command": command, "resources": amounts(1, 40)}
        for name in (f"{t}-a", f"{t}-b"):
            entry = task(name, None, executor=executor, resources=amounts(0.1, 30))
            del entry["command"]
            raw = json.dumps(entry).encode()
            starts = [t] if name.endswith("a") else []
            agent.master.send(link.RunTasks("F", json.dumps(FRAMEWORK).encode(), "eng", [raw], [name], starts))
        await eventually(lambda: str(100 << 20) in agent.read_all("memory", "memory.limit_in_bytes", "memory.max"))
        (agent.sandbox(t) / "go").touch()
        for name in (f"{t}-a", f"{t}-b"):
            status = await agent.end_of(name)
            assert status["reason"] == "REASON_CONTAINER_LIMITATION_MEMORY"
            assert status["message"].startswith("Memory limit exceeded: Requested: 100MB ")
            assert status["limitation"]["resources"]

    shared.run(scenario)
