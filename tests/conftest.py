"""What every test may use, and one rule: where REQUIRE_ALL is set, a skipped test is a failed test."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from contract.zookeeper_server import ZooKeeperServer

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def _all_required() -> bool:
    return os.environ.get("REQUIRE_ALL", "") not in {"", "0"}


def _failed_instead(report: Report) -> Report:
    if not report.skipped or hasattr(report, "wasxfail") or not _all_required():
        return report
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid} was skipped, and REQUIRE_ALL lets no test be skipped. {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _failed_instead((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _failed_instead((yield))


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded answers of a real Mesos; not part of this repository."""
    named = os.environ.get("MERISMOS_RECORDINGS")
    if not named:
        pytest.skip("MERISMOS_RECORDINGS names no folder of recorded Mesos answers; this test compares with them")
    folder = Path(named)
    if not (folder / "INDEX.tsv").is_file():
        pytest.fail(f"MERISMOS_RECORDINGS={named} has no INDEX.tsv; it must name the folder that holds the recordings")
    return folder


@pytest.fixture(scope="session")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeperServer]:
    """A real ZooKeeper that every test of a worker shares: each takes a path of its own, and none kills it."""
    from contract.zookeeper_server import ZooKeeperServer, why_not

    reason = why_not()
    if reason:
        pytest.skip(reason)
    with ZooKeeperServer(tmp_path_factory.mktemp("zookeeper")) as server:
        yield server
