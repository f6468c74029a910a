"""A real cluster under kill -9, SIGSTOP, cut links and dying ZooKeepers: afterwards the ledger and the cluster agree.

Run by `make chaos`, not by `make test`, which has the short form of `test_chaos.py`; `CHAOS_S` is for how long things break,
`CHAOS_SEED` which.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from process.chaos.proof import OVERHEAD_S_MAX, check_that_all_agree_after

CHAOS_S = float(os.environ.get("CHAOS_S", "600"))
SEED = int(os.environ.get("CHAOS_SEED", "7"))

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(CHAOS_S + OVERHEAD_S_MAX)]


def test_nothing_is_lost_or_run_twice_whatever_is_killed_stopped_or_cut_off(tmp_path: Path) -> None:
    report = check_that_all_agree_after(CHAOS_S, SEED, tmp_path)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    assert report["tasks"], "nothing was ever launched"
