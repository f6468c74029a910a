"""Unpacks one layer of an image into a directory of its own, in the form in which overlayfs stacks it.

Run as a script (`python -I -S layer.py BLOB DIRECTORY DIFF_ID BYTES_MAX PACKAGES`) in a process of its own, which finds zstandard in PACKAGES, and takes DIRECTORY for its
root where it may: so nothing that a layer says can name a file outside, no layer's size is our memory, and our loop never waits.
Rules: every step goes through descriptors of directories and follows no link, with or without that root. Names with `..`, entries below a link,
hard links to what isn't in the layer and devices refuse the layer; devices below `dev/`, which no container sees, are left out.
Owners, modes, set-id bits and file capabilities are kept; of other attributes only `user.*`. Who isn't root owns all of it, without
capabilities, and can read and change what it owns: else nobody could copy or remove it.
A whiteout becomes a device 0/0, an opaque directory gets its attribute. More than BYTES_MAX bytes, ENTRIES_MAX entries or DEPTH_MAX directories within each other refuse it.
The digest of what was unpacked must be DIFF_ID.
Errors: LayerError; as a script one line on stderr, and status 1.
"""

from __future__ import annotations

import bz2
import contextlib
import ctypes
import errno
import gzip
import hashlib
import io
import lzma
import os
import resource
import shutil
import stat
import sys
import tarfile
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

ENTRIES_MAX = 1_000_000
DEPTH_MAX = 256
MEMORY_BYTES_MAX = 1 << 30
ZSTD_WINDOW_BYTES_MAX = 1 << 27  # what `zstd --long` makes; a reader has to hold that much
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
RESERVED = ".wh..wh."
_OVERLAY = "trusted.overlay." if os.geteuid() == 0 else "user.overlay."
OPAQUE_ATTRIBUTE = f"{_OVERLAY}opaque"
_XATTR = "SCHILY.xattr."
_KEPT_ATTRIBUTES = ("security.capability", "user.")
_PIECE_BYTES = 1 << 20
_MODE = 0o7777
_OWN_DIRECTORY = 0o700
_OWN_FILE = 0o600
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAGICS = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    MemoryError,
    OverflowError,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
)


class LayerError(Exception):
    """A layer can't be unpacked, or must not be."""


class Measured(io.RawIOBase):
    """A layer's bytes as they come out of its compression: counted, and hashed."""

    def __init__(self, source: BinaryIO, bytes_max: int) -> None:
        self._source = source
        self._left = self._max = bytes_max
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        piece = self._source.read(_PIECE_BYTES if size < 0 else min(size, _PIECE_BYTES))
        self.take(len(piece))
        self._hash.update(piece)
        return piece

    def take(self, size: int) -> None:
        """Count bytes that are made."""
        self._left -= size
        if self._left < 0:
            raise LayerError(f"it grows beyond {self._max} bytes")

    def finish(self) -> str:
        """Read what is left, and return the digest of everything."""
        while self.read():
            pass
        return f"sha256:{self._hash.hexdigest()}"


def unpack(blob: BinaryIO, root: int, diff_id: str, bytes_max: int) -> None:
    """Unpack a layer into the empty directory that `root` is open at.

    Errors: LayerError.
    """
    try:
        measured = Measured(_decompressed(blob), bytes_max)
        tree = Tree(root, measured)
        with tarfile.open(fileobj=measured, mode="r|", bufsize=tarfile.RECORDSIZE) as tar:
            for count, member in enumerate(tar):
                if count >= ENTRIES_MAX:
                    raise LayerError(f"it holds more than {ENTRIES_MAX} entries")
                tar.members.clear()  # type: ignore[attr-defined]
                tree.add(tar, member)
        tree.finish()
        found = measured.finish()
    except _DAMAGED as error:
        raise LayerError(str(error) or type(error).__name__) from error
    if found != diff_id:
        raise LayerError(f"its content has the digest {found}, not {diff_id} as its image says")


def _decompressed(blob: BinaryIO) -> BinaryIO:
    kind = _kind_of(blob)
    if kind == "gzip":
        return gzip.GzipFile(fileobj=blob)  # type: ignore[return-value]
    if kind == "bzip2":
        return bz2.BZ2File(blob)  # type: ignore[return-value]
    if kind == "xz":
        return lzma.LZMAFile(blob)  # type: ignore[return-value]
    if kind == "zstd":
        return Zstd(blob)  # type: ignore[return-value]
    return blob


