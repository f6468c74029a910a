"""ZooKeeper, played: sessions that expire, an election, watches that come late, a registry that is fenced by the election.

Rules: a session is as old as the last beat that came through; when it expires, its candidate is gone. While the ensemble is down
nothing is answered and nothing expires. A write of a master whose candidate is gone changes nothing. A write whose answer was lost
counts or doesn't, by chance, and its writer hears of a failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.election import PREFIX, leader_of, leading
from merismos.core.election import epoch_of as election_epoch_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from merismos.ports.detector import Leader
    from merismos.simulation.world import World

    Changes = list[tuple[str, str, bytes]]

SESSION_S = 6.0
LEASE_S = 4.0
BEAT_S = 1.5
BORN_AT_S = 1_700_000_000


class Session:
    """One client's session and the candidate that lives as long as it."""

    __slots__ = ("candidate", "expires_at", "is_over", "name")

    def __init__(self, expires_at: float, candidate: bytes) -> None:
        self.expires_at = expires_at
        self.candidate = candidate
        self.name = ""
        self.is_over = False


class Coordination:
    """The ensemble; `registry` is what its masters wrote."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.down_until = 0.0
        self.registry: dict[tuple[str, str], bytes] = {}
        self._candidates: dict[str, Session] = {}
        self._leader: Leader | None = None  # kept, since it is asked for all the time
        self._sequence = 0
        self._watchers: list[Callable[[], None]] = []

    def is_down(self) -> bool:
        """Say whether nobody answers at the moment."""
        return self.world.agenda.now < self.down_until

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher`, late, after each change among the candidates."""
        self._watchers.append(watcher)

    def names(self) -> list[str]:
        """Return the candidates that there are."""
        return list(self._candidates)

    def leader(self) -> Leader | None:
        """Return who leads."""
        return self._leader

    def _elect(self) -> Leader | None:
        name = leading(self._candidates)
        if name is None:
            return None
        return leader_of(self._candidates[name].candidate, election_epoch_of(BORN_AT_S, name))

    # ------------------------------------------------------------ sessions
    def join(self, candidate: bytes) -> Session:
        """Open a session and stand for election with it."""
        world = self.world
        session = Session(world.agenda.now + SESSION_S, candidate)
        session.name = f"{PREFIX}{self._sequence:010d}"
        self._sequence += 1
        self._candidates[session.name] = session
        world.agenda.at(session.expires_at, lambda: self._expire(session))
        self._changed()
        return session

    def beat(self, session: Session) -> bool:
        """Keep a session alive; return whether it still was."""
        if not session.is_over:
            session.expires_at = self.world.agenda.now + SESSION_S
        return not session.is_over

    def end(self, session: Session) -> None:
        """End a session, and its candidacy."""
        if not session.is_over:
            session.is_over = True
            del self._candidates[session.name]
            self._changed()

    def end_all(self) -> None:
        """Lose every session, as an ensemble that comes back without its memory of them."""
        for session in list(self._candidates.values()):
            self.end(session)

    def _expire(self, session: Session) -> None:
        agenda = self.world.agenda
        if session.is_over:
            return
        if self.is_down():
            session.expires_at = max(session.expires_at, self.down_until + SESSION_S)
        if agenda.now >= session.expires_at:
            self.world.note("zookeeper", None, b"expires " + session.name.encode())
            self.end(session)
        else:
            agenda.at(session.expires_at, lambda: self._expire(session))

    def _changed(self) -> None:
        self._leader = self._elect()
        weather = self.world.weather
        for watcher in self._watchers:
            self.world.agenda.after(weather.notice_of_watch_s(), watcher)

    # ------------------------------------------------------------ the registry
    def write(self, session: Session, changes: Changes) -> str:
        """Write, if the writer still stands; return what went wrong."""
        dice = self.world.dice
        if session.is_over:
            return "another master leads"
        failed = not self.world.weather.calm and dice.below(1000) < 4  # noqa: PLR2004 - odds of a thousand
        if not failed or dice.chance(50):
            for table, key, content in changes:
                if content:
                    self.registry[table, key] = content
                else:
                    self.registry.pop((table, key), None)
        return "the answer was lost" if failed else ""

    def read(self) -> list[tuple[str, str, bytes]]:
        """Return the registry."""
        return [(table, key, content) for (table, key), content in self.registry.items()]
