"""Answers on standard output: a table for people, JSON for programs.

Rules: JSON has a fixed set of keys a command, documented by its test; a table may change. What is no answer goes to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

_COLOURS: Final = {
    "TASK_RUNNING": "32",
    "TASK_FINISHED": "34",
    "TASK_FAILED": "31",
    "TASK_ERROR": "31",
    "TASK_LOST": "31",
    "TASK_KILLED": "33",
    "active": "32",
    "unreachable": "31",
    "disconnected": "33",
    "inactive": "33",
    "recovered": "33",
    "ok": "32",
    "warning": "33",
    "problem": "31",
}
_GAP: Final = "   "
_ROOM_MIN: Final = 20
_MB_OF_A_GB: Final = 1024
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86400


def show(
    arguments: argparse.Namespace,
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Callable[[Mapping[str, Any]], str]],
) -> None:
    """Write rows as JSON, or as a table of these columns."""
    if arguments.output == "json":
        show_json(rows)
    else:
        show_table(list(columns), [[text(row) for text in columns.values()] for row in rows])


def show_json(value: object) -> None:
    """Write JSON, indented for a terminal, on one line for a pipe."""
    sys.stdout.write(json.dumps(value, indent=2 if sys.stdout.isatty() else None) + "\n")


def show_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table; on a terminal the states have colours, and a last column that is too wide is broken into lines."""
    terminal = sys.stdout.isatty()
    columns = shutil.get_terminal_size().columns if terminal else 0
    lines = table_lines(heads, rows, columns, coloured=wants_colours(terminal))
    sys.stdout.writelines(f"{line}\n" for line in lines)


def table_lines(heads: Sequence[str], rows: Sequence[Sequence[str]], columns: int, *, coloured: bool) -> list[str]:
    """Return the lines of a table; `columns` is how wide it may be, 0 for as wide as it is."""
    widths = [max(len(row[index]) for row in [heads, *rows]) for index in range(len(heads))]
    left = sum(widths[:-1]) + len(_GAP) * (len(widths) - 1)
    room = columns - left
    lines = [_line(heads, widths, coloured=False)]
    for row in rows:
        wraps = room >= _ROOM_MIN and len(row[-1]) > room
        first, *more = textwrap.wrap(row[-1], room, break_on_hyphens=False) if wraps else [row[-1]]
        lines.append(_line([*row[:-1], first], widths, coloured=coloured))
        lines += [f"{'':{left}}{part}" for part in more]
    return lines


def note(text: str) -> None:
    """Write a line of progress, for the person, not for the pipe."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def wants_colours(terminal: bool) -> bool:  # noqa: FBT001 - the answer of isatty
    """Say whether output may have colours: on a terminal, unless NO_COLOR is set."""
    return terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def amount(value: float) -> str:
    """Return a number of cores or devices."""
    return f"{value:g}"


def megabytes(value: float) -> str:
    """Return a size."""
    return f"{value / _MB_OF_A_GB:.1f} GB" if value >= _MB_OF_A_GB else f"{value:g} MB"


def quantities(amounts: Mapping[str, float]) -> str:
    """Return amounts by name on one line: `cpus:2; mem:128`."""
    return "; ".join(f"{name}:{value:g}" for name, value in sorted(amounts.items()))


def age(seconds: float) -> str:
    """Return how long ago something was."""
    whole = max(int(seconds), 0)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"
    return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S} h"


def _line(cells: Iterable[str], widths: Sequence[int], *, coloured: bool) -> str:
    padded = [(cell, cell.ljust(width)) for cell, width in zip(cells, widths, strict=True)]
    return _GAP.join(_painted(cell, text) if coloured else text for cell, text in padded).rstrip()


def _painted(cell: str, text: str) -> str:
    colour = _COLOURS.get(cell)
    return f"\x1b[{colour}m{text}\x1b[0m" if colour else text
