"""Why something waits: asked of the master's /why, written for a person."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from merismos.cli.client import Client

Explanation = dict[str, Any]


def ask(master: Client, kind: str, name: str, resources: str | None = None) -> Explanation:
    """Return the master's explanation for a task, framework or role.

    Shapes: `resources` is what is wanted, in the notation of --resources.
    Errors: CommandError.
    """
    query = {kind: name} | ({"resources": resources} if resources else {})
    answer: Explanation = master.get(f"/why?{urlencode(query)}")
    return answer


def lines(explanation: Explanation) -> list[str]:
    """Return the lines that say it."""
    said = [str(explanation.get("summary") or "the master gives no reason")]
    reasons = [reason["message"] for reason in explanation.get("reasons", []) if reason.get("message")]
    said += [f"  - {message}" for message in reasons] if len(reasons) > 1 else []
    nearest = explanation.get("nearest")
    if isinstance(nearest, dict) and nearest.get("message"):
        said.append(f"  nearest fit: {nearest['message']}")
    return said
