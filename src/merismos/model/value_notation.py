"""The notation of values in flags: `2.5`, `[31000-31010,32000-32000]`, `{a,b}`; anything else is text.

Mesos' reading, kept: blanks mean nothing anywhere in a value (text loses them too), brackets must match, and what isn't a plain
non-negative number is text, which resources then refuse.
"""

from __future__ import annotations

import math
import re
from typing import Final, TypeAlias

from merismos.model.ranges import Ranges, parse_ranges
from merismos.model.scalars import to_milli
from merismos.model.sets import ItemSet

NotedValue: TypeAlias = float | Ranges | ItemSet | str

_PAIR: Final = 2

_match_number = re.compile(r"\+?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII).fullmatch
_split_items = re.compile(r"[{},\n]+").split


def parse_value(text: str) -> NotedValue:
    """Return the value that `text` notes: a number as it stands, ranges, a set, or text.

    Errors: ValueError when it is empty or its brackets don't match.
    """
    kept = text.replace(" ", "")
    if not kept:
        raise ValueError("Expecting non-empty string")
    for opening, closing in ("{}", "[]", "()"):
        if not _is_balanced(kept, opening, closing):
            raise ValueError("Mismatched brackets")
    if kept[0] == "[":
        return parse_ranges(kept.replace("\n", ""))
    if "[" in kept:
        raise ValueError("Unexpected '[' found")
    if kept[0] == "{":
        return ItemSet(item for item in _split_items(kept) if item)
    if "{" in kept:
        raise ValueError("Unexpected '{' found")
    number = float(kept) if _match_number(kept) else math.inf
    return number if math.isfinite(number) else kept


def noted_milli(number: float) -> int:
    """Return a noted number in thousandths.

    Errors: ValueError when it doesn't fit, or isn't zero but would become it.
    """
    milli = to_milli(number)
    if milli == 0 and number != 0:
        raise ValueError(f"{number:.15g} is less than the smallest amount, 0.001")
    return milli


def split_pair(token: str) -> tuple[str, str] | None:
    """Return the two sides of `name:value`; None when a side is missing or there are more than two."""
    parts = [part for part in token.split(":") if part]
    return (parts[0], parts[1]) if len(parts) == _PAIR else None


def _is_balanced(text: str, opening: str, closing: str) -> bool:
    depth = 0
    for character in text:
        if character == opening:
            depth += 1
        elif character == closing:
            depth -= 1
            if depth < 0:
                return False
    return depth == 0
