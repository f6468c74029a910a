"""From kill -9 of the leading master to the first offers of the next one: a local cluster with a real ZooKeeper, as `merismos up` makes it.

`python -m benchmarks.election [KILLS]` prints one JSON line with where the time went. Rules: sessions of 2 s, ZooKeeper's ticks of
500 ms, three masters, four agents; a scheduler that follows zk:// declines what it is offered. Each kill comes at a random instant
within a second, once all agents are with the leader, since ZooKeeper ends sessions by its ticks. The killed master is started again
meanwhile, as a supervisor would. The clock is the machine's, since the masters' logs have their part of the story.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from merismos.daemons import local_zookeeper
from merismos.sdk import Framework, Offer

KILLS = 9
AGENTS = 4
WAIT_S_MAX = 60.0
LEADING = re.compile(r"^timestamp=(\S+) .*event=leading ", re.MULTILINE)


class Watcher:
    """A scheduler that notes when it was subscribed, and when it was offered something, for the first time since it was told to."""

    def __init__(self, zk: str) -> None:
        self.framework = Framework("election", master=zk, failover_timeout_s=WAIT_S_MAX, refuse_s=0.1)
        self.framework.on_offer(self._on_offer)
        self.framework.on_subscribed(self._on_subscribed)
        self.forget()

    def forget(self) -> None:
        """Note the next subscription and offer."""
        self.subscribed_at = 0.0
        self.agents: set[str] = set()
        self.first_at = 0.0
        self.offered = asyncio.Event()
        self.everybody = asyncio.Event()

    def _on_subscribed(self, _framework_id: str) -> None:
        self.subscribed_at = self.subscribed_at or time.time()

    def _on_offer(self, offer: Offer) -> None:
        if not self.subscribed_at:
            return  # of the leader that is about to die
        self.first_at = self.first_at or time.time()
        self.agents.add(offer.agent_id)
        self.offered.set()
        if len(self.agents) == AGENTS:
            self.everybody.set()


def leader_of(state: Path) -> tuple[int, Path]:
    """Return the process of the master that leads, and its log; it is the one whose log says so last."""
    record = json.loads((state / "up.json").read_text())
    logs = {name: Path(record["work_dir"]) / "logs" / f"{name}.log" for name in record["addresses"] if "master" in name}
    latest = max(logs, key=lambda name: max(led_at(logs[name]), default=0.0))
    return record["pids"][latest], logs[latest]


def led_at(log: Path) -> list[float]:
    """Return when a master began to lead, each time."""
    return [dt.datetime.fromisoformat(at).timestamp() for at in LEADING.findall(log.read_text())]


async def elections(up: dict[str, Any], state: Path, kills: int) -> list[dict[str, float]]:
    """Kill leader after leader; return what each took."""
    seen = []
    watcher = Watcher(up["zk"])
    watcher.forget()
    async with asyncio.timeout(WAIT_S_MAX * kills), watcher.framework:
        for _ in range(kills):
            await watcher.everybody.wait()
            await asyncio.sleep(random.uniform(1.0, 2.0))
            pid, _ = leader_of(state)
            watcher.forget()
            killed_at = time.time()
            os.kill(pid, signal.SIGKILL)
            await watcher.offered.wait()
            _, log = leader_of(state)
            seen.append(
                {
                    "leading_s": led_at(log)[-1] - killed_at,
                    "subscribed_s": watcher.subscribed_at - killed_at,
                    "offers_s": watcher.first_at - killed_at,
                }
            )
    return seen


def run(kills: int = KILLS) -> dict[str, float]:
    """Return medians and the slowest; nothing where no ZooKeeper can be started."""
    if local_zookeeper.why_not() is not None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        environment = os.environ | {"MERISMOS_STATE_DIR": str(state)}
        cli = [sys.executable, "-m", "merismos.cli"]
        flags = ["--zk", f"--agents={AGENTS}", "--master-port=0", "--detach", "-o", "json"]
        said = subprocess.run(
            [*cli, "up", *flags], stdout=subprocess.PIPE, check=True, timeout=WAIT_S_MAX, env=environment
        )
        try:
            seen = asyncio.run(elections(json.loads(said.stdout), state, kills))
        finally:
            subprocess.run([*cli, "down"], stderr=subprocess.DEVNULL, check=True, timeout=WAIT_S_MAX, env=environment)
    found = {name: statistics.median(one[name] for one in seen) for name in seen[0]}
    return found | {"slowest_s": max(one["offers_s"] for one in seen), "kills": kills}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(*map(int, sys.argv[1:]))) + "\n")
