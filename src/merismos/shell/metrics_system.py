"""The `system/` metrics: processors, load and memory of this machine.

Source: Mesos, docs/monitoring.md; units as there (bytes, loads as the kernel gives them).
"""

from __future__ import annotations

import os

_SYSCONF = {"system/mem_total_bytes": "SC_PHYS_PAGES", "system/mem_free_bytes": "SC_AVPHYS_PAGES"}


def system_metrics() -> dict[str, float]:
    """Return what this system can tell; what it can't is left out."""
    found: dict[str, float] = {"system/cpus_total": float(os.cpu_count() or 1)}
    try:
        loads = os.getloadavg()
    except OSError:
        loads = None
    if loads is not None:
        found |= dict(zip(("system/load_1min", "system/load_5min", "system/load_15min"), loads, strict=True))
    for metric, name in _SYSCONF.items():
        if name in os.sysconf_names:
            found[metric] = float(os.sysconf(name) * os.sysconf("SC_PAGE_SIZE"))
    return found
