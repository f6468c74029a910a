"""Brings images into the store: asks the source, brings and unpacks the layers that aren't here, remembers the image.

Rules: an image that is being pulled is pulled once, however many want it; a layer that two images share likewise, but where one's source can't give it
the other's is asked. A cached image
needs no source, unless the task says otherwise. A layer is unpacked in a process of its own. Who waits can stop waiting; the pull
ends with its last waiter.
Errors: ImageError.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import zstandard

from merismos.containers.images import layer as layer_script
from merismos.containers.images.documents import ImageError, decode_configuration
from merismos.containers.images.registry import gather_all
from merismos.containers.images.source import Blob, ImageSource
from merismos.containers.images.store import ImageStore, StoredImage, stored_image
from merismos.model.image_reference import ImageReference, parse_reference
from merismos.model.rejection import Rejection

LAYERS_AT_ONCE = 4
LAYER_BYTES_FREE = 1 << 30
LAYER_RATIO_MAX = 100
_ATTEMPTS = 3


class Shared:
    """One piece of work that several may wait for."""

    def __init__(self, work: Awaitable[StoredImage | None]) -> None:
        self.task = asyncio.ensure_future(work)
        self.waiters = 0


class Puller:
    """Pulls into one store."""

    def __init__(self, store: ImageStore, source: ImageSource, host: str) -> None:
        self._store = store
        self._source = source
        self._host = host
        self._running: dict[tuple[str, str], Shared] = {}
        self._slots = asyncio.Semaphore(LAYERS_AT_ONCE)

    async def pull(
        self, name: str, holder: str, *, cached: bool = True, source: ImageSource | None = None
    ) -> StoredImage:
        """Return an image whose layers are here, and held for `holder`; `source` is another one than usual."""
        reference = parse_reference(name)
        if isinstance(reference, Rejection):
            raise ImageError(reference.message)
        reference = reference.at(self._host)
        for _ in range(_ATTEMPTS):
            image = self._store.find(reference.text) if cached else None
            if image is None:
                key = ("image", reference.text) if source is None else ("image", f"{reference.text} {holder}")
                image = await self._once(key, lambda: self._pull(reference, source or self._source))
                assert image is not None
            if self._store.lease(holder, image.layers):
                return image
        raise ImageError(f"the layers of {name} are removed as soon as they are pulled; is the disk full?")

    def prune(self, excluded: Iterable[str]) -> list[str]:
        """Remove the images that no container stands on and that aren't named; return their names."""
        references = [parse_reference(name) for name in excluded]
        names = [one.at(self._host).text for one in references if isinstance(one, ImageReference)]
        return self._store.prune(names)

    async def close(self) -> None:
        """Stop all pulls."""
        tasks = [shared.task for shared in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _once(
        self, key: tuple[str, str], work: Callable[[], Awaitable[StoredImage | None]]
    ) -> StoredImage | None:
        shared = self._running.get(key)
        if shared is None:
            shared = self._running[key] = Shared(work())
            shared.task.add_done_callback(lambda _: self._forget(key, shared))
        shared.waiters += 1
        try:
            return await asyncio.shield(shared.task)
        finally:
            shared.waiters -= 1
            if not shared.waiters and not shared.task.done():
                self._forget(key, shared)
                shared.task.cancel()
                await asyncio.wait({shared.task})

    def _forget(self, key: tuple[str, str], shared: Shared) -> None:
        if self._running.get(key) is shared:
            del self._running[key]

    async def _pull(self, reference: ImageReference, source: ImageSource) -> StoredImage:
        found = await source.find(reference)
        layers, config = decode_configuration(found.configuration, len(found.blobs), reference.text)
        holder = f"pull-{secrets.token_hex(8)}"
        self._store.reserve(holder, layers)
        try:
            wanted = dict(zip(layers, found.blobs, strict=True))  # an empty layer may be there more than once
            await gather_all(
                [
                    asyncio.create_task(self._bring_once(reference, source, diff_id, blob))
                    for diff_id, blob in wanted.items()
                ]
            )
            image = stored_image(reference.text, found.digest, layers, config)
            self._store.keep(image)
        except OSError as error:
            raise ImageError(f"cannot store {reference.text}: {error}") from error
        finally:
            self._store.release(holder)
        return image

    async def _bring_once(self, reference: ImageReference, source: ImageSource, diff_id: str, blob: Blob) -> None:
        key = ("layer", diff_id)
        while not self._store.has(diff_id):
            is_others = key in self._running
            try:
                await self._once(key, lambda: self._bring(reference, source, diff_id, blob))
            except ImageError:
                if not is_others:
                    raise

    async def _bring(self, reference: ImageReference, source: ImageSource, diff_id: str, blob: Blob) -> None:
        async with self._slots:
            with self._store.stage() as staged:
                file = staged / "blob"
                rootfs = staged / "rootfs"
                await source.bring(reference, blob, file)
                rootfs.mkdir(mode=0o755)
                try:
                    await unpack_apart(file, rootfs, diff_id)
                except layer_script.LayerError as error:
                    raise ImageError(f"layer {diff_id} of {reference.text} is refused: {error}") from error
                await asyncio.to_thread(self._store.add, diff_id, rootfs)


async def unpack_apart(file: Path, rootfs: Path, diff_id: str) -> None:
    """Unpack a layer in a process of its own.

    Errors: LayerError.
    """
    bytes_max = max(LAYER_BYTES_FREE, LAYER_RATIO_MAX * file.stat().st_size)  # noqa: ASYNC240 - one system call
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        str(layer_script.__file__),
        str(file),
        str(rootfs),
        diff_id,
        str(bytes_max),
        str(Path(zstandard.__file__).parents[1]),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        lines = said.decode(errors="replace").strip().splitlines()
        raise layer_script.LayerError(lines[-1] if lines else f"unpacking it ended with {process.returncode}")