def _kind_of(blob: BinaryIO) -> str:
    start = blob.read(8)
    blob.seek(0)
    return next((kind for magic, kind in _MAGICS if start.startswith(magic)), "")


class Zstd:
    """A layer in zstd; a frame that asks for more memory than is usual is refused."""

    def __init__(self, blob: BinaryIO) -> None:
        import zstandard  # noqa: PLC0415 - a process for a layer in gzip finds no packages

        self._error = zstandard.ZstdError
        decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES_MAX)
        self._reader = decompressor.stream_reader(blob, read_across_frames=True)

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        try:
            return self._reader.read(size)
        except self._error as error:
            raise LayerError(f"its zstd is damaged, or made for bigger machines: {error}") from error


class Tree:
    """The directory that a layer becomes."""

    def __init__(self, root: int, measured: Measured) -> None:
        self._root = root
        self._measured = measured
        self._times: list[tuple[list[str], float]] = []
        self._as_root = os.geteuid() == 0

    def add(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Make one entry."""
        parts = parts_of(member.name)
        if not parts:
            if member.isdir():
                self._own(member, self._root, ".")
            return
        name = parts[-1]
        with self._parent(parts, member.name) as parent:
            if name == OPAQUE:
                os.setxattr(parent, OPAQUE_ATTRIBUTE, b"y")
            elif name.startswith(RESERVED):
                return
            elif name.startswith(WHITEOUT):
                self._whiteout(parent, name[len(WHITEOUT) :], member.name)
            else:
                self._entry(tar, member, parts, parent)

    def finish(self) -> None:
        """Give directories their times, which adding to them has changed."""
        for parts, mtime in reversed(self._times):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError), self._parent(parts, parts[-1]) as parent:
                os.utime(parts[-1], (mtime, mtime), dir_fd=parent, follow_symlinks=False)

    def _entry(self, tar: tarfile.TarFile, member: tarfile.TarInfo, parts: list[str], parent: int) -> None:
        name = parts[-1]
        if member.isdir():
            self._directory(parent, name)
            self._times.append((parts, member.mtime))
        elif member.isreg() or member.islnk() or member.issym() or member.isfifo():
            self._clear(parent, name)
            if member.isreg():
                self._file(tar, member, parent, name)
            elif member.issym():
                os.symlink(member.linkname, name, dir_fd=parent)
            elif member.isfifo():
                os.mkfifo(name, dir_fd=parent)
            else:
                self._hard_link(member, parent, name)
                return
        elif member.isdev() and parts[0] == "dev":
            return
        else:
            raise LayerError(f"'{member.name}' is a device, and only below dev/ are those passed over")
        self._own(member, parent, name)

    def _file(self, tar: tarfile.TarFile, member: tarfile.TarInfo, parent: int, name: str) -> None:
        source = tar.extractfile(member)
        assert source is not None
        if member.issparse():
            self._measured.take(member.size)
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
        with source, os.fdopen(fd, "wb") as written:
            shutil.copyfileobj(source, written, _PIECE_BYTES)

    def _hard_link(self, member: tarfile.TarInfo, parent: int, name: str) -> None:
        target = parts_of(member.linkname)
        if not target:
            raise LayerError(f"'{member.name}' links to the root")
        try:
            with self._parent(target, member.linkname, make=False) as source:
                os.link(target[-1], name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            raise LayerError(f"'{member.name}' links to '{member.linkname}', which the layer does not hold") from None

    def _directory(self, parent: int, name: str) -> None:
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            os.mkdir(name, 0o755, dir_fd=parent)
            return
        if not stat.S_ISDIR(found.st_mode):
            self._clear(parent, name)
            os.mkdir(name, 0o755, dir_fd=parent)
            if _is_whiteout(found):
                self._make_opaque(parent, name)

    def _whiteout(self, parent: int, name: str, whole: str) -> None:
        if name in {"", ".", ".."}:
            raise LayerError(f"'{whole}' hides nothing that can be hidden")
        try:
            os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent)
        except FileExistsError:
            if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                self._make_opaque(parent, name)

    @staticmethod
    def _make_opaque(parent: int, name: str) -> None:
        fd = os.open(name, _DIRECTORY, dir_fd=parent)
        try:
            os.setxattr(fd, OPAQUE_ATTRIBUTE, b"y")
        finally:
            os.close(fd)

    @staticmethod
    def _clear(parent: int, name: str) -> None:
        try:
            os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            return
        except (IsADirectoryError, PermissionError):
            shutil.rmtree(name, dir_fd=parent)

    def _own(self, member: tarfile.TarInfo, parent: int, name: str) -> None:
        if self._as_root:
            os.chown(name, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)
        if member.issym():
            return
        os.chmod(name, self._mode_of(member), dir_fd=parent)
        if not member.isdir():
            os.utime(name, (member.mtime, member.mtime), dir_fd=parent, follow_symlinks=False)
        if member.isreg() or member.isdir():
            self._set_attributes(member, parent, name)

    def _mode_of(self, member: tarfile.TarInfo) -> int:
        needed = 0 if self._as_root else _OWN_DIRECTORY if member.isdir() else _OWN_FILE
        return member.mode & _MODE | needed

    def _set_attributes(self, member: tarfile.TarInfo, parent: int, name: str) -> None:
        names = [key for key in member.pax_headers if key.startswith(_XATTR)]
        kept = {
            key[len(_XATTR) :]: member.pax_headers[key]
            for key in names
            if key[len(_XATTR) :].startswith(_KEPT_ATTRIBUTES if self._as_root else "user.")
            and not key[len(_XATTR) :].startswith(_OVERLAY)
        }
        if not kept:
            return
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            for key, value in kept.items():
                os.setxattr(fd, key, value.encode("utf-8", "surrogateescape"))
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def _parent(self, parts: list[str], whole: str, *, make: bool = True) -> Iterator[int]:
        """Open the directory that an entry lies in, made where it is missing; no step of the way is a link."""
        fd = os.dup(self._root)
        try:
            for part in parts[:-1]:
                below = self._step(fd, part, whole, make=make)
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)

    def _step(self, fd: int, part: str, whole: str, *, make: bool) -> int:
        try:
            return os.open(part, _DIRECTORY, dir_fd=fd)
        except FileNotFoundError:
            if not make:
                raise
            os.mkdir(part, 0o755, dir_fd=fd)
            return os.open(part, _DIRECTORY, dir_fd=fd)
        except OSError as error:
            if error.errno not in {errno.ELOOP, errno.ENOTDIR}:
                raise
            if make and _is_whiteout(os.stat(part, dir_fd=fd, follow_symlinks=False)):
                self._directory(fd, part)
                return os.open(part, _DIRECTORY, dir_fd=fd)
            raise LayerError(f"'{whole}' lies below '{part}', which is a link or a file") from error


def _is_whiteout(found: os.stat_result) -> bool:
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def parts_of(name: str) -> list[str]:
    """Return the parts of a name, which counts from the image's root.

    Errors: LayerError where it leads out of it, or too deep into it.
    """
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise LayerError(f"it holds '{name}', which leads out of the image")
    if len(parts) > DEPTH_MAX:
        raise LayerError(f"it holds '{name[:80]}...', which lies {len(parts)} directories deep; {DEPTH_MAX} are taken")
    return parts


def _enter(directory: str) -> int:
    """Take `directory` for the root where we may, bound our memory, and return it open."""
    root = os.open(directory, _DIRECTORY)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    if os.geteuid() == 0:
        os.fchdir(root)
        os.chroot(".")
    os.umask(0)
    return root


def main() -> int:
    """Unpack one layer; return the status."""
    path, directory, diff_id, bytes_max, packages = sys.argv[1:]
    try:
        with open(path, "rb") as blob:  # noqa: PTH123 - no pathlib here
            if _kind_of(blob) == "zstd":
                sys.path.append(packages)
                Zstd(blob)  # what it is made of must be read before the root is another
            root = _enter(directory)
            unpack(blob, root, diff_id, int(bytes_max))
            # what is renamed into the store must not turn out to be empty after a power cut
            ctypes.CDLL(None).syncfs(root)
    except (LayerError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
