"""Fetched files that are kept for the next task that asks for them.

Rules: a file is kept under its URI and its user, and never asked for again while it is kept. Who asks while it comes waits for the one
transfer; the transfer ends early only when nobody waits any more, and its failure is everybody's. What is longest unused goes first
when room is needed, never what comes or is being copied; what can't find room isn't kept (`NoRoom`). A file has its final name, which
holds its size, only once it is whole and on the disk: so the cache outlives its agent, and whatever isn't whole is removed at the start.
Source: Mesos, docs/fetcher.md; unlike there, a restart loses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import structlog

from merismos.containers.transfers import Room

Bring = Callable[[Path, Room], Awaitable[None]]
PART = ".part"
_MODE = 0o700


class NoRoom(Exception):
    """The cache can't take a file of this size now."""


class UnsafeDirectory(Exception):
    """Somebody else could put files into the cache; the text says where."""


class Entry:
    """A file that is kept, or on its way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = Path()
        self.size = 0
        self.uses = 0
        self.whole = False
        self.dropped = False
        self.arrival: asyncio.Task[None] | None = None


class FetcherCache:
    """The files of one agent in `directory`, together at most `bytes_max`."""

    def __init__(self, directory: Path, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.bytes_used = 0
        self._directory = directory
        self._entries: dict[str, Entry] = {}  # the longest unused first
        self._parts = 0
        self._checked = False

    def open(self) -> None:
        """Take up what an earlier agent kept; the directory is made when it is first wanted.

        Errors: OSError; UnsafeDirectory.
        """
        if not self._directory.exists():
            return
        check_owners(self._directory)
        self._checked = True
        found = []
        for path in self._directory.iterdir():
            name, _, size = path.name.rpartition("-")
            info = path.lstat()
            if name and size.isdecimal() and stat.S_ISREG(info.st_mode) and info.st_size == int(size):
                found.append((info.st_mtime_ns, name, path, info.st_size))
            else:
                _remove(path)
        for _, name, path, size_bytes in sorted(found):
            entry = Entry(name)
            entry.path, entry.size, entry.whole = path, size_bytes, True
            self._entries[name] = entry
            self.bytes_used += size_bytes
        self._evict(0)

    async def close(self) -> None:
        """Stop what is on its way."""
        coming = [entry.arrival for entry in self._entries.values() if entry.arrival is not None]
        for arrival in coming:
            arrival.cancel()
        await asyncio.gather(*coming, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def lease(self, user: str | None, uri: str, bring: Bring) -> AsyncIterator[Path]:
        """Have the file of a URI, brought if it isn't here; it stays at least while it is leased.

        Errors: NoRoom; whatever `bring` raises.
        """
        name = name_of(user, uri)
        entry = self._entries.get(name)
        if entry is not None and entry.whole and not _is_intact(entry):
            self._drop(entry)
            entry = None
        if entry is None:
            entry = self._begin(name, bring)
        entry.uses += 1
        try:
            if entry.arrival is not None:
                await asyncio.shield(entry.arrival)
            self._touch(entry)
            yield entry.path
        finally:
            entry.uses -= 1
            if entry.uses == 0 and entry.arrival is not None and not entry.arrival.done():
                self._drop(entry)
                entry.arrival.cancel()

    def _begin(self, name: str, bring: Bring) -> Entry:
        entry = self._entries[name] = Entry(name)
        entry.arrival = asyncio.get_running_loop().create_task(self._take(entry, bring))
        return entry

    async def _take(self, entry: Entry, bring: Bring) -> None:
        self._parts += 1
        part = self._directory / f"{self._parts}{PART}"
        try:
            self._make_directory()
            await bring(part, lambda size: self._reserve(entry, size))
            size = await asyncio.to_thread(_settle, part)
            self._reserve(entry, size)
            self.bytes_used -= entry.size - size
            entry.path, entry.size = self._directory / f"{entry.name}-{size}", size
            part.replace(entry.path)
            entry.whole = True
            entry.arrival = None
        except BaseException:
            self._drop(entry)
            raise
        finally:
            part.unlink(missing_ok=True)

    def _make_directory(self) -> None:
        """Have the directory.

        Errors: NoRoom where it can't be had, or can't be trusted.
        """
        if self._checked and self._directory.exists():
            return
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=_MODE)
            check_owners(self._directory)
        except (OSError, UnsafeDirectory) as error:
            raise NoRoom(str(error)) from error
        self._checked = True

    def _reserve(self, entry: Entry, size: int) -> None:
        """Make room for an entry of `size`, as far as it hasn't got it.

        Errors: NoRoom.
        """
        more = size - entry.size
        if more <= 0:
            return
        if entry.dropped:
            raise NoRoom("nobody waits for it any more")
        self._evict(more)
        entry.size = size
        self.bytes_used += more

    def _evict(self, more: int) -> None:
        idle = [entry for entry in self._entries.values() if entry.whole and entry.uses == 0]
        if self.bytes_used + more - sum(entry.size for entry in idle) > self.bytes_max:
            raise NoRoom(f"the cache of {self.bytes_max} bytes has no room for {more} more: {self.bytes_used} are used")
        for entry in idle:
            if self.bytes_used + more <= self.bytes_max:
                return
            self._drop(entry)

    def _drop(self, entry: Entry) -> None:
        if entry.dropped:
            return
        entry.dropped = True
        del self._entries[entry.name]
        self.bytes_used -= entry.size
        if entry.whole:
            entry.path.unlink(missing_ok=True)

    def _touch(self, entry: Entry) -> None:
        """Make an entry the latest used one, for the next agent too."""
        if not entry.dropped:
            self._entries[entry.name] = self._entries.pop(entry.name)
        with contextlib.suppress(OSError):
            os.utime(entry.path)


def open_cache(directory: Path, bytes_max: int) -> FetcherCache | None:
    """Return an agent's cache; None, with a line in the log, where there can be none."""
    if bytes_max <= 0:
        return None
    cache = FetcherCache(directory, bytes_max)
    try:
        cache.open()
    except (OSError, UnsafeDirectory) as error:
        what = "URIs are fetched without a cache; give another --fetcher_cache_dir"
        structlog.get_logger().warning("the fetcher's cache can't be used", why=str(error), what=what)
        return None
    return cache


def directory_of(parent: str, work_dir: str) -> Path:
    """Return the agent's own directory below the one that agents of a machine may share."""
    digest = hashlib.sha256(os.fsencode(work_dir)).hexdigest()[:12]
    return Path(parent).absolute() / f"{Path(work_dir).name}-{digest}"


def name_of(user: str | None, uri: str) -> str:
    """Return the name under which a user's URI is kept."""
    return hashlib.sha256(f"{user or ''}\0{uri}".encode()).hexdigest()


def check_owners(directory: Path) -> None:
    """Pass a directory into which nobody else but root can put files, at any level.

    Errors: UnsafeDirectory; OSError.
    """
    for path in (directory, *directory.resolve().parents):
        info = path.lstat() if path == directory else path.stat()
        shared = info.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not info.st_mode & stat.S_ISVTX
        if not stat.S_ISDIR(info.st_mode) or info.st_uid not in {0, os.geteuid()} or shared:
            raise UnsafeDirectory(f"others than this agent's user can write to {path}, or change what it is")


def _is_intact(entry: Entry) -> bool:
    try:
        return entry.path.stat().st_size == entry.size
    except OSError:
        return False


def _settle(part: Path) -> int:
    """Have a file on the disk; return its size."""
    fd = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
        return os.fstat(fd).st_size
    finally:
        os.close(fd)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
