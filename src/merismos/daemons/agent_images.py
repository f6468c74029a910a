"""From an agent's flags to its images.

Errors: FlagError, with what to change.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from yarl import URL

from merismos.adapters.linux import detection
from merismos.containers.images.credentials import parse_docker_config
from merismos.containers.images.documents import ImageError
from merismos.containers.images.provider import Images, ImageSettings
from merismos.protocol.v1 import mesos
from merismos.shell.flags import FlagError, Flags

_NANOS = 1_000_000_000


class _GcConfig(msgspec.Struct):
    image_disk_headroom: float = 0.1
    image_disk_watch_interval: mesos.DurationInfo = msgspec.field(
        default_factory=lambda: mesos.DurationInfo(nanoseconds=3600 * _NANOS)
    )
    excluded_images: list[mesos.Image] = []


def images_of(flags: Flags, work_dir: str) -> Images | None:
    """Return the images of an agent, None where it has none."""
    providers = [one.strip().lower() for one in (flags.text("image_providers") or "").split(",") if one.strip()]
    unknown = [one for one in providers if one != "docker"]
    if unknown:
        raise FlagError(
            f"--image_providers: images of kind {unknown[0]} are not supported; write --image_providers=docker"
        )
    return Images(image_settings(flags), work_dir, detection.disk_used) if providers else None


def image_settings(flags: Flags) -> ImageSettings:
    """Return what the flags say about images."""
    try:
        logins = parse_docker_config(flags.text("docker_config") or "{}")
    except ImageError as error:
        raise FlagError(f"--docker_config: {error}") from error
    gc = _gc_config(flags.text("image_gc_config"))
    return ImageSettings(
        registry=registry_of(flags.text("docker_registry") or ""),
        logins=logins,
        store_dir=str(Path(flags.text("docker_store_dir") or "").absolute()),
        stall_timeout_s=flags.seconds("fetcher_stall_timeout"),
        gc_headroom=None if gc is None else gc.image_disk_headroom,
        gc_interval_s=_GcConfig().image_disk_watch_interval.nanoseconds / _NANOS
        if gc is None
        else gc.image_disk_watch_interval.nanoseconds / _NANOS,
        gc_excluded=tuple(image.docker.name for image in gc.excluded_images if image.docker) if gc is not None else (),
    )


def registry_of(text: str) -> str:
    """Return a registry's URL, or the absolute path of the directory that stands for one."""
    if text.startswith("/"):
        return text
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host or url.path not in {"", "/"}:
        raise FlagError(
            f"--docker_registry={text} is neither a registry nor a directory: write https://HOST[:PORT], or an absolute path"
        )
    return str(url.origin())


def _gc_config(text: str | None) -> _GcConfig | None:
    if not text:
        return None
    try:
        found = msgspec.json.decode(text, type=_GcConfig)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FlagError(f"--image_gc_config does not decode: {error}") from error
    if not 0.0 <= found.image_disk_headroom <= 1.0 or found.image_disk_watch_interval.nanoseconds <= 0:
        raise FlagError("--image_gc_config: the headroom is a part from 0.0 to 1.0, the interval more than nothing")
    return found
