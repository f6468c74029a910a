"""Brings a task's URIs into its sandbox before it starts.

Rules: `file://`, plain absolute paths, `http://` and `https://`; one after the other, as given. A file named by `output_file`
or by the last part of the URI; never outside of the sandbox. `executable` sets the bit and unpacks nothing; `extract`
unpacks what is named like an archive and leaves it there. A transfer in which nothing arrives for the stall timeout fails.
A local file is read with the rights of the task's user. Copies and archives run in threads, downloads in the loop.
Every failure is one sentence, in the task's status and in its stderr.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import aiohttp

from merismos.containers.extraction import chown_tree, extract, is_archive
from merismos.containers.sandbox import find_user
from merismos.core.agent import effects, events
from merismos.core.kernel import Event
from merismos.protocol.v1 import mesos

_PIECE_BYTES = 1 << 20
_THREADS = 4
_HTTP_OK = 200


class FetchError(Exception):
    """A URI can't be fetched."""


class Fetcher:
    """Fetches for containers, each in a task of the loop that can be stopped."""

    def __init__(self, post: Callable[[Event], None], *, stall_timeout_s: float, frameworks_home: str = "") -> None:
        self._post = post
        self._stall_timeout_s = stall_timeout_s
        self._frameworks_home = frameworks_home
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="fetcher")
        self._session: aiohttp.ClientSession | None = None

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
        if self._session is not None:
            await self._session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

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
        try:
            if uri.value.startswith(("http://", "https://")):
                await self._download(uri.value, target)
            else:
                await self._copy(local_path(uri.value, self._frameworks_home), target, user)
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            text = str(error) or f"nothing arrived for {self._stall_timeout_s:g} s"
            raise FetchError(f"Failed to fetch '{uri.value}': {text}") from error
        if uri.executable:
            target.chmod(target.stat().st_mode | 0o111)
        elif uri.extract and is_archive(target.name):
            await self._in_thread(lambda stopped: extract(target, target.parent, stopped))
        if user is not None and os.geteuid() == 0:
            entry = find_user(user)
            await self._in_thread(lambda _: chown_tree(sandbox, entry.pw_uid, entry.pw_gid))

    async def _download(self, url: str, target: Path) -> None:
        if self._session is None:
            limit = aiohttp.ClientTimeout(
                total=None, sock_connect=self._stall_timeout_s, sock_read=self._stall_timeout_s
            )
            self._session = aiohttp.ClientSession(timeout=limit, trust_env=True, auto_decompress=False)
        async with self._session.get(url, headers={"Accept-Encoding": "identity"}) as answer:
            if answer.status != _HTTP_OK:
                raise FetchError(
                    f"Failed to fetch '{url}': Error downloading resource, received HTTP return code {answer.status}"
                )
            with target.open("wb") as file:
                async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                    file.write(piece)

    async def _copy(self, source: Path, target: Path, user: str | None) -> None:
        if user is not None and os.geteuid() == 0 and find_user(user).pw_uid != 0:
            await copy_as(user, source, target)
        else:
            await self._in_thread(lambda _: shutil.copyfile(source, target))
            shutil.copymode(source, target)

    async def _in_thread(self, work: Callable[[Callable[[], bool]], object]) -> None:
        stopped = threading.Event()
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, work, stopped.is_set)
        finally:
            stopped.set()


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


def local_path(value: str, frameworks_home: str) -> Path:
    """Return the local file that a URI means.

    Errors: FetchError for another scheme, or a relative path without a home.
    """
    scheme, separator, rest = value.partition("://")
    if separator and scheme != "file":
        known = "file, http and https are"
        raise FetchError(f"Failed to fetch '{value}': URIs of scheme '{scheme}' are not supported; {known}")
    path = Path(unquote(rest.removeprefix("localhost")) if separator else value)
    if not path.is_absolute():
        if not frameworks_home:
            raise FetchError(
                f"Failed to fetch '{value}': A relative path was passed for the resource but the agent has no "
                "--frameworks_home; give an absolute path"
            )
        path = Path(frameworks_home) / path
    return path


async def copy_as(user: str, source: Path, target: Path) -> None:
    """Copy with the rights of `user`, so that nobody gets what he couldn't read.

    Errors: OSError with what `cp` said.
    """
    entry = find_user(user)
    os.chown(target.parent, entry.pw_uid, entry.pw_gid)
    process = await asyncio.create_subprocess_exec(
        "setpriv",
        f"--reuid={entry.pw_uid}",
        f"--regid={entry.pw_gid}",
        "--init-groups",
        "--",
        "cp",
        "--",
        str(source),
        str(target),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    if process.returncode != 0:
        raise OSError(said.decode(errors="replace").strip() or f"cp ended with status {process.returncode}")


def complain(directory: str, text: str) -> None:
    """Say what went wrong in the task's stderr too."""
    try:
        with Path(directory, "stderr").open("a", encoding="utf-8") as stderr:
            stderr.write(text + "\n")
    except OSError:
        return
