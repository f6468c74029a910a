"""The units for systemd, as systemd reads them, and what a daemon tells who started it."""

from __future__ import annotations

import asyncio
import configparser
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from house.repository import ROOT
from linux.loops import in_a_loop

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
UNITS = ROOT / "deploy/systemd"
LIMIT_S = 30.0


def test_systemd_finds_nothing_to_say_about_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze: apt-get install systemd")
    programs = tmp_path / "bin"
    programs.mkdir()
    copies = []
    for unit in sorted(UNITS.iterdir()):
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(unit.read_text().replace("/usr/local/bin", str(programs)))
    for name in ("mesos-master", "mesos-agent"):
        (programs / name).symlink_to(Path(sys.executable).with_name(name))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *copies], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def unit(name: str) -> dict[str, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign] - names of systemd have capitals
    parser.read(UNITS / name)
    return dict(parser["Service"])


def test_a_stop_of_the_agents_unit_kills_the_agent_alone_and_its_tasks_may_have_cgroups() -> None:
    agent = unit("merismos-agent.service")
    assert (agent["KillMode"], agent["Delegate"], agent["Type"]) == ("process", "yes", "notify")
    assert agent["RuntimeDirectoryPreserve"] == "yes", "the supervisor's socket outlasts a restart"
    assert "OOMScoreAdjust" not in agent, "tasks would inherit it"


class Ear:
    """Who started a daemon, and hears what it says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(path))

    async def next(self) -> str:
        async with asyncio.timeout(LIMIT_S):
            return (await asyncio.get_running_loop().sock_recv(self._socket, 4096)).decode()

    def close(self) -> None:
        self._socket.close()


@pytest.mark.parametrize("daemon", ["master", "agent"])
@in_a_loop
async def test_a_daemon_says_that_it_serves_and_then_again_and_again_that_it_lives(tmp_path: Path, daemon: str) -> None:
    ear = Ear(tmp_path / "notify")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"merismos.daemons.{daemon}", "--ip=127.0.0.1", "--port=0", f"--work_dir={tmp_path / 'w'}",
        *(["--master=127.0.0.1:1"] if daemon == "agent" else []),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "NOTIFY_SOCKET": str(ear.path), "WATCHDOG_USEC": "100000"},
    )  # fmt: skip
    try:
        assert [await ear.next() for _ in range(4)] == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]
    finally:
        process.terminate()
        await process.wait()
        ear.close()
    assert process.returncode == 0
