"""The tests of cgroups on version 2, inside user-mode Linux: a kernel of its own, with the machine's files and a pure hierarchy."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from house.repository import ROOT

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(300)]
KERNEL = "linux.uml"
INIT = Path(__file__).with_name("uml_init.sh")
PASSED_MIN = 15


def test_every_isolator_of_version_2_stops_what_goes_too_far(tmp_path: Path) -> None:
    if shutil.which(KERNEL) is None:
        pytest.skip(f"there is no {KERNEL}: apt-get install user-mode-linux")
    done = subprocess.run(
        [
            KERNEL, "mem=768M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", f"init={INIT}",
            "con=null", "con0=fd:0,fd:1", f"umid={tmp_path.name}", f"uml_dir={tmp_path}/",
            "--", str(ROOT), sys.executable,
        ],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=280, check=False, cwd=tmp_path,
    )  # fmt: skip
    said = done.stdout.replace("\r", "")[-8000:]
    assert "ended with 0" in said, said
    passed = re.search(r"(\d+) passed", said)
    assert passed is not None, said
    assert int(passed[1]) >= PASSED_MIN, said
