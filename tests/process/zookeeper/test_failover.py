"""Two or three masters on a real ZooKeeper: one leads, it dies, the next leads, and the work goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from contract.zookeeper_server import ZooKeeperServer
from merismos.sdk import Framework, Offer, Task, Update
from process.zookeeper.masters import WAIT_S_MAX, Masters, Standing

pytestmark = pytest.mark.process


def test_when_the_leader_is_killed_the_next_leads_and_the_agents_follow(
    tmp_path: Path, zookeeper: ZooKeeperServer
) -> None:
    with Masters(tmp_path, zookeeper) as masters:
        first, second, before = masters.start_pair_and_agent()
        masters.until(lambda: second.get("/state")[0] == 307, "the standby knows the leader")
        assert second.get("/state?x=1")[:2] == (307, f"//localhost:{first.port}/state?x=1")
        assert second.get("/master/redirect")[:2] == (307, f"//localhost:{first.port}")
        assert first.get("/redirect")[:2] == (307, f"//localhost:{first.port}")
        assert second.get("/health")[0] == 200
        first.stop(signal.SIGKILL)
        assert masters.leader() is second
        masters.until(lambda: second.agents() == before, "the agent comes back under its id")


def test_a_scheduler_that_is_given_zookeeper_follows_the_leader_and_its_task_goes_on(
    tmp_path: Path, zookeeper: ZooKeeperServer
) -> None:
    async def scenario(masters: Masters, first: Standing) -> None:
        framework = Framework("follower", master=masters.url, failover_timeout_s=60)
        running, subscribed_again, confirmed = (asyncio.Event() for _ in range(3))
        launched: list[str] = []
        ids: list[str] = []

        @framework.on_offer
        def _(offer: Offer) -> None:
            task = Task(
                name="long", id="long", command=f"echo $$ >> {tmp_path}/pids; exec sleep 1000", cpus=0.1, mem=32
            )
            if not launched and offer.fits(task):
                launched.append(task.id)
                offer.launch(task)

        @framework.on_update
        def _(update: Update) -> None:
            if update.state == "TASK_RUNNING":
                (confirmed if subscribed_again.is_set() else running).set()

        @framework.on_subscribed
        def _(framework_id: str) -> None:
            ids.append(framework_id)
            if len(ids) > 1:
                subscribed_again.set()

        async with asyncio.timeout(WAIT_S_MAX), framework:
            await running.wait()
            before = framework.master
            await asyncio.to_thread(first.stop, signal.SIGKILL)
            await subscribed_again.wait()
            assert framework.master != before
            while not confirmed.is_set():
                await framework.reconcile("long")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(confirmed.wait(), 0.2)
            assert len(set(ids)) == 1, "it keeps its id"
            (pid,) = (tmp_path / "pids").read_text().split()
            os.kill(int(pid), 0)

    with Masters(tmp_path, zookeeper) as masters:
        first = masters.start_master()
        assert masters.leader() is first
        masters.start_master()
        masters.start_agent()
        asyncio.run(scenario(masters, first))
        said = subprocess.run(
            [sys.executable, "-m", "merismos.cli", "agents", "--master", masters.url, "-o", "json"],
            capture_output=True, text=True, check=False, timeout=WAIT_S_MAX,
        )  # fmt: skip
        assert (said.returncode, said.stderr) == (0, "")
        assert [one["hostname"] for one in json.loads(said.stdout)] == ["localhost"]
