"""An election inside one process, with the failures of a real one at hand: for tests.

Rules: the same decisions as with ZooKeeper (core/election.py), and the same order of what is told; everything is told in a later
turn of the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from merismos.core.election import PREFIX, Candidacy, Place, epoch_of, leader_of, leading
from merismos.ports.contender import Standing
from merismos.ports.detector import Leader


class MemoryElection:
    """Where candidates meet."""

    def __init__(self, born_at_s: int = 1) -> None:
        self.born_at_s = born_at_s
        self.candidates: dict[str, bytes] = {}
        self.is_away = False
        self._next = 0
        self._watchers: list[Callable[[], None]] = []

    def contender(self) -> MemoryContender:
        """Return somebody who may stand."""
        return MemoryContender(self)

    def detector(self) -> MemoryDetector:
        """Return somebody who looks on."""
        return MemoryDetector(self)

    def interrupt(self) -> None:
        """Be away: nobody learns anything."""
        self.is_away = True
        self._changed()

    def resume(self) -> None:
        """Be there again, with all that was there before."""
        self.is_away = False
        self._changed()

    def join(self, candidate: bytes) -> str:
        """Let a candidate take a number; return its name."""
        name = f"{PREFIX}{self._next:010d}"
        self._next += 1
        self.candidates[name] = candidate
        self._changed()
        return name

    def leave(self, name: str | None) -> None:
        """Give a name up."""
        if name is not None and self.candidates.pop(name, None) is not None:
            self._changed()

    def watch(self, look: Callable[[], None]) -> None:
        """Call `look` soon, and after each change."""
        self._watchers.append(look)
        asyncio.get_running_loop().call_soon(look)

    def unwatch(self, look: Callable[[], None]) -> None:
        """Call it no more."""
        with contextlib.suppress(ValueError):
            self._watchers.remove(look)

    def _changed(self) -> None:
        loop = asyncio.get_running_loop()
        for look in self._watchers:
            loop.call_soon(look)


class MemoryContender:
    """One candidacy."""

    def __init__(self, election: MemoryElection) -> None:
        self._election = election
        self._candidacy = Candidacy()
        self._candidate = b""
        self._on_standing: Callable[[Standing], None] | None = None

    def contend(self, candidate: bytes, on_standing: Callable[[Standing], None]) -> None:
        """Stand."""
        self._candidate = candidate
        self._on_standing = on_standing
        self._election.watch(self._look)

    def may_decide(self) -> bool:
        """Say whether it leads and nothing is in doubt."""
        return self._candidacy.place is Place.LEADING and not self._election.is_away

    async def close(self) -> None:
        """Withdraw."""
        self._on_standing = None
        self._election.unwatch(self._look)
        self.expire()

    def expire(self) -> None:
        """Lose the session."""
        name = self._candidacy.name
        self._tell(self._candidacy.lost("the session is over"))
        self._election.leave(name)

    def _look(self) -> None:
        election, candidacy = self._election, self._candidacy
        if self._on_standing is None:
            return
        if election.is_away:
            self._tell(candidacy.doubted("the election is away"))
            return
        if candidacy.place is Place.OUTSIDE:
            candidacy.joined(election.join(self._candidate))
        self._tell(candidacy.seen(election.candidates, election.born_at_s))

    def _tell(self, standings: Sequence[Standing]) -> None:
        for standing in standings:
            if self._on_standing is not None:
                self._on_standing(standing)


class MemoryDetector:
    """One onlooker."""

    def __init__(self, election: MemoryElection) -> None:
        self._election = election
        self._on_change: Callable[[Leader | None], None] | None = None
        self._told: list[Leader | None] = []

    def start(self, on_change: Callable[[Leader | None], None]) -> None:
        """Begin to look."""
        self._on_change = on_change
        self._election.watch(self._look)

    async def close(self) -> None:
        """Look no more."""
        self._on_change = None
        self._election.unwatch(self._look)

    def _look(self) -> None:
        election = self._election
        if self._on_change is None or election.is_away:
            return
        name = leading(election.candidates)
        leader = None if name is None else leader_of(election.candidates[name], epoch_of(election.born_at_s, name))
        if self._told[-1:] != [leader]:
            self._told = [leader]
            self._on_change(leader)
