"""The seeds of the build: every checker holds in each, and each has one transcript under any PYTHONHASHSEED."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from merismos.simulation.__main__ import HASH_SEEDS
from merismos.simulation.marks import NAMES, UNRULY_NAMES, Marks
from merismos.simulation.world import Settings, World

SEEDS = 200
UNRULY_SEEDS = 30


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_of_the_seeds_holds_and_has_one_transcript_under_two_hash_seeds() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "merismos.simulation",
            "--seeds",
            str(SEEDS),
            "--twice",
            "--marks",
        ],
        capture_output=True,
        text=True,
        timeout=890,
        check=False,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert len(lines) == SEEDS + len(NAMES)
    assert [line for line in lines[SEEDS:] if line.startswith("0 times")] == [], (
        "rare situations that no seed came through"
    )
    assert len(HASH_SEEDS) == len(set(HASH_SEEDS)) == 2


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_is_done_twice_over_links_that_deliver_twice_and_out_of_order() -> None:
    marks = Marks()
    for seed in range(1, UNRULY_SEEDS + 1):
        world = World(seed, Settings(sweep_every=50, unruly=True))
        world.marks = marks
        world.run(3000)
        world.heal()
        world.drain()
    assert all(marks.reached[name] > UNRULY_SEEDS for name in UNRULY_NAMES), marks.reached
