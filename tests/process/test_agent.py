"""An agent as a process of its own, under a master that the test plays."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from merismos.containers import supervisor
from merismos.protocol import link
from process.link_master import LinkMaster, link_master, task

pytestmark = pytest.mark.process
LIMIT_S = 30.0
AGENT = [sys.executable, "-m", "merismos.daemons.agent"]


class Running:
    def __init__(self, master: LinkMaster, process: asyncio.subprocess.Process, work_dir: Path, url: str) -> None:
        self.master = master
        self.process = process
        self.work_dir = work_dir
        self.url = url

    async def get(self, path: str) -> tuple[int, Any]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            body = await answer.read()
            return answer.status, json.loads(body) if answer.content_type == "application/json" else body

    async def stop(self) -> int:
        """End the agent with all that it runs."""
        self.process.send_signal(signal.SIGUSR1)
        async with asyncio.timeout(LIMIT_S):
            return await self.process.wait()

    def sandbox(self, task_id: str) -> Path:
        return self.work_dir / f"slaves/S0/frameworks/F/executors/{task_id}/runs/latest"


@asynccontextmanager
async def running(work_dir: Path, *flags: str) -> AsyncIterator[Running]:
    async with link_master() as master:
        process = await asyncio.create_subprocess_exec(
            *AGENT,
            f"--master=127.0.0.1:{master.port}",
            "--ip=127.0.0.1",
            "--port=0",
            f"--work_dir={work_dir}",
            "--registration_backoff_factor=50ms",
            "--quiet",
            "--resources=cpus:4;mem:1024;disk:1024;ports:[31000-31999]",
            *(flags if "--switch_user" in flags else ("--no-switch_user", *flags)),
        )
        try:
            await master.until(lambda: bool(master.of(link.RegisterAgent)))
            (introduction,) = master.of(link.RegisterAgent)
            await master.until(lambda: master.links > 0)
            yield Running(master, process, work_dir, f"http://{introduction.pid.partition('@')[2]}")
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGUSR1)
                await process.wait()


def test_an_agent_introduces_itself_runs_a_task_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, "--attributes=rack:r1;level:10") as agent:
            info = json.loads(agent.master.of(link.RegisterAgent)[0].info)
            assert info["hostname"] == "localhost"
            assert [entry["name"] for entry in info["attributes"]] == ["rack", "level"]
            assert {entry["name"] for entry in info["resources"]} == {"cpus", "mem", "disk", "ports"}
            agent.master.run(task("t", "echo hello; exit 3"))
            status = await agent.master.end_of("t")
            assert status["message"] == "Command exited with status 3"
            assert agent.master.states("t") == ["TASK_STARTING", "TASK_RUNNING", "TASK_FAILED"]
            assert (agent.sandbox("t") / "stdout").read_text() == "hello\n"
            assert await agent.stop() == 0
            assert agent.master.of(link.UnregisterAgent)

    asyncio.run(scenario())
    assert not [row for row in supervisor.read_procs() if work_dir_of(row.pid) == str(tmp_path)]


def work_dir_of(pid: int) -> str | None:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    return next((one[11:].decode() for one in arguments if one.startswith(b"--work_dir=")), None)


def test_stopping_an_agent_ends_its_tasks_first_and_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as agent:
            agent.master.run(task("t", "sleep 600"))
            await agent.master.until(lambda: "TASK_RUNNING" in agent.master.states("t"))
            pid = agent.master.statuses("t")[-1]["container_status"]["executor_pid"]
            assert await agent.stop() == 0
            assert agent.master.states("t")[-2:] == ["TASK_KILLING", "TASK_KILLED"]
            assert supervisor.read_proc(pid) is None

    asyncio.run(scenario())


def test_a_kill_ends_the_whole_tree_after_the_grace(tmp_path: Path) -> None:
    line = "trap '' TERM; (setsid sleep 600 &) ; sleep 600 & sleep 600; sleep 600"

    async def scenario() -> None:
        async with running(tmp_path) as agent:
            agent.master.run(task("t", line, kill_policy={"grace_period": {"nanoseconds": 200_000_000}}))
            await agent.master.until(lambda: "TASK_RUNNING" in agent.master.states("t"))
            container = agent.master.statuses("t")[0]["container_status"]["container_id"]["value"].encode()
            agent.master.send(link.KillTask("F", "t"))
            status = await agent.master.end_of("t")
            assert status["state"] == "TASK_KILLED"
            left = [row.pid for row in supervisor.read_procs() if supervisor.container_id_of(row.pid) == container]
            assert left == []

    asyncio.run(scenario())


def test_tasks_survive_a_lost_link_and_are_named_when_the_agent_returns(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as agent:
            os.mkfifo(tmp_path / "go")
            agent.master.run(task("t", f"cat {tmp_path / 'go'}"))
            await agent.master.until(lambda: "TASK_RUNNING" in agent.master.states("t"))
            agent.master.cut()
            await agent.master.until(lambda: bool(agent.master.of(link.ReregisterAgent)))
            (back,) = agent.master.of(link.ReregisterAgent)
            assert [(record.state, json.loads(record.task)["name"]) for record in back.tasks] == [("TASK_RUNNING", "t")]
            await asyncio.get_running_loop().run_in_executor(None, (tmp_path / "go").write_text, "done\n")
            assert (await agent.master.end_of("t"))["state"] == "TASK_FINISHED"

    asyncio.run(scenario())


def test_a_supervisor_that_dies_fails_its_tasks_and_is_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as agent:
            agent.master.run(task("t", "sleep 600"))
            await agent.master.until(lambda: "TASK_RUNNING" in agent.master.states("t"))
            pid = agent.master.statuses("t")[-1]["container_status"]["executor_pid"]
            row = supervisor.read_proc(pid)
            assert row is not None
            os.kill(row.ppid, signal.SIGKILL)
            status = await agent.master.end_of("t")
            assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_EXECUTOR_TERMINATED")
            for number in range(100):
                agent.master.run(task(f"again-{number}", "true"))
                if (await agent.master.end_of(f"again-{number}"))["state"] == "TASK_FINISHED":
                    return
            pytest.fail("no task ran after the supervisor had died")

    asyncio.run(scenario())


def test_uris_are_there_when_the_command_starts(tmp_path: Path) -> None:
    (tmp_path / "source.txt").write_text("fetched\n")
    uri = {"value": f"file://{tmp_path / 'source.txt'}", "output_file": "in.txt"}

    async def scenario() -> None:
        async with running(tmp_path / "work") as agent:
            agent.master.run(task("t", {"value": "cat in.txt", "uris": [uri]}))
            agent.master.run(task("bad", {"value": "true", "uris": [{"value": "file:///no/such/file"}]}))
            assert (await agent.master.end_of("t"))["state"] == "TASK_FINISHED"
            assert (agent.sandbox("t") / "stdout").read_text() == "fetched\n"
            status = await agent.master.end_of("bad")
            assert status["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
            assert "No such file or directory" in status["message"]
            assert agent.master.states("bad") == ["TASK_FAILED"]

    asyncio.run(scenario())


def test_what_cannot_be_started_fails_with_the_reason_and_the_agent_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as agent:
            agent.master.run(
                task("long", {"value": "true", "environment": {"variables": [{"name": "A", "value": "x" * 200_000}]}})
            )
            status = await agent.master.end_of("long")
            assert status["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
            assert status["message"] == "Failed to launch container: Argument list too long"
            agent.master.run(task("missing", {"shell": False, "value": "/no/such/program", "arguments": ["x"]}))
            assert (await agent.master.end_of("missing"))["message"] == "Command exited with status 1"
            assert "No such file or directory" in (agent.sandbox("missing") / "stderr").read_text()
            executors = tmp_path / "slaves/S0/frameworks/F/executors"
            (executors / "blocked").write_text("a file where a directory should be")
            agent.master.run(task("blocked", "true"))
            status = await agent.master.end_of("blocked")
            assert "cannot create the sandbox" in status["message"]
            agent.master.run(task("after", "true"))
            assert (await agent.master.end_of("after"))["state"] == "TASK_FINISHED"

    asyncio.run(scenario())


def test_the_endpoints_show_what_runs_and_its_output(tmp_path: Path) -> None:
    latest = "/frameworks/F/executors/t/runs/latest"

    async def scenario() -> None:
        async with running(tmp_path) as agent:
            agent.master.run(task("t", "echo hello; exec sleep 600"))
            await agent.master.until(lambda: "TASK_RUNNING" in agent.master.states("t"))
            for prefix in ("", "/slave(1)"):
                status, state = await agent.get(f"{prefix}/state")
                assert status == 200
                (executor,) = state["frameworks"][0]["executors"]
                assert executor["tasks"][0]["state"] == "TASK_RUNNING"
                assert state["flags"]["work_dir"] == str(tmp_path)
            (container,) = (await agent.get("/containers"))[1]
            assert container["executor_id"] == "t"
            assert container["statistics"]["mem_rss_bytes"] > 0
            metrics = (await agent.get("/metrics/snapshot"))[1]
            assert metrics["slave/tasks_running"] == 1.0
            assert metrics["slave/cpus_used"] == 0.1
            listed = (await agent.get(f"/files/browse?path={latest}"))[1]
            assert [entry["path"] for entry in listed] == [f"{latest}/stderr", f"{latest}/stdout"]

    asyncio.run(scenario())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a task as somebody else")
def test_a_task_runs_as_its_user(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, "--switch_user") as agent:
            agent.master.run(task("t", {"value": "id -un; touch made", "user": "nobody"}))
            agent.master.run(task("stranger", {"value": "true", "user": "nobody-at-all"}))
            assert (await agent.master.end_of("t"))["state"] == "TASK_FINISHED"
            assert (agent.sandbox("t") / "stdout").read_text() == "nobody\n"
            status = await agent.master.end_of("stranger")
            assert status["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
            assert "user 'nobody-at-all' does not exist" in status["message"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--work_dir=/tmp/x"], "--master is missing"),
        (["--master=127.0.0.1:5050"], "--work_dir is missing"),
        (["--master=zk://h:2181", "--work_dir=/tmp/x"], "names no path"),
        (["--master=nowhere", "--work_dir=/tmp/x"], "host:port"),
        (["--master=h:1", "--work_dir=/tmp/x", "--resources=cpus:nonsense"], "--resources"),
        (["--master=h:1", "--work_dir=/tmp/x", "--port=0", "--executor_environment_variables=[]"], "JSON object"),
        (["--mastr=h:1"], "nearest is --master"),
    ],
)
def test_a_flag_that_cannot_be_met_ends_the_start_with_what_to_do(flags: list[str], said: str) -> None:
    async def scenario() -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *AGENT,
            "--port=0",
            "--ip=127.0.0.1",
            *[one for one in flags if one != "--port=0"],
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(LIMIT_S):
            _, said_bytes = await process.communicate()
        return process.returncode, said_bytes.decode()

    code, text = asyncio.run(scenario())
    assert code == 64
    assert said in text
