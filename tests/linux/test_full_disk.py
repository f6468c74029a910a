"""A disk that fills up: the oldest sandboxes go, as many as its fullness says, and never one that is in use."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linux.loops import in_a_loop
from process.agent_process import agent_under_test
from process.link_master import task

pytestmark = pytest.mark.process
SIZE_MB = 32
DAY_S = 86400
LIMIT_S = 30.0
POLL_S = 0.02


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small file system."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=0755", "none", str(place)],
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True, timeout=20)


async def eventually(true: Callable[[], bool]) -> None:
    """Wait until something is so that nobody tells of, for half a minute."""
    nobody = asyncio.Event()
    async with asyncio.timeout(LIMIT_S):
        while not true():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(nobody.wait(), POLL_S)


def ended_before(work_dir: Path, name: str, age_s: float) -> Path:
    """Leave the sandbox of an earlier run, of a megabyte."""
    run = work_dir / "slaves/S0/frameworks/F/executors" / name / "runs" / "c"
    run.mkdir(parents=True)
    (run / "stdout").write_bytes(bytes(1 << 20))
    os.utime(run, (time.time() - age_s, time.time() - age_s))
    return run


def metric(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics/snapshot", timeout=10) as answer:
        return float(json.loads(answer.read())[name])


@in_a_loop
async def test_the_oldest_sandboxes_go_first_when_the_disk_fills(disk: Path) -> None:
    work_dir = disk / "work"
    old, young = ended_before(work_dir, "old", 5 * DAY_S), ended_before(work_dir, "young", 1 * DAY_S)
    flags = ("--gc_delay=1weeks", "--gc_disk_headroom=0.1", "--disk_watch_interval=50ms", f"--port_file={disk}/port")
    async with agent_under_test(work_dir, *flags) as agent:
        port = int((disk / "port").read_text())
        agent.master.run(task("filler", "touch mine; exec sleep 600"))
        await agent.pid_of("filler")
        ballast = disk / "ballast"
        # with u of the disk used, a sandbox may be (0.9 - u) weeks old: 5 days at u < 0.18, 1 day at u < 0.75
        assert old.exists()
        ballast.write_bytes(bytes(SIZE_MB * 45 // 100 << 20))
        await eventually(lambda: not old.exists())
        assert young.exists()
        ballast.write_bytes(bytes(SIZE_MB * 92 // 100 << 20))
        await eventually(lambda: not young.exists())
        (mine,) = work_dir.glob("slaves/*/frameworks/*/executors/filler/runs/latest/mine")
        assert mine.exists(), "what runs is not removed, however full the disk"
        await eventually(lambda: metric(port, "gc/path_removals_succeeded") == 2)
        assert metric(port, "gc/path_removals_failed") == 0
