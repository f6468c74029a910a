"""Everything that can happen to an agent. `link` is the number that the core gave in `OpenLink`."""

from __future__ import annotations

from merismos.core.kernel import Event
from merismos.protocol.link import AnyMessage
from merismos.protocol.v1 import executor


class Started(Event):
    """The agent begins, with no memory of tasks; `sandboxes_before` are those of earlier runs with their ages in seconds."""

    seed: int
    wall_offset_s: float
    sandboxes_before: tuple[tuple[str, float], ...] = ()


class WallClockSet(Event):
    """Wall time is `now + offset_s`."""

    offset_s: float


class DiskMeasured(Event):
    """The disk under the work directory is used to this part, 0 to 1, of its bytes or inodes, whichever is more."""

    used: float


class MasterDetected(Event):
    """The leading master is here (`host:port`); None: there is none at the moment."""

    address: str | None


class LinkOpened(Event):
    """A link is up, both Hellos said."""

    link: int
    epoch: int
    master_id: str


class LinkReceived(Event):
    """One message came over a link."""

    link: int
    message: AnyMessage


class LinkClosed(Event):
    """A link is down, or did not come about."""

    link: int
    reason: str


class UrisFetched(Event):
    """Every URI of a container is in its sandbox."""

    container_id: str


class FetchFailed(Event):
    """A URI could not be fetched; the container is not launched."""

    container_id: str
    message: str


class ContainerLaunched(Event):
    """A container's first process runs."""

    container_id: str
    pid: int


class ContainerLaunchFailed(Event):
    """A container could not be started; `exec_failed`: all was well but for the command itself, which can't be executed."""

    container_id: str
    message: str
    exec_failed: bool = False


class ContainerExited(Event):
    """Nothing of a container is left; `status` is its first process' in wait(2) form."""

    container_id: str
    status: int


class ContainersLost(Event):
    """What held the containers died, and all of them with it; a new one takes its place."""

    reason: str


class ExecutorSubscribed(Event):
    """An executor asks for its events; `request` is how to answer, `stream` names the stream that may be opened."""

    request: int
    stream: int
    call: executor.Call


class ExecutorCalled(Event):
    """An executor calls, well-formed and not a SUBSCRIBE."""

    request: int
    call: executor.Call


class ExecutorStreamLost(Event):
    """An executor's connection is gone."""

    stream: int


class StopRequested(Event):
    """The operator ends the agent."""

    reason: str
