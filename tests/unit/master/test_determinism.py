from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from unit.master.rig import Rig, framework_info, running

TESTS = Path(__file__).resolve().parents[2]


def transcript() -> str:
    """A digest of all that a busy hour of a cluster makes a master say."""
    rig = Rig()
    framework, agent = running(rig)
    others = [rig.subscribe(framework_info(f"f{number}", roles=("a", "b", f"r{number}"))) for number in range(5)]
    agents = [rig.agent(pid=f"slave(1)@127.0.0.1:{6000 + number}") for number in range(5)]
    rig.advance(100)
    for other in others:
        if other.offers():
            other.launch(f"t-{other.id}")
    agents[0].close()
    others[0].call("TEARDOWN")
    rig.hang_up(others[1])
    rig.advance(3600)
    said = [one.events for one in (framework, *others)] + [one.messages for one in (agent, *agents)]
    return hashlib.sha256(repr([said, rig.registry, rig.master.metrics]).encode()).hexdigest()


def test_the_same_events_give_the_same_transcript_under_any_hash_seed() -> None:
    program = "from unit.master.test_determinism import transcript; print(transcript())"
    digests = set()
    for seed in ("0", "1", "424242"):
        path = os.pathsep.join([str(TESTS), *sys.path])
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=50, check=True
        )
        digests.add(done.stdout)
    assert digests == {transcript() + "\n"}
