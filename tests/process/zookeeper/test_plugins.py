"""A detector, a contender and a registry of somebody else's plug in by their names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from process.sessions.cluster import ATTRIBUTES, RESOURCES, Daemon
from process.zookeeper.masters import Standing, until

pytestmark = pytest.mark.process

FOREIGN = '''
import asyncio
from merismos.adapters.storage.memory import MemoryRegistry
from merismos.ports.contender import Elected
from merismos.ports.detector import Leader

class FileDetector:
    """The leader is who is written in a file."""
    def __init__(self, path):
        self.path = path
    def start(self, on_change):
        host, _, port = open(self.path).read().strip().partition(":")
        asyncio.get_running_loop().call_soon(on_change, Leader(host, int(port), host))
    async def close(self):
        pass

class FirstCome:
    def contend(self, candidate, on_standing):
        asyncio.get_running_loop().call_soon(on_standing, Elected(0))
    def may_decide(self):
        return True
    async def close(self):
        pass

def detector(address, session_timeout_s):
    return FileDetector(address.partition("://")[2])

def contender(address, session_timeout_s):
    return FirstCome()

def storage(work_dir):
    return MemoryRegistry()
'''
ENTRY_POINTS = """[merismos.detectors]
leaderfile = foreign_parts:detector
[merismos.contenders]
firstcome = foreign_parts:contender
[merismos.storages]
forgetful = foreign_parts:storage
"""


def installed(work_dir: Path) -> Path:
    """Install a package with three parts where a daemon that starts in this folder finds it; return the folder."""
    dist = work_dir / "foreign_parts-1.0.dist-info"
    dist.mkdir(parents=True)
    (work_dir / "foreign_parts.py").write_text(FOREIGN, encoding="utf-8")
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign-parts\nVersion: 1.0\n", encoding="utf-8")
    (dist / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    return work_dir


def agent(work_dir: Path, *flags: str) -> Daemon:
    return Daemon("agent", work_dir, [RESOURCES, ATTRIBUTES, "--registration_backoff_factor=20ms", *flags])


def test_parts_of_somebody_elses_package_elect_a_master_and_lead_an_agent_to_it(tmp_path: Path) -> None:
    where = tmp_path / "leader"
    where.write_text("127.0.0.1:1", encoding="utf-8")
    flags = ("--master_contender=firstcome", "--master_detector=leaderfile", "--registry=forgetful")
    master = Standing(installed(tmp_path / "master"), f"leaderfile://{where}", *flags)
    try:
        assert master.process.stdout is not None
        port = int(json.loads(master.process.stdout.readline())["port"])
        where.write_text(f"127.0.0.1:{port}", encoding="utf-8")
        by_scheme = agent(installed(tmp_path / "one"), f"--master=leaderfile://{where}")
        by_name = agent(installed(tmp_path / "two"), f"--master=x://{where}", "--master_detector=leaderfile")
        try:
            until(lambda: len(master.agents()) == 2, "both agents register", master.said)
        finally:
            codes = [one.stop() for one in (by_scheme, by_name)]
        assert codes == [0, 0]
    finally:
        master.stop()


def test_a_part_that_nobody_has_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    lost = agent(installed(tmp_path / "one"), "--master=nowhere://x")
    assert lost.process.wait(20) == 64
    assert "nothing here follows a master at nowhere://" in lost.said()
    lost.stop()
    master = Standing(installed(tmp_path / "master"), "zk://h/p", "--registry=elsewhere")
    assert master.process.wait(20) == 64
    assert "take one of forgetful, in_memory, replicated_log, sqlite, zookeeper" in master.said()
    master.stop()
