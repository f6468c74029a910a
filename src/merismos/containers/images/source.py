"""What an image is found as, wherever it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

from merismos.model.image_reference import ImageReference


class Blob(msgspec.Struct, frozen=True):
    """A layer as it is stored or sent.

    Shapes: `digest` is that of the compressed bytes, empty where only the layer's content has one; `where` is the source's own name for it.
    """

    digest: str
    size: int
    where: str


class FoundImage(msgspec.Struct, frozen=True):
    """An image that exists: its digest, its configuration, its layers with the lowest first."""

    digest: str
    configuration: bytes
    blobs: list[Blob]


class ImageSource(Protocol):
    """Where images come from."""

    async def find(self, reference: ImageReference) -> FoundImage:
        """Return what the image consists of.

        Errors: ImageError.
        """
        ...

    async def bring(self, reference: ImageReference, blob: Blob, target: Path) -> None:
        """Write a layer to `target`; it has the digest that its blob says.

        Errors: ImageError.
        """
        ...
