"""Tasks that behave badly, as real processes: each ends with a clear reason, its agent lives on, and nothing of it is left."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from linux.cgroup_agent import eventually
from merismos.containers import supervisor
from merismos.protocol import link
from process.agent_process import AgentUnderTest, agent_under_test
from process.link_master import task
from process.test_log_rotation import flags

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
GRACE = {"kill_policy": {"grace_period": {"nanoseconds": 100_000_000}}}
LINE_BYTES = 1 << 30
BYTES_MAX = 1 << 20


def left_of(agent: AgentUnderTest, task_id: str) -> list[int]:
    """Return the processes that work in the sandbox of a task; what holds it went there to start it."""
    (sandbox,) = agent.work_dir.glob(f"slaves/*/frameworks/*/executors/{task_id}/runs/latest")
    found = []
    own = agent.supervisors()
    for row in supervisor.read_procs():
        try:
            if row.pid not in own and Path(f"/proc/{row.pid}/cwd").readlink() == sandbox.resolve():
                found.append(row.pid)
        except OSError:
            continue
    return found


def test_a_task_that_ignores_term_is_killed_after_its_grace_with_all_that_it_started(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with agent_under_test(tmp_path / "work") as agent:
            deaf = "trap '' TERM; sleep 600 & sleep 601 & echo up; while :; do sleep 0.05; done"
            agent.master.run(task("deaf", deaf, **GRACE))
            await agent.pid_of("deaf")
            (sandbox,) = agent.work_dir.glob("slaves/*/frameworks/*/executors/deaf/runs/latest")
            await eventually(lambda: (sandbox / "stdout").read_text() == "up\n")
            agent.master.send(link.KillTask("F", "deaf"))
            status = await agent.master.end_of("deaf")
            assert (status["state"], status["message"]) == ("TASK_KILLED", "Command terminated with signal Killed")
            assert left_of(agent, "deaf") == []

    asyncio.run(scenario())


def test_a_task_that_closes_its_output_ends_as_any_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with agent_under_test(tmp_path / "work") as agent:
            agent.master.run(task("mute", "exec <&- >&- 2>&-; sleep 0.05; exit 4"))
            assert (await agent.master.end_of("mute"))["message"] == "Command exited with status 4"

    asyncio.run(scenario())


def test_a_task_that_removes_its_sandbox_ends_as_any_other_and_the_agent_lives_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with agent_under_test(tmp_path / "work", *flags(max_stdout_size="64KB")) as agent:
            agent.master.run(task("vandal", 'rm -rf "$MESOS_SANDBOX"; exit 5'))
            assert (await agent.master.end_of("vandal"))["message"] == "Command exited with status 5"
            agent.master.run(task("next", "true"))
            assert (await agent.master.end_of("next"))["state"] == "TASK_FINISHED"

    asyncio.run(scenario())


def test_processes_that_fork_for_ever_are_gone_when_their_task_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with agent_under_test(tmp_path / "work") as agent:
            script = tmp_path / "hop"
            script.write_text(f"sleep 0.02\n(sh {script} &)\n")
            agent.master.run(task("hops", f"sh {script}; trap '' TERM; while :; do sleep 0.05; done", **GRACE))
            await agent.pid_of("hops")
            await eventually(lambda: len(left_of(agent, "hops")) > 1)
            agent.master.send(link.KillTask("F", "hops"))
            assert (await agent.master.end_of("hops"))["state"] == "TASK_KILLED"
            assert left_of(agent, "hops") == []

    asyncio.run(scenario())


def test_a_line_of_a_gigabyte_takes_neither_the_disk_nor_the_memory_of_the_agent(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with agent_under_test(tmp_path / "work", *flags(max_stdout_size="1MB")) as agent:
            agent.master.run(task("first", "true"))
            await agent.master.end_of("first")
            before = peak_of(agent)
            agent.master.run(task("long", f"head -c {LINE_BYTES} /dev/zero; exec sleep 600"))
            await agent.pid_of("long")
            (sandbox,) = agent.work_dir.glob("slaves/*/frameworks/*/executors/long/runs/latest")
            await eventually(lambda: "head" not in names_in(agent, "long"))
            await eventually(lambda: (sandbox / "stdout").stat().st_size <= BYTES_MAX)
            held = sum(path.stat().st_size for path in sandbox.iterdir())
            assert held <= 11 * BYTES_MAX, "ten files are kept, and the one that is written"
            assert peak_of(agent) - before < 32 << 20

    asyncio.run(scenario())


def names_in(agent: AgentUnderTest, task_id: str) -> list[str]:
    found = []
    for pid in left_of(agent, task_id):
        try:
            found.append(Path(f"/proc/{pid}/comm").read_text().strip())
        except OSError:
            continue
    return found


def peak_of(agent: AgentUnderTest) -> int:
    """Return the most memory that an agent ever had."""
    assert agent.process is not None
    rows = dict(row.split(":", 1) for row in Path(f"/proc/{agent.process.pid}/status").read_text().splitlines())
    return int(rows["VmHWM"].split()[0]) << 10
