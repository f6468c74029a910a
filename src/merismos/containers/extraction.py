"""Unpacks archives into a sandbox, so that nothing lands outside of it and no small file becomes a huge one.

Rules: the kind of archive is told by its name, as in Mesos. An entry with an absolute path, a `..`, a link to outside or a
device refuses the whole archive. An archive may grow to `BYTES_FREE` or `RATIO_MAX` times its own size, whichever is more,
and hold `ENTRIES_MAX` entries. The archive itself stays.
Errors: ExtractionError, with what was wrong with which archive.
"""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
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
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
_PIECE_BYTES = 1 << 20
_MODE_BITS = 16


class ExtractionError(Exception):
    """An archive can't be unpacked, or must not be."""


def is_archive(name: str) -> bool:
    """Say whether a file of this name is to be unpacked."""
    return name.endswith((*TAR_SUFFIXES, ".gz", ".zip"))


def extract(archive: Path, directory: Path, cancelled: Callable[[], bool]) -> None:
    """Unpack `archive` into `directory`.

    Errors: ExtractionError.
    """
    budget = Budget(archive, cancelled)
    try:
        if archive.name.endswith(TAR_SUFFIXES):
            _extract_tar(archive, directory, budget)
        elif archive.name.endswith(".zip"):
            _extract_zip(archive, directory, budget)
        else:
            with gzip.open(archive, "rb") as source, (directory / archive.name[: -len(".gz")]).open("wb") as target:
                budget.copy(source, target)  # type: ignore[arg-type]
    except (
        OSError,
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
        NotImplementedError,
    ) as error:
        raise ExtractionError(f"cannot extract '{archive.name}': {error}") from error


class Budget:
    """How much an archive may still grow."""

    def __init__(self, archive: Path, cancelled: Callable[[], bool]) -> None:
        self._name = archive.name
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

    def copy(self, source: BinaryIO, target: BinaryIO) -> None:
        """Copy an entry, counting what comes rather than what was announced."""
        while piece := source.read(_PIECE_BYTES):
            self.take_bytes(len(piece))
            if self._cancelled():
                raise ExtractionError("cancelled")
            target.write(piece)


def _extract_tar(archive: Path, directory: Path, budget: Budget) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            budget.take_entry()
            budget.take_bytes(member.size)
            tar.extract(member, directory, filter="data")


def _extract_zip(archive: Path, directory: Path, budget: Budget) -> None:
    root = os.path.realpath(directory)
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            budget.take_entry()
            path = PurePosixPath(entry.filename)
            target = Path(root, *path.parts)
            inside = os.path.realpath(target).startswith(root + os.sep)
            if path.is_absolute() or ".." in path.parts or not inside:
                raise ExtractionError(f"'{archive.name}' holds '{entry.filename}', which lies outside of the sandbox")
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
            os.chown(os.path.join(parent, name), uid, gid, follow_symlinks=False)  # noqa: PTH118
    shutil.chown(path, uid, gid)
