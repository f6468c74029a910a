"""A real cluster, and a browser that looks at its page.

Rules: the browser tests run one after another on one worker, since a Chromium takes a core for itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from browser.chromium import Page, browser, installed
from process.sessions.cluster import Cluster

Visit = Callable[[Callable[[Page], Awaitable[None]]], None]
TEST_S_MAX = 50.0


@pytest.fixture
def visit() -> Visit:
    """Run an async test with a page of a fresh browser; fails on any exception of the page's script."""
    if installed() is None:
        pytest.skip("there is no Chromium on this machine: `apt-get install chromium`")

    def run(test: Callable[[Page], Awaitable[None]]) -> None:
        async def whole() -> None:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                async with asyncio.timeout(TEST_S_MAX), browser(Path(folder)) as page:
                    await test(page)
                    assert page.errors == []

        asyncio.run(whole())

    return run


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A master and two agents that nobody else uses."""
    with Cluster(tmp_path, "--cluster=studio", agents=((), ())) as running:
        yield running


@contextlib.contextmanager
def running(cluster: Cluster, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Have a `merismos run` going on; it is over at the end."""
    command = [sys.executable, "-m", "merismos.cli", "--master", f"127.0.0.1:{cluster.port}", "run", *arguments]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ)
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
