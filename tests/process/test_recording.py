"""What a real master and a real agent lived through is replayed, and gives the same effects."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from merismos.simulation.__main__ import main
from process.sessions.cluster import Agent, Cluster
from process.sessions.scheduler import Scheduler, ask, framework_info, until

pytestmark = pytest.mark.process
READS = ("/state", "/slaves", "/frameworks", "/tasks", "/roles", "/metrics/snapshot", "/why?task=long")


def replay(file: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, int, str]:
    """Replay a file; return the exit code, the number of events and all that was said."""
    code = main(["replay", str(file)])
    said = "".join(capsys.readouterr())
    events = re.search(r"^(?:master|agent): (\d+) events, \d+ effects, all equal$", said, re.MULTILINE)
    return code, 0 if events is None else int(events[1]), said


def look_at(cluster: Cluster) -> None:
    """Read all that a master tells: whoever looks must not change what is decided."""
    for path in READS:
        assert ask(cluster.port, "GET", path)[0] == 200
    for kind in ("GET_STATE", "GET_ROLES"):
        assert ask(cluster.port, "POST", "/api/v1", {"type": kind})[0] == 200


@pytest.mark.timeout(120)
def test_lives_that_ended_with_kill_9_and_those_after_them_are_replayed_with_equal_effects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taped = (f"--record={tmp_path}/agent.tape",)
    cluster = Cluster(tmp_path, f"--record={tmp_path}/master.tape", agents=(taped,))
    agent = cluster.agents[0]
    info = framework_info("a", failover_timeout=600.0)
    try:
        first = Scheduler(cluster.port, info)
        offer = first.offer()
        first.launch(offer, first.task("short", offer), first.task("long", offer, "exec sleep 600"))
        first.update("short", "TASK_FINISHED")
        first.update("long", "TASK_RUNNING")
        first.decline(first.offer(), 60.0)
        look_at(cluster)
        first.close()
        agent.stop(signal.SIGKILL)
        cluster.restart_master()
        agent = cluster.agents[0] = Agent(tmp_path / "agent0", cluster.master, *taped)
        until(cluster.port, "/slaves", lambda found: len(found["slaves"]) == 1)
        with Scheduler(cluster.port, info | {"id": {"value": first.id}}) as second:
            look_at(cluster)
            second.kill("long")
            second.update("long", "TASK_KILLED")
    finally:
        codes = cluster.stop()
    assert codes == [0, 0]
    for name, least in (("master.tape", 15), ("agent.tape", 10), ("master.tape.1", 10), ("agent.tape.1", 8)):
        code, events, said = replay(tmp_path / name, capsys)
        assert code == 0, said
        assert events >= least, said
    altered = (tmp_path / "agent.tape.1").read_bytes().replace(b"sleep 600", b"sleep 601")
    (tmp_path / "altered").write_bytes(altered)
    command = [sys.executable, "-m", "merismos.simulation", "replay", tmp_path / "altered"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done
    assert "gave others" in done.stdout
