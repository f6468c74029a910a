"""Scalars are exact: an amount is an integer count of thousandths, and a float exists only on the wire.

Mesos keeps three decimals, rounding half away from zero. The bound makes the way out and back in lossless: below 2**50
thousandths the nearest double of `milli / 1000` rounds back to the same integer.
"""

from __future__ import annotations

import math
from typing import Final

MILLI: Final = 1000
SCALAR_MILLI_MAX: Final = 1 << 50
_HALF: Final = 0.5


def to_milli(value: float) -> int:
    """Return `value` in thousandths, rounded half away from zero.

    Errors: ValueError for what isn't finite or doesn't fit; negative values pass, their meaning is the caller's.
    """
    scaled = value * 1000.0
    if not -SCALAR_MILLI_MAX <= scaled <= SCALAR_MILLI_MAX:
        raise ValueError(_fault(value))
    milli = int(scaled)
    rest = scaled - milli
    if rest >= _HALF:
        return milli + 1
    if rest <= -_HALF:
        return milli - 1
    return milli


def _fault(value: float) -> str:
    if math.isnan(value) or math.isinf(value):
        return f"{value} is not a finite number"
    return f"{value:.15g} is larger than {SCALAR_MILLI_MAX // MILLI}, the most that is kept exactly"


def from_milli(milli: int) -> float:
    """Return the double nearest to `milli` thousandths, as the wire carries it."""
    return milli / 1000


def format_milli(milli: int) -> str:
    """Return the decimal as Mesos prints it: up to 15 significant digits, no trailing zeros."""
    return f"{milli / 1000:.15g}"
