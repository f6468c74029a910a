"""The seeds of the build: every checker holds in each, and each has one transcript under any PYTHONHASHSEED."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from merismos.simulation.__main__ import HASH_SEEDS

SEEDS = 200


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_of_the_seeds_holds_and_has_one_transcript_under_two_hash_seeds() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "merismos.simulation", "--seeds", str(SEEDS), "--twice"],
        capture_output=True,
        text=True,
        timeout=890,
        check=False,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == SEEDS
    assert len(HASH_SEEDS) == len(set(HASH_SEEDS)) == 2
