"""Clusters that tests of whole sessions share.

Rules: a test that uses a shared cluster leaves nothing behind: its schedulers tear down. A cluster starts once a run and worker.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from process.sessions.cluster import Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master and one agent of 4 cpus; roles `light` and `heavy` weigh 1 and 2."""
    with Cluster(tmp_path_factory.mktemp("cluster"), "--weights=light=1,heavy=2") as running:
        yield running
