"""What an agent watches without cgroups: disk in sandboxes, and ports that are listened on."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from merismos.containers.disk_quota import measure
from process.agent_process import AgentUnderTest
from process.link_master import LinkMaster, link_master, task

pytestmark = pytest.mark.process
CPUS = {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}}
LISTEN = """
import socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(600)
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port


def run(master: LinkMaster, name: str, command: object, *resources: dict[str, Any]) -> None:
    master.run(task(name, command) | {"resources": [CPUS, *resources]})


def test_a_task_that_fills_more_disk_than_it_asked_for_is_ended_with_the_numbers(tmp_path: Path) -> None:
    disk = {"name": "disk", "type": "SCALAR", "scalar": {"value": 2}}

    async def scenario() -> None:
        async with link_master() as master:
            flags = ("--isolation=disk/du", "--enforce_container_disk_quota", "--container_disk_watch_interval=50ms")
            agent = AgentUnderTest(master, tmp_path / "work", flags)
            await agent.start()
            try:
                run(master, "small", "head -c 1000000 /dev/zero >some; sleep 600", disk)
                run(master, "big", "mkdir -p a/b; head -c 6000000 /dev/zero >a/b/much; sleep 600", disk)
                run(master, "unbounded", "head -c 6000000 /dev/zero >much; sleep 600")
                ended = await master.end_of("big")
                assert (ended["state"], ended["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LIMITATION_DISK")
                assert ended["message"].startswith("Disk usage (")
                assert ended["message"].endswith("exceeds quota (2MB)")
                assert ended["limitation"]["resources"][0]["name"] == "disk"
                for name in ("small", "unbounded"):
                    assert master.states(name)[-1] == "TASK_RUNNING"
            finally:
                await agent.end()

    asyncio.run(scenario())


def test_a_task_that_listens_on_a_port_it_was_not_given_is_ended(tmp_path: Path) -> None:
    given, taken = free_port(), free_port()
    ports = {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": given, "end": given}]}}

    def listen(port: int) -> dict[str, Any]:
        return {"shell": False, "value": sys.executable, "arguments": ["python", "-c", LISTEN, str(port)]}

    async def scenario() -> None:
        async with link_master() as master:
            flags = ("--isolation=network/ports", "--enforce_container_ports", "--container_ports_watch_interval=50ms")
            agent = AgentUnderTest(master, tmp_path / "work", flags)
            await agent.start()
            try:
                run(master, "fair", listen(given), ports)
                run(master, "greedy", listen(taken), ports)
                ended = await master.end_of("greedy")
                assert (ended["state"], ended["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LIMITATION")
                assert ended["message"].endswith(f"is listening on unallocated port(s): [{taken}-{taken}]")
                assert master.states("fair")[-1] == "TASK_RUNNING"
            finally:
                await agent.end()

    asyncio.run(scenario())


def test_a_sandbox_is_measured_by_what_it_takes_on_its_disk(tmp_path: Path) -> None:
    before = measure(str(tmp_path))
    (tmp_path / "a").mkdir()
    data = tmp_path / "a/data"
    data.write_bytes(b"x" * 1_000_000)
    (tmp_path / "again").hardlink_to(data)
    (tmp_path / "link").symlink_to("/")
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(10_000_000)
    assert 1_000_000 <= measure(str(tmp_path)) - before < 1_100_000
    assert measure(str(tmp_path / "missing")) == 0
