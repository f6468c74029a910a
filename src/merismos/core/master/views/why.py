"""Why work waits: which agents were considered for a task, framework or role, and why each didn't serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from merismos.core.master.state import Master


def why(master: Master, query: Mapping[str, str], now: float) -> dict[str, Any]:
    """Return the explanation as the object of /why."""
    return {"subject": str(dict(query)), "kind": "", "summary": f"{len(master.agents)} at {now}", "reasons": [], "decisions": []}
