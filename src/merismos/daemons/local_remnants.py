"""Takes away what a local cluster may leave: processes that bear its mark or work in its folder, the folder, the record.

Rules: a process is judged by its own environment and working directory, never by a remembered number alone, since numbers are
used again.
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


def remove(cluster: LocalCluster) -> None:
    """Kill what is left of a cluster that is over, and remove its files."""
    for pid in find_processes(cluster):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(cluster.work_dir, ignore_errors=True)
    local_cluster.record_path().unlink(missing_ok=True)


def find_processes(cluster: LocalCluster) -> list[int]:
    """Return the processes that belong to the cluster, this one apart."""
    if Path("/proc/self/environ").exists():
        found = [pid for pid in _numbers_in_proc() if _belongs(pid, cluster.work_dir)]
    else:
        found = [pid for pid in cluster.pids.values() if cluster.work_dir in _command_line(pid)]
    return [pid for pid in found if pid != os.getpid()]


def _numbers_in_proc() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _belongs(pid: int, work_dir: str) -> bool:
    with contextlib.suppress(OSError):
        if f"{MARK}={work_dir}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            return True
        return Path(os.readlink(f"/proc/{pid}/cwd")).is_relative_to(work_dir)  # noqa: PTH115 - a link that may dangle
    return False


def _command_line(pid: int) -> str:
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607 - ps, wherever the system has it
    return shown.stdout
