"""What `zk://[user:password@]host:port,host:port/path` means. No ZooKeeper client is needed to read it."""

from __future__ import annotations

from typing import NamedTuple

SCHEME = "zk://"
PORT = 2181
_PORT_MAX = 65535


class ZooKeeperAddressError(ValueError):
    """What was written names no ZooKeeper; the text says what to write."""


class ZooKeeperAddress(NamedTuple):
    """An ensemble, the path in it, and who we are there.

    Shapes: `hosts` as `host:port`; `path` begins with a slash, ends without one and isn't the root; `credentials` are
    `user:password` or empty.
    """

    hosts: tuple[str, ...]
    path: str
    credentials: str = ""

    def __str__(self) -> str:
        """Show where it is, without the password."""
        user = self.credentials.partition(":")[0]
        return f"{SCHEME}{user + ':…@' if user else ''}{','.join(self.hosts)}{self.path}"


def parse(text: str) -> ZooKeeperAddress:
    """Return the address that `text` means.

    Errors: ZooKeeperAddressError.
    """
    given = text.strip()
    if not given.startswith(SCHEME):
        raise ZooKeeperAddressError(f"it doesn't begin with {SCHEME}; {_example()}")
    authority, slash, path = given.removeprefix(SCHEME).partition("/")
    credentials, at, hosts = authority.rpartition("@")
    if at and not all(credentials.partition(":")):
        raise ZooKeeperAddressError("before the @ goes user:password, as in zk://user:password@host1:2181/mesos")
    segments = [segment for segment in path.split("/") if segment]
    if not slash or not segments:
        raise ZooKeeperAddressError(f"it names no path, under which masters meet; {_example()}")
    if any(segment in {".", ".."} for segment in segments):
        raise ZooKeeperAddressError("ZooKeeper has no relative paths: leave . and .. out")
    return ZooKeeperAddress(tuple(_host(host) for host in hosts.split(",")), "/" + "/".join(segments), credentials)


def _host(text: str) -> str:
    host, colon, port = text.strip().rpartition(":")
    if not colon or text.strip().endswith("]"):
        host, port = text.strip(), str(PORT)
    if not host or any(character.isspace() for character in host):
        raise ZooKeeperAddressError(f"'{text}' is no host; {_example()}")
    if not (port.isascii() and port.isdigit()) or not 0 < int(port) <= _PORT_MAX:
        raise ZooKeeperAddressError(f"'{text}': a port is a number from 1 to {_PORT_MAX}")
    return f"{host}:{port}"


def _example() -> str:
    return "write for example zk://host1:2181,host2:2181,host3:2181/mesos"
