"""`/files/*`: directories and files that were attached under virtual paths, to browse, read and download.

Rules: nothing outside an attached directory is reachable, by `..`, by a link or otherwise. The disk is read off the loop. A path
that isn't there is a 404 with an empty body. One read gives at most `READ_BYTES_MAX`.
"""

from __future__ import annotations

import asyncio
import grp
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from aiohttp import hdrs, web

from merismos.adapters.http.slow import Endpoint, Refused, send_slices
from merismos.protocol import json

if TYPE_CHECKING:
    from collections.abc import Mapping

READ_BYTES_MAX = 16 * 4096
_ENCODER = msgspec.json.Encoder()


class FileEntry(NamedTuple):
    """A file as `/files/browse` lists it."""

    gid: str
    mode: str
    mtime: float
    nlink: int
    path: str
    size: int
    uid: str


class Files:
    """What is attached, by virtual path."""

    def __init__(self) -> None:
        self._attached: dict[str, Path] = {}

    def attach(self, virtual: str, real: Path) -> None:
        """Show the file or directory `real` as `virtual`."""
        self._attached[virtual.rstrip("/")] = real

    def detach(self, virtual: str) -> None:
        """Show it no longer."""
        self._attached.pop(virtual.rstrip("/"), None)

    def attached(self) -> dict[str, str]:
        """Return what is attached, for `/files/debug`."""
        return {virtual: str(real) for virtual, real in self._attached.items()}

    def resolve(self, path: str) -> Path | None:
        """Return the real path of a virtual one, None where there is nothing to see."""
        virtual = "/" + path.strip("/")
        rest: list[str] = []
        while virtual and virtual not in self._attached:
            virtual, _, name = virtual.rpartition("/")
            rest.insert(0, name)
        root = self._attached.get(virtual)
        if root is None:
            return None
        try:
            real = root.joinpath(*rest).resolve(strict=True)
            return real if real.is_relative_to(root.resolve(strict=True)) else None
        except (OSError, RuntimeError, ValueError):
            return None

    def list(self, path: str) -> list[FileEntry] | None:
        """Return what is in a directory, sorted; None where there is nothing. Blocks."""
        real = self.resolve(path)
        if real is None:
            return None
        if not real.is_dir():
            return []
        return [_entry(f"{path.rstrip('/')}/{child.name}", child) for child in sorted(real.iterdir()) if child.exists()]

    def read(self, path: str, offset: int, length: int | None) -> tuple[bytes, int] | None:
        """Return bytes from `offset` and the file's size; nothing is read for offset -1. Blocks.

        Errors: Refused for a directory.
        """
        real = self.resolve(path)
        if real is None:
            return None
        if real.is_dir():
            raise Refused(400, "Cannot read a directory.\n")
        with real.open("rb") as file:
            size = file.seek(0, 2)
            if offset < 0:
                return b"", size
            file.seek(offset)
            return file.read(READ_BYTES_MAX if length is None else min(length, READ_BYTES_MAX)), size


def endpoints(files: Files) -> Mapping[str, Endpoint]:
    """Return the `/files/*` endpoints."""

    async def browse(request: web.Request) -> web.StreamResponse:
        found = await asyncio.to_thread(files.list, _path(request))
        if found is None:
            raise Refused(404)
        return await send_slices(request, _json([entry._asdict() for entry in found]))

    async def read(request: web.Request) -> web.StreamResponse:
        path = _path(request)
        offset, length = _number(request, "offset", -1), _number(request, "length", -1)
        found = await asyncio.to_thread(files.read, path, offset, None if length < 0 else length)
        if found is None:
            raise Refused(404)
        data, size = found
        text = data.decode(errors="replace")
        return await send_slices(request, _json({"data": text, "offset": size if offset < 0 else offset}))

    async def download(request: web.Request) -> web.StreamResponse:
        real = await asyncio.to_thread(files.resolve, _path(request))
        if real is None:
            raise Refused(404)
        if real.is_dir():
            raise Refused(400, "Cannot download a directory.\n")
        name = "".join(letter for letter in real.name if letter.isprintable() and letter not in '";\\')
        headers = {
            hdrs.CONTENT_DISPOSITION: f"attachment; filename={name}",
            hdrs.CONTENT_TYPE: "application/octet-stream",
        }
        return web.FileResponse(real, headers=headers)

    async def debug(request: web.Request) -> web.StreamResponse:
        return await send_slices(request, _json(files.attached()))

    return {
        "/files/browse": Endpoint(browse),
        "/files/read": Endpoint(read),
        "/files/download": Endpoint(download),
        "/files/debug": Endpoint(debug),
    }


def _path(request: web.Request) -> str:
    path = request.query.get("path", "")
    if not path:
        raise Refused(400, "Expecting 'path=value' in query.\n")
    return path


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    try:
        number = int(text)
    except ValueError:
        raise Refused(400, f"Failed to parse {name}: Failed to convert '{text}' to number.\n") from None
    if number < -1:
        raise Refused(400, f"Negative {name} provided: {number}.\n")
    return number


def _entry(path: str, real: Path) -> FileEntry:
    status = real.stat()
    return FileEntry(
        gid=_group(status.st_gid),
        mode=stat.filemode(status.st_mode),
        mtime=float(int(status.st_mtime)),
        nlink=status.st_nlink,
        path=path,
        size=status.st_size,
        uid=_user(status.st_uid),
    )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _json(value: object) -> Iterator[bytes]:
    data = _ENCODER.encode(value)
    yield data if data.isascii() else json.to_ascii(data)
