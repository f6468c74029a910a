"""Ids are plain strings with a type of their own, and one rule for what may be in them.

Ids become file names on agents, hence the rule: no separators, no control characters, not `.` or `..`, at most 255 bytes.
"""

from __future__ import annotations

import re
from typing import Final, NewType

AgentId = NewType("AgentId", str)
FrameworkId = NewType("FrameworkId", str)
OfferId = NewType("OfferId", str)
TaskId = NewType("TaskId", str)
ExecutorId = NewType("ExecutorId", str)
ContainerId = NewType("ContainerId", str)
OperationId = NewType("OperationId", str)

ID_BYTES_MAX: Final = 255

_find_forbidden = re.compile(r"[\x00-\x1f\x7f/\\]").search


def validate_id(text: str) -> str | None:
    """Return why `text` can't be an id, None when it can.

    Errors: Mesos' own messages, to be embedded in the caller's.
    """
    if not text:
        return "ID must not be empty"
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size > ID_BYTES_MAX:
        return f"ID must not be greater than {ID_BYTES_MAX} characters"
    if text in {".", ".."}:
        return f"'{text}' is disallowed"
    if _find_forbidden(text) is not None:
        return f"'{text}' contains invalid characters"
    return None
