"""An agent that runs containers of images, and a look at what they leave behind: mounts, cgroups, bundles, runtime state, leases."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from linux.image_builder import BUSYBOX, BuiltImage, busybox_layer
from merismos.adapters.linux.mounts import mounts_below
from merismos.containers.oci_runtimes import find_runtimes
from process.agent_process import AgentUnderTest, agent_under_test
from process.link_master import task

NAME = "shell"
LIMIT_S = 30.0
POLL_S = 0.02
MEM_MB = 64.0


def why_not() -> str:
    """Return why containers of images can't run here; empty where they can."""
    if os.geteuid() != 0:
        return "containers of images need root"
    if not find_runtimes():
        return "there is no OCI runtime: apt-get install runc"
    if not BUSYBOX.is_file() or shutil.which("busybox") is None:
        return f"there is no {BUSYBOX}: apt-get install busybox-static"
    return ""


class RootedAgent:
    """An agent whose tasks have a root of their own, and what they wrote."""

    def __init__(self, agent: AgentUnderTest) -> None:
        self.agent = agent
        self.master = agent.master
        self.work_dir = agent.work_dir

    def run(self, task_id: str, command: object, **fields: Any) -> None:  # noqa: ANN401 - fields of TaskInfo
        raise NotImplementedError

    async def end_of(self, task_id: str) -> dict[str, Any]:
        return await self.master.end_of(task_id)

    async def output_of(self, task_id: str, command: object, **fields: Any) -> str:  # noqa: ANN401 - fields of TaskInfo
        """Run a task to its good end; return what it wrote."""
        self.run(task_id, command, **fields)
        status = await self.end_of(task_id)
        assert status["state"] == "TASK_FINISHED", (status["message"], self.output(task_id), self.agent.said())
        return self.output(task_id)

    def sandbox(self, task_id: str) -> Path:
        return self.work_dir / f"slaves/S0/frameworks/F/executors/{task_id}/runs/latest"

    def output(self, task_id: str) -> str:
        files = (self.sandbox(task_id) / "stdout", self.sandbox(task_id) / "stderr")
        return "".join(file.read_text() for file in files if file.exists())


class ImageAgent(RootedAgent):
    """An agent with images, and its store."""

    def __init__(self, agent: AgentUnderTest, folder: Path) -> None:
        super().__init__(agent)
        self.store = folder / "store"

    def run(
        self,
        task_id: str,
        command: object,
        *,
        image: str = NAME,
        more: Sequence[dict[str, Any]] = (),
        **fields: Any,  # noqa: ANN401 - fields of TaskInfo
    ) -> None:
        container = {"type": "MESOS", "mesos": {"image": of_docker(image)}, **fields.pop("container", {})}
        resources = [
            {"name": name, "type": "SCALAR", "scalar": {"value": value}}
            for name, value in (("cpus", 0.1), ("mem", MEM_MB))
        ]
        self.master.run(task(task_id, command, container=container, resources=[*resources, *more], **fields))

    def bundles(self) -> list[str]:
        return sorted(path.name for path in (self.work_dir / "meta/oci/bundles").iterdir())

    def remains(self) -> list[str]:
        """Return everything that only a running container may have."""
        oci = self.work_dir / "meta/oci"
        ids = {
            path.name
            for path in self.work_dir.glob("slaves/*/frameworks/*/executors/*/runs/*")
            if not path.is_symlink()
        }
        cgroups = [path for path in Path("/sys/fs/cgroup").glob("*/*") if path.name in ids]
        leases = [path for path in self.store.glob("leases/*/*") if not path.name.startswith(".")]
        found = [*oci.glob("bundles/*"), *oci.glob("state*/*"), *cgroups, *leases]
        return [*mounts_below(oci), *map(str, found)]


def of_docker(name: str) -> dict[str, Any]:
    return {"type": "DOCKER", "docker": {"name": name}}


async def eventually(true: Callable[[], bool], said: Callable[[], object] = str) -> None:
    """Wait until something is so that nobody tells of, for half a minute."""
    nobody = asyncio.Event()
    try:
        async with asyncio.timeout(LIMIT_S):
            while not true():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(nobody.wait(), POLL_S)
    except TimeoutError as error:
        raise AssertionError(f"still not so: {said()}") from error


def make_images(folder: Path) -> Path:
    """Save an image with a shell as `shell`, and one that says how it is run as `server`."""
    images = folder / "images"
    layer = busybox_layer()
    BuiltImage(layer, config={"Env": ["PATH=/bin", "FROM_IMAGE=1"]}).save(images / f"{NAME}.tar", f"{NAME}:latest")
    served = {
        "Env": ["PATH=/bin"],
        "Entrypoint": ["echo", "entry"],
        "Cmd": ["cmd"],
        "WorkingDir": "/srv/there",
        "User": "web",
    }
    BuiltImage(layer, config=served).save(images / "server.tar", "server:latest")
    return images


@asynccontextmanager
async def image_agent(
    folder: Path, *flags: str, registry: str = "", launcher: tuple[str, ...] = ()
) -> AsyncIterator[ImageAgent]:
    """Run an agent with images; nothing of them is left in the end."""
    where = registry or str(make_images(folder))
    given = (f"--docker_registry={where}", f"--docker_store_dir={folder / 'store'}", "--image_providers=docker")
    async with agent_under_test(folder / "w", *given, *flags, launcher=launcher) as agent:
        found = ImageAgent(agent, folder)
        yield found
    assert found.remains() == [], "something of a container is left behind"
