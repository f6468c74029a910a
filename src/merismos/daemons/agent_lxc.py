"""From an agent's flags to its containers of LXC.

Errors: FlagError, with what to change.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from merismos.adapters.linux import cgroup_detection
from merismos.adapters.linux.cgroups import Cgroups
from merismos.containers.images.provider import Images
from merismos.containers.lxc import LxcLimits, LxcRuntime
from merismos.containers.lxc_programs import find_lxc, obstacle_of_lxc
from merismos.containers.networks import ContainerNetworks
from merismos.containers.runtimes import Runtimes
from merismos.core.containers.lxc_plan import LxcSettings
from merismos.daemons.agent_docker import containerizers_of
from merismos.daemons.agent_images import has_images, provision_of, runtime_of
from merismos.shell.flags import FlagError, Flags


def lxc_settings(flags: Flags) -> LxcSettings | None:
    """Return what the core has to know of LXC, None where there is none."""
    names = containerizers_of(flags)
    if "lxc" not in names:
        return None
    path = flags.text("lxc_path") or ""
    if not path.startswith("/") or path.strip("/") == "" or ".." in Path(path).parts:
        raise FlagError(f"--lxc_path={path} must be an absolute path below the root, without '..'")
    return LxcSettings(path.rstrip("/"), first=takes_images(flags))


def takes_images(flags: Flags) -> bool:
    """Say whether images of type DOCKER are LXC's: its name comes before mesos, or that one's doesn't come."""
    names = containerizers_of(flags)
    return "lxc" in names and ("mesos" not in names or names.index("lxc") < names.index("mesos"))


def runtimes_of(
    flags: Flags,
    images: Images | None,
    runtime_dir: Path,
    cgroups: Cgroups | None,
    networks: ContainerNetworks | None,
) -> Runtimes | None:
    """Return what runs containers with a root of their own, None where nothing does."""
    lxc = _lxc_of(flags, images, runtime_dir, cgroups, networks)
    oci = None if takes_images(flags) else runtime_of(flags, images, runtime_dir, networks)
    return None if lxc is None and oci is None else Runtimes(oci, lxc)


def _lxc_of(
    flags: Flags,
    images: Images | None,
    runtime_dir: Path,
    cgroups: Cgroups | None,
    networks: ContainerNetworks | None,
) -> LxcRuntime | None:
    settings = lxc_settings(flags)
    if settings is None:
        return None
    obstacle, program = obstacle_of_lxc(), find_lxc()
    if obstacle is not None or program is None:
        raise FlagError(f"--containerizers names lxc, which can't be had: {obstacle}")
    hierarchy = Path(flags.text("cgroups_hierarchy") or "/sys/fs/cgroup")
    takes = "images and root filesystems" if settings.first and has_images(flags) else "root filesystems"
    structlog.get_logger().info("containers of LXC", program=program, path=settings.path, takes=takes)
    store = None if images is None else images.store
    limits = LxcLimits(hierarchy, _devices(hierarchy), cgroups)
    return LxcRuntime(program, runtime_dir / "lxc", store, provision_of(flags), limits, networks)


def _devices(hierarchy: Path) -> str:
    """Return the prefix of LXC's settings of devices, empty where no cgroup limits them."""
    if cgroup_detection.version_of(hierarchy) != 1:
        return "cgroup2"
    return "cgroup" if (hierarchy / "devices").is_dir() else ""
