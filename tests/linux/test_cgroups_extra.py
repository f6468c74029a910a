"""Controllers of version 1 that few machines mount: made for the test, in a folder of its own beside the machine's freezer."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from linux.cgroup_agent import HIERARCHY, VERSION, cgroup_agent, eventually, new_root
from linux.loops import in_a_loop
from process.link_master import task

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
EXTRA = (
    "net_cls",
    "net_prio",
    "perf_event",
)  # hugetlb is version 2's where it isn't mounted: to mount it would disturb others
ISOLATION = ",".join(f"cgroups/{one}" for one in EXTRA)
WAIT = "until [ -e go ]; do sleep 0.02; done"


@pytest.fixture
def hierarchy(tmp_path: Path) -> Iterator[Path]:
    if VERSION != 1 or os.geteuid() != 0:
        pytest.skip("controllers of version 1 are mounted by root, on a machine that has cgroups of version 1")
    folder = tmp_path / "cgroup"
    folder.mkdir()
    (folder / "freezer").symlink_to(HIERARCHY / "freezer")
    libc = ctypes.CDLL(None, use_errno=True)
    mounted = []
    try:
        for name in EXTRA:
            (folder / name).mkdir()
            if libc.mount(b"cgroup", os.fsencode(folder / name), b"cgroup", 0, name.encode()) != 0:
                pytest.skip(f"the controller {name} can't be mounted: {os.strerror(ctypes.get_errno())}")
            mounted.append(folder / name)
        yield folder
    finally:
        for path in mounted:
            libc.umount2(os.fsencode(path), 0)


def cgroups_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return {line.split(":")[1]: line.split(":")[2] for line in lines}


@in_a_loop
async def test_a_container_is_in_a_cgroup_of_each_and_its_traffic_has_a_class_that_outlives_the_agent(
    tmp_path: Path, hierarchy: Path
) -> None:
    root = new_root()
    flags = (
        f"--cgroups_hierarchy={hierarchy}",
        "--cgroups_net_cls_primary_handle=0x10",
        "--cgroups_net_cls_secondary_handles=0x2,0x3",
    )
    async with cgroup_agent(tmp_path / "w", ISOLATION, *flags, root=root) as agent:
        for name in ("a", "b"):
            agent.master.run(task(name, WAIT))
        pid = await agent.agent.pid_of("a")
        await agent.agent.pid_of("b")
        mine = cgroups_of(pid)
        for name in EXTRA:
            assert mine[name].endswith(f"/{root}/{agent.container('a')}"), name

        def class_of(name: str) -> int:
            return int((hierarchy / "net_cls" / root / agent.container(name) / "net_cls.classid").read_text())

        assert [class_of("a"), class_of("b")] == [0x100002, 0x100003]
        status = agent.master.statuses("b")[-1]["container_status"]
        assert status["cgroup_info"] == {"net_cls": {"classid": 0x100003}}
        agent.run("too-many", "true")
        assert (await agent.end_of("too-many"))["message"].startswith("2 classes of network traffic are taken")
        (agent.sandbox("a") / "go").touch()
        await agent.end_of("a")
        await agent.agent.stop(signal.SIGKILL)
        await agent.agent.start()
        agent.run("next", WAIT)
        await agent.agent.pid_of("next")
        assert [class_of("b"), class_of("next")] == [0x100003, 0x100002]
        for name in ("b", "next"):
            (agent.sandbox(name) / "go").touch()
            await agent.end_of(name)
        await eventually(lambda: not any((hierarchy / "net_cls" / root).glob("*/")))
    assert [str(path) for name in EXTRA for path in (hierarchy / name).glob(root)] == []
