"""Which master leads: the one named, the one of several that says so, or the one that a detector finds (`zk://host:2181/path`).

Rules: a detector and its client library are imported only where such an address is given. Of several masters, one leads when it
names itself as the leader: what another says of it may be older than its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from merismos.ports.detector import DetectorError, Leader
from merismos.sdk.address import Address, AddressError, parse
from merismos.sdk.connection import Connection
from merismos.sdk.http import BrokenAnswerError

if TYPE_CHECKING:
    from merismos.ports.detector import Detector

_LOOK_AGAIN_S: Final = 0.05
_LOOK_AGAIN_S_MAX: Final = 0.5
_ASK_S_MAX: Final = 2.0


class NoLeader(Exception):
    """No master leads, or none could be found in time."""


class Leaders:
    """Finds the leading master, again and again.

    Shapes: `where` is a master, several, or a detector's address; `on_change` is called when a detector sees another lead than
    `find` returned last.
    """

    def __init__(self, where: Address | list[Address] | str) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._where = where
        self._detector: Detector | None = None
        self._leader: Address | None = where if isinstance(where, Address) else None
        self._found = self._leader
        self._known = asyncio.Event()
        self._another = asyncio.Event()

    def __str__(self) -> str:
        return str(self._leader or described(self._where))

    async def find(self) -> Address:
        """Wait for a leader and return it.

        Errors: AddressError for an address that no detector can follow.
        """
        if isinstance(self._where, list):
            self._leader = await _ask_around(self._where)
        elif isinstance(self._where, str) and self._detector is None:
            self._detector = detector_of(self._where)
            self._detector.start(self._changed)
        if self._detector is not None:
            await self._known.wait()
        assert self._leader is not None
        self._another.clear()
        self._found = self._leader
        return self._leader

    async def pause(self, limit_s: float) -> bool:
        """Wait, for less long where a detector sees another lead than `find` returned last; say whether it did."""
        try:
            async with asyncio.timeout(limit_s):
                return await self._another.wait()
        except TimeoutError:
            return False

    async def close(self) -> None:
        """Look no more."""
        detector, self._detector = self._detector, None
        if detector is not None:
            await detector.close()

    def _changed(self, leader: Leader | None) -> None:
        self._leader = None if leader is None else parse(leader.address)
        if self._leader is None:
            self._known.clear()
        else:
            self._known.set()
            if self._found not in {None, self._leader}:
                self._another.set()
                self.on_change()


async def find_once(where: list[Address] | str, limit_s: float) -> Address:
    """Return the leading master.

    Errors: NoLeader after `limit_s`; AddressError.
    """
    leaders = Leaders(where)
    try:
        async with asyncio.timeout(limit_s):
            return await leaders.find()
    except TimeoutError:
        raise NoLeader(f"no master leads at {described(where)}, or it can't be reached, for {limit_s:g} s") from None
    finally:
        await leaders.close()


def described(where: Address | list[Address] | str) -> str:
    """Return how people write it."""
    return ",".join(map(str, where)) if isinstance(where, list) else str(where)


async def _ask_around(masters: list[Address]) -> Address:
    pause_s = _LOOK_AGAIN_S
    while True:
        for master in masters:
            leader = await _named_by(master)
            if leader is not None and await _named_by(leader) == leader:
                return leader
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.1, _LOOK_AGAIN_S_MAX)


async def _named_by(master: Address) -> Address | None:
    connection = Connection(master, timeout_s=_ASK_S_MAX)
    try:
        named = (await connection.ask("GET", "/redirect")).headers.get("location")
        return parse(named) if named else None
    except (OSError, BrokenAnswerError, AddressError):
        return None
    finally:
        await connection.close()


def detector_of(where: str) -> Detector:
    """Return what follows the leader at `where`.

    Errors: AddressError.
    """
    from merismos.shell import plugins  # noqa: PLC0415 - a command that is given a master's own address starts without

    try:
        return plugins.detector_of(where)
    except DetectorError as error:
        raise AddressError(str(error)) from error
