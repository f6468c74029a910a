"""Which master leads: the one that was named, or the one that a detector finds (`zk://host1:2181,host2:2181/path`).

Rules: a detector and its client library are imported only where such an address is given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from merismos.ports.detector import DetectorError, Leader
from merismos.sdk.address import Address, AddressError, parse

if TYPE_CHECKING:
    from merismos.ports.detector import Detector


class NoLeader(Exception):
    """No master leads, or none could be found in time."""


class Leaders:
    """Finds the leading master, again and again.

    Shapes: `where` is a master, or a detector's address; `on_change` is called when another leads than `find` returned last.
    """

    def __init__(self, where: Address | str) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._where = where
        self._detector: Detector | None = None
        self._leader: Address | None = where if isinstance(where, Address) else None
        self._known = asyncio.Event()

    def __str__(self) -> str:
        return str(self._leader or self._where)

    async def find(self) -> Address:
        """Wait for a leader and return it.

        Errors: AddressError for an address that no detector can follow.
        """
        if isinstance(self._where, str) and self._detector is None:
            self._detector = detector_of(self._where)
            self._detector.start(self._changed)
        if self._detector is not None:
            await self._known.wait()
        assert self._leader is not None
        return self._leader

    async def close(self) -> None:
        """Look no more."""
        detector, self._detector = self._detector, None
        if detector is not None:
            await detector.close()

    def _changed(self, leader: Leader | None) -> None:
        before = self._leader
        self._leader = None if leader is None else parse(leader.address)
        if self._leader is None:
            self._known.clear()
        else:
            self._known.set()
            if before is not None and before != self._leader:
                self.on_change()


async def find_once(where: str, limit_s: float) -> Address:
    """Return the leading master.

    Errors: NoLeader after `limit_s`; AddressError.
    """
    leaders = Leaders(where)
    try:
        async with asyncio.timeout(limit_s):
            return await leaders.find()
    except TimeoutError:
        raise NoLeader(f"no master leads at {where}, or it can't be reached, for {limit_s:g} s") from None
    finally:
        await leaders.close()


def detector_of(where: str) -> Detector:
    """Return what follows the leader at `where`.

    Errors: AddressError.
    """
    from merismos.shell import plugins  # noqa: PLC0415 - a command that is given a master's own address starts without

    try:
        return plugins.detector_of(where)
    except DetectorError as error:
        raise AddressError(str(error)) from error
