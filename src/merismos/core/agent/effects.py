"""Everything an agent may ask its shell to do. Each container effect is answered by the event of the same verb."""

from __future__ import annotations

import msgspec

from merismos.core.containers.cgroup_plan import CgroupPlan, CgroupWrite
from merismos.core.containers.docker_plan import DockerCreate, DockerExec
from merismos.core.containers.image_plan import RootPlan
from merismos.core.containers.native_plan import NativePlan
from merismos.core.containers.network_plan import NetworkPlan
from merismos.core.kernel import Effect
from merismos.ports.checkpoints import Change
from merismos.protocol.link import Message
from merismos.protocol.v1 import agent as operator
from merismos.protocol.v1 import executor, mesos


class OpenLink(Effect):
    """Open a link to the master at `address`; `LinkOpened` or `LinkClosed` follows."""

    link: int
    address: str


class CloseLink(Effect):
    """Close a link; `LinkClosed` may follow, and is ignored."""

    link: int
    reason: str


class SendMessage(Effect):
    """Send one message; those of one turn leave together."""

    link: int
    message: Message


class CreateSandbox(Effect):
    """Make a sandbox directory and its `latest` link, owned by `user` where one is given; within another sandbox without link."""

    container_id: str
    directory: str
    user: str | None
    is_inner: bool = False


class FetchUris(Effect):
    """Bring these URIs into the sandbox."""

    container_id: str
    directory: str
    uris: list[mesos.CommandInfo_URI]
    user: str | None


class WantedImage(msgspec.Struct, frozen=True):
    """An image by its name.

    Shapes: `cached`: one that is here will do; `config` is docker's configuration with a login, empty for the agent's.
    """

    name: str
    cached: bool = True
    config: bytes = b""


class PullImage(Effect):
    """Have the layers of images here, and keep them for a container: its own and those of its volumes; `ImagePulled` or `ImagePullFailed` follows."""

    container_id: str
    image: WantedImage
    volumes: list[WantedImage] = []


class AbortFetch(Effect):
    """Stop fetching and pulling for a container, and let go of its image; no event follows."""

    container_id: str


class Streams(msgspec.Struct, gc=False):
    """A session's input and output go to who is attached to it; `tty`: through a terminal of so many rows and columns."""

    tty: tuple[int, int] | None = None


class LaunchContainer(Effect):
    """Start a process tree in a sandbox; `ContainerLaunched` or `ContainerLaunchFailed` follows, then `ContainerExited`."""

    container_id: str
    directory: str
    arguments: list[str]  # the first is looked up on the agent's PATH
    argv0: str
    environment: list[str]  # NAME=value
    user: str | None
    executor: tuple[str, str] | None = None  # framework and executor id, where it is a custom executor
    streams: Streams | None = None  # None: what it writes goes to files in its sandbox
    cgroup: CgroupPlan | None = None  # None: it begins where its parent is
    native: NativePlan | None = None  # None: nothing but its cgroup isolates it
    root: RootPlan | None = None  # None: the machine's own files
    inside: str = ""  # the container with a root of its own that the process is started in
    wrapper: list[
        str
    ] = []  # what runs the runtime of a container with a root of its own, so that its streams are a session's
    docker: DockerCreate | DockerExec | None = None  # None: it is no container of Docker's, and in none
    network: NetworkPlan | None = None  # None: the agent's


class LeaveNetworks(Effect):
    """Let go of the network that was made for a container without a process of its own; no event follows."""

    container_id: str


class CreateCgroup(Effect):
    """Have the cgroup there that the tasks of a default executor share; `ContainerLaunchFailed` for the executor where it can't be had."""

    plan: CgroupPlan


class DestroyCgroup(Effect):
    """Kill all that is left in a container's cgroup, and remove it; no event follows."""

    container_id: str


class UpdateContainer(Effect):
    """Give a running container other limits; no event follows."""

    container_id: str
    writes: list[CgroupWrite]


class SignalContainer(Effect):
    """Send a signal to every process of a container."""

    container_id: str
    signal: int


class ProbeHttp(Effect):
    """Ask for a URL, whoever its certificate is for, in the network of a container (empty: the agent's); `ProbeEnded` follows."""

    probe_id: str
    url: str
    network: str = ""


class ProbeTcp(Effect):
    """Connect, in the network of a container (empty: the agent's), and close again; `ProbeEnded` follows."""

    probe_id: str
    ip: str
    port: int
    network: str = ""


class AbortProbe(Effect):
    """Ask no more; no event follows."""

    probe_id: str


class AnswerExecutor(Effect):
    """Answer a call of an executor."""

    request: int
    status: int
    text: str = ""


class OpenExecutorStream(Effect):
    """Answer a SUBSCRIBE with a stream of events."""

    request: int
    stream: int


class SendExecutorEvent(Effect):
    """Send one event on an executor's stream."""

    stream: int
    event: executor.Event


class CloseExecutorStream(Effect):
    """End an executor's stream after what was sent; `ExecutorStreamLost` doesn't follow."""

    stream: int


class AnswerContainerCall(Effect):
    """Answer a call about a container; `answer` is what a call to wait gets."""

    request: int
    status: int
    text: str = ""
    answer: operator.Response_WaitContainer | None = None


class EndStreams(Effect):
    """A session is over: what it wrote goes out, and then its streams end."""

    container_id: str


class CollectContainer(Effect):
    """The end of a container is written down: what held it may forget it."""

    container_id: str


class KillRemains(Effect):
    """Kill every process of these containers: what held them is gone."""

    container_ids: list[str]


class RemoveSandbox(Effect):
    """Delete a sandbox and what of its parents is empty then; one within another alone."""

    directory: str
    is_inner: bool = False


class Checkpoint(Effect):
    """Write changes down; `Checkpointed` of this `sequence`, or of a later one, follows. `durable`: not even a power cut undoes it."""

    sequence: int
    changes: list[Change]
    durable: bool


class OpenCheckpoints(Effect):
    """From here on checkpoints are those of this agent; what another id left is no more."""

    agent_id: str


class ForgetAgent(Effect):
    """Let the next start be one of a new agent: all containers are gone."""


class Exit(Effect):
    """End the agent's process once everything sent is out."""

    code: int
    reason: str
    at_once: bool = False  # what isn't written yet stays so, as in a crash


class Log(Effect):
    """Something an operator may want to know; `level` is a name of syslog's in lower case."""

    level: str
    text: str
