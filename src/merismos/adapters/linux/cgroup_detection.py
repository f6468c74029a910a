"""Which cgroups this machine has, and what keeps an agent from using them.

Rules: looks only; an obstacle is a sentence that says what to do. Imports little, since `merismos doctor` asks too.
"""

from __future__ import annotations

import os
from pathlib import Path

from merismos.adapters.linux import bpf_devices

V1_NAMES = {
    "blkio": ("blkio",),
    "cpu": ("cpu", "cpuacct"),
    "cpuset": ("cpuset",),
    "devices": ("devices",),
    "hugetlb": ("hugetlb",),
    "mem": ("memory",),
    "net_cls": ("net_cls",),
    "net_prio": ("net_prio",),
    "perf_event": ("perf_event",),
    "pids": ("pids",),
}
V2_NAMES = {"blkio": "io", "cpu": "cpu", "cpuset": "cpuset", "hugetlb": "hugetlb", "mem": "memory", "pids": "pids"}
OPTIONAL = ("hugetlb", "net_cls", "net_prio", "perf_event")  # nobody misses them who doesn't ask for them
UNIFIED = 2
ISOLATORS = tuple(sorted(V1_NAMES))


def version_of(hierarchy: Path) -> int:
    """Return 2 or 1; 0 where no cgroups are mounted."""
    if (hierarchy / "cgroup.controllers").is_file():
        return UNIFIED
    mounted = [name for names in V1_NAMES.values() for name in names if (hierarchy / name / "cgroup.procs").is_file()]
    return 1 if mounted else 0


def obstacle(hierarchy: Path, version: int, isolator: str, root: str = "") -> str | None:
    """Return what keeps an isolator from working below `root`, None where nothing does."""
    if version == 0:
        return f"no cgroups are mounted at {hierarchy}; mount them (systemd does), or give --cgroups_hierarchy"
    if version == UNIFIED:
        return _obstacle_v2(hierarchy, isolator, root)
    for name in V1_NAMES[isolator]:
        folder = hierarchy / name
        if not (folder / "cgroup.procs").is_file():
            mount = f"mount -t cgroup -o {name} cgroup {folder}"
            return f"the controller {name} is not mounted at {folder}; mount it: mkdir {folder}; {mount}"
        if not _is_writable(folder, root):
            return f"{folder} can't be written: run the agent as root"
    return obstacle_of_launcher(hierarchy, version, root)


def obstacle_of_launcher(hierarchy: Path, version: int, root: str = "") -> str | None:
    """Return what keeps the linux launcher from working below `root`, None where nothing does."""
    folder = hierarchy / "freezer" if version == 1 else hierarchy
    if version == 0 or not (folder / "cgroup.procs").is_file():
        return f"no cgroups are mounted at {folder}; mount them (systemd does), or give --cgroups_hierarchy"
    if not _is_writable(folder, root):
        return (
            f"{folder} can't be written: run the agent as root, or give a --cgroups_root that was delegated to its user"
        )
    return None


def _is_writable(folder: Path, root: str) -> bool:
    """Say whether what of `root` isn't there yet can be made."""
    deepest = folder / root.strip("/")
    while not deepest.is_dir() and deepest != folder:
        deepest = deepest.parent
    return os.access(deepest, os.W_OK)


def _obstacle_v2(hierarchy: Path, isolator: str, root: str) -> str | None:
    if isolator in {"devices", "perf_event"}:  # no controllers: a program, and what perf has without one
        fault = bpf_devices.obstacle() if isolator == "devices" else None
        return fault or obstacle_of_launcher(hierarchy, UNIFIED, root)
    name = V2_NAMES.get(isolator)
    if name is None:
        return f"cgroups of version 2 have no {isolator}; leave it out"
    if name not in (hierarchy / "cgroup.controllers").read_text(encoding="ascii").split():
        return (
            f"the controller {name} is not in {hierarchy}/cgroup.controllers; the kernel lacks it, a mount of version 1 has it, "
            "or whoever delegated this cgroup keeps it (systemd: Delegate=yes)"
        )
    return obstacle_of_launcher(hierarchy, UNIFIED, root)
