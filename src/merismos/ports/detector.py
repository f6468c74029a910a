"""The detector: who leads, as far as anybody can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol


class DetectorError(Exception):
    """A detector can't be made from what was configured; the text says what to change."""


class Leader(NamedTuple):
    """The leading master.

    Shapes: `epoch` is 0 where the detector knows none.
    """

    ip: str
    port: int
    hostname: str
    master_id: str = ""
    epoch: int = 0

    @property
    def address(self) -> str:
        """`ip:port`, for programs."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"

    @property
    def place(self) -> str:
        """`hostname:port`, for people and redirects."""
        return f"{self.hostname}:{self.port}" if self.hostname else self.address


class Detector(Protocol):
    """Follows the leadership."""

    def start(self, on_change: Callable[[Leader | None], None]) -> None:
        """Begin to look; `on_change` is called from the loop, first when there is an answer, then when it changes.

        None means that nobody leads. While nothing can be learned, the last answer stands and looking goes on for ever.
        """
        ...

    async def close(self) -> None:
        """Look no more; `on_change` is not called again."""
        ...
