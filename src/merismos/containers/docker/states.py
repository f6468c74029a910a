"""What the Docker Engine says about one container, and what that means for its task.

Rules: an exit code is what Docker says, 128 added where a signal ended the process, as with any `docker run`. A container that is
gone without one is taken as killed.
Source: the Docker Engine API, ContainerInspect.
"""

from __future__ import annotations

from datetime import UTC, datetime
from signal import SIGKILL

import msgspec

from merismos.core.agent.events import HeldContainer, Limitation
from merismos.core.containers.docker_plan import LABEL_SANDBOX, LABEL_TASK
from merismos.protocol.v1 import mesos

_MB = 1 << 20


class _State(msgspec.Struct, rename="pascal"):
    status: str = ""
    running: bool = False
    pid: int = 0
    exit_code: int = 0
    oom_killed: bool = msgspec.field(default=False, name="OOMKilled")
    finished_at: str = ""


class _Config(msgspec.Struct, rename="pascal"):
    stop_signal: str = ""
    labels: dict[str, str] = {}


class _Endpoint(msgspec.Struct):
    address: str = msgspec.field(default="", name="IPAddress")


class _Network(msgspec.Struct):
    networks: dict[str, _Endpoint] | None = msgspec.field(default=None, name="Networks")


class _HostConfig(msgspec.Struct, rename="pascal"):
    memory: int = 0


class Row(msgspec.Struct, rename="pascal"):
    """One of a list of containers."""

    state: str = ""
    labels: dict[str, str] = {}


class Exec(msgspec.Struct, rename="pascal"):
    """A process that was started in a container."""

    id: str = msgspec.field(default="", name="Id")
    running: bool = False
    pid: int = 0
    exit_code: int | None = None


class Actor(msgspec.Struct, rename="pascal"):
    """Whom something happened to."""

    attributes: dict[str, str] = {}


class EngineEvent(msgspec.Struct, rename="pascal"):
    """Something that happened in the Engine."""

    action: str = ""
    actor: Actor = msgspec.field(default_factory=Actor)


class Found(msgspec.Struct, rename="pascal"):
    """The parts of an inspected container that count."""

    state: _State
    config: _Config
    host_config: _HostConfig
    network_settings: _Network = msgspec.field(default_factory=_Network)

    def address(self) -> str:
        """Return its own address, empty where it has none."""
        endpoints = (self.network_settings.networks or {}).values()
        return next((one.address for one in endpoints if one.address), "")

    def sandbox(self) -> str:
        """Return the directory that is its task's sandbox."""
        return self.config.labels.get(LABEL_SANDBOX, "")


def held_of(container_id: str, found: Found) -> HeldContainer:
    """Return a container that was there before this agent."""
    created = found.state.status == "created"
    status = None if found.state.running or created else status_of(found, None)
    limitation = None if found.state.running else limitation_of(found)
    pid = found.state.pid if found.state.running else 0
    return HeldContainer(container_id, pid=pid, status=status, limitation=limitation, ip=found.address())


def status_of(found: Found | None, exit_code: int | None) -> int:
    """Return how a container ended, in wait(2) form."""
    if found is not None:
        return (found.state.exit_code & 0xFF) << 8
    return SIGKILL if exit_code is None else (exit_code & 0xFF) << 8


def limitation_of(found: Found) -> Limitation | None:
    """Return what a container took too much of, if it did."""
    if not found.state.oom_killed or found.state.exit_code == 0:
        return None
    task_id = found.config.labels.get(LABEL_TASK, "")
    mb = found.host_config.memory / _MB
    message = f"Memory limit exceeded: task '{task_id}' needed more than its {mb:g} MB, and Docker's kernel ended it"
    had = mesos.Resource(name="mem", type=mesos.Value_Type.SCALAR, scalar=mesos.Value_Scalar(value=mb))
    return Limitation("REASON_CONTAINER_LIMITATION_MEMORY", message, [had])


def finished_age_s(found: Found) -> float:
    """Return how long ago a container ended."""
    try:
        at = datetime.fromisoformat(found.state.finished_at.partition(".")[0].rstrip("Z")).replace(tzinfo=UTC)
    except ValueError:
        return 0.0
    return max((datetime.now(UTC) - at).total_seconds(), 0.0)
