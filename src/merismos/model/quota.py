"""Quota: how much of each scalar a role is guaranteed, and how much it may have at most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from merismos.model.scalars import format_milli


class Quota(msgspec.Struct, frozen=True, gc=False):
    """The quota of one role, with all below it; what isn't named in `limits` has no limit.

    Units: thousandths.
    """

    guarantees: dict[str, int] = {}
    limits: dict[str, int] = {}


NO_QUOTA: Final = Quota()


def contains(most: Mapping[str, int], quantities: Mapping[str, int]) -> bool:
    """Return whether `quantities` has of no name more than `most`, which has 0 of what it doesn't name."""
    return all(milli <= most.get(name, 0) for name, milli in quantities.items())


def excess(limits: Mapping[str, int], quantities: Mapping[str, int]) -> list[str]:
    """Return the names of which `quantities` has more than a limit."""
    return [name for name, most in limits.items() if quantities.get(name, 0) > most]


def format_quantities(quantities: Mapping[str, int]) -> str:
    """Return quantities as Mesos' messages print them: `cpus:2; mem:128`."""
    return "; ".join(f"{name}:{format_milli(milli)}" for name, milli in sorted(quantities.items()))
