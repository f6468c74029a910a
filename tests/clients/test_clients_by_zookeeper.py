"""Third-party Mesos clients that are given a ZooKeeper find the leader there, unmodified, and do their work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.conftest import MADE, PROGRAMS, Cluster, _installed, _run
from contract.zookeeper_server import ZooKeeperServer, why_not
from process.zookeeper.masters import Masters

pytestmark = [
    pytest.mark.clients,
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("clients"),
]


@pytest.fixture(scope="module")
def masters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Masters]:
    """Two masters and an agent that meet at /mesos, the only path that avmesos reads."""
    if why_not():
        pytest.skip(why_not())
    folder = tmp_path_factory.mktemp("clients")
    with ZooKeeperServer(folder / "zookeeper") as server, Masters(folder, server) as running:
        running.url = server.url("/mesos")
        first = running.start_master()
        assert running.leader() is first
        running.start_master()
        running.start_agent()
        running.until(lambda: len(first.agents()) == 1, "the agent registers")
        yield running


@pytest.mark.parametrize(
    ("program", "lines"),
    [
        (
            "pymesos_scheduler.py",
            ["failing TASK_FAILED", "first TASK_FINISHED", "second TASK_FINISHED", "third TASK_FINISHED"],
        ),
        ("avmesos_scheduler.py", ["left TASK_FINISHED", "right TASK_FINISHED"]),
    ],
)
def test_a_client_follows_zookeeper_to_the_leader(
    masters: Masters, tmp_path: Path, program: str, lines: list[str]
) -> None:
    _installed("python")
    leader = masters.leader()
    interpreter = str(MADE / "venv" / "bin" / "python")
    where = Cluster("127.0.0.1", leader.port, leader.log, tmp_path)
    said = _run([interpreter, str(PROGRAMS / program), masters.url], where, tmp_path)
    ended = sorted(
        " ".join(line.split()[:2]) for line in said.splitlines() if line.split()[1] in {"TASK_FINISHED", "TASK_FAILED"}
    )
    assert ended == lines
