"""The name of a container image, and the parts that it has.

Rules: as docker names them: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`; the first part is a host where it has a dot or a colon, or is
`localhost`. A digest names one image for ever and wins over a tag; without both the tag is `latest`. An image of Docker Hub
without a directory lies in `library/`.
"""

from __future__ import annotations

import re

import msgspec

from merismos.model.rejection import Rejection

HUB = "registry-1.docker.io"
_HUB_NAMES = frozenset({"docker.io", "index.docker.io", HUB})
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?|\[[0-9a-fA-F:]+\](?::[0-9]{1,5})?")
_NAME_CHARACTERS_MAX = 255


class ImageReference(msgspec.Struct, frozen=True):
    """An image's name in parts.

    Shapes: `registry` is empty where the name has none; `digest` is empty or `sha256:HEX`; `tag` is never empty.
    """

    registry: str
    repository: str
    tag: str = "latest"
    digest: str = ""

    @property
    def version(self) -> str:
        """What a registry is asked for."""
        return self.digest or self.tag

    @property
    def text(self) -> str:
        """The whole name, with nothing left to guess."""
        where = f"{self.registry}/{self.repository}" if self.registry else self.repository
        return f"{where}@{self.digest}" if self.digest else f"{where}:{self.tag}"

    def at(self, registry: str) -> ImageReference:
        """Return the name with `registry` where it has none, as that registry calls it."""
        host = self.registry or registry
        host = HUB if host in _HUB_NAMES else host
        lone = host == HUB and "/" not in self.repository
        repository = f"library/{self.repository}" if lone else self.repository
        return ImageReference(host, repository, self.tag, self.digest)


def parse_reference(text: str) -> ImageReference | Rejection:
    """Return the parts of an image's name, or what is wrong with it."""
    rest, at, digest = text.partition("@")
    if at and _DIGEST.fullmatch(digest) is None:
        return _invalid(text, f"'{digest}' is no digest: write sha256: and 64 hexadecimal digits")
    registry = ""
    first, slash, below = rest.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry, rest = first, below
        if _HOST.fullmatch(registry) is None:
            return _invalid(text, f"'{registry}' is no host")
    repository, colon, tag = rest.partition(":")
    if colon and _TAG.fullmatch(tag) is None:
        return _invalid(text, f"'{tag}' is no tag")
    parts = repository.split("/")
    if len(repository) > _NAME_CHARACTERS_MAX or not all(_PART.fullmatch(part) for part in parts):
        return _invalid(text, "a name is made of lower-case letters, digits and single separators")
    return ImageReference(registry, repository, tag or "latest", digest)


def _invalid(text: str, why: str) -> Rejection:
    return Rejection("image_invalid", f"'{text}' can't be the name of an image: {why}")
