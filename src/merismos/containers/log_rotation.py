"""Shortens one file that a task holds open: what is old moves to `NAME.1`, what was there to `NAME.2`, and so on.

Rules: the task goes on writing to the same file meanwhile, and nothing that it writes is lost where the file system can cut a file at
its begin (ext4, XFS). Elsewhere the file is copied and emptied, and what is written in the microseconds between the two is lost. Where no copy can be
made, because the disk is full or something is in its way, the old part is cut off all the same: the bound comes first. A task owns its
sandbox, so nothing in it is believed: links aren't followed, and a file that has a second name isn't touched.
Errors: OSError, after the file is cut where that can be done.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import sys
from typing import Final, NamedTuple

_COLLAPSE_RANGE: Final = 0x08
_PIECE_BYTES: Final = 1 << 20
_TEMPORARY: Final = ".rotating"


class LogBounds(NamedTuple):
    """How big a file may grow before it is rotated, and how many rotated ones stay."""

    bytes_max: int
    files_kept: int


def rotate(directory: str, name: str, bounds: LogBounds) -> bool:
    """Rotate `name` in `directory` if it is too big; say whether it was."""
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if _place_of(folder) not in {directory, None}:
            return False
        return _rotate(folder, name, bounds)
    finally:
        os.close(folder)


def _rotate(folder: int, name: str, bounds: LogBounds) -> bool:
    fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        info = os.fstat(fd)
        if info.st_size <= bounds.bytes_max or not stat.S_ISREG(info.st_mode) or info.st_nlink != 1:
            return False
        block = os.fstatvfs(fd).f_bsize
        piece = max(bounds.bytes_max // block, 1) * block
        pieces = (info.st_size - 1) // piece  # at least one byte stays: a file can't be cut to its very end
        try:
            for number in range(max(pieces - bounds.files_kept, 0), pieces):
                _keep(folder, name, fd, (number * piece, piece), bounds.files_kept)
        finally:
            if pieces and not _cut(fd, pieces * piece):
                _empty(folder, name, fd, pieces * piece, bounds)
        return True
    finally:
        os.close(fd)


def _keep(folder: int, name: str, fd: int, part: tuple[int, int], files_kept: int) -> None:
    """Copy a part of a file to `NAME.1`, whole or not at all, after the older ones have moved on."""
    temporary = name + _TEMPORARY
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=folder)
    info = os.fstat(fd)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    target = os.open(temporary, flags, stat.S_IMODE(info.st_mode), dir_fd=folder)
    try:
        if os.geteuid() == 0:
            os.fchown(target, info.st_uid, info.st_gid)
        _copy(fd, target, *part)
        for number in range(files_kept, 1, -1):
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{name}.{number - 1}", f"{name}.{number}", src_dir_fd=folder, dst_dir_fd=folder)
        os.rename(temporary, f"{name}.1", src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise
    finally:
        os.close(target)


def _copy(source: int, target: int, offset: int, length: int) -> int:
    """Append a part of a file to another; return where it ended."""
    end = offset + length
    while offset < end and (piece := os.pread(source, min(_PIECE_BYTES, end - offset), offset)):
        view = memoryview(piece)
        while view:
            view = view[os.write(target, view) :]
        offset += len(piece)
    return offset


def _empty(folder: int, name: str, fd: int, offset: int, bounds: LogBounds) -> None:
    """Move what follows `offset` to the end of `NAME.1`, and empty the file; of more than it may hold, that is left out."""
    if bounds.files_kept and os.fstat(fd).st_size - offset <= bounds.bytes_max:
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            target = os.open(f"{name}.1", flags, dir_fd=folder)
            try:
                while offset < os.fstat(fd).st_size <= offset + bounds.bytes_max:
                    offset = _copy(fd, target, offset, bounds.bytes_max)
            finally:
                os.close(target)
    os.ftruncate(fd, 0)


def _cut(fd: int, length: int) -> bool:
    """Take the first bytes of a file away, as one step; False where the file system can't."""
    fallocate = getattr(_LIBC, "fallocate64", None) or getattr(_LIBC, "fallocate", None)
    if sys.platform != "linux" or fallocate is None:
        return False
    offset = ctypes.c_int64
    return bool(fallocate(ctypes.c_int(fd), ctypes.c_int(_COLLAPSE_RANGE), offset(0), offset(length)) == 0)


def _place_of(fd: int) -> str | None:
    """Return where an open directory really is, None where the system doesn't tell."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - one system call, no Path to build
    except OSError:
        return None


_LIBC: Final = ctypes.CDLL(None, use_errno=True)
