"""What a person waits for: the start of a command, and a whole cluster on this machine.

Rules: a command is measured from its start to the refused connection of a master that isn't there. The floor is a Python that does
nothing. Times are wall-clock medians.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

TRIES = 15
UPS = 5
NO_MASTER = "127.0.0.1:1"


def python_ms(*arguments: str) -> float:
    """Return how long a Python with these arguments lives."""
    taken = []
    for _ in range(TRIES):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=False, timeout=60)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def command_ms(words: Sequence[str]) -> float:
    """Return how long a command takes to find that there is no master."""
    return python_ms("-m", "merismos.cli", "--master", NO_MASTER, *words)


def floor_ms() -> float:
    """Return how long a Python that does nothing lives."""
    return python_ms("-c", "pass")


def up_s(agents: int) -> float:
    """Return how long `merismos up` takes to be ready."""
    return statistics.median(_up_s(agents) for _ in range(UPS))


def _up_s(agents: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"MERISMOS_STATE_DIR": f"{folder}/state"}
        command = [sys.executable, "-m", "merismos.cli", "up", f"--agents={agents}", "--master-port=0", "-o", "json"]
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as up:
            assert up.stdout is not None
            line = up.stdout.readline()
            taken = time.perf_counter() - began
            up.terminate()
        assert json.loads(line)["agents"] == agents
    return taken
