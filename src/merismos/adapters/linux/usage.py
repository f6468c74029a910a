"""What containers use, read from /proc in one walk.

Rules: a process counts for the container whose first process leads its session; where there is no /proc, nothing is known.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_USER, _SYSTEM, _RSS, _SESSION = 11, 12, 21, 3


class Usage(NamedTuple):
    """CPU time and memory of a container."""

    processes: int
    user_s: float
    system_s: float
    rss_bytes: int


def read_usage(leaders: set[int]) -> dict[int, Usage]:
    """Return the usage of each session in `leaders` that is alive."""
    try:
        ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        pids = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    except (OSError, ValueError):
        return {}
    found: dict[int, Usage] = {}
    for path in pids:
        try:
            raw = (path / "stat").read_bytes()
        except OSError:
            continue
        fields = raw[raw.rindex(b")") + 2 :].split()
        leader = int(fields[_SESSION])
        if leader in leaders:
            had = found.get(leader, Usage(0, 0.0, 0.0, 0))
            found[leader] = Usage(
                had.processes + 1,
                had.user_s + int(fields[_USER]) / ticks,
                had.system_s + int(fields[_SYSTEM]) / ticks,
                had.rss_bytes + int(fields[_RSS]) * page,
            )
    return found
