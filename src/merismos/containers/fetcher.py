"""Brings a task's URIs into its sandbox before it starts.

Rules: one after the other, as given. A file named by `output_file` or by the last part of the URI; never outside of the sandbox, and
there under its name only once it is whole. `executable` sets the bit and unpacks nothing; `extract` unpacks what is named like an
archive and leaves it there. With `cache` a file comes through the cache, and an archive is unpacked from there; where the cache has
no room, it is fetched as if there were none. Copies and archives run in threads, downloads in the loop.
Every failure is one sentence, in the task's status and in its stderr.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path, PurePosixPath

import structlog

from merismos.containers.extraction import chown_tree, extract, is_archive
from merismos.containers.fetcher_cache import FetcherCache, NoRoom
from merismos.containers.sandbox import find_user
from merismos.containers.transfers import BROKEN, Room, TransferError, Transfers
from merismos.core.agent import effects, events
from merismos.core.kernel import Event
from merismos.protocol.v1 import mesos

_PART = ".fetching-"


class FetchError(Exception):
    """A URI can't be fetched."""


class Fetcher:
    """Fetches for containers, each in a task of the loop that can be stopped."""

    def __init__(self, post: Callable[[Event], None], transfers: Transfers, cache: FetcherCache | None = None) -> None:
        self._post = post
        self._transfers = transfers
        self._cache = cache
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._numbers = itertools.count()

    def fetch(self, effect: effects.FetchUris) -> None:
        """Start fetching; `UrisFetched` or `FetchFailed` follows."""
        task = asyncio.get_running_loop().create_task(self._run(effect))
        self._tasks[effect.container_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(effect.container_id, None))

    def abort(self, effect: effects.AbortFetch) -> None:
        """Stop fetching; nothing follows."""
        task = self._tasks.pop(effect.container_id, None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Stop everything."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._cache is not None:
            await self._cache.close()
        await self._transfers.close()

    def metrics(self) -> dict[str, float]:
        """Return how big the cache may be, and is."""
        cache = self._cache
        return {
            "containerizer/fetcher/cache_size_total_bytes": float(cache.bytes_max if cache else 0),
            "containerizer/fetcher/cache_size_used_bytes": float(cache.bytes_used if cache else 0),
        }

    async def _run(self, effect: effects.FetchUris) -> None:
        event: Event
        try:
            for uri in effect.uris:
                await self._fetch_uri(uri, Path(effect.directory), effect.user)
            event = events.UrisFetched(effect.container_id)
        except Exception as error:  # noqa: BLE001 - whatever a URI makes a library raise fails the task, not the agent
            text = str(error) or type(error).__name__
            complain(effect.directory, text)
            event = events.FetchFailed(
                effect.container_id, f"Failed to fetch all URIs for container '{effect.container_id}': {text}"
            )
        self._post(event)

    async def _fetch_uri(self, uri: mesos.CommandInfo_URI, sandbox: Path, user: str | None) -> None:
        target = target_of(uri, sandbox)
        target.parent.mkdir(parents=True, exist_ok=True)
        unpacks = uri.extract and not uri.executable and is_archive(target.name)
        try:
            if not (uri.cache and await self._through_cache(uri.value, target, user, unpacks=unpacks)):
                await self._put(target, lambda part: self._transfers.bring(uri.value, part, user, _any_size))
                if unpacks:
                    await self._transfers.in_thread(lambda stopped: extract(target, target.parent, stopped))
        except (*BROKEN, TransferError) as error:
            text = str(error) or f"nothing arrived for {self._transfers.stall_timeout_s:g} s"
            raise FetchError(f"Failed to fetch '{uri.value}': {text}") from error
        if uri.executable:
            target.chmod(target.stat().st_mode | 0o111)
        if user is not None and os.geteuid() == 0:
            entry = find_user(user)
            await self._transfers.in_thread(lambda _: chown_tree(sandbox, entry.pw_uid, entry.pw_gid))

    async def _through_cache(self, value: str, target: Path, user: str | None, *, unpacks: bool) -> bool:
        """Take a URI from the cache; False where the cache can't have it."""
        if self._cache is None:
            return False

        def bring(part: Path, room: Room) -> Awaitable[None]:
            return self._transfers.bring(value, part, user, room)

        try:
            async with self._cache.lease(user, value, bring) as kept:
                if unpacks:
                    await self._transfers.in_thread(
                        lambda stopped: extract(kept, target.parent, stopped, name=target.name)
                    )
                else:
                    await self._put(target, lambda part: self._transfers.in_thread(lambda _: shutil.copy(kept, part)))
        except NoRoom as full:
            structlog.get_logger().info("fetched without the cache", uri=value, why=str(full))
            return False
        return True

    async def _put(self, target: Path, write: Callable[[Path], Awaitable[object]]) -> None:
        """Have a file written beside its place, and put there when it is whole."""
        part = target.with_name(f"{_PART}{next(self._numbers)}")
        part.unlink(missing_ok=True)
        try:
            await write(part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


def _any_size(_size: int) -> None:
    return


def target_of(uri: mesos.CommandInfo_URI, sandbox: Path) -> Path:
    """Return where a URI goes.

    Errors: FetchError for a name that isn't one, or that leads out of the sandbox.
    """
    name = uri.output_file or basename_of(uri.value)
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.name in {"", "."} or "\0" in name:
        raise FetchError(f"Failed to fetch '{uri.value}': '{name}' is not a path inside the sandbox")
    if not sandbox.is_dir():
        raise FetchError(f"Failed to fetch '{uri.value}': the sandbox {sandbox} is gone")
    target = sandbox / path
    root = os.path.realpath(sandbox)
    if not os.path.realpath(target).startswith(root + os.sep):
        raise FetchError(f"Failed to fetch '{uri.value}': '{name}' leads out of the sandbox")
    return target


def basename_of(value: str) -> str:
    """Return the last part of a URI.

    Errors: FetchError where there is none.
    """
    _, separator, rest = value.partition("://")
    path = rest if separator else value
    name = path.rpartition("/")[2]
    if not name or (separator and "/" not in path):
        raise FetchError(f"Failed to fetch '{value}': the URI names no file")
    return name


def complain(directory: str, text: str) -> None:
    """Say what went wrong in the task's stderr too."""
    try:
        with Path(directory, "stderr").open("a", encoding="utf-8") as stderr:
            stderr.write(text + "\n")
    except OSError:
        return
