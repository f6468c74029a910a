"""A registry in one SQLite file.

Rules: write-ahead log, synchronous=FULL, held exclusively by one process. All writes that were asked for while one was under way
go into one transaction, on a thread of its own. A file that can't be read is never replaced.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from merismos.ports.registry import Entry, RegistryError

FORMAT = 1
_SCHEMA = "CREATE TABLE entries (tab TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (tab, key)) WITHOUT ROWID"
_PUT = "INSERT INTO entries VALUES (?, ?, ?) ON CONFLICT (tab, key) DO UPDATE SET value = excluded.value"
_DELETE = "DELETE FROM entries WHERE tab = ? AND key = ?"
Done = Callable[[RegistryError | None], None]
Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


class SqliteRegistry:
    """Entries in the file at `path`, which is made where there is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "registry")
        self._connection: sqlite3.Connection | None = None
        self._waiting: list[tuple[list[Entry], Done]] = []
        self._writing: asyncio.Task[None] | None = None

    async def load(self) -> list[Entry]:
        """Open the file and return every entry.

        Errors: RegistryError.
        """
        return await self._on_thread(self._open)

    def store(self, changes: list[Entry], done: Done) -> None:
        """Write `changes` with the next transaction."""
        self._waiting.append((changes, done))
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def close(self) -> None:
        """Write what waits, then close the file."""
        if self._writing is not None:
            await self._writing
        if self._connection is not None:
            await self._on_thread(self._connection.close)
            self._connection = None
        self._thread.shutdown(wait=True)

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            error: RegistryError | None = None
            try:
                await self._on_thread(self._commit, [change for changes, _ in batch for change in changes])
            except RegistryError as failure:
                error = failure
            for _, done in batch:
                done(error)
        self._writing = None

    async def _on_thread(self, work: Callable[[*Arguments], Result], *args: *Arguments) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)
        except sqlite3.Error as error:
            raise RegistryError(self._advice(error)) from error

    def _advice(self, error: sqlite3.Error) -> str:
        if "locked" in str(error):
            return f"{self._path} is in use: another master runs with this work_dir; stop it or take another --work_dir"
        if isinstance(error, sqlite3.DatabaseError) and "not a database" in str(error):
            return f"{self._path} is no registry: restore it from a copy, or move it away to start without one"
        return f"{self._path}: {error}; look at the disk's space and health and at the file's owner"

    def _open(self) -> list[Entry]:
        connection = sqlite3.connect(self._path, timeout=1.0, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                connection.execute(_SCHEMA)
                connection.execute(f"PRAGMA user_version={FORMAT}")
            self._check(version)
            entries = [
                (table, key, bytes(value))
                for table, key, value in connection.execute("SELECT tab, key, value FROM entries")
            ]
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return entries

    def _check(self, version: int) -> None:
        if version not in {0, FORMAT}:
            raise RegistryError(f"{self._path} has format {version}, this master knows {FORMAT}: start what wrote it")

    def _commit(self, changes: list[Entry]) -> None:
        connection = self._connection
        assert connection is not None, "load opens the file first"
        connection.execute("BEGIN IMMEDIATE")
        try:
            for table, key, value in changes:
                if value:
                    connection.execute(_PUT, (table, key, value))
                else:
                    connection.execute(_DELETE, (table, key))
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise
