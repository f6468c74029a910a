"""From layers to a root filesystem, and what is looked up in it.

Rules: layers are stacked by overlayfs; where the kernel or the file system below refuses that, they are copied one over the other. Whatever is
read of an image is found from its root without following a link.
Errors: OSError.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from merismos.adapters.linux.mounts import mount_overlay
from merismos.containers.images.layer import OPAQUE_ATTRIBUTE
from merismos.core.containers.oci_spec import ContainerUser

Provision = Callable[[Sequence[Path], Path], Path]
_FILE_BYTES_MAX = 1 << 20
_ROOT_MODE = 0o755


def overlay(layers: Sequence[Path], bundle: Path) -> Path:
    """Stack layers, lowest first; return the root that comes of it, below `bundle`."""
    upper, work, root = bundle / "upper", bundle / "work", bundle / "rootfs"
    for one in (upper, work, root):
        one.mkdir(mode=_ROOT_MODE)
    _copy_attributes(layers[-1], upper)
    lowest = max((number for number, layer in enumerate(layers) if _is_opaque(layer)), default=0)
    mount_overlay(
        list(reversed(layers[lowest:])), upper, work, root
    )  # a root that hides all below is none of overlayfs' rules
    return root


def copy(layers: Sequence[Path], bundle: Path) -> Path:
    """Copy layers, lowest first, one over the other; return the root that comes of it, below `bundle`."""
    root = bundle / "rootfs"
    root.mkdir(mode=_ROOT_MODE)
    for layer in layers:
        _copy_over(layer, root)
    return root


def overlay_or_copy(layers: Sequence[Path], bundle: Path) -> Path:
    """Stack layers where that can be done here, else copy them."""
    try:
        return overlay(layers, bundle)
    except OSError as error:
        structlog.get_logger().warning("layers are copied, since they can't be stacked", why=str(error))
        shutil.rmtree(bundle / "rootfs", ignore_errors=True)
        return copy(layers, bundle)


def _copy_over(source: Path, target: Path) -> None:
    if _is_opaque(source):
        for entry in os.scandir(target):
            _remove(Path(entry.path))
    for entry in os.scandir(source):
        below = target / entry.name
        found = entry.stat(follow_symlinks=False)
        if entry.is_dir(follow_symlinks=False):
            if below.is_symlink() or not below.is_dir():
                _remove(below)
                below.mkdir()
            _copy_over(Path(entry.path), below)
            continue
        _remove(below)
        if stat.S_ISCHR(found.st_mode):
            continue  # a whiteout: layers hold no other device
        if stat.S_ISFIFO(found.st_mode):
            os.mkfifo(below)
        else:
            shutil.copyfile(entry.path, below, follow_symlinks=False)
        _copy_attributes(Path(entry.path), below)
    _copy_attributes(source, target)


def _copy_attributes(source: Path, target: Path) -> None:
    found = source.lstat()
    if os.geteuid() == 0:
        os.chown(target, found.st_uid, found.st_gid, follow_symlinks=False)
    shutil.copystat(source, target, follow_symlinks=False)
    if OPAQUE_ATTRIBUTE in os.listxattr(target, follow_symlinks=False):
        os.removexattr(target, OPAQUE_ATTRIBUTE, follow_symlinks=False)


def _is_opaque(directory: Path) -> bool:
    return OPAQUE_ATTRIBUTE in os.listxattr(directory, follow_symlinks=False)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# ------------------------------------------------------------------ users


def find_image_user(root: Path, named: str) -> ContainerUser:
    """Return who `USER[:GROUP]` of an image is, by numbers or by the image's own files.

    Errors: LookupError where the image has no such user or group.
    """
    user, colon, group = named.partition(":")
    rows = _rows(root, "passwd")
    row = next((one for one in rows if user in {one[0], one[2]}), None)
    if row is None and not user.isdigit():
        raise LookupError(f"the image wants to run as '{user}', but its /etc/passwd has no such user")
    uid = int(user if row is None else row[2])
    gid = 0 if row is None else int(row[3])
    groups = _rows(root, "group")
    if not colon:
        name = "" if row is None else row[0]
        more = tuple(int(one[2]) for one in groups if len(one) > 3 and name and name in one[3].split(","))  # noqa: PLR2004 - columns of the file
        return ContainerUser(uid, gid, more)
    found = next((one for one in groups if group in {one[0], one[2]}), None)
    if found is None and not group.isdigit():
        raise LookupError(f"the image wants to run in group '{group}', but its /etc/group has no such group")
    return ContainerUser(uid, int(group if found is None else found[2]))


def _rows(root: Path, name: str) -> list[list[str]]:
    """Return the lines of `/etc/NAME`, those that have numbers where numbers belong."""
    try:
        text = _read(root, "etc", name).decode("utf-8", "replace")
    except OSError:
        return []
    rows = [line.split(":") for line in text.splitlines()]
    numbers = 4 if name == "passwd" else 3
    return [row for row in rows if len(row) >= numbers and all(one.isdigit() for one in row[2:numbers])]


def _read(root: Path, *parts: str) -> bytes:
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            below = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
            os.close(fd)
            fd = below
        return os.read(fd, _FILE_BYTES_MAX)
    finally:
        os.close(fd)
