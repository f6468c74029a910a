"""Who leads: decided from what a coordination service shows, which is names with numbers in them.

Rules: the lowest number leads. A candidate that led and isn't the lowest any more, or whose name is gone, never leads again; one
that has not led yet just takes a new name. Until a suspended leader has seen its own name lead again, it stays suspended.
Epochs grow from leader to leader also when the service has lost all its data, hence the group's birth is a part of them.
Source: docs/decisions/0040-epochs-outlive-zookeeper.md.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterable, Sequence

from merismos.ports.contender import Deposed, Elected, Restored, Standing, Suspended
from merismos.ports.detector import Leader
from merismos.protocol import json
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import mesos

PREFIX = "json.info_"
_DIGITS = 10
_NUMBERS_A_SECOND = 1 << 20


def sequence_of(name: str) -> int | None:
    """Return the number of a candidate's name; None for what isn't one."""
    digits = name.removeprefix(PREFIX)
    if len(digits) != _DIGITS or name == digits or not (digits.isascii() and digits.isdigit()):
        return None
    return int(digits)


def leading(names: Iterable[str]) -> str | None:
    """Return the name that leads; None where no candidate is."""
    numbered = [(sequence, name) for name in names if (sequence := sequence_of(name)) is not None]
    return min(numbered)[1] if numbered else None


def epoch_of(born_at_s: int, name: str) -> int:
    """Return the epoch of a leader.

    Units: `born_at_s` is the wall time at which the group of candidates was created.
    Shapes: below 2^53 until the year 2242, so that JSON carries it.
    """
    sequence = sequence_of(name)
    assert sequence is not None, name
    return born_at_s * _NUMBERS_A_SECOND + sequence


def leader_of(candidate: bytes, epoch: int) -> Leader | None:
    """Return who introduces itself so; None where that can't be read.

    Source: Mesos' own readers, which take `address` where there is one, else the integer `ip`, its bytes in network order.
    """
    try:
        info = json.decode(mesos.MasterInfo, candidate)
        ip = (info.address.ip if info.address is not None else None) or str(
            ipaddress.IPv4Address(info.ip.to_bytes(4, "little"))
        )
    except (DecodeError, ValueError, OverflowError):
        return None
    port = info.address.port if info.address is not None else info.port
    return Leader(ip, port, info.hostname or ip, info.id, epoch)


class Place(enum.Enum):
    """Where a candidate stands."""

    OUTSIDE = 0
    WAITING = 1
    LEADING = 2
    SUSPENDED = 3
    OVER = 4


class Candidacy:
    """One master's part in an election.

    Shapes: every method returns what the master is to be told, in order.
    """

    __slots__ = ("name", "place")

    def __init__(self) -> None:
        self.name: str | None = None
        self.place = Place.OUTSIDE

    def joined(self, name: str) -> None:
        """Take part under this name."""
        assert self.place in {Place.OUTSIDE, Place.WAITING}, self.place
        self.name = name
        self.place = Place.WAITING

    def seen(self, names: Iterable[str], born_at_s: int) -> Sequence[Standing]:
        """Judge the candidates that there are, as seen while it was certain that this one's session held."""
        if self.name is None or self.place is Place.OVER:
            return ()
        present = list(names)
        if self.name not in present:
            return self._put_out("its name in the election is gone")
        first = leading(present)
        if first != self.name:
            if self.place is Place.WAITING:
                return ()
            return self._end(f"{first} leads")
        match self.place:
            case Place.WAITING:
                self.place = Place.LEADING
                return (Elected(epoch_of(born_at_s, self.name)),)
            case Place.SUSPENDED:
                self.place = Place.LEADING
                return (Restored(),)
            case _:
                return ()

    def doubted(self, reason: str) -> Sequence[Standing]:
        """Take that at the moment nothing can be known."""
        if self.place is not Place.LEADING:
            return ()
        self.place = Place.SUSPENDED
        return (Suspended(reason),)

    def lost(self, reason: str) -> Sequence[Standing]:
        """Take that the session is over, and the name with it."""
        return self._put_out(reason)

    def _put_out(self, reason: str) -> Sequence[Standing]:
        if self.place in {Place.LEADING, Place.SUSPENDED}:
            return self._end(reason)
        if self.place is Place.WAITING:
            self.place = Place.OUTSIDE
            self.name = None
        return ()

    def _end(self, reason: str) -> Sequence[Standing]:
        self.place = Place.OVER
        return (Deposed(reason),)
