"""Two greedy frameworks share a real cluster by the weights of their roles."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from merismos.sdk import Framework, Offer, Task, Update
from process.cli.commands import WAIT_S_MAX
from process.sessions.cluster import Cluster

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("cli")]
CPUS = 0.666  # twelve tasks fill the cluster
WINDOW = 90  # events; a task makes about four. The mean of so many must be right for as many more


class Greedy:
    """Runs as many short tasks as it is given room for."""

    def __init__(self, role: str, shares: Shares) -> None:
        self.held: set[str] = set()
        self.framework = Framework(role, master=shares.master, roles=[role])
        self._shares = shares
        self._launched = 0
        self.framework.on_offer(self._on_offer)
        self.framework.on_update(self._on_update)

    def _on_offer(self, offer: Offer) -> None:
        while True:
            task = Task(name="greedy", command=f"sleep 0.{2 + self._launched % 3}", cpus=CPUS, mem=16)
            if not offer.fits(task):
                return
            offer.launch(task)
            self._launched += 1
            self.held.add(task.id)

    def _on_update(self, update: Update) -> None:
        if update.is_terminal:
            self.held.discard(update.task_id)
        self._shares.look()


class Shares:
    """What the two hold, seen at each of their events."""

    def __init__(self, master: str) -> None:
        self.master = master
        self.settled = asyncio.Event()
        self.light, self.heavy = Greedy("light", self), Greedy("heavy", self)
        self._seen: deque[tuple[int, int]] = deque(maxlen=WINDOW)
        self._steady = 0

    def look(self) -> None:
        self._seen.append((len(self.light.held), len(self.heavy.held)))
        self._steady = self._steady + 1 if 1.8 < self.ratio() < 2.2 else 0
        if self._steady == WINDOW:
            self.settled.set()

    def ratio(self) -> float:
        return sum(heavy for _, heavy in self._seen) / max(sum(light for light, _ in self._seen), 1)


def test_weights_of_one_and_two_settle_at_one_to_two(cluster: Cluster) -> None:
    async def share() -> None:
        shares = Shares(f"127.0.0.1:{cluster.port}")
        async with shares.light.framework, shares.heavy.framework:
            try:
                async with asyncio.timeout(WAIT_S_MAX):
                    await shares.settled.wait()
            except TimeoutError:
                pytest.fail(f"heavy holds {shares.ratio():.2f} times what light does, not 2")

    asyncio.run(share())
