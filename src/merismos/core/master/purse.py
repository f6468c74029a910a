"""What is left of the offers of one ACCEPT while its tasks are launched one after the other."""

from __future__ import annotations

from typing import Any

from merismos.model.identity import Identity
from merismos.model.resources import Resources, resources_of


class Purse:
    """Resources that are spent bit by bit: one dictionary is changed in place instead of a collection built for every task."""

    __slots__ = ("_amounts", "_whole")

    def __init__(self, resources: Resources) -> None:
        self._whole: Resources | None = resources
        self._amounts: dict[Identity, Any] = dict(resources.amounts)

    def spend(self, resources: Resources) -> bool:
        """Take `resources` out if all of it is there; return whether it was."""
        amounts = self._amounts
        get = amounts.get
        wanted = resources.amounts
        for identity, amount in wanted.items():
            have = get(identity)
            if have is None or not amount <= have:
                return False
        for identity, amount in wanted.items():
            amounts[identity] -= amount
        self._whole = None
        return True

    def left(self) -> Resources:
        """Return what is still there."""
        if self._whole is None:
            self._whole = resources_of(self._amounts.items())
        return self._whole
