"""One cluster for all tests of a worker; each test leaves it without tasks and frameworks of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from process.cli.commands import Commands
from process.sessions.cluster import Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master and two agents of 4 cpus each; roles `light` and `heavy` weigh 1 and 2."""
    agents = (("--hostname=here",), ("--hostname=there", "--attributes=rack:r2"))
    with Cluster(tmp_path_factory.mktemp("cli"), "--weights=light=1,heavy=2", agents=agents) as running:
        yield running


@pytest.fixture
def merismos(cluster: Cluster) -> Commands:
    """The command line, pointed at the cluster."""
    return Commands(f"127.0.0.1:{cluster.port}")
