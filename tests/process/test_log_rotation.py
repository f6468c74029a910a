"""The output of tasks is kept within its bound by the agent, and by the next one after it was killed."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from merismos.containers.log_settings import LOGROTATE
from merismos.daemons import agent as daemon
from process.agent_process import agent_under_test
from process.link_master import task

pytestmark = pytest.mark.process

LIMIT_S = 30.0
BYTES_MAX = 65536


def flags(**parameters: str) -> tuple[str, str]:
    entries = [{"key": key, "value": value} for key, value in parameters.items()]
    modules = {"libraries": [{"file": "x.so", "modules": [{"name": LOGROTATE, "parameters": entries}]}]}
    return f"--container_logger={LOGROTATE}", f"--modules={json.dumps(modules)}"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0)


def test_a_task_s_output_is_rotated_before_and_after_its_agent_was_killed_and_not_between(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")

    def size() -> int:
        return next(iter(sandbox)).stat().st_size

    sandbox: list[Path] = []

    async def scenario() -> None:
        async with agent_under_test(tmp_path / "work", *flags(max_stdout_size="64KB")) as agent:
            write = "head -c 300000 /dev/zero"
            agent.master.run(task("t", f"{write}; read line < {tmp_path / 'go'}; {write}; exec sleep 600"))
            await agent.pid_of("t")
            sandbox.extend((tmp_path / "work").glob("slaves/*/frameworks/*/executors/t/runs/latest/stdout"))
            await until(lambda: size() <= BYTES_MAX and Path(f"{sandbox[0]}.1").exists())
            await agent.kill()
            before = size()
            await asyncio.to_thread((tmp_path / "go").write_text, "go\n")
            await until(lambda: size() == before + 300_000)
            await agent.start()
            await until(lambda: size() <= BYTES_MAX)
            assert sorted(path.name for path in sandbox[0].parent.iterdir()) == ["stderr", "stdout", "stdout.1"]

    asyncio.run(scenario())


def test_a_task_that_asks_for_an_impossible_bound_fails_and_says_why(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with agent_under_test(tmp_path / "work", *flags()) as agent:
            variable = {"name": "CONTAINER_LOGGER_MAX_STDERR_SIZE", "value": "1B"}
            agent.master.run(task("t", {"value": "true", "environment": {"variables": [variable]}}))
            status = await agent.master.end_of("t")
            assert status["state"] == "TASK_FAILED"
            assert "max_stderr_size: expected at least 4096B, not 1B" in status["message"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--container_logger=mine",), f"is not known; give {LOGROTATE}"),
        (flags(max_stdout_size="1B"), "max_stdout_size: expected at least 4096B"),
        (("--modules={}x",), "describes no modules"),
        (("--modules=/no/such/file",), "No such file"),
        (("--modules={}", "--modules_dir=/"), "not both"),
    ],
)
def test_flags_that_can_not_be_are_refused(
    tmp_path: Path, given: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = daemon.main([f"--work_dir={tmp_path}", "--master=127.0.0.1:1", "--ip=127.0.0.1", "--port=0", *given])
    assert code == 64
    assert words in capsys.readouterr().err
