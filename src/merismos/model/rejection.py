"""Why something was refused, as a value.

A validator returns None when it is content and a Rejection otherwise; it never raises for another's mistake.
"""

from __future__ import annotations

import msgspec


class Rejection(msgspec.Struct, frozen=True, gc=False):
    """Their mistake: a short machine-readable reason, and a message for people.

    Shapes: `reason` is one lower-case word with underscores (`role_invalid`, `resources_invalid`); `message` is Mesos' wording
    where Mesos has one, because frameworks and tests match on it.
    """

    reason: str
    message: str
