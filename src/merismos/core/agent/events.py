"""Everything that can happen to an agent. `link` is the number that the core gave in `OpenLink`."""

from __future__ import annotations

import msgspec

from merismos.core.containers.image_plan import PulledImage
from merismos.core.kernel import Event
from merismos.protocol.link import AnyMessage
from merismos.protocol.v1 import agent as operator
from merismos.protocol.v1 import executor, mesos


class Started(Event):
    """The agent begins, with what an earlier one wrote down; `ContainersRecovered` follows.

    Shapes: `sandboxes_before` are those of earlier runs with their ages in seconds; `checkpoints` are keys with their records;
    `damage` says, a sentence each, what of them can't be read; `boot_id` is another after each boot of the machine.
    """

    seed: int
    wall_offset_s: float
    sandboxes_before: tuple[tuple[str, float], ...] = ()
    checkpoints: tuple[tuple[str, list[bytes]], ...] = ()
    damage: tuple[str, ...] = ()
    boot_id: str = ""


class Checkpointed(Event):
    """Everything up to this sequence number is written, as durably as was asked for."""

    sequence: int


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
    """A link is up, both Hellos said; a new leader's says over which time its agents shall spread their return."""

    link: int
    epoch: int
    master_id: str
    window_s: float = 0.0


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


class ImagePulled(Event):
    """The layers of a container's image are here, and are kept for it."""

    container_id: str
    image: PulledImage


class ImagePullFailed(Event):
    """An image could not be pulled; the container is not launched."""

    container_id: str
    message: str


class ContainerLaunched(Event):
    """A container's first process runs; `ip` is its address, empty where that is the agent's; `networks` are those it joined.

    Shapes: `data` is for TASK_RUNNING: what `docker inspect` says.
    """

    container_id: str
    pid: int
    ip: str = ""
    networks: tuple[mesos.NetworkInfo, ...] = ()
    data: bytes = b""


class ContainerLaunchFailed(Event):
    """A container could not be started.

    Shapes: `exec_failed`: all was well but for the command itself, which can't be executed; `unasked`: what starts containers
    doesn't answer, which says nothing about the one in which a check should have run.
    """

    container_id: str
    message: str
    exec_failed: bool = False
    unasked: bool = False


class ContainerExited(Event):
    """Nothing of a container is left; `status` is its first process' in wait(2) form."""

    container_id: str
    status: int


class Limitation(msgspec.Struct):
    """What a container took too much of: a Mesos reason, a sentence with numbers, and how much it had.

    Shapes: `reason` is REASON_CONTAINER_LIMITATION or one of those that begin so.
    """

    reason: str
    message: str
    resources: list[mesos.Resource]


class ContainerLimited(Event):
    """A container took more than it may: it has to end, whatever of it still runs."""

    container_id: str
    limitation: Limitation


class HeldContainer(msgspec.Struct):
    """What is known of one container by what holds it.

    Shapes: `pid` is 0 while it waits for its start; `status` is None while it runs; `signal` is the last one that was sent;
    `limitation` is what it took too much of, if it did; `ip` is its address where that isn't the agent's; `networks` are those it joined.
    """

    container_id: str
    pid: int = 0
    status: int | None = None
    signal: int = 0
    limitation: Limitation | None = None
    ip: str = ""
    networks: tuple[mesos.NetworkInfo, ...] = ()


class ContainersRecovered(Event):
    """What holds the containers is there, and has these; another `holder` than before means that the earlier ones are gone."""

    holder: str
    containers: tuple[HeldContainer, ...] = ()


class DockerRecovered(Event):
    """The Docker Engine answers for the first time, and has these containers of ours; a `pid` of 0 means that one was created only."""

    containers: tuple[HeldContainer, ...] = ()


class ContainersLost(Event):
    """What held the containers died, and all of them with it; `ContainersRecovered` follows once there is another."""

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


class ProbeEnded(Event):
    """A probe came to an end: an HTTP status, or whether a TCP connection came about; neither where nobody answered as asked."""

    probe_id: str
    status_code: int | None = None
    connected: bool | None = None


class ContainerCalled(Event):
    """An operator calls to launch, wait for, kill or remove a container; `request` is how to answer."""

    request: int
    call: operator.Call


class ContainerCallerGone(Event):
    """Nobody listens to the answer of a call any more."""

    request: int


class ContainersTakenOver(Event):
    """Another agent of this work directory took over: this one has nothing to say any more."""


class StopRequested(Event):
    """The operator ends the agent; with `keep_tasks` the next one goes on with its tasks."""

    reason: str
    keep_tasks: bool = False
