"""An agent with cgroups isolation under test, and a look at what it leaves behind.

The same tests run on the host's hierarchies and, inside user-mode Linux, on a pure hierarchy of version 2.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from merismos.adapters.linux import cgroup_detection
from process.agent_process import AgentUnderTest, agent_under_test
from process.link_master import task

HIERARCHY = Path("/sys/fs/cgroup")
VERSION = cgroup_detection.version_of(HIERARCHY)
LIMIT_S = 30.0
POLL_S = 0.02
HUNGRY = "python3 -c 'held = bytearray(200 << 20)'"
_number = iter(range(1_000_000))


def why_not(*isolators: str) -> str:
    """Return why containers can't be isolated so here; empty where they can."""
    return next(
        (text for one in isolators if (text := cgroup_detection.obstacle(HIERARCHY, VERSION, one)) is not None), ""
    )


class CgroupAgent:
    """An agent, and the root of its containers' cgroups."""

    def __init__(self, agent: AgentUnderTest, root: str) -> None:
        self.agent = agent
        self.master = agent.master
        self.root = root

    def run(self, task_id: str, command: object, *, cpus: float = 2.0, mem: float = 64, **fields: object) -> None:
        self.master.run(task(task_id, command, resources=amounts(cpus, mem), **fields))

    async def end_of(self, task_id: str) -> dict[str, Any]:
        return await self.master.end_of(task_id)

    def sandbox(self, task_id: str) -> Path:
        return self.agent.work_dir / f"slaves/S0/frameworks/F/executors/{task_id}/runs/latest"

    def output(self, task_id: str) -> str:
        return (self.sandbox(task_id) / "stdout").read_text() + (self.sandbox(task_id) / "stderr").read_text()

    def container(self, task_id: str) -> str:
        name: str = self.master.statuses(task_id)[0]["container_status"]["container_id"]["value"]
        return name

    def folder(self, task_id: str, controller: str) -> Path:
        above = HIERARCHY / controller if VERSION == 1 else HIERARCHY
        return above / self.root / self.container(task_id)

    def read(self, task_id: str, controller: str, v1: str, v2: str) -> str:
        return (self.folder(task_id, controller) / (v1 if VERSION == 1 else v2)).read_text().strip()

    def read_all(self, controller: str, v1: str, v2: str) -> list[str]:
        """Return what a file says for each container; one whose cgroup goes meanwhile says nothing."""
        above = HIERARCHY / controller if VERSION == 1 else HIERARCHY
        found = []
        for path in (above / self.root).glob(f"*/{v1 if VERSION == 1 else v2}"):
            try:
                found.append(path.read_text().strip())
            except OSError as error:
                if error.errno not in {errno.ENODEV, errno.ENOENT}:
                    raise
        return found


def amounts(cpus: float, mem: float) -> list[dict[str, object]]:
    return [
        {"name": name, "type": "SCALAR", "scalar": {"value": value}} for name, value in (("cpus", cpus), ("mem", mem))
    ]


def new_root() -> str:
    return f"merismos-test-{os.getpid()}-{next(_number)}"


def left_of(root: str) -> list[str]:
    """Return the cgroups below a root, and the root, whatever the hierarchy."""
    return [str(path) for path in (*HIERARCHY.glob(f"*/{root}/**/"), *HIERARCHY.glob(f"{root}/**/")) if path.is_dir()]


@asynccontextmanager
async def cgroup_agent(work_dir: Path, isolation: str, *flags: str, root: str = "") -> AsyncIterator[CgroupAgent]:
    root = root or new_root()
    async with agent_under_test(work_dir, f"--isolation={isolation}", f"--cgroups_root={root}", *flags) as agent:
        yield CgroupAgent(agent, root)
    assert left_of(root) == [], "cgroups are left behind"


async def eventually(true: Callable[[], bool]) -> None:
    """Wait until something is so that nobody tells of, for half a minute."""
    nobody = asyncio.Event()
    async with asyncio.timeout(LIMIT_S):
        while not true():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(nobody.wait(), POLL_S)
