"""GPUs through the whole stack: offered to who knows them, one of two handed out, and part of one refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from linux.cgroup_agent import left_of, new_root, why_not
from linux.test_gpus import RESOURCES, make_gpus
from process.cli.commands import Commands
from process.sessions.cluster import Cluster

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.fixture
def merismos(tmp_path: Path) -> Iterator[Commands]:
    reason = why_not("devices")
    if reason:
        pytest.skip(reason)
    root = new_root()
    flags = (
        "--isolation=cgroups/devices,gpu/nvidia", f"--cgroups_root={root}", f"--gpu_devices={json.dumps(make_gpus(tmp_path))}",
        "--nvidia_gpu_devices=0,1", RESOURCES,
    )  # fmt: skip
    with Cluster(tmp_path / "c", agents=(flags,)) as cluster:
        yield Commands(f"127.0.0.1:{cluster.port}")
    assert left_of(root) == []


def test_run_asks_for_gpus_and_its_command_sees_as_many(merismos: Commands, tmp_path: Path) -> None:
    look = f"for g in 0 1; do head -c 1 {tmp_path}/gpu$g >/dev/null 2>&1 && echo sees $g; done; echo told $NVIDIA_VISIBLE_DEVICES"
    one = merismos("run", "--gpus", "1", "--", look)
    assert (one.code, one.out) == (0, "sees 0\ntold 0\n"), one
    both = merismos("run", "--gpus", "2", "--", look)
    assert (both.code, both.out) == (0, "sees 0\nsees 1\ntold 0,1\n"), both
    part = merismos("run", "--gpus", "0.5", "--", "true")
    assert part.code != 0
    assert "must be an unsigned integer" in part.err
    none = merismos("run", "--wait", "1", "--", "true")
    assert none.code != 0
    assert "no offer fits" in none.err, "an agent with GPUs is kept for who knows them"
