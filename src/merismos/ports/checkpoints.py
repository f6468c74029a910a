"""The store of an agent's checkpoints: a map from a key to the records of what became of it, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

Change = tuple[str, bytes | None]
"""Another record under a key; None: the key and all its records are no more."""
Entries = dict[str, list[bytes]]
Written = Callable[[int], None]


def apply(entries: Entries, changes: Sequence[Change]) -> None:
    """Bring `entries` to where `changes` lead."""
    for key, record in changes:
        if record is None:
            entries.pop(key, None)
        else:
            entries.setdefault(key, []).append(record)


class CheckpointError(Exception):
    """The store can't be read; the text says why and what to do about it."""


class CheckpointStore(Protocol):
    """Keeps checkpoints, written by one agent at a time."""

    def load(self) -> tuple[Entries, list[str]]:
        """Return all that was kept, keys in the order of their first record, and what is damaged, each with what to do.

        Errors: CheckpointError for a store whose form isn't known, or that can't be read at all.
        """
        ...

    def open(self, agent_id: str) -> None:
        """Write for this agent from now on; what another left is forgotten."""
        ...

    def forget(self) -> None:
        """Let nothing be found by the next start."""
        ...

    def write(self, sequence: int, changes: Sequence[Change], *, durable: bool) -> None:
        """Keep `changes`: over the end of this process, and where `durable` over a power cut.

        `written` is then called with `sequence`, once for all that were written together, in order. A disk that is full
        delays that; nothing is ever given up.
        """
        ...

    async def close(self) -> None:
        """Write what waits, if it can be written, and let go of the store."""
        ...
