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


@pytest.fixture(scope="session")
def racks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Unlike agents: `one` has every kind of resource, `two` a reservation for eng, `three` a GPU, `four` isn't whitelisted."""
    folder = tmp_path_factory.mktemp("racks")
    (folder / "whitelist").write_text("one\ntwo\nthree\n", encoding="utf-8")
    sets = "bugs:{a,b}"
    agents = (
        ("--hostname=one", f"--resources=cpus:2.5;mem:512;disk:64;ports:[31000-31010,32000-32000];{sets}",
         "--attributes=rack:r1;level:10"),
        ("--hostname=two", "--resources=cpus(eng):1;mem(eng):128;cpus:1;mem:256;disk:64;ports:[31000-31010]",
         "--attributes=rack:r2"),
        ("--hostname=three", "--resources=cpus:1;mem:256;gpus:1;disk:0;ports:[31000-31001]", "--attributes=rack:r3"),
        ("--hostname=four", "--resources=cpus:1;mem:256;disk:64;ports:[31000-31001]", "--attributes=rack:r1"),
    )  # fmt: skip
    flags = (f"--whitelist={folder / 'whitelist'}", "--min_allocatable_resources=cpus:0.5|mem:64")
    with Cluster(folder, *flags, agents=agents) as running:
        yield running


@pytest.fixture(scope="session")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master that waits for nobody: offers last 0.7 s, an agent that says nothing for about a second is unreachable."""
    flags = ("--offer_timeout=700ms", "--agent_ping_timeout=300ms", "--max_agent_ping_timeouts=3")
    with Cluster(tmp_path_factory.mktemp("impatient"), *flags) as running:
        yield running
