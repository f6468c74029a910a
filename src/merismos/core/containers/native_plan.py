"""What the isolators of an agent make of a container without an image: its limits, its rights, its namespaces and its files.

Rules: an isolator that is named holds for every such container, executors and nested ones included; what a container asks for and no isolator of
this agent gives is refused with a sentence that names it, never ignored. What is started in a running container has its rights and enters its namespaces.
Source: Mesos, docs/isolators/linux-capabilities.md, linux-nnp.md, linux-seccomp.md, namespaces-pid.md, namespaces-ipc.md, posix-rlimits.md, docs/container-volume.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.core.containers.image_plan import (
    Mount,
    RLimit,
    capability_names,
    fault_of_rlimit,
    fault_of_volume,
    mount_of,
    plan_rlimits,
    rlimits_of,
)
from merismos.core.containers.isolation import (
    CAPABILITIES,
    FILES,
    HOST_PATH,
    IPC,
    NNP,
    PIDS,
    RLIMITS,
    SANDBOX_PATH,
    SECCOMP,
    SECRET,
)
from merismos.core.containers.linux_info import IsolatorSettings, fault_of_profile, fault_of_sharing, profile_of
from merismos.model.rejection import Rejection
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.agent.state import AgentSettings

_MB = 1 << 20
_OF_CONTAINERS = (CAPABILITIES, FILES, IPC, NNP, PIDS, RLIMITS, SECCOMP)
_PRIVATE, _SHARED = mesos.LinuxInfo_IpcMode.PRIVATE, mesos.LinuxInfo_IpcMode.SHARE_PARENT
_KINDS = mesos.Volume_Source_Type
_ISOLATOR_OF = {_KINDS.HOST_PATH: HOST_PATH, _KINDS.SANDBOX_PATH: SANDBOX_PATH, _KINDS.SECRET: SECRET}


class NativePlan(msgspec.Struct, frozen=True):
    """What a container without an image may do, and what it has of its own.

    Shapes: `bounding` and `effective` are None for what its user has; `own_shm_bytes` is None for the agent's /dev/shm, 0 for one of the
    kernel's own measure; `joins` is the process whose namespaces are entered instead of made, 0 for none.
    """

    rlimits: list[RLimit] = []
    bounding: list[str] | None = None
    effective: list[str] | None = None
    no_new_privileges: bool = False
    profile: str = ""
    own_files: bool = False
    own_pids: bool = False
    own_ipc: bool = False
    own_shm_bytes: int | None = None
    mounts: list[Mount] = []
    joins: int = 0


def validate_native(settings: AgentSettings, container: mesos.ContainerInfo) -> Rejection | None:
    """Say why this agent can't isolate a container without an image as asked, None where it can."""
    isolators = settings.isolators
    linux = container.linux_info or mesos.LinuxInfo()
    faults = (
        _fault_of_rlimits(isolators, container),
        _fault_of_capabilities(isolators, linux),
        fault_of_profile(isolators, linux),
        fault_of_sharing(isolators, linux),
        _fault_of_ipc(isolators, linux),
        *(_fault_of_volume(isolators, volume) for volume in container.volumes),
    )
    return next((fault for fault in faults if fault is not None), None)


def plan_native(
    settings: AgentSettings, container: mesos.ContainerInfo | None, *, directory: str, parent: str
) -> NativePlan | None:
    """Return what isolates a container that `validate_native` has passed, None for nothing; `parent` is the sandbox of the one that it is nested in."""
    isolators = settings.isolators
    names = isolators.names
    if not any(one in names for one in _OF_CONTAINERS):
        return None
    container = container or mesos.ContainerInfo(type=mesos.ContainerInfo_Type.MESOS)
    linux = container.linux_info or mesos.LinuxInfo()
    bounding, effective = _capabilities(isolators, linux)
    own_ipc = IPC in names and linux.ipc_mode != _SHARED
    shm_bytes = None
    if own_ipc and linux.ipc_mode == _PRIVATE:
        shm_bytes = linux.shm_size * _MB if linux.shm_size else isolators.shm_bytes
    return NativePlan(
        rlimits=plan_rlimits(container),
        bounding=bounding,
        effective=effective,
        no_new_privileges=NNP in names,
        profile=profile_of(isolators, linux),
        own_files=isolators.mounts,
        own_pids=PIDS in names and not linux.share_pid_namespace,
        own_ipc=own_ipc,
        own_shm_bytes=shm_bytes,
        mounts=[mount_of(volume, directory, directory, parent) for volume in container.volumes],
    )


