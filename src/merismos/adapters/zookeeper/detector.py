"""The leader, as ZooKeeper shows it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from merismos.adapters.zookeeper.address import ZooKeeperAddressError, parse
from merismos.adapters.zookeeper.group import Group, Sighting
from merismos.adapters.zookeeper.session import LOGGER, Session
from merismos.core import election
from merismos.ports.detector import DetectorError, Leader

log = logging.getLogger(LOGGER)


class ZooKeeperDetector:
    """Follows the candidate with the lowest number."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._group: Group | None = None
        self._on_change: Callable[[Leader | None], None] = lambda leader: None  # noqa: ARG005 - the signature is given
        self._answered = False
        self._leader: Leader | None = None

    def start(self, on_change: Callable[[Leader | None], None]) -> None:
        """Begin to look."""
        self._on_change = on_change
        self._session.start()
        self._group = Group(self._session, self._on_seen)
        self._group.start()

    async def close(self) -> None:
        """Look no more."""
        if self._group is not None:
            await self._group.close()
            self._group = None
            await self._session.close()

    def _on_seen(self, sighting: Sighting) -> None:
        leader = None
        if sighting.leading is not None and sighting.first is not None:
            leader = election.leader_of(sighting.first, election.epoch_of(sighting.born_at_s, sighting.leading))
            if leader is None:
                log.warning("the introduction of %s can't be read: %r", sighting.leading, sighting.first[:200])
        if self._answered and leader == self._leader:
            return
        self._answered = True
        self._leader = leader
        self._on_change(leader)


def make(address: str, session_timeout_s: float) -> ZooKeeperDetector:
    """Return a detector with a session of its own.

    Errors: DetectorError.
    """
    try:
        return ZooKeeperDetector(Session(parse(address), session_timeout_s))
    except ZooKeeperAddressError as error:
        raise DetectorError(str(error)) from error
