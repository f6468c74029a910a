"""Small images that a test makes itself: layers from dictionaries, pushed to a registry or saved as an archive or a layout."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any, Self

import aiohttp

BUSYBOX = Path("/bin/busybox")
APPLETS = (
    "sh",
    "echo",
    "cat",
    "sleep",
    "id",
    "ls",
    "env",
    "pwd",
    "true",
    "false",
    "mount",
    "touch",
    "ps",
    "hostname",
    "test",
    "head",
    "kill",
    "mkdir",
    "chmod",
)
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def entry(name: str, data: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:  # noqa: ANN401 - fields of TarInfo
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = fields.pop("mode", 0o755 if name.endswith("/") else 0o644)
    if name.endswith("/"):
        member.type = tarfile.DIRTYPE
    for key, value in fields.items():
        setattr(member, key, value)
    return member, data


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=kind, linkname=target, mode=0o777)


def layer_of(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member, data in entries:
            tar.addfile(member, io.BytesIO(data))
    return made.getvalue()


def busybox_layer() -> bytes:
    """A root filesystem with a shell, 2 MB."""
    return layer_of(
        entry("bin/"), entry("etc/"), entry("tmp/", mode=0o1777), entry("root/", mode=0o700),
        entry("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nweb:x:1234:1234::/:/bin/sh\n"),
        entry("etc/group", b"root:x:0:\nweb:x:1234:\nextra:x:77:web\n"),
        entry("bin/busybox", BUSYBOX.read_bytes(), mode=0o755),
        *(link(f"bin/{applet}", "busybox") for applet in APPLETS),
    )  # fmt: skip


class BuiltImage:
    """An image of these layers, lowest first."""

    def __init__(self, *layers: bytes, config: dict[str, Any] | None = None, architecture: str = "amd64") -> None:
        self.layers = list(layers)
        self.blobs = [gzip.compress(layer, 1, mtime=0) for layer in layers]
        self.diff_ids = [digest_of(layer) for layer in layers]
        document = {
            "architecture": architecture, "os": "linux", "config": config or {},
            "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
        }  # fmt: skip
        self.config = json.dumps(document).encode()
        self._describe()

    def with_blobs(self, blobs: list[bytes], kind: str = "application/vnd.docker.image.rootfs.diff.tar.gzip") -> Self:
        """Send other bytes for the layers than gzip makes of them."""
        self.blobs = blobs
        self._describe(kind)
        return self

    def _describe(self, kind: str = "application/vnd.docker.image.rootfs.diff.tar.gzip") -> None:
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", **described(self.config)},
            "layers": [{"mediaType": kind, **described(blob)} for blob in self.blobs],
        }
        self.manifest = json.dumps(manifest).encode()
        self.digest = digest_of(self.manifest)

    async def push(self, url: str, name: str, tag: str, headers: dict[str, str] | None = None) -> None:
        """Put everything into a registry."""
        async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as session:
            for blob in (self.config, *self.blobs):
                async with session.post(f"{url}/v2/{name}/blobs/uploads/") as begun:
                    where = begun.headers["Location"]
                joined = f"{where}{'&' if '?' in where else '?'}digest={digest_of(blob)}"
                await session.put(joined, data=io.BytesIO(blob), headers={"Content-Type": "application/octet-stream"})
            where = f"{url}/v2/{name}/manifests/{tag}"
            await session.put(where, data=self.manifest, headers={"Content-Type": MANIFEST})

    def save(self, path: Path, *tags: str) -> None:
        """Write what `docker save` writes."""
        names = [f"{diff_id.removeprefix('sha256:')}/layer.tar" for diff_id in self.diff_ids]
        saved = [{"Config": "config.json", "RepoTags": list(tags), "Layers": names}]
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w") as tar:
            files = [("manifest.json", json.dumps(saved).encode()), ("config.json", self.config)]
            for name, data in (*files, *zip(names, self.layers, strict=True)):
                member, _ = entry(name, data)
                tar.addfile(member, io.BytesIO(data))

    def lay_out(self, directory: Path, tag: str) -> None:
        """Write an OCI layout."""
        blobs = directory / "blobs/sha256"
        blobs.mkdir(parents=True)
        for blob in (self.config, self.manifest, *self.blobs):
            (blobs / digest_of(blob).removeprefix("sha256:")).write_bytes(blob)
        named = {
            **described(self.manifest),
            "mediaType": MANIFEST,
            "annotations": {"org.opencontainers.image.ref.name": tag},
        }
        (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
        (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def described(blob: bytes) -> dict[str, Any]:
    return {"digest": digest_of(blob), "size": len(blob)}


async def push_index(url: str, name: str, tag: str, images: dict[str, BuiltImage]) -> None:
    """Put an index of images by architecture beside them."""
    manifests = [
        {"mediaType": MANIFEST, **described(image.manifest), "platform": {"os": "linux", "architecture": architecture}}
        for architecture, image in images.items()
    ]
    raw = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode()
    for architecture, image in images.items():
        await image.push(url, name, f"only-{architecture}")
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        await session.put(f"{url}/v2/{name}/manifests/{tag}", data=raw, headers={"Content-Type": INDEX})
