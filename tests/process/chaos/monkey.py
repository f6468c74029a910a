"""Breaks a running cluster, one thing after the other, from one seed; and counts what it broke.

Rules: whatever is stopped or cut off is let go again after a while. A majority of the ensemble stays whole, so that the cluster can
go on; everything else may be down at once. Each kind of trouble comes once, in some order, before any comes by its weight.
"""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from process.chaos.ensemble import mode_of

if TYPE_CHECKING:
    from process.chaos.arena import Arena
    from process.chaos.supervised import Supervised

PAUSE_S = (0.4, 3.0)
FROZEN_S = (1.0, 12.0)
CUT_S = (1.0, 12.0)
AWAY_S = (0.3, 5.0)


class Monkey:
    """Does something bad every now and then, until it is told to stop."""

    def __init__(self, arena: Arena, seed: int) -> None:
        self.did: Counter[str] = Counter()
        self.story: list[str] = []
        self._arena = arena
        self._dice = random.Random(seed)
        self._tired = False
        acts: list[tuple[int, Callable[[], None]]] = [
            (3, self._kill_leader),
            (2, self._kill_standby),
            (6, self._kill_agent),
            (2, self._kill_scheduler),
            (2, self._freeze_leader),
            (3, self._freeze_agent),
            (2, self._cut_leader),
            (4, self._cut_agent),
            (1, self._cut_scheduler),
            (2, self._kill_zookeeper_leader),
        ]
        self._acts = [act for weight, act in acts for _ in range(weight)]
        self._first = [act for _, act in acts]
        self._dice.shuffle(self._first)
        self._plan()

    def rest(self) -> None:
        """Break nothing more."""
        self._tired = True

    def _plan(self) -> None:
        self._arena.pit.after(self._dice.uniform(*PAUSE_S), self._act)

    def _act(self) -> None:
        if not self._tired:
            act = self._first.pop() if self._first else self._dice.choice(self._acts)
            act()
            self._plan()

    def _count(self, what: str, process: Supervised) -> None:
        self.did[what] += 1
        self.story.append(f"{self._arena.age_s():.1f} s: {what}: {process.name}")

    # ------------------------------------------------------------ whom
    def _leader(self) -> Supervised:
        return self._arena.leader() or self._dice.choice(self._arena.masters)

    # ------------------------------------------------------------ what
    def _kill(self, what: str, process: Supervised) -> None:
        if process.is_running:
            self._count(what, process)
            process.restart_s = self._dice.uniform(*AWAY_S)
            process.send(signal.SIGKILL)

    def _freeze(self, what: str, process: Supervised) -> None:
        if process.is_running and not process.is_frozen:
            self._count(what, process)
            process.send(signal.SIGSTOP)
            self._arena.pit.after(self._dice.uniform(*FROZEN_S), lambda: process.send(signal.SIGCONT))

    def _cut(self, what: str, process: Supervised) -> None:
        machine = process.machine
        if machine.connected:
            self._count(what, process)
            machine.cut()
            self._arena.pit.after(self._dice.uniform(*CUT_S), machine.mend)

    def _kill_leader(self) -> None:
        self._kill("kill -9 of the leading master", self._leader())

    def _kill_standby(self) -> None:
        leader = self._arena.leader()
        standby = [master for master in self._arena.masters if master is not leader]
        self._kill("kill -9 of a standby master", self._dice.choice(standby))

    def _kill_agent(self) -> None:
        self._kill("kill -9 of an agent", self._dice.choice(self._arena.agents))

    def _kill_scheduler(self) -> None:
        self._kill("kill -9 of the scheduler", self._arena.scheduler)

    def _freeze_leader(self) -> None:
        self._freeze("SIGSTOP of the leading master", self._leader())

    def _freeze_agent(self) -> None:
        self._freeze("SIGSTOP of an agent", self._dice.choice(self._arena.agents))

    def _cut_leader(self) -> None:
        self._cut("cut link of the leading master", self._leader())

    def _cut_agent(self) -> None:
        self._cut("cut link of an agent", self._dice.choice(self._arena.agents))

    def _cut_scheduler(self) -> None:
        self._cut("cut link of the scheduler", self._arena.scheduler)

    def _kill_zookeeper_leader(self) -> None:
        modes = {peer.name: mode_of(peer) for peer in self._arena.peers if peer.is_running}
        if len([mode for mode in modes.values() if mode]) == len(self._arena.peers):
            leader = next((peer for peer in self._arena.peers if modes[peer.name] == "leader"), None)
            if leader is not None:
                self._kill("kill -9 of the leading ZooKeeper", leader)
