"""The short form of `make chaos`: a real cluster is broken for less than a minute, and afterwards the ledger and the cluster agree.

Rules: it is busy, so it takes turns with the tests that start whole clusters and look at the clock.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from process.chaos.proof import OVERHEAD_S_MAX, check_that_all_agree_after

BROKEN_S = 40.0
SEED = 7
ACTS_MIN = 8  # of about 23: a pause is 1.7 s on average
KINDS_MIN = 6  # of 10: what is down already can't be killed
TASKS_MIN = 20

pytestmark = [
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.xdist_group("cli"),
    pytest.mark.timeout(BROKEN_S + OVERHEAD_S_MAX),
]


def test_nothing_is_lost_or_run_twice_while_everything_is_killed_stopped_or_cut_off(tmp_path: Path) -> None:
    report = check_that_all_agree_after(BROKEN_S, SEED, tmp_path)
    assert sum(report["broken"].values()) >= ACTS_MIN, report
    assert len(report["broken"]) >= KINDS_MIN, report
    assert report["tasks"]["TASK_FINISHED"] >= TASKS_MIN, report
