"""Devices given to a cgroup in use, and taken from it again: the same plans on both versions of the kernel's cgroups."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from merismos.adapters.linux import cgroup_detection
from merismos.adapters.linux.cgroups import Cgroups
from merismos.adapters.linux.cgroups_v1 import CgroupsV1
from merismos.adapters.linux.cgroups_v2 import CgroupsV2
from merismos.core.containers.cgroup_plan import CgroupSettings, Demand, plan_cgroup, plan_update

HIERARCHIES = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
GPUS = ["b 7:6 rwm", "b 7:7 rwm"]
NOTHING = Demand(0.0, 0.0, None, None, revocable=False)


class Place(NamedTuple):
    cgroups: Cgroups
    settings: CgroupSettings
    nodes: list[Path]

    def opens(self) -> list[int]:
        """Return which of the two devices a process in the cgroup can open."""
        entrances = " ".join(f'echo 0 >"{path}";' for path in self.cgroups.entrances("c"))
        done = [
            subprocess.run(["sh", "-c", f'{entrances} exec head -c 1 "{node}"'], capture_output=True, check=False)
            for node in self.nodes
        ]
        return [index for index, one in enumerate(done) if one.returncode == 0]


@pytest.fixture(params=[1, 2])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    version = int(request.param)
    hierarchy = next((one for one in HIERARCHIES if cgroup_detection.version_of(one) == version), None)
    if hierarchy is None:
        pytest.skip(f"no cgroups of version {version} are mounted here")
    reason = cgroup_detection.obstacle(hierarchy, version, "devices")
    if reason is not None or not Path("/dev/loop7").exists():
        pytest.skip(reason or "this kernel has no loop devices")
    nodes = [tmp_path / "a", tmp_path / "b"]
    for number, node in enumerate(nodes, 6):
        os.mknod(node, 0o60666, os.makedev(7, number))
    cgroups = (CgroupsV1 if version == 1 else CgroupsV2)(hierarchy, f"merismos-devices-{os.getpid()}", ["devices"])
    cgroups.prepare()
    yield Place(cgroups, CgroupSettings(version=version, isolators=("devices",)), nodes)
    assert cgroups.remove("c")
    cgroups.close()
    cgroups.remove_root()


def test_what_a_cgroup_may_use_follows_what_it_is_given(place: Place) -> None:
    cgroups, settings = place.cgroups, place.settings
    cgroups.create("c", plan_cgroup(settings, "c", NOTHING, GPUS[:1]).writes)
    assert place.opens() == [0]
    for given, expected in ((GPUS, [0, 1]), (GPUS[1:], [1]), ([], []), (GPUS[:1], [0])):
        cgroups.write("c", plan_update(settings, NOTHING, given, GPUS))
        assert place.opens() == expected
