"""Two or three masters on a real ZooKeeper: one leads, it dies, the next leads, and the work goes on."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from contract.zookeeper_server import ZooKeeperServer
from process.zookeeper.masters import Masters

pytestmark = pytest.mark.process


def test_when_the_leader_is_killed_the_next_leads_and_the_agents_follow(
    tmp_path: Path, zookeeper: ZooKeeperServer
) -> None:
    with Masters(tmp_path, zookeeper) as masters:
        first = masters.start_master()
        assert masters.leader() is first
        second = masters.start_master()
        masters.start_agent()
        masters.until(lambda: len(first.agents()) == 1, "the agent registers")
        before = first.agents()
        masters.until(lambda: second.get("/state")[0] == 307, "the standby knows the leader")
        assert second.get("/state?x=1")[:2] == (307, f"//localhost:{first.port}/state?x=1")
        assert second.get("/master/redirect")[:2] == (307, f"//localhost:{first.port}")
        assert first.get("/redirect")[:2] == (307, f"//localhost:{first.port}")
        assert second.get("/health")[0] == 200
        first.stop(signal.SIGKILL)
        assert masters.leader() is second
        masters.until(lambda: second.agents() == before, "the agent comes back under its id")
