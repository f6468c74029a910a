"""From an agent's flags to the networks that its containers join.

Errors: FlagError, with what to change.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import structlog

from merismos.adapters.linux.netns import Traffic
from merismos.containers.cni import CniNetworks, CniPlugins
from merismos.containers.network_records import NetworkRecords
from merismos.containers.networked import PROGRAMS
from merismos.containers.networks import ContainerNetworks
from merismos.core.containers.isolation import CNI, parse_isolation
from merismos.daemons.agent_dns import container_dns
from merismos.model.rejection import Rejection
from merismos.shell.flags import FlagError, Flags

_BELOW = "isolators/network/cni"


def has_networks(flags: Flags) -> bool:
    """Say whether containers may join networks: the isolator is named, or both directories are given, as in Mesos."""
    given = [flags.text(name) for name in ("network_cni_config_dir", "network_cni_plugins_dir")]
    isolation = parse_isolation(flags.text("isolation") or "", flags.text("launcher") or "posix")
    named = not isinstance(isolation, Rejection) and CNI in isolation.names
    if all(given):
        return True
    if named or any(given):
        raise FlagError("network/cni needs both --network_cni_config_dir and --network_cni_plugins_dir")
    return False


def networks_of(flags: Flags, work_dir: str, runtime_dir: Path) -> ContainerNetworks | None:
    """Return the networks of an agent's containers, None where they have the agent's."""
    if not has_networks(flags):
        return None
    if os.geteuid() != 0:
        raise FlagError("network/cni needs root, for network namespaces; start the agent as root")
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        raise FlagError(f"network/cni needs {', '.join(missing)}; on Debian: apt-get install util-linux mount")
    config_dir, plugins = flags.text("network_cni_config_dir") or "", flags.text("network_cni_plugins_dir") or ""
    for name, directory in (("config", config_dir), *(("plugins", one) for one in plugins.split(":"))):
        if not Path(directory).is_dir():
            raise FlagError(f"--network_cni_{name}_dir: there is no directory {directory}")
    networks = CniNetworks(Path(config_dir).absolute())
    networks.load()
    found = ",".join(networks.names()) or "none yet"
    structlog.get_logger().info("networks", cni=found, config=config_dir, plugins=plugins)
    root = Path(work_dir) if flags.on("network_cni_root_dir_persist") else runtime_dir
    return ContainerNetworks(
        NetworkRecords(root.absolute() / _BELOW),
        networks,
        CniPlugins(plugins, flags.seconds("network_cni_timeout")),
        container_dns(flags).cni,
    )


def traffic_of(flags: Flags, networks: ContainerNetworks | None) -> Callable[[str], Traffic | None] | None:
    """Return what tells the traffic of a container by its id, None where nothing does."""
    return None if networks is None or not flags.on("network_cni_metrics") else networks.traffic_of
