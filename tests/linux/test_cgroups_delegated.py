"""cgroups of version 2 without root: below a cgroup that was delegated to a user, containers are made, entered, killed and removed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from linux.cgroup_agent import HIERARCHY, VERSION, new_root
from merismos.adapters.linux import cgroup_detection

pytestmark = pytest.mark.process
UNIFIED = HIERARCHY if VERSION == cgroup_detection.UNIFIED else HIERARCHY / "unified"
NOBODY = 65534
# imports as root, since the interpreter may be where nobody else may look
SCRIPT = """
import os, pathlib, subprocess, sys
from merismos.adapters.linux import cgroup_detection
from merismos.adapters.linux.cgroups_v2 import CgroupsV2
hierarchy, name, user = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
(hierarchy / name / "agent" / "cgroup.procs").write_text(str(os.getpid()))
os.chdir("/")
os.setgroups([])
os.setgid(user)
os.setuid(user)
assert cgroup_detection.obstacle_of_launcher(hierarchy, 2, f"{name}/tasks") is None
assert "was delegated" in cgroup_detection.obstacle_of_launcher(hierarchy, 2, "mesos")
cgroups = CgroupsV2(hierarchy, f"{name}/tasks", ())
cgroups.prepare()
cgroups.create("c", [])
child = subprocess.Popen(
    ["/bin/sh", "-c", 'echo 0 >"$1" && echo in && exec sleep 600', "sh", *cgroups.entrances("c")], stdout=subprocess.PIPE
)
assert child.stdout.readline() == b"in\\n"
assert cgroups.members("c") == [child.pid]
assert not cgroups.is_empty("c")
cgroups.kill("c")
assert child.wait(30) == -9
assert cgroups.is_empty("c")
assert cgroups.remove("c")
assert cgroups.containers() == []
cgroups.remove_root()
print("all was done as", os.getuid())
"""


def test_a_user_to_whom_a_cgroup_was_delegated_needs_no_root() -> None:
    if not (UNIFIED / "cgroup.controllers").is_file() or os.geteuid() != 0:
        pytest.skip(f"only root can delegate a cgroup, and {UNIFIED} has to be a hierarchy of version 2")
    top = UNIFIED / new_root()
    agent = top / "agent"
    agent.mkdir(parents=True)
    for folder in (top, agent):
        os.chown(folder, NOBODY, NOBODY)
        for file in ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
            os.chown(folder / file, NOBODY, NOBODY)
    try:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(UNIFIED), top.name, str(NOBODY)],
            capture_output=True, text=True, timeout=50, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"all was done as {NOBODY}\n"
        assert not Path(top / "tasks").exists()
    finally:
        agent.rmdir()
        top.rmdir()
