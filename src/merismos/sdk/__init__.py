"""For people who write frameworks: a typed async scheduler.

Rules: a name is imported when it is first used, so that the command line can take one piece without paying for all.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from merismos.sdk.framework import Framework, FrameworkError
    from merismos.sdk.offer import Offer
    from merismos.sdk.task import Task
    from merismos.sdk.update import Update

_WHERE = {
    "Framework": "framework",
    "FrameworkError": "framework",
    "Offer": "offer",
    "Task": "task",
    "Update": "update",
}

__all__ = ["Framework", "FrameworkError", "Offer", "Task", "Update"]


def __getattr__(name: str) -> object:
    module = _WHERE.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
