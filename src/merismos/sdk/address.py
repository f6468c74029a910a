"""Where a master is: parsed from what people write, and from what a standby master answers.

Rules: the port is 5050 where none is given; a scheme and a path are taken and dropped.
"""

from __future__ import annotations

from typing import NamedTuple

MASTER_PORT = 5050
_PORT_MAX = 65535
_DIRECT = frozenset({"http", "https"})


class AddressError(ValueError):
    """What was written is no address; the text says what to write."""


class Address(NamedTuple):
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as a browser takes it."""
        return f"http://{self}"


def parse_master(text: str) -> Address | list[Address] | str:
    """Return what `text` names: a master, several of which one leads (`host1:port,host2:port`), or a detector's address.

    Errors: AddressError.
    """
    if is_detected(text):
        return text.strip()
    named = [parse(part) for part in text.split(",")]
    return named if len(named) > 1 else named[0]


def is_detected(text: str) -> bool:
    """Say whether an address names what knows the leader, not a master."""
    scheme, separator, _ = text.strip().partition("://")
    return bool(separator) and scheme not in _DIRECT


def parse(text: str, *, port: int = MASTER_PORT) -> Address:
    """Return the address that `text` means: `host`, `host:port`, `http://host:port/...` or `//host:port`.

    Errors: AddressError.
    """
    given = text.strip()
    if given.startswith("zk://"):
        raise AddressError(f"{given} names a ZooKeeper where a master's own address is wanted: HOST:PORT")
    rest = given.partition("//")[2] if "//" in given else given
    rest = rest.partition("/")[0].rpartition("@")[2]
    host, digits = _split(rest)
    if not host or any(character.isspace() for character in host):
        raise AddressError(f"{text!r} is no address of a master; write HOST:PORT, for example 127.0.0.1:{MASTER_PORT}")
    if not digits:
        return Address(host, port)
    if not (digits.isascii() and digits.isdigit()) or not 0 < int(digits) <= _PORT_MAX:
        raise AddressError(f"{digits!r} in {text!r} is no port; a port is a number from 1 to {_PORT_MAX}")
    return Address(host, int(digits))


def _split(rest: str) -> tuple[str, str]:
    if rest.startswith("["):
        host, _, tail = rest[1:].partition("]")
        return host, tail.removeprefix(":")
    if rest.count(":") > 1:
        return rest, ""
    host, _, digits = rest.partition(":")
    return host, digits
