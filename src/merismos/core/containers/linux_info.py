"""What the flags of the isolators and a container's LinuxInfo say together, for containers with an image and without.

Rules: what an operator doesn't allow is refused; a seccomp profile is named by its path below --seccomp_config_dir, and without linux/seccomp there is none by name.
Source: Mesos, docs/isolators/linux-seccomp.md, namespaces-pid.md, namespaces-ipc.md.
"""

from __future__ import annotations

from pathlib import PurePosixPath

import msgspec

from merismos.core.containers.isolation import SECCOMP
from merismos.model.rejection import Rejection
from merismos.protocol.v1 import mesos


class IsolatorSettings(msgspec.Struct, frozen=True):
    """What the flags say about isolators.

    Shapes: `names` are all that were asked for; `bounding` and `effective` are None where no flag names them; `profile` is the seccomp profile
    of containers that name none, empty for none; `shm_bytes` is 0 where no flag says; `mounts`: containers without an image may have volumes.
    """

    names: tuple[str, ...] = ()
    bounding: tuple[str, ...] | None = None
    effective: tuple[str, ...] | None = None
    profile: str = ""
    shm_bytes: int = 0
    own_pids_only: bool = False
    own_ipc_only: bool = False
    mounts: bool = False


def profile_of(isolators: IsolatorSettings, linux: mesos.LinuxInfo) -> str:
    """Return the name of a container's seccomp profile, empty for none."""
    seccomp = linux.seccomp
    if SECCOMP not in isolators.names or (seccomp is not None and seccomp.unconfined):
        return ""
    return (seccomp.profile_name if seccomp is not None else None) or isolators.profile


def fault_of_profile(isolators: IsolatorSettings, linux: mesos.LinuxInfo) -> Rejection | None:
    """Say why the seccomp profile that a container names can't be had, None where it can."""
    name = "" if linux.seccomp is None else linux.seccomp.profile_name or ""
    if not name:
        return None
    assert linux.seccomp is not None
    if SECCOMP not in isolators.names:
        text = f"the seccomp profile '{name}' needs --isolation={SECCOMP} --seccomp_config_dir=DIRECTORY on this agent"
        return Rejection("container_unsupported", text)
    if linux.seccomp.unconfined:
        return Rejection("seccomp_invalid", f"seccomp can't be unconfined and have the profile '{name}'; leave one out")
    if is_outside(name):
        return Rejection("seccomp_invalid", f"the seccomp profile '{name}' must be a path below --seccomp_config_dir")
    return None


def is_outside(name: str) -> bool:
    """Say whether the name of a profile leads out of the directory of profiles."""
    return name.startswith("/") or ".." in PurePosixPath(name).parts or "\0" in name


def fault_of_sharing(isolators: IsolatorSettings, linux: mesos.LinuxInfo) -> Rejection | None:
    """Say that a container may not share the agent's namespaces as it wants to, None where it may."""
    if linux.share_pid_namespace and isolators.own_pids_only:
        text = "Sharing agent's PID namespace is not allowed: --disallow_sharing_agent_pid_namespace"
        return Rejection("container_unsupported", text)
    if linux.ipc_mode == mesos.LinuxInfo_IpcMode.SHARE_PARENT and isolators.own_ipc_only:
        text = "Sharing agent's IPC namespace is not allowed: --disallow_sharing_agent_ipc_namespace"
        return Rejection("container_unsupported", text)
    return None
