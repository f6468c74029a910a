"""The contender: this master's part in the election."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec


class ContenderError(Exception):
    """A contender can't be made from what was configured, or can't take part; the text says what to change."""


class Standing(msgspec.Struct, frozen=True):
    """What became of the candidacy."""


class Elected(Standing, frozen=True):
    """This master leads from now on.

    Shapes: epochs grow from leader to leader; 0: the election has none, the registry's start counts.
    """

    epoch: int


class Suspended(Standing, frozen=True):
    """It led, and can't be sure any more that it does: it must decide nothing."""

    reason: str


class Restored(Standing, frozen=True):
    """It led all the while, in the same epoch."""


class Deposed(Standing, frozen=True):
    """It leads no more and never will again in this process."""

    reason: str


class Contender(Protocol):
    """Stands for election, once. A candidate that never led may lose its place in the queue and take another by itself."""

    def contend(self, candidate: bytes, on_standing: Callable[[Standing], None]) -> None:
        """Stand, introduced to others by `candidate` (JSON of a MasterInfo); `on_standing` is called from the loop.

        Standings come in this order: Elected, any number of Suspended and Restored in turn, Deposed. Trying goes on for ever.
        """
        ...

    def may_decide(self) -> bool:
        """Whether it is certain at this instant that no other master leads, by the clock alone, at once."""
        ...

    async def close(self) -> None:
        """Withdraw, so that the next may lead at once; `on_standing` is not called again."""
        ...
