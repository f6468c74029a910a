"""Programs for devices on the kernel that runs here: one takes another's place, and one below only narrows."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from merismos.adapters.linux import bpf_devices
from merismos.core.containers.device_plan import BASE

ROOTS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
KMSG = "c 1:11 r"


@pytest.fixture
def folder() -> Iterator[Path]:
    root = next((one for one in ROOTS if (one / "cgroup.controllers").is_file()), None)
    if root is None or not os.access(root, os.W_OK):
        pytest.skip("there are no cgroups of version 2 that can be written: run as root")
    reason = bpf_devices.obstacle()
    if reason is not None:
        pytest.skip(reason)
    made = root / f"merismos-bpf-{os.getpid()}"
    made.mkdir()
    yield made
    for below in made.glob("*/"):
        below.rmdir()
    made.rmdir()


def can(folder: Path, program: str) -> bool:
    entered = f'echo $$ >"{folder}/cgroup.procs" && exec {program}'
    return subprocess.run(["sh", "-c", entered], check=False, capture_output=True).returncode == 0


def reads(folder: Path) -> bool:
    return can(folder, "dd if=/dev/kmsg of=/dev/null bs=8192 count=1")


def test_a_program_refuses_what_it_does_not_allow_and_another_takes_its_place(folder: Path) -> None:
    if not reads(folder):
        pytest.skip("this user can't read /dev/kmsg at all")
    bpf_devices.allow(str(folder), BASE)
    assert not reads(folder)
    assert can(folder, "dd if=/dev/zero of=/dev/null count=1")
    bpf_devices.allow(str(folder), [*BASE, KMSG])
    assert reads(folder)
    bpf_devices.allow(str(folder), BASE)
    assert not reads(folder)
    bpf_devices.allow(str(folder), ["a"])
    assert reads(folder)


def test_a_cgroup_below_can_not_allow_itself_more(folder: Path) -> None:
    below = folder / "below"
    below.mkdir()
    bpf_devices.allow(str(folder), BASE)
    bpf_devices.allow(str(below), ["a"])
    assert not reads(below)


def test_a_cgroup_that_is_gone_is_named(folder: Path) -> None:
    with pytest.raises(OSError, match=f"cannot limit the devices of {folder}/gone") as caught:
        bpf_devices.allow(f"{folder}/gone", BASE)
    assert caught.value.errno == errno.ENOENT
