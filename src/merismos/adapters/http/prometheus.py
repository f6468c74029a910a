"""Metrics in Prometheus' text format, beside Mesos' snapshot.

Rules: a name is `merismos_` and Mesos' own with every other character than letters and digits as `_`; a name that two metrics would
share is written once, the first in order.
Source: Prometheus, exposition formats, text format 0.0.4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_OTHER = re.compile(r"[^a-zA-Z0-9_]")


def exposition(metrics: Mapping[str, float]) -> str:
    """Return all metrics, one a line, each with its type."""
    lines: dict[str, str] = {}
    for name, value in metrics.items():
        known = "merismos_" + _OTHER.sub("_", name)
        if known not in lines:
            lines[known] = f"# TYPE {known} untyped\n{known} {float(value)!r}\n"
    return "".join(lines.values())
