"""A task that never ends its line: who follows it needs no more memory than for any other."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from process.cli.commands import Commands

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("cli"), pytest.mark.timeout(180)]
LINE_MB = 64
MORE_MB_MAX = 24


def peak_mb(merismos: Commands, *words: str) -> float:
    """Run a command to its good end; return the most memory that it had."""
    process = subprocess.Popen(
        [sys.executable, "-m", "merismos.cli", *words], stdout=subprocess.DEVNULL, env=merismos.environment
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 1024


def test_run_and_logs_pass_on_a_line_without_an_end_in_pieces(merismos: Commands) -> None:
    short = peak_mb(merismos, "run", "--name", "short", "--", "echo done")
    long = peak_mb(merismos, "run", "--name", "endless", "--", f"truncate -s {LINE_MB}M stdout")
    assert long - short < MORE_MB_MAX
    logs = peak_mb(merismos, "logs", "-f", "endless")
    assert logs - peak_mb(merismos, "logs", "-f", "short") < MORE_MB_MAX
