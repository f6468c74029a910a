"""What every bench process needs first: enough file descriptors, and uvloop."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvloop


def raise_file_limit() -> None:
    """Raise the soft limit of open files to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def uvloop_runner(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def cpu_s(pid: int) -> float:
    """Return the CPU that a process has used, to the nanosecond, all its threads.

    Units: seconds.
    Source: Linux, Documentation/scheduler/sched-stats.rst, /proc/PID/schedstat.
    """
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def rss_bytes(pid: int) -> int:
    """Return a process's resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def pss_kb(pid: int) -> int:
    """Return a process's proportional set size: what it has alone, and its part of what it shares; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
