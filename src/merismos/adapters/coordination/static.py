"""The leader by configuration: one address, for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from merismos.ports.detector import DetectorError, Leader

PORT_MAX = 65535


class StaticDetector:
    """Says once who leads."""

    def __init__(self, leader: Leader) -> None:
        self._leader = leader
        self._saying: asyncio.Handle | None = None

    def start(self, on_change: Callable[[Leader | None], None]) -> None:
        """Say it in the next loop turn."""
        self._saying = asyncio.get_running_loop().call_soon(on_change, self._leader)

    async def close(self) -> None:
        """Say nothing more."""
        if self._saying is not None:
            self._saying.cancel()


def parse(address: str) -> Leader:
    """Return the leader at `host:port`; a `master@` before it, as Mesos writes it, is dropped.

    Errors: DetectorError.
    """
    host, colon, port = address.strip().rpartition("@")[2].rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) <= PORT_MAX:
        raise DetectorError(f"'{address}' is no address: write host:port, or zk://host1:2181,host2:2181/path")
    return Leader(host, int(port), host)


def make(address: str, session_timeout_s: float) -> StaticDetector:  # noqa: ARG001 - every detector is made so
    """Return a detector of the master at `host:port`.

    Errors: DetectorError.
    """
    return StaticDetector(parse(address))
