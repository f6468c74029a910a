"""How the bytes of a URI come into a file, by its scheme.

Rules: `file://` and plain paths, `http(s)://` and `ftp://` by our own means; every other scheme (`hdfs://`, `s3a://`, …) by the
Hadoop client, if there is one. What is written is a new file of the caller's, whole if nothing is raised. A transfer in which nothing
arrives for the stall timeout fails. `Room` is asked before the size grows, as soon as it is known. A local file is read with the
rights of the task's user.
Errors: TransferError, which says what; OSError, TimeoutError and what a library raises for a connection that broke.
"""

from __future__ import annotations

import asyncio
import contextlib
import ftplib
import os
import shutil
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit

import aiohttp

from merismos.containers.sandbox import find_user

Room = Callable[[int], None]
Result = TypeVar("Result")
BROKEN: Final = (OSError, EOFError, ValueError, LookupError, aiohttp.ClientError, ftplib.Error)
_PIECE_BYTES: Final = 1 << 20
_THREADS: Final = 4
_LOOKS: Final = 4
_HTTP_OK: Final = 200
_MODE_BITS: Final = 0o777
_WHOLE_NAME: Final = "whole"


class TransferError(Exception):
    """A URI can't be brought."""


class Transfers:
    """Brings files; `hadoop` is the Hadoop client's program, None where there is none."""

    def __init__(self, stall_timeout_s: float, frameworks_home: str = "", hadoop: str | None = None) -> None:
        self.stall_timeout_s = stall_timeout_s
        self._frameworks_home = frameworks_home
        self._hadoop = hadoop
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="fetcher")
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close connections; threads end by themselves."""
        if self._session is not None:
            await self._session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def bring(self, value: str, target: Path, user: str | None, room: Room) -> None:
        """Write what the URI `value` names to the new file `target`."""
        scheme, separator, _ = value.partition("://")
        match scheme.lower() if separator else "file":
            case "http" | "https":
                await self._download(value, target, room)
            case "ftp":
                await self._retrieve(value, target, room)
            case "file":
                await self._copy(local_path(value, self._frameworks_home), target, user, room)
            case _:
                await self._ask_hadoop(value, target, room)

    async def in_thread(self, work: Callable[[Callable[[], bool]], Result]) -> Result:
        """Return what `work` returns; it is told, when it asks, whether it is no longer wanted."""
        stopped = threading.Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, stopped.is_set)
        finally:
            stopped.set()

    async def _download(self, url: str, target: Path, room: Room) -> None:
        if self._session is None:
            limit = aiohttp.ClientTimeout(total=None, sock_connect=self.stall_timeout_s, sock_read=self.stall_timeout_s)
            self._session = aiohttp.ClientSession(timeout=limit, trust_env=True, auto_decompress=False)
        async with self._session.get(url, headers={"Accept-Encoding": "identity"}) as answer:
            if answer.status != _HTTP_OK:
                raise TransferError(f"Error downloading resource, received HTTP return code {answer.status}")
            room(answer.content_length or 0)
            with target.open("xb") as file:
                async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                    room(file.tell() + len(piece))
                    file.write(piece)

    async def _retrieve(self, url: str, target: Path, room: Room) -> None:
        """Retrieve by FTP, in passive mode; who isn't named is anonymous."""
        parts = urlsplit(url)
        path = unquote(parts.path).removeprefix("/")

        def connect(_stopped: Callable[[], bool]) -> tuple[ftplib.FTP, int]:
            ftp = ftplib.FTP(timeout=self.stall_timeout_s)  # noqa: S321 - the URI's author chose it
            try:
                ftp.connect(parts.hostname or "", parts.port or ftplib.FTP_PORT)
                ftp.login(unquote(parts.username or ""), unquote(parts.password or ""))
                ftp.voidcmd("TYPE I")
                return ftp, ftp.size(path) or 0
            except BaseException:
                ftp.close()
                raise

        ftp, size = await self.in_thread(connect)
        try:
            room(size)
            got = await self.in_thread(lambda stopped: _receive(ftp, path, target, stopped))
        finally:
            ftp.close()
        if size and got != size:
            raise TransferError(f"{got} of {size} bytes came")

    async def _copy(self, source: Path, target: Path, user: str | None, room: Room) -> None:
        info = await self.in_thread(lambda _: source.stat())
        room(info.st_size)
        if user is not None and os.geteuid() == 0 and find_user(user).pw_uid != 0:
            await copy_as(user, source, target)
        else:
            await self.in_thread(lambda _: shutil.copyfile(source, target))
        await self.in_thread(lambda _: target.chmod(info.st_mode & _MODE_BITS))

    async def _ask_hadoop(self, value: str, target: Path, room: Room) -> None:
        scheme = value.partition("://")[0]
        if self._hadoop is None:
            raise TransferError(
                f"a URI of scheme '{scheme}' needs the Hadoop client, and there is none: "
                "set --hadoop_home, or put 'hadoop' on the agent's PATH"
            )
        folder = target.with_name(f"{target.name}.d")
        folder.mkdir(mode=0o700)
        try:
            process = await asyncio.create_subprocess_exec(
                self._hadoop,
                "fs",
                "-copyToLocal",
                value,
                str(folder / _WHOLE_NAME),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            try:
                said = await self._watched(process, folder, room)
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    await process.wait()
            if process.returncode != 0:
                reason = said.decode(errors="replace").strip() or f"hadoop ended with status {process.returncode}"
                raise TransferError(reason)
            (folder / _WHOLE_NAME).replace(target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _watched(self, process: asyncio.subprocess.Process, folder: Path, room: Room) -> bytes:
        """Return what a client said, once it is over; give it up when what it writes stops growing.

        Errors: TimeoutError.
        """
        talk = asyncio.ensure_future(process.communicate())
        size, quiet_looks = -1, 0
        try:
            while not (await asyncio.wait({talk}, timeout=self.stall_timeout_s / _LOOKS))[0]:
                now = await self.in_thread(lambda _: _size_of(folder))
                quiet_looks = quiet_looks + 1 if now == size else 0
                size = now
                room(size)
                if quiet_looks >= _LOOKS:
                    raise TimeoutError
            return (await talk)[1]
        finally:
            talk.cancel()


def _size_of(folder: Path) -> int:
    size = 0
    for file in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # the client gives a whole file its name
            size += file.stat().st_size
    return size


def _receive(ftp: ftplib.FTP, path: str, target: Path, stopped: Callable[[], bool]) -> int:
    """Receive a file; return its size."""
    with target.open("xb") as file:

        def write(piece: bytes) -> None:
            if stopped():
                raise EOFError("no longer wanted")
            file.write(piece)

        ftp.retrbinary(f"RETR {path}", write, _PIECE_BYTES)
        return file.tell()


def find_hadoop(hadoop_home: str | None, environment: Mapping[str, str]) -> str | None:
    """Return the Hadoop client of `--hadoop_home`, of HADOOP_HOME, or on the PATH; None where there is none."""
    home = hadoop_home or environment.get("HADOOP_HOME")
    return str(Path(home, "bin", "hadoop")) if home else shutil.which("hadoop", path=environment.get("PATH", ""))


def local_path(value: str, frameworks_home: str) -> Path:
    """Return the local file that a URI means.

    Errors: TransferError for a relative path without a home.
    """
    _, separator, rest = value.partition("://")
    path = Path(unquote(rest.removeprefix("localhost")) if separator else value)
    if not path.is_absolute():
        if not frameworks_home:
            raise TransferError(
                "A relative path was passed for the resource but the agent has no --frameworks_home; "
                "give an absolute path"
            )
        path = Path(frameworks_home) / path
    return path


async def copy_as(user: str, source: Path, target: Path) -> None:
    """Copy with the rights of `user`, so that nobody gets what he couldn't read.

    Errors: OSError with what `cat` said.
    """
    entry = find_user(user)
    with target.open("xb") as file:
        process = await asyncio.create_subprocess_exec(
            "setpriv",
            f"--reuid={entry.pw_uid}",
            f"--regid={entry.pw_gid}",
            "--init-groups",
            "--",
            "cat",
            "--",
            str(source),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, said = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode != 0:
        raise OSError(said.decode(errors="replace").strip() or f"cat ended with status {process.returncode}")
