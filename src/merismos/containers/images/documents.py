"""What registries and archives say about images: indexes, manifests, configurations, and which of them is for this machine.

Rules: Docker's version 2 schema 2 and OCI's, which differ in media types only; older schemas are refused in words. What names a
file or a digest is checked before it is used as one.
Errors: ImageError, with which document is wrong and why.
"""

from __future__ import annotations

import hashlib
import platform
import re
from typing import TypeVar

import msgspec

from merismos.core.containers.image_config import ImageConfig

DOCUMENT_BYTES_MAX = 4 << 20
LAYERS_MAX = 256
MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


class ImageError(Exception):
    """An image can't be had, or must not be used."""


class Platform(msgspec.Struct):
    """For which machines an image is."""

    architecture: str = ""
    os: str = ""


class Descriptor(msgspec.Struct, rename={"media_type": "mediaType"}):
    """A document or a layer by its content."""

    digest: str
    size: int
    media_type: str = ""
    platform: Platform | None = None
    annotations: dict[str, str] | None = None


class Manifest(msgspec.Struct, rename={"schema_version": "schemaVersion"}):
    """A manifest, or an index of manifests, which has `manifests` instead."""

    schema_version: int = 2
    config: Descriptor | None = None
    layers: list[Descriptor] = []
    manifests: list[Descriptor] = []


class RunConfig(msgspec.Struct, rename="pascal"):
    """The `config` of an image's configuration, in Docker's spelling."""

    entrypoint: list[str] | str | None = None
    cmd: list[str] | str | None = None
    env: list[str] | None = None
    working_dir: str | None = None
    user: str | None = None


class RootFs(msgspec.Struct):
    """The layers of an image, lowest first."""

    diff_ids: list[str] = []


class Configuration(msgspec.Struct):
    """An image's configuration."""

    config: RunConfig | None = None
    rootfs: RootFs = msgspec.field(default_factory=RootFs)
    architecture: str = ""
    os: str = ""


Document = TypeVar("Document")


def decode(kind: type[Document], raw: bytes, what: str) -> Document:
    """Return a document.

    Errors: ImageError.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ImageError(f"{what} does not decode: {error}") from error


def digest_of(raw: bytes) -> str:
    """Return the digest of a document."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def checked_digest(digest: str) -> str:
    """Return a digest that is one.

    Errors: ImageError.
    """
    if _DIGEST.fullmatch(digest) is None:
        raise ImageError(f"'{digest[:80]}' is no digest that is known here: sha256 and 64 hexadecimal digits")
    return digest


def decode_manifest(raw: bytes, what: str) -> Manifest:
    """Return a manifest or an index whose digests are digests.

    Errors: ImageError.
    """
    manifest = decode(Manifest, raw, what)
    if manifest.schema_version != 2:  # noqa: PLR2004 - the number that the format gives itself
        raise ImageError(
            f"{what} is of schema {manifest.schema_version}; push the image again, so that it is of schema 2"
        )
    if len(manifest.layers) > LAYERS_MAX:
        raise ImageError(f"{what} has {len(manifest.layers)} layers; at most {LAYERS_MAX} are taken")
    if manifest.config is None and not manifest.manifests:
        raise ImageError(f"{what} is neither a manifest nor an index of manifests")
    for one in (*manifest.layers, *manifest.manifests, *([manifest.config] if manifest.config else [])):
        checked_digest(one.digest)
        if one.size < 0:
            raise ImageError(f"{what} has a part of a negative size")
    return manifest


def choose(index: Manifest, what: str, architecture: str = "") -> Descriptor:
    """Return the manifest for this machine.

    Errors: ImageError with the platforms that there are.
    """
    wanted = architecture or local_architecture()
    for one in index.manifests:
        if one.platform is None or (one.platform.os == "linux" and one.platform.architecture == wanted):
            return one
    known = ", ".join(f"{one.platform.os}/{one.platform.architecture}" for one in index.manifests if one.platform)
    raise ImageError(f"{what} has no image for linux/{wanted}, only for {known}")


def local_architecture() -> str:
    """Return this machine's architecture, as images call it."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def decode_configuration(raw: bytes, layers: int, what: str) -> tuple[list[str], ImageConfig]:
    """Return the ids of an image's unpacked layers, and how it wants to be run.

    Errors: ImageError.
    """
    configuration = decode(Configuration, raw, f"the configuration of {what}")
    if configuration.os not in {"", "linux"}:
        raise ImageError(f"{what} is an image for {configuration.os}; only those for linux run here")
    diff_ids = [checked_digest(one) for one in configuration.rootfs.diff_ids]
    if len(diff_ids) != layers:
        raise ImageError(f"{what} has {layers} layers, and its configuration names {len(diff_ids)}")
    if not diff_ids:
        raise ImageError(f"{what} has no layers, so there is nothing in it to run or to mount")
    run = configuration.config or RunConfig()
    env = [one for one in run.env or [] if "=" in one and "\0" not in one]
    config = ImageConfig(words(run.entrypoint), words(run.cmd), env, run.working_dir or "", (run.user or "").strip())
    if any("\0" in one for one in (*config.entrypoint, *config.cmd, config.working_dir, config.user)):
        raise ImageError(f"the configuration of {what} holds a NUL character")
    return diff_ids, config


def words(given: list[str] | str | None) -> list[str]:
    """Return a list of words; a lone text was one word in early images."""
    return [given] if isinstance(given, str) else list(given or [])
