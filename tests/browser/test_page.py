"""The page at `/`, in a real browser, of a real cluster."""

from __future__ import annotations

import json
import os
import shlex
import signal
from pathlib import Path

import pytest

from browser.chromium import Page
from browser.conftest import Visit, running
from process.sessions.cluster import Cluster

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("browser")]

ROW = "[...document.querySelectorAll('#rows tr')].find((row) => row.innerText.includes(%s))"


def url(cluster: Cluster) -> str:
    return f"http://127.0.0.1:{cluster.port}/"


def row(text: str) -> str:
    return ROW % json.dumps(text)


def test_a_new_cluster_shows_its_agents_and_what_to_try(visit: Visit, cluster: Cluster) -> None:
    async def test(page: Page) -> None:
        await page.open(url(cluster))
        await page.wait("document.querySelectorAll('#tiles .tile').length === 2")
        assert "merismos run -- echo hello" in await page.text("#tasks")
        assert await page.text("#meters .meter:first-child dd") == "0 of 8"
        await page.wait("document.title === 'studio · Merismos'")
        await page.wait("document.querySelector('#where').textContent.includes('studio')")
        assert await page.text("#live") == "live"
        assert await page.run("document.getElementById('banner').hidden")
        assert all(asked.startswith((url(cluster), "data:")) for asked in page.requests), page.requests

    visit(test)


def test_a_task_is_seen_to_arrive_run_and_end(visit: Visit, cluster: Cluster) -> None:
    async def test(page: Page) -> None:
        await page.open(url(cluster))
        await page.wait("document.getElementById('live').classList.contains('on')")
        with running(cluster, "--name", "web", "--cpus", "2", "--role", "services", "--", "echo hello; exec sleep 60"):
            await page.wait(f"{row('web')}.innerText.includes('running')")
            assert await page.text("#meters .meter:first-child dd") == "2 of 8"
            assert await page.text("#legend") == "Dominant shares\nweb 25 %"
            assert "web" in await page.text("#fw-rows")
            assert "1 task" in await page.run(
                "[...document.querySelectorAll('.tile')].map((tile) => tile.innerText).join()"
            )
        await page.wait(f"{row('web')}.innerText.includes('killed')")
        await page.wait("document.querySelector('#meters dd').innerText === '0 of 8'")
        await page.wait("document.querySelector('#fw-over summary').innerText === '1 that ended'")

    visit(test)


def test_a_tasks_output_and_states_are_shown_as_they_come(visit: Visit, cluster: Cluster, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    async def test(page: Page) -> None:
        await page.open(url(cluster))
        line = f"echo to-out; echo to-err >&2; cat {shlex.quote(str(gate))}; echo later; exit 7"
        with running(cluster, "--name", "short", "--", line):
            await page.wait(f"!!{row('short')}")
            await page.run(f"{row('short')}.click()")
            await page.wait("document.getElementById('detail').open")
            await page.wait("document.querySelector('pre.log').textContent === 'to-out\\n'")
            gate.write_text("")  # opens once the task reads, which then goes on
            await page.wait("document.querySelector('pre.log').textContent === 'to-out\\nlater\\n'")
            await page.wait("document.querySelector('.story').innerText.includes('Command exited with status 7')")
        await page.run("document.querySelectorAll('[role=tab]')[1].click()")
        await page.wait("document.querySelector('pre.log').textContent === 'to-err\\n'")
        steps = await page.run("[...document.querySelectorAll('.story b')].map((step) => step.innerText)")
        assert steps == ["launched", "starting", "running", "failed"]
        assert await page.run("location.hash.startsWith('#task=')")
        await page.run("document.getElementById('detail').close()")
        await page.wait("location.hash === '' && !document.getElementById('detail').open")

    visit(test)


def test_a_framework_that_waits_says_why(visit: Visit, cluster: Cluster) -> None:
    async def test(page: Page) -> None:
        await page.open(url(cluster))
        with running(cluster, "--name", "huge", "--cpus", "999", "--", "true"):
            await page.wait("document.querySelector('#fw-rows .why')?.innerText.includes('agents')")
            assert "waiting" in await page.text("#fw-rows")
            await page.run("document.querySelector('#fw-rows button').click()")
            await page.wait("document.querySelector('#detail .reasons')?.innerText.includes('agents')")
            await page.wait("document.querySelector('#detail').innerText.includes('declined')")

    visit(test)


def test_a_master_that_goes_away_and_comes_back_is_followed_again(visit: Visit, cluster: Cluster) -> None:
    async def test(page: Page) -> None:
        await page.open(url(cluster))
        with running(cluster, "--name", "steady", "--", "sleep 60"):
            await page.wait(f"{row('steady')}.innerText.includes('running')")
            cluster.events.close()
            cluster.master.stop(signal.SIGKILL)
            await page.wait("!document.getElementById('banner').hidden")
            assert "can't be reached" in await page.text("#banner") or "closed the stream" in await page.text("#banner")
            assert await page.run("document.getElementById('banner').getAttribute('aria-live')") == "polite"
            assert await page.run("document.getElementById('main').classList.contains('stale')")
            assert "steady" in await page.text("#rows")
            cluster.restart_master()
            await page.run("document.querySelector('#banner button').click()")
            await page.wait(
                "document.getElementById('banner').hidden && document.getElementById('live').innerText === 'live'"
            )
            await page.wait("document.querySelectorAll('#tiles .tile:not(.off)').length === 2")
            await page.wait(f"{row('steady')}.innerText.includes('running')")

    visit(test)


def test_the_theme_follows_the_system_until_one_is_chosen(visit: Visit, cluster: Cluster) -> None:
    async def test(page: Page) -> None:
        dark = [{"name": "prefers-color-scheme", "value": "dark"}]
        await page.open(url(cluster))
        await page.call("Emulation.setEmulatedMedia", features=dark)
        await page.wait("document.documentElement.dataset.theme === 'dark'")
        assert await page.run("document.getElementById('theme').getAttribute('aria-label')") == "Use the light theme"
        await page.run("document.getElementById('theme').click()")
        assert await page.run("document.documentElement.dataset.theme") == "light"
        await page.run("location.reload()")
        await page.wait("document.readyState === 'complete' && document.documentElement.dataset.theme === 'light'")

    visit(test)
