"""The units of deploy/systemd under a real systemd: the first process inside user-mode Linux, on a pure hierarchy of version 2."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from house.repository import ROOT

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(300)]
KERNEL, SYSTEMD = "linux.uml", "/lib/systemd/systemd"
INIT, PROOF = Path(__file__).with_name("systemd_init.sh"), Path(__file__).with_name("systemd_proof.sh")
PROVED = [
    "the master says that it serves",
    "the agent says that it serves",
    "what holds tasks is in a scope of the slice",
    "the agent is in its unit",
    "nobody else is in the agent's unit",
    "a restart leaves the task alone",
    "a kill of the unit leaves the task alone, and the agent comes back",
    "the agent has the task",
    "USR1 ends the agent and its tasks",
]


def test_a_restart_and_a_kill_of_the_agents_unit_leave_its_tasks_alone(tmp_path: Path) -> None:
    if shutil.which(KERNEL) is None or not Path(SYSTEMD).exists():
        pytest.skip(f"there is no {KERNEL}, or no systemd: apt-get install user-mode-linux systemd")
    done = subprocess.run(
        [
            KERNEL, "mem=768M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", f"init={INIT}",
            "con=null", "con0=fd:0,fd:1", f"umid={tmp_path.name}", f"uml_dir={tmp_path}/",
            "--", str(ROOT), sys.executable, str(PROOF),
        ],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=280, check=False, cwd=tmp_path,
    )  # fmt: skip
    said = done.stdout.replace("\r", "")[-8000:]
    assert "that is all" in said, said
    assert [line.removeprefix("proved: ") for line in said.splitlines() if line.startswith("proved: ")] == PROVED, said
