"""What an agent knows of a container that an operator asked for: nested in another one, or standalone.

Rules: its id is the ids of its parents and its own, joined by dots. It is remembered after its end until it is removed or its parent
is gone. A session lives as long as the connection that asked for it, and no longer than its agent.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from merismos.core.containers.image_plan import PulledImage
    from merismos.protocol.v1 import mesos

DEPTH_MAX = 32


class NestedPhase(enum.Enum):
    """How far it is."""

    FETCHING = enum.auto()
    LAUNCHING = enum.auto()
    RUNNING = enum.auto()
    ENDED = enum.auto()


class Nested:
    """One container that an operator asked for.

    Shapes: `request` is the call that launches it and isn't answered, or the one whose session it is; 0 for none. `status` is in
    wait(2) form, None while nobody knows it. `is_orphan` says that it is to be forgotten when it ends. `tty` is rows and columns of the terminal that a session
    gets, None without. `image` is None until it is pulled.
    """

    __slots__ = (
        "command",
        "container",
        "container_id",
        "directory",
        "image",
        "is_orphan",
        "is_session",
        "phase",
        "pid",
        "request",
        "status",
        "tty",
    )

    def __init__(
        self,
        container_id: str,
        directory: str,
        command: mesos.CommandInfo,
        container: mesos.ContainerInfo | None,
        *,
        is_session: bool,
    ) -> None:
        self.container_id = container_id
        self.directory = directory
        self.command = command
        self.container = container
        self.image: PulledImage | None = None
        self.tty: tuple[int, int] | None = None
        self.is_session = is_session
        self.phase = NestedPhase.LAUNCHING
        self.pid = 0
        self.request = 0
        self.status: int | None = None
        self.is_orphan = False

    def is_live(self) -> bool:
        """Say whether something of it may run."""
        return self.phase is not NestedPhase.ENDED

    def parent(self) -> str:
        """Return the id of the container that it is nested in, empty for a standalone one."""
        return self.container_id.rpartition(".")[0]


def path_of(container_id: mesos.ContainerID) -> str:
    """Return an id with those of its parents before it."""
    parts: list[str] = []
    one: mesos.ContainerID | None = container_id
    while one is not None and len(parts) <= DEPTH_MAX:
        parts.append(one.value)
        one = one.parent
    return ".".join(reversed(parts))
