"""Unpacks archives into a sandbox, so that nothing lands outside of it and no small file becomes a huge one.

Rules: the kind of archive is told by its name, as in Mesos. An entry with an absolute path, one that leads outside, a
link to outside or a device refuses the whole archive. An archive may grow to `BYTES_FREE` or `RATIO_MAX` times its own size, whichever is more,
and hold `ENTRIES_MAX` entries. The archive itself stays.
Errors: ExtractionError, with what was wrong with which archive.
"""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
BYTES_FREE = 1 << 30
RATIO_MAX = 200
ENTRIES_MAX = 1_000_000
_BROKEN = (
    ArithmeticError,
    LookupError,
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
)
_PIECE_BYTES = 1 << 20
_MODE_BITS = 16
_MODE_MAX = 0o755
_MODE_MIN = 0o600


class ExtractionError(Exception):
    """An archive can't be unpacked, or must not be."""


def is_archive(name: str) -> bool:
    """Say whether a file of this name is to be unpacked."""
    return name.endswith((*TAR_SUFFIXES, ".gz", ".zip"))


def extract(archive: Path, directory: Path, cancelled: Callable[[], bool], *, name: str = "") -> None:
    """Unpack `archive`, which is called `name` where that isn't its file's own, into `directory`.

    Errors: ExtractionError.
    """
    name = name or archive.name
    budget = Budget(archive, cancelled, name)
    try:
        if name.endswith(TAR_SUFFIXES):
            _extract_tar(archive, directory, budget)
        elif name.endswith(".zip"):
            _extract_zip(archive, directory, budget)
        else:
            plain = directory / name[: -len(".gz")]
            if plain.is_symlink():
                plain.unlink()
            with gzip.open(archive, "rb") as source, plain.open("wb") as target:
                budget.copy(source, target)  # type: ignore[arg-type]
    except _BROKEN as error:
        raise ExtractionError(f"cannot extract '{name}': {error}") from error


class Budget:
    """How much an archive may still grow."""

    def __init__(self, archive: Path, cancelled: Callable[[], bool], name: str = "") -> None:
        self._name = name or archive.name
        self._cancelled = cancelled
        self.bytes_max = max(BYTES_FREE, RATIO_MAX * archive.stat().st_size)
        self._bytes_left = self.bytes_max
        self._entries_left = ENTRIES_MAX

    def take_entry(self) -> None:
        """Count one entry."""
        self._entries_left -= 1
        if self._entries_left < 0:
            raise ExtractionError(f"'{self._name}' holds more than {ENTRIES_MAX} entries; unpack it in the task")
        if self._cancelled():
            raise ExtractionError("cancelled")

    def take_bytes(self, size: int) -> None:
        """Count bytes that an entry holds."""
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise ExtractionError(f"'{self._name}' grows beyond {self.bytes_max} bytes; unpack it in the task")

    def copy(self, source: BinaryIO, target: BinaryIO, *, counted: bool = False) -> None:
        """Copy an entry, counting what comes rather than what was announced, unless it is `counted` already."""
        while piece := source.read(_PIECE_BYTES):
            if not counted:
                self.take_bytes(len(piece))
            if self._cancelled():
                raise ExtractionError("cancelled")
            target.write(piece)


def _extract_tar(archive: Path, directory: Path, budget: Budget) -> None:
    root = os.path.realpath(directory)
    with tarfile.open(archive) as tar:
        for member in tar:
            budget.take_entry()
            budget.take_bytes(member.size)
            _extract_member(tar, member, root, budget)


def _extract_member(tar: tarfile.TarFile, member: tarfile.TarInfo, root: str, budget: Budget) -> None:
    """Make one entry of a tar: by hand, since the filters of `tarfile` came with Python 3.11.4 only."""
    target = _inside(root, root, member.name)
    if target == root:
        return
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    if member.isdir():
        Path(target).mkdir(exist_ok=True)
        return
    if Path(target).is_symlink() or Path(target).is_file():
        Path(target).unlink()
    if member.issym():
        _inside(root, str(Path(target).parent), member.linkname)
        Path(target).symlink_to(member.linkname)
    elif member.islnk():
        Path(target).hardlink_to(_inside(root, root, member.linkname))
    elif member.isreg():
        source = tar.extractfile(member)
        assert source is not None
        with source, Path(target).open("xb") as written:
            budget.copy(source, written, counted=True)  # type: ignore[arg-type]
        Path(target).chmod(member.mode & _MODE_MAX | _MODE_MIN)
        os.utime(target, (member.mtime, member.mtime))
    else:
        raise ExtractionError(f"'{member.name}' is a device or a pipe; only files, directories and links are unpacked")


def _inside(root: str, start: str, name: str) -> str:
    """Return the real directory of what `name` names from `start`, with its last part.

    Errors: ExtractionError where that lies outside of `root`.
    """
    path = Path(start, name)
    parent = os.path.realpath(path.parent)
    target = os.path.realpath(path) if path.name in {"", ".", ".."} else str(Path(parent, path.name))
    wholes = (target, os.path.realpath(path))
    outside = [one for one in wholes if one != root and not one.startswith(root + os.sep)]
    if outside or PurePosixPath(name).is_absolute():
        raise ExtractionError(f"the archive holds '{name}', which lies outside of the sandbox")
    return target


def _extract_zip(archive: Path, directory: Path, budget: Budget) -> None:
    root = os.path.realpath(directory)
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            budget.take_entry()
            path = PurePosixPath(entry.filename)
            target = Path(root, *path.parts)
            inside = os.path.realpath(target).startswith(root + os.sep)
            if path.is_absolute() or ".." in path.parts or not inside:
                raise ExtractionError(f"the archive holds '{entry.filename}', which lies outside of the sandbox")
            if entry.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(entry) as source, target.open("wb") as written:
                budget.copy(source, written)  # type: ignore[arg-type]
            mode = (entry.external_attr >> _MODE_BITS) & 0o777
            if mode:
                target.chmod(mode | 0o600)


def chown_tree(path: Path, uid: int, gid: int) -> None:
    """Give what was fetched to the task's user."""
    for parent, directories, files in os.walk(path):
        for name in (*directories, *files):
            os.chown(os.path.join(parent, name), uid, gid, follow_symlinks=False)  # noqa: PTH118 - one system call, no Path to build
    shutil.chown(path, uid, gid)
