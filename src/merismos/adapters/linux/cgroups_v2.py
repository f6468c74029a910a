"""cgroups of version 2: one hierarchy, in which controllers are switched on on the way down.

Rules: a container is one cgroup. What the root and its parents lack of controllers is switched on at the start; where that isn't
allowed the error says for which cgroup. Devices have no controller, but programs. All processes are killed at once by `cgroup.kill`, one by one where the kernel has none.
Source: the kernel's admin-guide/cgroup-v2.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import struct
from collections.abc import Sequence
from pathlib import Path

from merismos.adapters.linux import bpf_devices
from merismos.adapters.linux.cgroup_detection import V2_NAMES
from merismos.adapters.linux.cgroups import (
    Cgroups,
    CgroupUsage,
    MemoryReport,
    OnMemory,
    read_number,
    read_numbers,
    read_text,
    write_file,
)
from merismos.core.containers.cgroup_plan import CgroupWrite
from merismos.core.containers.device_plan import CONTROLLER

_MICROS = 1e6
_IN_MODIFY = 0x2
_EVENT = struct.Struct("iIII")


class CgroupsV2(Cgroups):
    """The cgroups below one root."""

    version = 2

    def __init__(self, hierarchy: Path, root: str, isolators: Sequence[str]) -> None:
        super().__init__(hierarchy, root, isolators)
        self._home = str(hierarchy / self.root)
        self._inotify = -1
        self._watches: dict[str, int] = {}
        self._watched: dict[int, tuple[str, OnMemory]] = {}

    def prepare(self) -> None:
        """Make the root, and switch the controllers on for it and for what is below."""
        os.makedirs(self._home, exist_ok=True)  # noqa: PTH103 - no Path to build
        self.lock(self._home)
        wanted = [V2_NAMES[isolator] for isolator in self.isolators if isolator in V2_NAMES]
        folder = self.hierarchy
        for part in (None, *Path(self.root).parts):
            folder = folder if part is None else folder / part
            on = read_text(f"{folder}/cgroup.subtree_control").split()
            for controller in wanted:
                if controller not in on:
                    write_file(f"{folder}/cgroup.subtree_control", f"+{controller}")

    def folders(self, container_id: str) -> list[str]:
        """Return the one directory."""
        return [self.folder_of(container_id, "")]

    def folder_of(self, container_id: str, controller: str) -> str:  # noqa: ARG002 - version 1 has one for each
        """Return the one directory."""
        return f"{self._home}/{container_id}"

    def write(self, container_id: str, writes: Sequence[CgroupWrite]) -> None:
        """Limit a container; what it may do with devices no file says, a program does."""
        super().write(container_id, [one for one in writes if one.controller != CONTROLLER])
        for one in writes:
            if one.controller == CONTROLLER:
                bpf_devices.allow(self.folder_of(container_id, CONTROLLER), one.value.split("\n"))

    def entrances(self, container_id: str) -> list[str]:
        """Return the one file."""
        return [f"{self._home}/{container_id}/cgroup.procs"]

    def is_empty(self, container_id: str) -> bool:
        """Ask the kernel, which counts those below too."""
        return not read_numbers(f"{self._home}/{container_id}/cgroup.events").get("populated", 0)

    def freeze(self, container_id: str) -> bool:
        """Nothing needs to be held still to be killed."""
        del container_id
        return True

    def thaw(self, container_id: str) -> None:
        """Nothing was held still."""

    def kill(self, container_id: str) -> None:
        """Kill all, whatever they fork."""
        try:
            write_file(f"{self._home}/{container_id}/cgroup.kill", "1")
        except OSError:
            super().kill(container_id)

    def oom_kills(self, container_id: str) -> int:
        """Return the kernel's count."""
        return read_numbers(f"{self._home}/{container_id}/memory.events").get("oom_kill", 0)

    def watch_memory(self, container_id: str, on_event: OnMemory) -> None:
        """Have the kernel tell of changes of `memory.events`."""
        if "mem" not in self.isolators or container_id in self._watches:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        if self._inotify < 0:
            self._inotify = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            if self._inotify < 0:
                raise OSError(ctypes.get_errno(), "inotify_init1 failed")
            asyncio.get_running_loop().add_reader(self._inotify, self._on_events)
        path = f"{self._home}/{container_id}/memory.events"
        watch = libc.inotify_add_watch(self._inotify, path.encode(), _IN_MODIFY)
        if watch < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"cannot watch {path}: {os.strerror(code)}")
        self._watches[container_id] = watch
        self._watched[watch] = container_id, on_event

    def _on_events(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._inotify, 1 << 16)
            at = 0
            while at < len(data):
                watch, _, _, length = _EVENT.unpack_from(data, at)
                at += _EVENT.size + length
                container_id, on_event = self._watched.get(watch, ("", None))
                if on_event is not None and self.oom_kills(container_id):
                    on_event(container_id)

    def unwatch_memory(self, container_id: str) -> None:
        """Take the watch away."""
        watch = self._watches.pop(container_id, None)
        if watch is not None:
            del self._watched[watch]
            ctypes.CDLL(None).inotify_rm_watch(self._inotify, watch)

    def close(self) -> None:
        """Let go of everything."""
        if self._inotify >= 0:
            asyncio.get_running_loop().remove_reader(self._inotify)
            os.close(self._inotify)
            self._inotify = -1
        self._watches.clear()
        self._watched.clear()
        super().close()

    def memory_report(self, container_id: str) -> MemoryReport:
        """Read the peak; a kernel before 5.19 has none, and a container that was out of memory had all."""
        folder = f"{self._home}/{container_id}"
        limit = read_number(f"{folder}/memory.max")
        peak = read_number(f"{folder}/memory.peak")
        used = peak if peak is not None else limit or read_number(f"{folder}/memory.current") or 0
        return MemoryReport(limit, used, read_text(f"{folder}/memory.stat"))

    def usage(self, container_id: str) -> CgroupUsage:
        """Read what the isolators count."""
        folder = f"{self._home}/{container_id}"
        usage = CgroupUsage(processes=len(read_text(f"{folder}/cgroup.procs").split()), threads=_threads(folder))
        if "cpu" in self.isolators:
            cpu = read_numbers(f"{folder}/cpu.stat")
            throttled_us = cpu.get("throttled_usec")
            usage = usage._replace(
                user_s=cpu.get("user_usec", 0) / _MICROS,
                system_s=cpu.get("system_usec", 0) / _MICROS,
                periods=cpu.get("nr_periods"),
                throttled=cpu.get("nr_throttled"),
                throttled_s=None if throttled_us is None else throttled_us / _MICROS,
            )
        if "mem" in self.isolators:
            current = read_number(f"{folder}/memory.current")
            swap = read_number(f"{folder}/memory.swap.current")
            stat = read_numbers(f"{folder}/memory.stat")
            usage = usage._replace(
                memory={**stat, "swap": swap or 0},
                mem_bytes=current,
                memsw_bytes=None if current is None or swap is None else current + swap,
            )
        return usage


def _threads(folder: str) -> int | None:
    try:
        return len(read_text(f"{folder}/cgroup.threads").split())
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return None
