"""kill -9 of an agent at any instant, while tasks start, run and end.

Each task leaves a line in a file of its own as it starts, so that one that ran twice shows. `MERISMOS_CRASHES` says how often to
kill (`make crash`: 100 times); the instants come from a seed.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path

import pytest

from linux.cgroup_agent import left_of, new_root, why_not
from merismos.containers import supervisor
from merismos.protocol import link
from process.agent_process import AgentUnderTest, agent_under_test
from process.link_master import TERMINAL, task

pytestmark = [pytest.mark.process, pytest.mark.timeout(900)]
CRASHES = int(os.environ.get("MERISMOS_CRASHES", "20"))
SEED = 20
INSTANT_S_MAX = 0.4
KINDS = {
    "true": "TASK_FINISHED",
    "sleep 0.1": "TASK_FINISHED",
    "exit 3": "TASK_FAILED",
    "exec sleep 600": "TASK_KILLED",
}
LIVE_MAX = 6


class Crashing:
    """One agent that is killed again and again, and what was asked of it."""

    def __init__(self, agent: AgentUnderTest, marks: Path) -> None:
        self.agent = agent
        self.marks = marks
        self.dice = random.Random(SEED)
        self.expected: dict[str, str] = {}
        self.number = 0

    def launch_some(self) -> None:
        for _ in range(self.dice.randint(1, 4)):
            self.number += 1
            task_id = f"t-{self.number}"
            command = self.dice.choice(list(KINDS))
            self.expected[task_id] = KINDS[command]
            self.agent.master.run(task(task_id, f"echo $$ >> {self.marks / task_id}; {command}"))

    def kill_some(self) -> None:
        live = self.live_sleepers()
        for task_id in live if len(live) > LIVE_MAX else live[: self.dice.randint(0, 1)]:
            self.agent.master.send(link.KillTask("F", task_id))

    def live_sleepers(self) -> list[str]:
        told = self.agent.master.told
        return [
            one for one, end in self.expected.items() if end == "TASK_KILLED" and not TERMINAL.intersection(told(one))
        ]

    async def crash(self) -> None:
        """Kill the agent at some instant, start it again, and drop what it never took."""
        process = self.agent.process
        assert process is not None
        asyncio.get_running_loop().call_later(self.dice.uniform(0.0, INSTANT_S_MAX), process.kill)
        await self.agent.ended()
        await self.agent.start()
        back = self.agent.master.of(link.ReregisterAgent)[-1]
        known = {json.loads(record.task)["name"] for record in back.tasks}
        for task_id in list(self.expected):
            if task_id not in known and not TERMINAL.intersection(self.agent.master.told(task_id)):
                assert not (self.marks / task_id).exists(), f"{task_id} ran, and is forgotten"
                assert not self.agent.master.told(task_id), f"{task_id} was told of, and is forgotten"
                del self.expected[task_id]

    async def finish(self) -> None:
        for task_id in self.live_sleepers():
            self.agent.master.send(link.KillTask("F", task_id))
        for task_id, state in self.expected.items():
            assert (await self.agent.master.end_of(task_id))["state"] in {state, "TASK_KILLED"}, task_id

    def check(self) -> None:
        """Each task ran once at most, and its story was told in order, with one end."""
        for task_id, state in self.expected.items():
            told = self.agent.master.told(task_id)
            mark = self.marks / task_id
            runs = mark.read_text().split() if mark.exists() else []
            assert len(runs) <= 1, f"{task_id} ran {len(runs)} times"
            assert [one for one in told if one in TERMINAL] == told[-1:], f"{task_id}: {told}"
            expected = ["TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"]
            assert told[:-1] == expected[: len(told) - 1], f"{task_id}: {told}"
            if state != "TASK_KILLED":
                assert told == ["TASK_STARTING", "TASK_RUNNING", state], f"{task_id}: {told}"
                assert len(runs) == 1, f"{task_id} never ran"


def left_over(work_dir: Path) -> list[str]:
    """Return the processes that work in a directory, and the sockets in it."""
    found = [str(path) for path in work_dir.rglob("*.sock")]
    for row in supervisor.read_procs():
        try:
            if Path(f"/proc/{row.pid}/cwd").readlink().is_relative_to(work_dir):
                found.append(f"process {row.pid}")
        except OSError:
            continue
    return found


def test_an_agent_that_is_killed_at_any_instant_loses_no_task_and_runs_none_twice(tmp_path: Path) -> None:
    crash_often(tmp_path, CRASHES)


def test_an_agent_with_cgroups_that_is_killed_at_any_instant_leaks_none(tmp_path: Path) -> None:
    reason = why_not("mem", "pids")
    if reason:
        pytest.skip(reason)
    root = new_root()
    flags = ("--isolation=cgroups/mem,cgroups/pids", f"--cgroups_root={root}")
    assert left_of(root) == []
    crash_often(tmp_path, max(CRASHES // 2, 1), *flags)
    assert left_of(root) == []


def crash_often(tmp_path: Path, crashes: int, *flags: str) -> None:
    work_dir, marks = tmp_path / "work", tmp_path / "marks"
    marks.mkdir()

    async def scenario() -> None:
        async with agent_under_test(work_dir, *flags) as agent:
            crashing = Crashing(agent, marks)
            for _ in range(crashes):
                crashing.launch_some()
                crashing.kill_some()
                await crashing.crash()
            assert len(crashing.expected) > crashes / 2, "most of the tasks were never taken: nothing is shown"
            await crashing.finish()
            crashing.check()

    asyncio.run(scenario())
    assert left_over(work_dir) == []
