"""A ZooKeeper that a test may do anything to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.zookeeper_server import ZooKeeperServer, why_not


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[ZooKeeperServer]:
    """A ZooKeeper of this test's own."""
    if why_not():
        pytest.skip(why_not())
    with ZooKeeperServer(tmp_path / "zookeeper") as server:
        yield server
