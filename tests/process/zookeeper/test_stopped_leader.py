"""A leader that is stopped (SIGSTOP, a sleeping machine) for longer than its session, and goes on: it launches nothing, and exits with 75.

`MERISMOS_STOPPED_S` says for how long; without it three sessions of 2 s, as a minute is six sessions of the default 10 s.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path

import pytest

from contract.zookeeper_server import ZooKeeperServer
from process.sessions.scheduler import Scheduler, get
from process.zookeeper.masters import SESSION_S, WAIT_S_MAX, Masters, Standing

STOPPED_S = float(os.environ.get("MERISMOS_STOPPED_S", str(3 * SESSION_S)))

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(120 + STOPPED_S)]


def while_stopped(masters: Masters, first: Standing, second: Standing, before: list[str]) -> None:
    """Wait until the next leads, with the agent, and the first was stopped for long enough."""
    stopped_at = time.monotonic()
    masters.until(second.leads, "the next leads")
    masters.until(lambda: second.agents() == before, "the agent follows it")
    with contextlib.suppress(subprocess.TimeoutExpired):
        first.process.wait(max(0.0, STOPPED_S - (time.monotonic() - stopped_at)))


def test_what_was_asked_of_a_leader_while_it_was_stopped_is_not_launched_once_another_leads(
    tmp_path: Path, mortal: ZooKeeperServer
) -> None:
    with Masters(tmp_path, mortal) as masters:
        first, second, before = masters.start_pair_and_agent()
        with Scheduler(first.port) as scheduler:
            offer = scheduler.offer()
            scheduler.launch(offer, scheduler.task("long", offer, f"echo $$ > {tmp_path}/pid; exec sleep 1000"))
            scheduler.update("long", "TASK_RUNNING")
            pid = masters.pid_in(tmp_path / "pid")
            offer = scheduler.offer()
            late = scheduler.task("late", offer, f"touch {tmp_path}/late")
            operations = [{"type": "LAUNCH", "launch": {"task_infos": [late]}}]
            first.freeze()
            accept = {"offer_ids": [offer["id"]], "operations": operations}
            scheduler.begin({"type": "ACCEPT", "framework_id": {"value": scheduler.id}, "accept": accept})
            while_stopped(masters, first, second, before)
            first.thaw()
            status, said = scheduler.answer()
            assert status == 503, said
            assert first.process.wait(WAIT_S_MAX) == 75
            assert "leads no more" in first.said()
        assert second.leads()
        with Scheduler(second.port) as scheduler:
            offer = scheduler.offer()
            scheduler.launch(offer, scheduler.task("next", offer))
            scheduler.update("next", "TASK_FINISHED")
            assert second.agents() == before
            os.kill(pid, 0)
            known = {task["id"] for task in get(second.port, "/tasks")["tasks"]}
            assert known == {"long", "next"}
            assert not (tmp_path / "late").exists()
