"""From an agent's flags to its Docker containerizer.

Errors: FlagError, with what to change.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from merismos.containers.docker.containerizer import DockerContainerizer, DockerSetup
from merismos.containers.images.credentials import parse_docker_config
from merismos.containers.images.documents import ImageError
from merismos.core.containers.docker_plan import DockerSettings
from merismos.core.kernel import Event
from merismos.daemons.agent_dns import container_dns
from merismos.shell.flags import FlagError, Flags

CONTAINERIZERS = ("mesos", "docker", "lxc")


def containerizers_of(flags: Flags) -> tuple[str, ...]:
    """Return the containerizers that the flags name."""
    names = tuple(one.strip() for one in (flags.text("containerizers") or "mesos").split(",") if one.strip())
    unknown = [one for one in names if one not in CONTAINERIZERS]
    if unknown or not names:
        raise FlagError(
            f"--containerizers: '{''.join(unknown[:1])}' is not known; give mesos, docker or lxc, or some of them"
        )
    return names


def docker_settings(flags: Flags, work_dir: str) -> DockerSettings | None:
    """Return what the core has to know of Docker, None where there is none."""
    if "docker" not in containerizers_of(flags):
        return None
    if flags.given("docker_mesos_image"):
        why = (
            "tasks are started by the agent itself, which no container needs to hold: --docker_mesos_image does nothing"
        )
        structlog.get_logger().warning(why)
    dns = container_dns(flags)
    return DockerSettings(
        work_dir=work_dir,
        sandbox_directory=flags.text("sandbox_directory") or "/mnt/mesos/sandbox",
        enable_cfs=flags.on("cgroups_enable_cfs"),
        revocable_cpu_low_priority=flags.on("revocable_cpu_low_priority"),
        stop_timeout_s=flags.seconds("docker_stop_timeout") or None,
        kill_orphans=flags.on("docker_kill_orphans"),
        bridge_dns=dns.docker_bridge,
        user_dns=dns.docker_user,
    )


def docker_of(
    flags: Flags, work_dir: str, runtime_dir: Path, post: Callable[[Event], None]
) -> DockerContainerizer | None:
    """Return the Docker containerizer, None where there is none."""
    if "docker" not in containerizers_of(flags):
        return None
    try:
        logins = parse_docker_config(flags.text("docker_config") or "{}")
    except ImageError as error:
        raise FlagError(f"--docker_config: {error}") from error
    setup = DockerSetup(
        socket=flags.text("docker_socket") or "",
        work_dir=work_dir,
        records=runtime_dir / "docker",
        timeout_s=flags.seconds("docker_call_timeout"),
        stall_s=flags.seconds("fetcher_stall_timeout"),
        remove_delay_s=flags.seconds("docker_remove_delay"),
        logins=logins,
    )
    return DockerContainerizer(post, setup)
