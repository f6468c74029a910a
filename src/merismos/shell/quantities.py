"""Durations and amounts of bytes as Mesos' flags write them: `500ms`, `10mins`, `32MB`.

Rules: a number without a unit is refused, since Mesos refuses it and a guess may be off by a thousand. Printing takes the largest
unit in which the number is at least one (durations) or whole (bytes).
"""

from __future__ import annotations

import re

_DURATION_UNITS_NS = {
    "weeks": 604_800 * 10**9,
    "days": 86_400 * 10**9,
    "hrs": 3_600 * 10**9,
    "mins": 60 * 10**9,
    "secs": 10**9,
    "ms": 10**6,
    "us": 10**3,
    "ns": 1,
}
_BYTE_UNITS = {"TB": 1 << 40, "GB": 1 << 30, "MB": 1 << 20, "KB": 1 << 10, "B": 1}
_DURATION = re.compile(r"(-?\d+(?:\.\d+)?)(ns|us|ms|secs|mins|hrs|days|weeks)")
_BYTES = re.compile(r"(\d+)(B|KB|MB|GB|TB)")


def parse_duration_s(text: str) -> float:
    """Return a duration in seconds.

    Errors: ValueError.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(
            f"'{text}' is no duration; write a number and one of ns, us, ms, secs, mins, hrs, days, weeks, such as 500ms"
        )
    return float(match[1]) * _DURATION_UNITS_NS[match[2]] / 10**9


def format_duration(seconds: float) -> str:
    """Return a duration as Mesos prints it."""
    nanoseconds = round(seconds * 10**9)
    for unit, size in _DURATION_UNITS_NS.items():
        if abs(nanoseconds) >= size:
            return f"{nanoseconds / size:.15g}{unit}"
    return "0ns"


def parse_bytes(text: str) -> int:
    """Return a number of bytes.

    Errors: ValueError.
    """
    match = _BYTES.fullmatch(text)
    if match is None:
        raise ValueError(
            f"'{text}' is no amount of bytes; write a whole number and one of B, KB, MB, GB, TB, such as 32MB"
        )
    return int(match[1]) * _BYTE_UNITS[match[2]]


def format_bytes(number: int) -> str:
    """Return an amount of bytes as Mesos prints it."""
    for unit, size in _BYTE_UNITS.items():
        if number and number % size == 0:
            return f"{number // size}{unit}"
    return "0B"