def join_native(plan: NativePlan | None, pid: int) -> NativePlan | None:
    """Return what isolates a process that is started in the container whose first one is `pid`."""
    if plan is None:
        return None
    return msgspec.structs.replace(plan, joins=pid, mounts=[], own_shm_bytes=None, rlimits=[])


def _fault_of_rlimits(isolators: IsolatorSettings, container: mesos.ContainerInfo) -> Rejection | None:
    limits = rlimits_of(container)
    if limits and RLIMITS not in isolators.names:
        return _needs("rlimit_info", RLIMITS)
    return next((fault for fault in map(fault_of_rlimit, limits) if fault is not None), None)


def _fault_of_capabilities(isolators: IsolatorSettings, linux: mesos.LinuxInfo) -> Rejection | None:
    effective = linux.effective_capabilities or linux.capability_info
    if effective is None and linux.bounding_capabilities is None:
        return None
    if CAPABILITIES not in isolators.names:
        return _needs("capabilities", CAPABILITIES)
    bounding = None if linux.bounding_capabilities is None else capability_names(linux.bounding_capabilities)
    wanted = [] if effective is None else capability_names(effective)
    for name in (*(bounding or ()), *wanted):
        if isolators.bounding is not None and name not in isolators.bounding:
            what = "its operator may allow it by --bounding_capabilities"
            return Rejection("capability_refused", f"capability {name} is not allowed on this agent; {what}")
    beyond = [] if bounding is None else [name for name in wanted if name not in bounding]
    if beyond:
        text = f"capability {beyond[0]} is effective, but not among the bounding ones"
        return Rejection("capability_invalid", text)
    return None


def _fault_of_ipc(isolators: IsolatorSettings, linux: mesos.LinuxInfo) -> Rejection | None:
    if linux.ipc_mode == _PRIVATE and IPC not in isolators.names:
        return _needs("ipc_mode PRIVATE", f"{FILES},{IPC}")
    if linux.shm_size and linux.ipc_mode != _PRIVATE:
        return _refused("shm_size is for a /dev/shm of its own: set ipc_mode to PRIVATE")
    return None


def _fault_of_volume(isolators: IsolatorSettings, volume: mesos.Volume) -> Rejection | None:
    fault = fault_of_volume(volume)
    if fault is not None:
        return fault
    if volume.image is not None:
        return _refused(f"the volume at '{volume.container_path}' is of an image; it is for containers of images")
    kind = _ISOLATOR_OF.get(_KINDS.UNKNOWN if volume.source is None else volume.source.type or _KINDS.UNKNOWN)
    missing = [name for name in (FILES, kind) if name is not None and name not in isolators.names]
    if missing:
        return _needs(f"the volume at '{volume.container_path}' of a container without an image", ",".join(missing))
    if not isolators.mounts:
        return _refused(f"the volume at '{volume.container_path}' needs an image, or an agent that is root")
    return None


def _capabilities(isolators: IsolatorSettings, linux: mesos.LinuxInfo) -> tuple[list[str] | None, list[str] | None]:
    """Return the bounding and the effective set: what the container names, else what the flags do; no more is bounding than effective where only that is named."""
    if CAPABILITIES not in isolators.names:
        return None, None
    given = linux.effective_capabilities or linux.capability_info
    effective = isolators.effective if given is None else capability_names(given)
    bounding = isolators.bounding
    if linux.bounding_capabilities is not None:
        bounding = tuple(capability_names(linux.bounding_capabilities))
        effective = None if effective is None else [one for one in effective if one in bounding]
    elif bounding is None and effective is not None:
        bounding = tuple(effective)
    return None if bounding is None else list(bounding), None if effective is None else list(effective)


def _needs(what: str, isolators: str) -> Rejection:
    return _refused(f"{what} needs --isolation={isolators} on this agent")


def _refused(text: str) -> Rejection:
    return Rejection("container_unsupported", text)
