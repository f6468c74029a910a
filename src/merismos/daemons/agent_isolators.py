"""From an agent's flags to the isolators of its containers without an image.

Rules: what was asked for by name is there, or the agent doesn't start and says why.
Errors: FlagError, with what to change.
"""

from __future__ import annotations

import os

from merismos.adapters.linux import isolator_detection
from merismos.core.containers.isolation import FILES, SECCOMP
from merismos.core.containers.linux_info import IsolatorSettings
from merismos.daemons.agent_images import capabilities_of, has_images
from merismos.daemons.agent_isolation import isolation_of
from merismos.daemons.agent_seccomp import default_profile
from merismos.shell.flags import FlagError, Flags


def isolator_settings(flags: Flags) -> IsolatorSettings:
    """Return what the flags say of these isolators."""
    names = isolation_of(flags).names
    is_root = os.geteuid() == 0
    for name in names:
        for_images = has_images(flags) and (name == SECCOMP or (name == FILES and not is_root))
        if name not in isolator_detection.ISOLATORS or for_images:
            continue  # it has it for containers of images, and says so of others
        fault = isolator_detection.obstacle(name)
        if fault is not None:
            raise FlagError(f"--isolation names {name}, but {fault}")
    return IsolatorSettings(
        names=names,
        bounding=capabilities_of(flags, "bounding_capabilities"),
        effective=capabilities_of(flags, "effective_capabilities"),
        profile=default_profile(flags),
        shm_bytes=flags.whole("default_container_shm_size") if flags.given("default_container_shm_size") else 0,
        own_pids_only=flags.on("disallow_sharing_agent_pid_namespace"),
        own_ipc_only=flags.on("disallow_sharing_agent_ipc_namespace"),
        mounts=FILES in names and is_root,
    )
