"""Takes away what a local cluster may leave: processes that bear its mark or work in its folder, the folder, the record.

Rules: a process is judged by its own environment and working directory, never by a remembered number alone, since numbers are
used again. A task is known by its sandbox, and what it started by its ancestors, wherever they went since. Whoever merely looks
at the folder from a terminal stays.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from merismos.daemons.local_child import MARK
from merismos.sdk import local_cluster
from merismos.sdk.local_cluster import LocalCluster

SANDBOX = "MESOS_SANDBOX"
_ROUNDS_MAX = 10
_PARENT, _TERMINAL = 1, 4  # fields after the name: the parent, and the controlling terminal, 0 for none


def remove(cluster: LocalCluster) -> None:
    """Kill what is left of a cluster that is over, and remove its files."""
    for _ in range(_ROUNDS_MAX):  # what a process started while it was being looked for is found in the next round
        found = find_processes(cluster)
        if not found:
            break
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
    shutil.rmtree(cluster.work_dir, ignore_errors=True)
    local_cluster.record_path().unlink(missing_ok=True)


def remove_lock() -> None:
    """Remove the lock that this process holds, and its folder where nothing else is in it."""
    local_cluster.lock_path().unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        local_cluster.folder().rmdir()


def find_processes(cluster: LocalCluster) -> list[int]:
    """Return the processes that belong to the cluster, this one apart."""
    if Path("/proc/self/environ").exists():
        found = _with_descendants([pid for pid in _numbers_in_proc() if _belongs(pid, cluster.work_dir)])
    else:
        found = [pid for pid in cluster.pids.values() if cluster.work_dir in _command_line(pid)]
    return [pid for pid in found if pid != os.getpid()]


def _numbers_in_proc() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _belongs(pid: int, work_dir: str) -> bool:
    process = Path(f"/proc/{pid}")
    with contextlib.suppress(OSError):
        variables = (process / "environ").read_bytes().split(b"\0")
        if f"{MARK}={work_dir}".encode() in variables:
            return True
        if any(one.startswith(f"{SANDBOX}={work_dir}/".encode()) for one in variables):
            return True
        folder = os.readlink(process / "cwd")  # noqa: PTH115 - a link that may dangle
        return Path(folder).is_relative_to(work_dir) and _stat_of(pid)[_TERMINAL] == "0"
    return False


def _with_descendants(pids: list[int]) -> list[int]:
    children: dict[int, list[int]] = {}
    for pid in _numbers_in_proc():
        with contextlib.suppress(OSError):
            children.setdefault(int(_stat_of(pid)[_PARENT]), []).append(pid)
    found: dict[int, None] = {}
    rest = list(pids)
    while rest:
        pid = rest.pop()
        if pid not in found:
            found[pid] = None
            rest += children.get(pid, [])
    return list(found)


def _stat_of(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name, which may hold blanks and brackets."""
    return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()


def _command_line(pid: int) -> str:
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607 - ps, wherever the system has it
    return shown.stdout
