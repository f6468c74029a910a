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
from merismos.containers.images.credentials import Login, parse_docker_config
from merismos.containers.images.documents import ImageError
from merismos.containers.images.puller import Puller
from merismos.containers.images.registry import Registry
from merismos.containers.images.store import ImageStore, StoredImage
from merismos.core.agent import effects, events
from merismos.core.containers.image_plan import PulledImage
from merismos.core.kernel import Event
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

    def __init__(
        self,
        post: Callable[[Event], None],
        settings: ImageSettings,
        work_dir: str,
        disk_used: Callable[[str], float],
    ) -> None:
        self._post = post
        self._settings = settings
        self._pulls: dict[str, asyncio.Task[None]] = {}
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
        pulls = list(self._pulls.values())
        for task in pulls:
            task.cancel()
        await asyncio.gather(*pulls, return_exceptions=True)
        await self.puller.close()
        if self._registry is not None:
            await self._registry.close()
        await asyncio.to_thread(self.store.close)

    def pull(self, effect: effects.PullImage) -> None:
        """Start to pull; `ImagePulled` or `ImagePullFailed` follows."""
        task = asyncio.get_running_loop().create_task(self._pull(effect))
        self._pulls[effect.container_id] = task
        task.add_done_callback(lambda _: self._pulls.pop(effect.container_id, None))

    def abort(self, effect: effects.AbortFetch) -> None:
        """Stop pulling for a container, and let go of its image."""
        task = self._pulls.pop(effect.container_id, None)
        if task is not None:
            task.cancel()
        self.store.release(effect.container_id)

    async def prune(self, excluded: Iterable[mesos.Image]) -> None:
        """Remove the images that no container stands on and that aren't named.

        Errors: OSError.
        """
        names = [image.docker.name for image in excluded if image.docker is not None]
        removed = await asyncio.to_thread(self.puller.prune, [*names, *self._settings.gc_excluded])
        structlog.get_logger().info("images pruned", removed=", ".join(removed) or "none")

    async def _pull(self, effect: effects.PullImage) -> None:
        event: Event
        try:
            event = events.ImagePulled(effect.container_id, await self._pull_all(effect))
        except ImageError as error:
            event = events.ImagePullFailed(effect.container_id, str(error))
        self._post(event)

    async def _pull_all(self, effect: effects.PullImage) -> PulledImage:
        """Pull a container's image, and those of its volumes; in the end it holds the layers of all.

        Errors: ImageError.
        """
        container_id = effect.container_id
        image = await self._pull_one(effect.image, container_id)
        if not effect.volumes:
            return PulledImage(image.layers, image.config)
        others = {f"{container_id}+{number}": wanted for number, wanted in enumerate(effect.volumes)}
        try:
            volumes = [(await self._pull_one(wanted, holder)).layers for holder, wanted in others.items()]
            every = dict.fromkeys([*image.layers, *(layer for layers in volumes for layer in layers)])
            if not self.store.lease(container_id, list(every)):
                raise ImageError("the layers of a volume are removed as soon as they are pulled; is the disk full?")
        finally:
            for holder in others:
                self.store.release(holder)
        return PulledImage(image.layers, image.config, volumes)

    async def _pull_one(self, wanted: effects.WantedImage, holder: str) -> StoredImage:
        """Pull with the login that came with the image, where one did.

        Errors: ImageError that names the image.
        """
        try:
            if not wanted.config or self._registry is None:
                return await self.puller.pull(wanted.name, holder, cached=wanted.cached)
            own = self._registry.with_logins(parse_docker_config(wanted.config))
            try:
                return await self.puller.pull(wanted.name, holder, cached=wanted.cached, source=own)
            finally:
                await own.close()
        except Exception as error:  # whatever an image makes a library raise fails the task, not the agent
            text = str(error) or type(error).__name__
            raise ImageError(f"Failed to pull image '{wanted.name}': {text}") from error

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
