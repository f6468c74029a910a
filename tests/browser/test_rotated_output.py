"""The page follows the output of a task while the agent rotates it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from browser.chromium import Page
from browser.conftest import Visit, running
from merismos.containers.log_settings import LOGROTATE
from process.sessions.cluster import Cluster

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("browser")]

LINES = 24
WRITE = f"for i in $(seq {LINES}); do printf '%0600d\\n' $i; sleep 0.15; done"
ROW = "[...document.querySelectorAll('#rows tr')].find((row) => row.innerText.includes('writer'))"
NUMBERS = "document.querySelector('pre.log').textContent.trim().split('\\n').map(Number)"
MODULES = {
    "libraries": [{"modules": [{"name": LOGROTATE, "parameters": [{"key": "max_stdout_size", "value": "8KB"}]}]}]
}


def test_output_that_is_rotated_is_shown_whole_and_once(visit: Visit, tmp_path: Path) -> None:
    flags = (f"--container_logger={LOGROTATE}", f"--modules={json.dumps(MODULES)}")

    async def test(page: Page) -> None:
        await page.open(f"http://127.0.0.1:{cluster.port}/")
        with running(cluster, "--name", "writer", "--", WRITE):
            await page.wait(f"!!{ROW}")
            await page.run(f"{ROW}.click()")
            await page.wait(f"{NUMBERS}.includes({LINES})")
        assert await page.run(NUMBERS) == list(range(1, LINES + 1))

    with Cluster(tmp_path, agents=(flags,)) as cluster:
        visit(test)
        assert list(tmp_path.glob("**/runs/latest/stdout.1")), "it was rotated"
