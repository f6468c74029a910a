"""cgroups of version 1: a hierarchy for each controller, mounted side by side.

Rules: a container's cgroup is made in each hierarchy that one of the isolators needs, and in the freezer's, by which its processes
are held still while they are killed. Hierarchies that are mounted together count once. A process enters by `tasks`, which
takes no lock that the whole machine shares, as `cgroup.procs` does.
Source: the kernel's admin-guide/cgroup-v1.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from merismos.adapters.linux.cgroup_detection import V1_NAMES
from merismos.adapters.linux.cgroups import (
    Cgroups,
    CgroupUsage,
    MemoryReport,
    OnMemory,
    read_number,
    read_numbers,
    read_text,
    tree_of,
    write_file,
)

FREEZER = "freezer"
_NANOS = 1e9
_NO_LIMIT = 1 << 60
_LINKS_OF_NONE = 2  # of a directory without any below


class CgroupsV1(Cgroups):
    """The cgroups below one root of each hierarchy."""

    version = 1

    def __init__(self, hierarchy: Path, root: str, isolators: Sequence[str]) -> None:
        super().__init__(hierarchy, root, isolators)
        wanted = [name for isolator in isolators for name in V1_NAMES[isolator]]
        self._homes = {name: str((hierarchy / name).resolve()) for name in (*wanted, FREEZER)}
        self._roots = list(dict.fromkeys(f"{home}/{self.root}" for home in self._homes.values()))
        self._events: dict[str, int] = {}

    def prepare(self) -> None:
        """Make the root in each hierarchy."""
        folders = self.folders("")
        for folder in folders:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - no Path to build
        self.lock(self.folder_of("", FREEZER))
        cpuset = self._homes.get("cpuset")
        if cpuset is not None:
            self._inherit_cpus(Path(cpuset))

    def _inherit_cpus(self, cpuset: Path) -> None:
        """Give every cgroup of the way down the CPUs and memory nodes of its parent: a new one has none, and takes nobody in."""
        folder = cpuset
        for part in Path(self.root).parts:
            parent, folder = folder, folder / part
            for name in ("cpuset.cpus", "cpuset.mems"):
                if not read_text(f"{folder}/{name}").strip():
                    write_file(f"{folder}/{name}", read_text(f"{parent}/{name}").strip())
        write_file(f"{folder}/cgroup.clone_children", "1")

    def folders(self, container_id: str) -> list[str]:
        """Return a directory of each hierarchy."""
        return [f"{root}/{container_id}" for root in self._roots]

    def folder_of(self, container_id: str, controller: str) -> str:
        """Return the directory in one hierarchy."""
        return f"{self._homes[controller]}/{self.root}/{container_id}"

    def entrances(self, container_id: str) -> list[str]:
        """Return a `tasks` of each hierarchy."""
        return [f"{folder}/tasks" for folder in self.folders(container_id)]

    def is_empty(self, container_id: str) -> bool:
        """Look into the freezer's; into those below it where there are any."""
        folder = self.folder_of(container_id, FREEZER)
        return not (read_text(f"{folder}/cgroup.procs") or (_has_below(folder) and self.members(container_id)))

    def freeze(self, container_id: str) -> bool:
        """Ask for it, and say whether all stand still; one that sleeps in the kernel takes its time."""
        path = f"{self.folder_of(container_id, FREEZER)}/freezer.state"
        with contextlib.suppress(OSError):
            write_file(path, "FROZEN")
        return read_text(path).strip() in {"FROZEN", ""}

    def thaw(self, container_id: str) -> None:
        """Let them go on: a signal acts only then."""
        with contextlib.suppress(OSError):
            write_file(f"{self.folder_of(container_id, FREEZER)}/freezer.state", "THAWED")

    def oom_kills(self, container_id: str) -> int:
        """Return the kernel's counts, which are those of each cgroup alone."""
        if "memory" not in self._homes:
            return 0
        folder = self.folder_of(container_id, "memory")
        folders = tree_of(folder) if _has_below(folder) else [folder]
        return sum(read_numbers(f"{folder}/memory.oom_control").get("oom_kill", 0) for folder in folders)

    def watch_memory(self, container_id: str, on_event: OnMemory) -> None:
        """Have the kernel signal an eventfd."""
        if "memory" not in self._homes or container_id in self._events:
            return
        folder = self.folder_of(container_id, "memory")
        event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            control = os.open(f"{folder}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
            try:
                write_file(f"{folder}/cgroup.event_control", f"{event} {control}")
            finally:
                os.close(control)
        except OSError:
            os.close(event)
            raise
        self._events[container_id] = event
        asyncio.get_running_loop().add_reader(event, self._on_event, container_id, on_event)

    def _on_event(self, container_id: str, on_event: OnMemory) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._events[container_id])
        on_event(container_id)

    def unwatch_memory(self, container_id: str) -> None:
        """Close the eventfd."""
        event = self._events.pop(container_id, None)
        if event is not None:
            asyncio.get_running_loop().remove_reader(event)
            os.close(event)

    def close(self) -> None:
        """Let go of everything."""
        for container_id in list(self._events):
            self.unwatch_memory(container_id)
        super().close()

    def memory_report(self, container_id: str) -> MemoryReport:
        """Read the peak, which no longer moves once all are dead."""
        folder = self.folder_of(container_id, "memory")
        limit = read_number(f"{folder}/memory.limit_in_bytes")
        used = read_number(f"{folder}/memory.max_usage_in_bytes") or 0
        return MemoryReport(_finite(limit), used, read_text(f"{folder}/memory.stat"))

    def usage(self, container_id: str) -> CgroupUsage:
        """Read what the isolators count."""
        folder = self.folder_of(container_id, FREEZER)
        usage = CgroupUsage(
            processes=len(read_text(f"{folder}/cgroup.procs").split()),
            threads=len(read_text(f"{folder}/tasks").split()),
        )
        if "cpuacct" in self._homes:
            folder = self.folder_of(container_id, "cpuacct")
            times = read_numbers(f"{folder}/cpuacct.stat")
            ticks = os.sysconf("SC_CLK_TCK")
            cpu = read_numbers(f"{self.folder_of(container_id, 'cpu')}/cpu.stat")
            throttled_ns = cpu.get("throttled_time")
            usage = usage._replace(
                user_s=times.get("user", 0) / ticks,
                system_s=times.get("system", 0) / ticks,
                periods=cpu.get("nr_periods"),
                throttled=cpu.get("nr_throttled"),
                throttled_s=None if throttled_ns is None else throttled_ns / _NANOS,
            )
        if "memory" in self._homes:
            folder = self.folder_of(container_id, "memory")
            usage = usage._replace(
                memory=_totals(read_numbers(f"{folder}/memory.stat")),
                mem_bytes=read_number(f"{folder}/memory.usage_in_bytes"),
                memsw_bytes=read_number(f"{folder}/memory.memsw.usage_in_bytes"),
            )
        return usage


def _has_below(folder: str) -> bool:
    """Say whether there are cgroups below one."""
    try:
        return os.stat(folder).st_nlink > _LINKS_OF_NONE  # noqa: PTH116 - one system call, no Path to build
    except FileNotFoundError:
        return False


def _finite(limit: int | None) -> int | None:
    return None if limit is None or limit >= _NO_LIMIT or limit < 0 else limit


def _totals(stat: dict[str, int]) -> dict[str, int]:
    """Name what is counted with cgroups below as version 2 does."""
    names = {
        "total_cache": "file",
        "total_rss": "anon",
        "total_mapped_file": "file_mapped",
        "total_swap": "swap",
        "total_unevictable": "unevictable",
    }
    return {name: stat[theirs] for theirs, name in names.items() if theirs in stat}
