"""What a ZooKeeper that goes away, comes back or forgets everything does to a cluster: nothing that lasts."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from contract.zookeeper_server import ZooKeeperServer
from process.sessions.scheduler import Scheduler
from process.zookeeper.masters import Masters

pytestmark = pytest.mark.process


def test_a_leader_that_is_killed_and_started_again_at_once_does_not_send_callers_to_itself(
    tmp_path: Path, mortal: ZooKeeperServer
) -> None:
    with Masters(tmp_path, mortal, "--zk_session_timeout=10secs") as masters:
        first = masters.start_master()
        assert masters.leader() is first
        first.stop(signal.SIGKILL)
        again = masters.start_master(f"--port={first.port}")
        masters.until(lambda: "standing for election as" in again.said(), "it stands behind its own old node")
        masters.until(lambda: again.get("/state")[0] != 0, "it serves")
        assert again.get("/state")[:2] == (503, "")
        masters.until(again.leads, "it leads once its old node is gone")


def test_while_zookeeper_is_away_the_leader_refuses_schedulers_and_afterwards_it_goes_on_in_the_same_epoch(
    tmp_path: Path, mortal: ZooKeeperServer
) -> None:
    with Masters(tmp_path, mortal, "--zk_session_timeout=10secs") as masters:
        first, _, before = masters.start_pair_and_agent()
        mortal.kill()
        scheduler = "/api/v1/scheduler"
        masters.until(lambda: first.get(scheduler, "POST")[0] == 503, "schedulers are refused")
        assert first.agents() == before, "agents stay"
        mortal.start()
        mortal.ready()
        masters.until(lambda: first.get(scheduler, "POST")[0] == 400, "schedulers are heard again")
        assert first.leads()
        assert first.agents() == before
        assert first.said().count(" event=leading ") == 1


def test_while_zookeeper_is_away_for_longer_than_sessions_last_tasks_go_on_and_the_leader_leads_on_afterwards(
    tmp_path: Path, mortal: ZooKeeperServer
) -> None:
    session_s = 4.0  # to come back in, after the restart, on a slow machine
    with Masters(tmp_path, mortal, f"--zk_session_timeout={session_s:g}secs") as masters:
        first, _, before = masters.start_pair_and_agent()
        with Scheduler(first.port) as scheduler:
            offer = scheduler.offer()
            scheduler.launch(offer, scheduler.task("long", offer, f"echo $$ > {tmp_path}/pid; exec sleep 1000"))
            scheduler.update("long", "TASK_RUNNING")
            pid = masters.pid_in(tmp_path / "pid")
            gone_at = time.monotonic()
            mortal.kill()
            masters.until(lambda: time.monotonic() - gone_at > 1.5 * session_s, "a session would be over")
            os.kill(pid, 0)
            mortal.start()
            mortal.ready()
            masters.until(lambda: first.get("/api/v1/scheduler", "POST")[0] == 400, "schedulers are heard again")
            offer = scheduler.offer()
            scheduler.launch(offer, scheduler.task("next", offer))
            scheduler.update("next", "TASK_FINISHED")
            os.kill(pid, 0)
        assert first.agents() == before
        assert first.said().count(" event=leading ") == 1


def test_a_zookeeper_that_lost_all_its_data_is_followed_by_a_new_leader_and_the_agents_take_it(
    tmp_path: Path, mortal: ZooKeeperServer
) -> None:
    with Masters(tmp_path, mortal) as masters:
        first, standby, before = masters.start_pair_and_agent()
        mortal.kill()
        mortal.lose_data()
        mortal.start()
        mortal.ready()
        assert first.process.wait(30) == 75, "its node is gone, and it can't know who else led"
        masters.until(standby.leads, "the standby stands again, and leads")
        masters.until(lambda: standby.agents() == before, "the agent comes back under its id, in a higher epoch")


def test_a_leader_that_is_told_to_stop_makes_room_at_once(tmp_path: Path, mortal: ZooKeeperServer) -> None:
    with Masters(tmp_path, mortal, "--zk_session_timeout=10secs") as masters:
        first = masters.start_master()
        assert masters.leader() is first
        second = masters.start_master()
        masters.until(lambda: second.get("/state")[0] == 307, "the standby knows the leader")
        assert first.stop(signal.SIGTERM) == 0
        masters.until(second.leads, "the next leads long before the session would have ended")


def test_mesos_9426_a_detection_that_began_without_a_zookeeper_ends_once_there_is_one(
    tmp_path: Path, mortal: ZooKeeperServer
) -> None:
    mortal.kill()
    with Masters(tmp_path, mortal) as masters:
        master = masters.start_master()
        masters.start_agent()
        masters.until(lambda: master.get("/state")[0] == 503, "the master serves, and leads nobody")
        mortal.start()
        mortal.ready()
        assert masters.leader() is master
        masters.until(lambda: len(master.agents()) == 1, "the agent finds the leader")
