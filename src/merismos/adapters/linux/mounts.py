"""Mounts: overlays, binds, a small file system in memory, and their end.

Rules: a path that a task may have made a link of is bound by its descriptor, never by its name. What is unmounted is out of sight at
once, whoever still uses it.
Errors: OSError with what was to be mounted where.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from collections.abc import Sequence
from pathlib import Path

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_OPTIONS_BYTES_MAX = 3500  # of the page that the kernel takes
_OCTAL = 8


def mount_overlay(layers: Sequence[Path], upper: Path, work: Path, target: Path) -> None:
    """Stack `layers`, the topmost first, under a writable `upper`, which nobody needs after the mount's end: it is never synced."""
    writable = f"upperdir={upper},workdir={work}"
    options = f"lowerdir={':'.join(map(str, layers))},{writable}"
    if len(options) < _OPTIONS_BYTES_MAX and ":" not in "".join(map(str, layers)):
        _mount_volatile(target, options)
        return
    fds = [os.open(layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for layer in layers]
    try:
        short = ":".join(f"/proc/self/fd/{fd}" for fd in fds)
        _mount_volatile(target, f"lowerdir={short},{writable}")
    finally:
        for fd in fds:
            os.close(fd)


def _mount_volatile(target: Path, options: str) -> None:
    """Mount an overlay whose end doesn't write out the whole file system below it; a kernel before 5.10 can't."""
    try:
        _mount("overlay", target, "overlay", 0, f"{options},volatile")
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        _mount("overlay", target, "overlay", 0, options)


def bind(fd: int, target: Path) -> None:
    """Show at `target` what is open as `fd`."""
    _mount(f"/proc/self/fd/{fd}", target, "", _MS_BIND | _MS_REC, "")


def bind_private(directory: Path) -> None:
    """Make a directory a mount of its own, whose mounts nobody else sees."""
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        bind(fd, directory)
    finally:
        os.close(fd)
    _mount("", directory, "", _MS_PRIVATE, "")


def mount_memory(target: Path, size_bytes: int) -> None:
    """Mount a file system in memory that only root may look into."""
    _mount("tmpfs", target, "tmpfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, f"size={size_bytes},mode=0700")


def mounts_below(directory: Path) -> list[str]:
    """Return where something is mounted in a directory, the deepest first."""
    inside = f"{directory}/"
    found = []
    for line in _lines_with(_escaped(os.fsencode(inside)), Path("/proc/self/mountinfo").read_bytes()):
        fields = line.split(b" ")
        if len(fields) > 4:  # noqa: PLR2004 - the column of the mount point
            path = os.fsdecode(_unescaped(fields[4]))
            if path.startswith(inside):
                found.append(path)
    return found[::-1]


def is_mounted(directory: Path) -> bool:
    """Say whether a directory is a mount of its own."""
    return str(directory) in mounts_below(directory.parent)


def unmount(path: Path) -> None:
    """Unmount what is mounted there, and all in it.

    Errors: OSError where it stays.
    """
    while str(path) in mounts_below(path.parent):
        if _libc().umount2(os.fsencode(path), _MNT_DETACH) != 0:
            raise OSError(ctypes.get_errno(), f"{path} can't be unmounted")


def unmount_below(directory: Path) -> None:
    """Unmount everything in a directory.

    Errors: OSError where something stays.
    """
    for path in mounts_below(directory):
        _libc().umount2(os.fsencode(path), _MNT_DETACH)
    left = mounts_below(directory)
    if left:
        raise OSError(f"{left[0]} can't be unmounted")


def _mount(source: str, target: Path, kind: str, flags: int, options: str) -> None:
    libc = _libc()
    done = libc.mount(source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode())
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot mount {kind or 'a bind'} at {target}: {os.strerror(number)}")


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _lines_with(text: bytes, lines: bytes) -> list[bytes]:
    """Return the lines in which a text occurs; most often there is none, and nothing is split."""
    return [line for line in lines.split(b"\n") if text in line] if text in lines else []


def _escaped(path: bytes) -> bytes:
    """Return a path as the kernel prints it."""
    for one in b"\\ \t\n":
        path = path.replace(bytes([one]), b"\\%03o" % one)
    return path


def _unescaped(field: bytes) -> bytes:
    first, *rest = field.split(b"\\")
    return first + b"".join(bytes([int(part[:3], _OCTAL)]) + part[3:] for part in rest)
