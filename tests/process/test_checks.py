"""Checks and health checks of real tasks, by a real agent: commands, HTTP and TCP."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from merismos.containers import supervisor
from merismos.protocol import link
from process.agent_process import AgentUnderTest
from process.link_master import link_master, task

pytestmark = pytest.mark.process
TIMES = {"delay_seconds": 0.05, "interval_seconds": 0.1, "timeout_seconds": 20.0}
SERVER = """
import http.server, pathlib
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if pathlib.Path("up").exists() else 503)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
pathlib.Path("port.new").write_text(str(server.server_port))
pathlib.Path("port.new").rename("port")
server.serve_forever()
"""


def health(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a HealthCheck
    return {**TIMES, "grace_period_seconds": 0.0, "consecutive_failures": 2, **fields}


def health_told(statuses: list[dict[str, Any]]) -> list[bool]:
    return [one["healthy"] for one in statuses if "healthy" in one]


def sandbox(agent: AgentUnderTest, task_id: str) -> Path:
    return agent.work_dir / f"slaves/S0/frameworks/F/executors/{task_id}/runs/latest"


async def port_of_server(agent: AgentUnderTest) -> int:
    """Run a task that serves HTTP; return its port once it listens."""
    agent.master.run(task("server", {"shell": False, "value": sys.executable, "arguments": ["python", "-c", SERVER]}))
    await agent.master.until(lambda: "TASK_RUNNING" in agent.master.states("server"))
    async with asyncio.timeout(30):
        wait = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", "until [ -e port ]; do sleep 0.02; done", cwd=sandbox(agent, "server")
        )
        await wait.wait()
    return int((sandbox(agent, "server") / "port").read_text())


def test_a_command_sees_its_task_s_sandbox_and_its_failures_end_the_task(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with link_master() as master:
            agent = AgentUnderTest(master, tmp_path / "work", ())
            await agent.start()
            try:
                check = health(type="COMMAND", command={"value": 'test "$MARK" = here && test ! -e down'})
                command = {
                    "value": "sleep 600",
                    "environment": {"variables": [{"name": "MARK", "value": "here"}]},
                }
                master.run(task("t", command, health_check=check))
                await master.until(lambda: health_told(master.statuses("t")) == [True])
                (sandbox(agent, "t") / "down").touch()
                ended = await master.end_of("t")
                assert (ended["state"], ended["healthy"]) == ("TASK_KILLED", False)
                assert health_told(master.statuses("t"))[:3] == [True, False, False]
            finally:
                await agent.end()

    asyncio.run(scenario())


def test_http_and_tcp_checks_ask_the_machine_itself(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with link_master() as master:
            agent = AgentUnderTest(master, tmp_path / "work", ())
            await agent.start()
            try:
                port = await port_of_server(agent)
                http = health(type="HTTP", http={"port": port, "path": "/"}, consecutive_failures=1000)
                tcp = {**TIMES, "type": "TCP", "tcp": {"port": port}}
                master.run(task("t", "sleep 600", health_check=http, check=tcp))
                await master.until(lambda: False in health_told(master.statuses("t")))
                (sandbox(agent, "server") / "up").touch()
                await master.until(lambda: True in health_told(master.statuses("t")))
                connected = {"type": "TCP", "tcp": {"succeeded": True}}
                await master.until(lambda: master.statuses("t")[-1]["check_status"] == connected)
                master.send(link.KillTask("F", "server", None))
                await master.until(lambda: master.statuses("t")[-1]["check_status"]["tcp"] == {"succeeded": False})
            finally:
                await agent.end()

    asyncio.run(scenario())


def test_a_check_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with link_master() as master:
            agent = AgentUnderTest(master, tmp_path / "work", ())
            await agent.start()
            try:
                hanging = {"command": {"value": "(setsid sleep 700 &); sleep 700"}}
                check = {**TIMES, "type": "COMMAND", "command": hanging, "timeout_seconds": 0.3}
                master.run(task("t", "sleep 1", check=check))
                assert (await master.end_of("t"))["state"] == "TASK_FINISHED"
            finally:
                await agent.end()

    asyncio.run(scenario())
    assert not [row for row in supervisor.read_procs() if (supervisor.container_id_of(row.pid) or b"")[:6] == b"check-"]
