"""From an agent's flags to its images.

Errors: FlagError, with what to change.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import structlog
from yarl import URL

from merismos.adapters.linux import detection
from merismos.containers.images.credentials import parse_docker_config
from merismos.containers.images.documents import ImageError
from merismos.containers.images.provider import Images, ImageSettings
from merismos.containers.images.rootfs import Provision, copy, overlay, overlay_or_copy
from merismos.containers.networks import ContainerNetworks
from merismos.containers.oci import OciRuntime
from merismos.containers.oci_runtimes import Runtime, choose, find_runtimes, obstacle_of_images
from merismos.core.kernel import Event
from merismos.daemons.agent_seccomp import profiles_of
from merismos.protocol import json
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import mesos
from merismos.shell.flags import FlagError, Flags

_NANOS = 1_000_000_000
_BACKENDS: Final[dict[str, Provision]] = {"auto": overlay_or_copy, "overlay": overlay, "copy": copy}


class _GcConfig(msgspec.Struct):
    image_disk_headroom: float = 0.1
    image_disk_watch_interval: mesos.DurationInfo = msgspec.field(
        default_factory=lambda: mesos.DurationInfo(nanoseconds=3600 * _NANOS)
    )
    excluded_images: list[mesos.Image] = []


def has_images(flags: Flags) -> bool:
    """Say whether containers may be made of images."""
    providers = [one.strip().lower() for one in (flags.text("image_providers") or "").split(",") if one.strip()]
    unknown = [one for one in providers if one != "docker"]
    if unknown:
        raise FlagError(
            f"--image_providers: images of kind {unknown[0]} are not supported; write --image_providers=docker"
        )
    return bool(providers)


def capabilities_of(flags: Flags, name: str) -> tuple[str, ...] | None:
    """Return the capabilities that a flag names, None where it names none."""
    text = flags.text(name)
    if not text:
        return None
    try:
        info = json.decode(mesos.CapabilityInfo, text.encode())
    except DecodeError as error:
        raise FlagError(f"--{name} is no CapabilityInfo in JSON: {error}") from error
    return tuple(one.name for one in info.capabilities)


def images_of(flags: Flags, work_dir: str, post: Callable[[Event], None]) -> Images | None:
    """Return the images of an agent, None where it has none."""
    return Images(post, image_settings(flags), work_dir, detection.disk_used) if has_images(flags) else None


def runtime_of(
    flags: Flags, images: Images | None, runtime_dir: Path, networks: ContainerNetworks | None
) -> OciRuntime | None:
    """Return what runs containers of images, None where there are no images."""
    if images is None:
        return None
    obstacle = obstacle_of_images()
    if obstacle is not None:
        raise FlagError(f"--image_providers=docker can't be had: {obstacle}")
    directory = runtime_dir / "oci"
    try:
        chosen = choose(directory, flags.text("oci_runtime") or "")
    except LookupError as error:
        raise FlagError(f"--image_providers=docker: {error}") from error
    structlog.get_logger().info("containers of images", runtime=chosen.program)
    others = [Runtime(program, directory) for program in find_runtimes() if program != chosen.program]
    return OciRuntime(
        [chosen, *others], directory, images.store, provision_of(flags), networks, profiles_of(flags, runtime_dir)
    )


def provision_of(flags: Flags) -> Provision:
    """Return what makes root filesystems of layers."""
    backend = flags.text("image_provisioner_backend") or "auto"
    provision = _BACKENDS.get(backend)
    if provision is None:
        raise FlagError(f"--image_provisioner_backend={backend} is not known; give overlay or copy, or leave it out")
    if os.geteuid() != 0:
        if backend == "overlay":
            raise FlagError("--image_provisioner_backend=overlay needs root; leave it out, and layers are copied")
        return copy
    return provision


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
