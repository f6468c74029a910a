"""An agent that runs containers of LXC, and a look at what they leave behind: mounts, cgroups, bundles, logs, locks, processes."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from linux.cgroup_agent import amounts, left_of, new_root
from linux.image_agent import RootedAgent, eventually
from linux.image_builder import BUSYBOX
from merismos.adapters.linux.mounts import mounts_below
from merismos.containers.lxc_programs import obstacle_of_lxc
from merismos.containers.supervisor import container_id_of, read_procs
from process.agent_process import AgentUnderTest, agent_under_test
from process.link_master import task

NAME = "box"
APPLETS = (
    "sh",
    "cat",
    "echo",
    "env",
    "head",
    "hostname",
    "id",
    "kill",
    "ls",
    "mkdir",
    "mknod",
    "mount",
    "ps",
    "readlink",
    "sleep",
    "touch",
)
HIERARCHY = Path("/sys/fs/cgroup")


def why_not() -> str:
    """Return why containers of LXC can't run here; empty where they can."""
    obstacle = obstacle_of_lxc()
    if obstacle is not None:
        return f"containers of LXC can't be had: {obstacle}"
    if not BUSYBOX.is_file():
        return f"there is no {BUSYBOX}: apt-get install busybox-static"
    return ""


def make_rootfs(folder: Path) -> Path:
    """Make a root filesystem with a shell, and a user of its own."""
    for one in ("bin", "dev", "etc", "proc", "root", "sys", "tmp"):
        (folder / one).mkdir(parents=True, exist_ok=True)
    shutil.copy(BUSYBOX, folder / "bin/busybox")
    for name in APPLETS:
        (folder / "bin" / name).symlink_to("busybox")
    (folder / "tmp").chmod(0o1777)
    (folder / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    return folder


class LxcAgent(RootedAgent):
    """An agent, and the cgroup root of its containers, empty where it makes none."""

    def __init__(self, agent: AgentUnderTest, folder: Path, root: str) -> None:
        super().__init__(agent)
        self.path = folder / "lxc"
        self.root = root

    def run(self, task_id: str, command: object, *, rootfs: str = NAME, mem: float = 64.0, **fields: Any) -> None:  # noqa: ANN401 - fields of TaskInfo
        image = {"type": "APPC", "appc": {"name": rootfs}}
        container = {"type": "MESOS", "mesos": {"image": image}, **fields.pop("container", {})}
        self.master.run(task(task_id, command, container=container, resources=amounts(0.1, mem), **fields))

    def container(self, task_id: str) -> str:
        name: str = self.master.statuses(task_id)[0]["container_status"]["container_id"]["value"]
        return name

    def folder(self, task_id: str, controller: str) -> Path:
        """Return the cgroup that the agent has made for a task (version 1)."""
        return HIERARCHY / controller / self.root / self.container(task_id)

    def limit(self, task_id: str, controller: str, file: str) -> str:
        return (self.folder(task_id, controller) / file).read_text().strip()

    def members(self, task_id: str, controller: str) -> set[int]:
        """Return the processes in a task's cgroup, and below."""
        files = self.folder(task_id, controller).rglob("cgroup.procs")
        return {int(pid) for file in files for pid in file.read_text().split()}

    def bundles(self) -> Path:
        return self.work_dir / "meta/lxc/bundles"

    def processes(self) -> list[int]:
        """Return the processes of every container that this agent has had."""
        ids = {name.encode() for name in self.containers()}
        return [row.pid for row in read_procs() if container_id_of(row.pid) in ids]

    def containers(self) -> list[str]:
        runs = self.work_dir.glob("slaves/*/frameworks/*/executors/*/runs/*")
        return sorted(path.name for path in runs if not path.is_symlink())

    def remains(self) -> list[str]:
        """Return everything that only a running container may have."""
        lxc = self.work_dir / "meta/lxc"
        names = {f"lxc.{kind}.{one}" for kind in ("payload", "monitor", "pivot") for one in self.containers()}
        cgroups = [f"{above}/{name}" for above, below, _ in os.walk(HIERARCHY) for name in below if name in names]
        locks = Path(f"/run/lxc/lock{self.bundles()}")
        found = [*lxc.glob("bundles/*"), *lxc.glob("logs/*"), *cgroups, *([locks] if locks.exists() else [])]
        return [*mounts_below(lxc), *map(str, found), *map(str, self.processes())]

    async def until_clean(self) -> None:
        """Wait until nothing is left of a container but what the agent keeps for all."""
        await eventually(lambda: not list(self.bundles().iterdir()), self.remains)


@asynccontextmanager
async def lxc_agent(
    folder: Path, *flags: str, isolation: str = "cgroups/cpu,cgroups/mem", containerizers: str = "mesos,lxc"
) -> AsyncIterator[LxcAgent]:
    """Run an agent with LXC; nothing of its containers is left in the end."""
    if not (folder / "lxc").exists():
        make_rootfs(folder / "lxc" / NAME / "rootfs")
    given = [f"--containerizers={containerizers}", f"--lxc_path={folder / 'lxc'}"]
    root = ""
    if isolation:
        root = new_root()
        given += [f"--isolation={isolation}", f"--cgroups_root={root}"]
    async with agent_under_test(folder / "w", *given, *flags) as agent:
        found = LxcAgent(agent, folder, root)
        yield found
    assert found.remains() == [], "something of a container is left behind"
    assert not root or left_of(root) == [], "cgroups are left behind"
