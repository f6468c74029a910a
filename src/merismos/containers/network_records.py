"""What an agent remembers of the networks of containers, on disk, so that what was attached is detached whatever comes between.

Shapes: `DIR/CONTAINER/ns` is the container's network namespace, and beside it are its `hosts`, `hostname` and `resolv.conf`;
`DIR/CONTAINER/NETWORK/network.conf` is what the plugins were given, written before the first of them runs, and
`network.info` there what came of it: laid out as Mesos does, but for the one interface's directory.
Errors: OSError; a record that can't be read is told as one of a network without plugins.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec

from merismos.adapters.linux import netns
from merismos.core.containers.cni_format import Attachment, read_attachment
from merismos.core.containers.network_plan import told_network
from merismos.model.rejection import Rejection
from merismos.protocol import json
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import mesos

FILES = ("resolv.conf", "hosts", "hostname")
NAMESPACE = "ns"
_CONFIG = "network.conf"
_INFO = "network.info"
_Document = dict[str, Any]


class Joining(msgspec.Struct):
    """One network that a container joins: what its plugins are given, and what the last of them came to."""

    name: str
    interface: str
    info: msgspec.Raw
    plugins: list[_Document]
    result: _Document | None = None

    def attachment(self) -> Attachment:
        """Return what came of it."""
        found = read_attachment(self.result or {})
        return Attachment() if isinstance(found, Rejection) else found

    def told(self) -> mesos.NetworkInfo:
        """Return what a status says of it."""
        try:
            asked = json.decode(mesos.NetworkInfo, bytes(self.info))
        except DecodeError:
            asked = mesos.NetworkInfo(name=self.name)
        return told_network(asked, self.attachment())


class NetworkRecords:
    """The records of one agent."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def open(self) -> None:
        """Make the directory; a namespace that a reboot has ended is forgotten, or plugins would take its file for one."""
        netns.open_directory(self.directory)
        alive = netns.find_all(self.directory)
        for container_id in self.containers():
            path = self.path(container_id, NAMESPACE)
            if str(path) not in alive:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of every namespace that is left."""
        netns.close_directory(self.directory)

    def containers(self) -> list[str]:
        """Return the containers that have a record."""
        return sorted(path.name for path in self.directory.iterdir() if path.is_dir())

    def path(self, container_id: str, name: str) -> Path:
        """Return where a file of a container is."""
        return self.directory / container_id / name

    def begin(self, container_id: str) -> None:
        """Make a container's record, and its namespace."""
        (self.directory / container_id).mkdir(mode=0o755)
        netns.create(self.path(container_id, NAMESPACE))

    def write(self, container_id: str, joining: Joining) -> None:
        """Write down that a network is being joined, or that it is."""
        directory = self.directory / container_id / joining.name
        directory.mkdir(exist_ok=True, mode=0o700)
        if joining.result is None:
            _replace(directory / _CONFIG, msgspec.json.encode(joining))
        else:
            _replace(directory / _INFO, msgspec.json.encode(joining.result))

    def write_files(self, container_id: str, contents: dict[str, str]) -> None:
        """Write the files that a container sees in /etc."""
        for name, text in contents.items():
            _replace(self.path(container_id, name), text.encode(), 0o644)

    def read(self, container_id: str) -> list[Joining]:
        """Return the networks of a container, in the order in which they were joined."""
        found = []
        above = self.directory / container_id
        for directory in (path for path in (above.iterdir() if above.is_dir() else ()) if path.is_dir()):
            try:
                joining = msgspec.json.decode((directory / _CONFIG).read_bytes(), type=Joining)
            except FileNotFoundError:
                continue
            except msgspec.DecodeError:
                joining = Joining(directory.name, "", msgspec.Raw(b"{}"), [])
            try:
                joining.result = msgspec.json.decode((directory / _INFO).read_bytes(), type=_Document)
            except (FileNotFoundError, msgspec.DecodeError):
                joining.result = None
            found.append(joining)
        return sorted(found, key=lambda one: one.interface)

    def forget_network(self, container_id: str, name: str) -> None:
        """Forget a network that was left."""
        shutil.rmtree(self.directory / container_id / name)

    def release(self, container_id: str) -> None:
        """Let go of a container's namespace."""
        netns.remove(self.path(container_id, NAMESPACE))

    def forget(self, container_id: str) -> None:
        """Forget a container, all of whose networks were left."""
        self.release(container_id)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.directory / container_id)


def _replace(path: Path, content: bytes, mode: int = 0o600) -> None:
    new = path.with_name(f".{path.name}.new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.fchmod(fd, mode)
        os.write(fd, content)
    finally:
        os.close(fd)
    new.rename(path)
