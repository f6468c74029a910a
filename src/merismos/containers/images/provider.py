"""The images of one agent, by its flags: pulls them, prunes them when an operator says so or when the disk fills up.

Rules: without `--image_providers` there are no images, and pruning has nothing to do. While the disk holds less free space than the headroom of
`--image_gc_config`, images that no container stands on are removed, except for those that it excludes.
Source: Mesos, docs/container-image.md and `ImageGcConfig`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import structlog
from yarl import URL

from merismos.containers.images.archives import Archives
from merismos.containers.images.credentials import Login
from merismos.containers.images.puller import Puller
from merismos.containers.images.registry import Registry
from merismos.containers.images.store import ImageStore
from merismos.protocol.v1 import mesos


class ImageSettings(NamedTuple):
    """What the flags say about images.

    Shapes: `registry` is a URL, or the absolute path of a directory. `gc_headroom` is the part of the disk to keep free, None for no removal but on request.
    """

    registry: str
    logins: Mapping[str, Login]
    store_dir: str
    stall_timeout_s: float
    gc_headroom: float | None = None
    gc_interval_s: float = 3600.0
    gc_excluded: tuple[str, ...] = ()


class Images:
    """Everything about images that outlasts one container."""

    def __init__(self, settings: ImageSettings, work_dir: str, disk_used: Callable[[str], float]) -> None:
        self._settings = settings
        self._disk_used = disk_used
        self.store = ImageStore(Path(settings.store_dir), work_dir)
        self._registry = None if settings.registry.startswith("/") else self._make_registry()
        source = self._registry or Archives(Path(settings.registry))
        self.puller = Puller(self.store, source, source.host)
        self._watch: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take the store, and begin to watch the disk.

        Errors: OSError, ImageError where the store can't be had.
        """
        await asyncio.to_thread(self.store.open)
        if self._settings.gc_headroom is not None:
            self._watch = asyncio.create_task(self._watch_disk(self._settings.gc_headroom))

    async def close(self) -> None:
        """Stop all pulls."""
        if self._watch is not None:
            self._watch.cancel()
        await self.puller.close()
        if self._registry is not None:
            await self._registry.close()
        await asyncio.to_thread(self.store.close)

    async def prune(self, excluded: Iterable[mesos.Image]) -> None:
        """Remove the images that no container stands on and that aren't named.

        Errors: OSError.
        """
        names = [image.docker.name for image in excluded if image.docker is not None]
        removed = await asyncio.to_thread(self.puller.prune, [*names, *self._settings.gc_excluded])
        structlog.get_logger().info("images pruned", removed=", ".join(removed) or "none")

    def _make_registry(self) -> Registry:
        settings = self._settings
        return Registry(URL(settings.registry), settings.logins, stall_timeout_s=settings.stall_timeout_s)

    async def _watch_disk(self, headroom: float) -> None:
        while True:
            try:
                if await asyncio.to_thread(self._disk_used, self._settings.store_dir) > 1.0 - headroom:
                    await self.prune(())
            except OSError as error:
                structlog.get_logger().warning("images can't be pruned", why=str(error))
            await asyncio.sleep(self._settings.gc_interval_s)
