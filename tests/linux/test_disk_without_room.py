"""A work directory on a disk that is full: the agent says so, loses nothing, and goes on when there is room."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from linux.cgroup_agent import eventually
from linux.loops import in_a_loop
from merismos.containers import supervisor
from merismos.protocol import link
from process.agent_process import AgentUnderTest
from process.link_master import link_master, task

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
SIZE_MB = 16
STALLED = "checkpoints can't be written"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small ext4."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("there is no mkfs.ext4: apt-get install e2fsprogs")
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(SIZE_MB << 20)
    for words in (["mkfs.ext4", "-q", "-m", "0", str(image)], ["mount", "-o", "loop", str(image), str(place)]):
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            pytest.skip(f"no ext4 can be mounted from a file here: {done.stderr}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True, timeout=20)


def fill(place: Path) -> Path:
    """Leave no block free."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for piece in (1 << 20, 1 << 12, 1 << 9, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(piece))
        os.fsync(file.fileno())
    return ballast


@asynccontextmanager
async def agent_on(disk: Path) -> AsyncIterator[AgentUnderTest]:
    """Run an agent that works on a disk, and logs elsewhere."""
    async with link_master() as master:
        agent = AgentUnderTest(master, disk / "work", ())
        agent.log = disk.with_name("agent.log")
        try:
            await agent.start()
            yield agent
        finally:
            await agent.end()


def let_end(disk: Path) -> None:
    (sandbox,) = disk.glob("work/slaves/*/frameworks/*/executors/old/runs/latest")
    (sandbox / "go").touch()


@in_a_loop
async def test_a_full_disk_is_named_holds_back_what_is_new_and_loses_nothing(disk: Path) -> None:
    async with agent_on(disk) as agent:
        agent.master.run(task("old", "until [ -e go ]; do sleep 0.05; done; exit 7"))
        pid = await agent.pid_of("old")
        ballast = fill(disk)
        for number in range(40):  # what is written down is more than what the last block has left
            agent.master.run(task(f"new-{number}", "true"))
        await eventually(lambda: STALLED in agent.said())
        assert "No space left on device" in agent.said()
        assert supervisor.read_proc(pid) is not None, "what runs goes on"
        held_back = [f"new-{n}" for n in range(40) if "TASK_RUNNING" not in agent.master.states(f"new-{n}")]
        assert held_back
        ballast.unlink()
        for number in range(40):
            await agent.master.end_of(f"new-{number}")
        await eventually(lambda: "checkpoints are written again" in agent.said())
        let_end(disk)
        assert (await agent.master.end_of("old"))["message"] == "Command exited with status 7"


@in_a_loop
async def test_an_agent_that_is_started_again_on_a_full_disk_waits_for_room_and_still_has_its_tasks(disk: Path) -> None:
    async with agent_on(disk) as agent:
        agent.master.run(task("old", "until [ -e go ]; do sleep 0.05; done; exit 7"))
        pid = await agent.pid_of("old")
        ballast = fill(disk)
        agent.master.run(*(task(f"new-{number}", "true") for number in range(40)))
        await eventually(lambda: STALLED in agent.said())
        await agent.kill()
        await agent.spawn()
        await eventually(lambda: agent.said().count(STALLED) == 2)
        assert supervisor.read_proc(pid) is not None
        ballast.unlink()
        await agent.master.until(lambda: bool(agent.master.of(link.ReregisterAgent)))
        known = {json.loads(one.task)["name"]: one.state for one in agent.master.of(link.ReregisterAgent)[-1].tasks}
        assert known["old"] == "TASK_RUNNING"
        for name in known:
            if name != "old":
                await agent.master.end_of(name)
        let_end(disk)
        assert (await agent.master.end_of("old"))["message"] == "Command exited with status 7"
        assert supervisor.read_proc(pid) is None
