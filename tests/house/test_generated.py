"""What is generated and committed is what its source says today."""

from __future__ import annotations

import subprocess
import sys

from house.repository import ROOT


def test_the_message_types_are_those_of_the_proto_files() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "merismos.protocol.generate", "--check"],
        cwd=ROOT, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nrun: python -m merismos.protocol.generate"
