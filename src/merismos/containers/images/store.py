"""Images on this machine: unpacked layers by their content, and which image consists of which.

Shapes: `DIR/layers/HEX/rootfs` is a layer, made elsewhere and renamed there whole; `DIR/images.json` the images by name;
`DIR/leases/OWNER/CONTAINER` the layers that a container stands on; `DIR/staging` what is on its way; `DIR/lock` is held for each change. Agents of
one machine may share a directory.
Rules: a layer that some image or lease names is never removed. A lease is taken before the layers are looked for, so that nobody removes them in between.
What an agent that died left in staging is removed by the next one. The directory, and those above it, must be ours or the system's.
Errors: OSError where the disk says no; ImageError for a directory that others may write to.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from merismos.containers.images.documents import ImageError
from merismos.core.containers.image_config import ImageConfig

_MODE = 0o700
_ALIVE = "alive"


class StoredImage(msgspec.Struct, frozen=True):
    """An image that is here.

    Shapes: `reference` is its whole name, `digest` that of its manifest (of its configuration, from an archive), `layers` are the digests of its unpacked layers, lowest first.
    """

    reference: str
    digest: str
    layers: list[str]
    config: ImageConfig
    pulled_at: float


class ImageStore:
    """One store of one agent, whose `work_dir` names it as the owner of its leases."""

    def __init__(self, directory: Path, work_dir: str) -> None:
        self._directory = directory
        self._work_dir = work_dir
        self._leases = directory / "leases" / hashlib.sha256(work_dir.encode()).hexdigest()[:16]
        self._alive: int | None = None
        self._staging: Path | None = None

    def open(self) -> None:
        """Make the directories, and remove what nobody stages any more."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=_MODE)
        check_ownership(self._directory)
        for one in (self._directory / "layers", self._leases, self._directory / "staging"):
            one.mkdir(parents=True, exist_ok=True, mode=_MODE)
        with self._locked():
            (self._leases / ".work_dir").write_text(self._work_dir, encoding="utf-8")
            for old in (self._directory / "staging").iterdir():
                if not _in_use(old / _ALIVE):
                    shutil.rmtree(old, ignore_errors=True)
            self._staging = Path(tempfile.mkdtemp(dir=self._directory / "staging"))
            self._alive = os.open(self._staging / _ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._alive, fcntl.LOCK_EX)

    def close(self) -> None:
        """Give up what is staged."""
        if self._staging is not None and self._alive is not None:
            shutil.rmtree(self._staging, ignore_errors=True)
            os.close(self._alive)
        self._staging = self._alive = None

    @contextlib.contextmanager
    def stage(self) -> Iterator[Path]:
        """Give a directory for what isn't whole yet, and remove what is left in it."""
        assert self._staging is not None, "open comes first"
        directory = Path(tempfile.mkdtemp(dir=self._staging))
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def rootfs_of(self, layer: str) -> Path:
        """Return where a layer is, or will be."""
        return self._directory / "layers" / layer.removeprefix("sha256:") / "rootfs"

    def has(self, layer: str) -> bool:
        """Say whether a layer is here."""
        return self.rootfs_of(layer).is_dir()

    def add(self, layer: str, rootfs: Path) -> None:
        """Take a layer that is unpacked; one that came from elsewhere meanwhile stays."""
        holder = rootfs.with_name("layer")
        holder.mkdir(mode=_MODE)
        rootfs.rename(holder / "rootfs")
        with contextlib.suppress(FileExistsError, OSError):
            holder.rename(self.rootfs_of(layer).parent)
        if not self.has(layer):
            raise OSError(f"cannot put layer {layer} into {self._directory}")

    def find(self, reference: str) -> StoredImage | None:
        """Return an image that is here as a whole."""
        image = self._read().get(reference)
        return image if image is not None and all(self.has(layer) for layer in image.layers) else None

    def keep(self, image: StoredImage) -> None:
        """Remember an image under its name."""
        with self._locked():
            images = self._read()
            images[image.reference] = image
            self._write(images)

    def lease(self, holder: str, layers: list[str]) -> bool:
        """Keep layers for a holder until `release`; False where one of them isn't here any more."""
        with self._locked():
            if not all(self.has(layer) for layer in layers):
                return False
            self.reserve(holder, layers)
        return True

    def reserve(self, holder: str, layers: list[str]) -> None:
        """Keep layers that are here, or will be, for a holder."""
        (self._leases / holder).write_text("\n".join(layers), encoding="utf-8")

    def release(self, holder: str) -> None:
        """Let go of a holder's layers."""
        (self._leases / holder).unlink(missing_ok=True)

    def holders(self) -> list[str]:
        """Return who holds layers for this agent."""
        return sorted(path.name for path in self._leases.iterdir() if not path.name.startswith("."))

    def prune(self, excluded: Iterable[str]) -> list[str]:
        """Remove the images that no container stands on and that aren't excluded; return their names."""
        kept_names = dict.fromkeys(excluded)
        with self._locked(), self.stage() as trash:
            leased = self._leased()
            images = self._read()
            kept = {
                name: image
                for name, image in images.items()
                if name in kept_names or (image.layers and all(layer in leased for layer in image.layers))
            }
            self._write(kept)
            needed = dict(leased)
            for image in kept.values():
                needed |= dict.fromkeys(image.layers)
            for layer in (self._directory / "layers").iterdir():
                if f"sha256:{layer.name}" not in needed:
                    layer.rename(trash / layer.name)
        return [name for name in images if name not in kept]

    def _leased(self) -> dict[str, None]:
        leased: dict[str, None] = {}
        for owner in (self._directory / "leases").iterdir():
            try:
                work_dir = (owner / ".work_dir").read_text(encoding="utf-8")
            except FileNotFoundError:
                continue
            if not Path(work_dir).is_dir():
                shutil.rmtree(owner, ignore_errors=True)
                continue
            for lease in owner.iterdir():
                if not lease.name.startswith("."):
                    leased |= dict.fromkeys(lease.read_text(encoding="utf-8").splitlines())
        return leased

    def _read(self) -> dict[str, StoredImage]:
        try:
            raw = (self._directory / "images.json").read_bytes()
        except FileNotFoundError:
            return {}
        try:
            return msgspec.json.decode(raw, type=dict[str, StoredImage])
        except msgspec.DecodeError:
            return {}  # images are pulled again; their layers are still here

    def _write(self, images: dict[str, StoredImage]) -> None:
        path = self._directory / "images.json"
        new = path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(msgspec.json.encode(images))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._directory / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def stored_image(reference: str, digest: str, layers: list[str], config: ImageConfig) -> StoredImage:
    """Return an image that has just been pulled."""
    return StoredImage(reference, digest, layers, config, time.time())


def check_ownership(directory: Path) -> None:
    """See that nobody else can put something into a store.

    Errors: ImageError.
    """
    resolved = directory.resolve()
    for one in (resolved, *resolved.parents):
        found = one.stat()
        shared = found.st_mode & (stat.S_IWOTH | stat.S_IWGRP) and not found.st_mode & stat.S_ISVTX
        if (
            found.st_uid not in {0, os.geteuid()}
            or (shared and one == resolved)
            or (shared and found.st_mode & stat.S_IWOTH)
        ):
            raise ImageError(
                f"others may write to {one}, so images in {directory} can't be trusted; give another --docker_store_dir"
            )


def _in_use(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False
