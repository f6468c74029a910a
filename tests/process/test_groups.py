"""Task groups as real processes: a killed agent finds them again, and ends them together."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from merismos.protocol import link
from process.agent_process import AgentUnderTest
from process.link_master import FRAMEWORK, LinkMaster, link_master, task

pytestmark = pytest.mark.process
EXECUTOR = {"type": "DEFAULT", "executor_id": {"value": "pod"}}


def run_group(master: LinkMaster, *tasks: dict[str, object]) -> None:
    raw = [json.dumps(one | {"executor": EXECUTOR}).encode() for one in tasks]
    executor = json.dumps(EXECUTOR).encode()
    master.send(link.RunTaskGroup("F", json.dumps(FRAMEWORK).encode(), "eng", executor, raw))


def test_a_group_outlives_its_agent_and_one_failure_ends_it_all(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with link_master() as master:
            agent = AgentUnderTest(master, tmp_path / "work", ())
            await agent.start()
            try:
                run_group(
                    master,
                    task("a", "echo from a; until [ -e stop ]; do sleep 0.05; done; exit 4"),
                    task("b", "sleep 600"),
                )
                pids = [await agent.pid_of(name) for name in ("a", "b")]
                await agent.kill()
                await agent.start()
                assert [await agent.pid_of(name) for name in ("a", "b")] == pids
                (run,) = (agent.work_dir / "slaves/S0/frameworks/F/executors/pod/runs").glob("*-*")
                (sandbox,) = (path.parent for path in run.glob("containers/*/stdout") if path.read_text() == "from a\n")
                (sandbox / "stop").touch()
                ended = await master.end_of("a")
                assert (ended["state"], ended["message"]) == ("TASK_FAILED", "Command exited with status 4")
                assert (await master.end_of("b"))["state"] == "TASK_KILLED"
                await master.until(lambda: bool(master.of(link.ExitedExecutor)))
                for pid in pids:
                    await agent.until_gone(pid)
            finally:
                await agent.end()

    asyncio.run(scenario())
