"""A registry that lives as long as its process: for tests, and for `--registry=in_memory`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from merismos.ports.registry import Entry, RegistryError


class MemoryRegistry:
    """Entries in a dict."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], bytes] = {}

    async def load(self) -> list[Entry]:
        """Return every entry."""
        return [(table, key, value) for (table, key), value in self.entries.items()]

    def store(self, changes: list[Entry], done: Callable[[RegistryError | None], None]) -> None:
        """Take `changes` and call `done` in the next loop turn."""
        for table, key, value in changes:
            if value:
                self.entries[table, key] = value
            else:
                self.entries.pop((table, key), None)
        asyncio.get_running_loop().call_soon(done, None)

    async def close(self) -> None:
        """Keep the entries: whoever holds this object may go on with it."""
