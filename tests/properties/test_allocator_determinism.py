from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def transcript(hash_seed: str) -> str:
    environment = dict(os.environ, PYTHONHASHSEED=hash_seed, PYTHONPATH=f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}")
    command = [sys.executable, "-m", "unit.allocator.transcript"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=50).stdout


def test_the_same_events_give_the_same_grants_under_any_hash_seed() -> None:
    first = transcript("0")
    assert first.count("\n") > 500
    assert [transcript(seed) == first for seed in ("1", "4242")] == [True, True]
