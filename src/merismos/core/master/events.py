"""Everything that can happen to a master. Tokens (`request`, `stream`, `link`) are the shell's integers, never reused."""

from __future__ import annotations

from merismos.core.kernel import Event
from merismos.protocol.link import AnyMessage
from merismos.protocol.thin import ThinCall
from merismos.protocol.v1 import master as operator
from merismos.protocol.v1 import scheduler


class Started(Event):
    """The master leads from now on, under a new id; `registry` is what the registry holds: (table, key, JSON)."""

    master_id: str
    seed: int
    wall_offset_s: float
    epoch: int
    ip: str
    port: int
    hostname: str
    registry: list[tuple[str, str, bytes]] = []


class WallClockSet(Event):
    """Wall time is `now + offset_s`."""

    offset_s: float


class SchedulerSubscribed(Event):
    """A SUBSCRIBE call came in; `stream` and `stream_id` are its, should it be admitted."""

    request: int
    call: scheduler.Call
    stream: int
    stream_id: str
    principal: str | None = None


class SchedulerCalled(Event):
    """Any other scheduler call came in; it is answered by one `Respond` among the effects of this event."""

    request: int
    call: ThinCall
    stream_id: str | None
    principal: str | None = None


class StreamClosed(Event):
    """A scheduler's or operator's event stream ended."""

    stream: int


class OperatorCalled(Event):
    """A changing operator call came in (reads don't pass the core: the views serve them)."""

    request: int
    call: operator.Call
    principal: str | None = None


class TaskKillAsked(Event):
    """An operator wants one task ended; without a framework's id, the only one of that id."""

    request: int
    task_id: str
    framework_id: str = ""
    grace_s: float | None = None


class OperatorSubscribed(Event):
    """An operator wants the event stream."""

    request: int
    stream: int


class LinkOpened(Event):
    """An agent's link is up, its Hello accepted."""

    link: int
    peer: str


class LinkReceived(Event):
    """One message came over a link."""

    link: int
    message: AnyMessage


class LinkClosed(Event):
    """A link is down."""

    link: int


class RegistryStored(Event):
    """The write that `StoreRegistry` asked for is durable."""

    sequence: int


class RegistryLost(Event):
    """The registry can't be written; a leader that can't write stops deciding."""

    sequence: int
    reason: str


class CoordinationSuspended(Event):
    """Whether this master still leads can't be told (coordination is away, or this process slept): decide nothing until it can."""

    reason: str


class CoordinationRestored(Event):
    """The session held and this master still leads, in the same epoch: go on deciding."""


class LeadershipLost(Event):
    """The session is over or another master leads: this one never decides again, it exits for its supervisor (code 75)."""

    reason: str
