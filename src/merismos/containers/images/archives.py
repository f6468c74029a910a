"""Images from this machine: `docker save` archives, OCI archives, and OCI layout directories.

Rules: where `--docker_registry` is a directory, an image lies in it as `NAME.tar`, `NAME:TAG.tar`, or as an OCI layout directory `NAME` or `NAME:TAG`.
An archive's own index may name the tag; with a single image in it, that is it. Files named in an archive are read only from
inside of it. What has a digest is checked against it.
Errors: ImageError, with the places that were looked at.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

import msgspec

from merismos.containers.images.documents import (
    DOCUMENT_BYTES_MAX,
    Descriptor,
    ImageError,
    Manifest,
    checked_digest,
    choose,
    decode,
    decode_manifest,
    digest_of,
)
from merismos.containers.images.source import Blob, FoundImage
from merismos.model.image_reference import ImageReference

_PIECE_BYTES = 1 << 20
_REFERENCE_NAME = "org.opencontainers.image.ref.name"
_DEPTH_MAX = 2
Found = TypeVar("Found")


class _Saved(msgspec.Struct, rename="pascal"):
    config: str
    layers: list[str]
    repo_tags: list[str] | None = None


class Archives:
    """Images under one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def host(self) -> str:
        """Images from a directory have no registry."""
        return ""

    async def find(self, reference: ImageReference) -> FoundImage:
        """Return what the image consists of."""
        return await asyncio.to_thread(self._find, reference)

    async def bring(self, reference: ImageReference, blob: Blob, target: Path) -> None:
        """Write a layer."""
        await asyncio.to_thread(self._bring, reference, blob, target)

    def _find(self, reference: ImageReference) -> FoundImage:
        return self._read(reference, lambda opened: _find_in(opened, reference))

    def _bring(self, reference: ImageReference, blob: Blob, target: Path) -> None:
        def copy(opened: Opened) -> None:
            hashed = hashlib.sha256()
            with opened.open(blob.where) as source, target.open("wb") as file:
                while piece := source.read(_PIECE_BYTES):
                    hashed.update(piece)
                    file.write(piece)
            if blob.digest and f"sha256:{hashed.hexdigest()}" != blob.digest:
                raise ImageError(f"layer {blob.digest} of {reference.text} is damaged: sha256:{hashed.hexdigest()}")

        self._read(reference, copy)

    def _read(self, reference: ImageReference, work: Callable[[Opened], Found]) -> Found:
        path = self._path_of(reference)
        try:
            if path.is_dir():
                return work(Layout(path))
            with tarfile.open(path, "r:*") as tar:
                return work(Tar(tar))
        except (OSError, tarfile.TarError, EOFError, KeyError) as error:
            raise ImageError(f"cannot read {path} for {reference.text}: {error}") from error

    def _path_of(self, reference: ImageReference) -> Path:
        names = [reference.repository, f"{reference.repository}:{reference.tag}"]
        if reference.registry:
            names += [f"{reference.registry}/{name}" for name in names]
        found = [self._directory / f"{name}{ending}" for name in reversed(names) for ending in (".tar", "")]
        for path in found:
            if path.is_file() or (path / "index.json").is_file():
                return path
        looked = ", ".join(str(path) for path in found[::2])
        raise ImageError(f"there is no image {reference.text}: neither an archive ({looked}) nor an OCI layout")


class Opened:
    """A container of files, whose names are those that documents in it use."""

    def open(self, name: str) -> IO[bytes]:
        """Open one of the files.

        Errors: KeyError, OSError.
        """
        raise KeyError(name)

    def document(self, name: str) -> bytes:
        """Return a whole document.

        Errors: ImageError, KeyError, OSError.
        """
        with self.open(name) as file:
            raw = file.read(DOCUMENT_BYTES_MAX + 1)
        if len(raw) > DOCUMENT_BYTES_MAX:
            raise ImageError(f"'{name}' is longer than {DOCUMENT_BYTES_MAX} bytes")
        return raw


class Tar(Opened):
    """An archive; links in it are followed by `tarfile`, which never leaves it."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def open(self, name: str) -> IO[bytes]:
        """Open one of the files."""
        file = self._tar.extractfile(name)
        if file is None:
            raise KeyError(f"'{name}' is no file")
        return file


class Layout(Opened):
    """An OCI layout directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = os.path.realpath(directory)

    def open(self, name: str) -> IO[bytes]:
        """Open one of the files."""
        path = os.path.realpath(Path(self._directory, name))
        if not path.startswith(self._directory + os.sep):
            raise ImageError(f"'{name}' lies outside of {self._directory}")
        return Path(path).open("rb")


def _find_in(opened: Opened, reference: ImageReference) -> FoundImage:
    try:
        index = opened.document("index.json")
    except (KeyError, FileNotFoundError):
        return _find_saved(opened, reference)
    return _find_in_layout(opened, decode_manifest(index, "index.json"), reference)


def _find_saved(opened: Opened, reference: ImageReference) -> FoundImage:
    saved = decode(list[_Saved], opened.document("manifest.json"), f"manifest.json of {reference.text}")
    wanted = f"{reference.repository}:{reference.tag}"
    one = next((one for one in saved if any(tag.endswith(wanted) for tag in one.repo_tags or [])), None)
    one = saved[0] if one is None and len(saved) == 1 else one
    if one is None:
        tags = ", ".join(tag for one in saved for tag in one.repo_tags or [])
        raise ImageError(f"the archive of {reference.text} holds only {tags or 'images without a tag'}")
    configuration = opened.document(one.config)
    return FoundImage(digest_of(configuration), configuration, [Blob("", 0, name) for name in one.layers])


def _find_in_layout(opened: Opened, index: Manifest, reference: ImageReference) -> FoundImage:
    what = reference.text
    tagged = [
        one for one in index.manifests if (one.annotations or {}).get(_REFERENCE_NAME, "").endswith(reference.tag)
    ]
    if reference.digest:
        tagged = [one for one in index.manifests if one.digest == reference.digest]
        if not tagged:
            raise ImageError(f"the layout of {what} does not hold that digest")
    if not tagged and len(index.manifests) > 1 and not any(one.platform for one in index.manifests):
        raise ImageError(f"the layout of {what} holds {len(index.manifests)} images, and none has that tag")
    chosen = choose(Manifest(manifests=tagged or index.manifests), what)
    for _ in range(_DEPTH_MAX):
        raw = _checked(opened, chosen)
        manifest = decode_manifest(raw, f"the manifest of {what}")
        if manifest.config is not None:
            blobs = [Blob(one.digest, one.size, _blob_name(one)) for one in manifest.layers]
            return FoundImage(chosen.digest, _checked(opened, manifest.config), blobs)
        chosen = choose(manifest, what)
    raise ImageError(f"{what} is an index of indexes without end")


def _checked(opened: Opened, one: Descriptor) -> bytes:
    raw = opened.document(_blob_name(one))
    if digest_of(raw) != one.digest:
        raise ImageError(f"{one.digest} is damaged: its digest is {digest_of(raw)}")
    return raw


def _blob_name(one: Descriptor) -> str:
    return f"blobs/sha256/{checked_digest(one.digest).removeprefix('sha256:')}"
