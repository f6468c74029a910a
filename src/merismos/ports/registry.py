"""The registry's store: what a master must not forget, as entries of (table, key, JSON)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Entry = tuple[str, str, bytes]


class RegistryError(Exception):
    """The store can't be opened, read or written; the text says what to do about it."""


class RegistryStore(Protocol):
    """A durable map, written by one master at a time."""

    async def load(self) -> list[Entry]:
        """Return every entry.

        Errors: RegistryError, also for a store that another master holds or whose form isn't known. It never forgets anything.
        """
        ...

    def store(self, changes: list[Entry], done: Callable[[RegistryError | None], None]) -> None:
        """Make `changes` durable as one (an empty JSON deletes), then call `done`; `done`s come in the order of `store`s."""
        ...

    async def close(self) -> None:
        """Finish what was asked for and let go of the store."""
        ...
