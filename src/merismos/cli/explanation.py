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
    said = [str(explanation.get("summary") or "The master gives no reason.")]
    said += [f"  - {_reason(reason)}" for reason in explanation.get("reasons", [])]
    nearest = _nearest(explanation.get("nearest"))
    if nearest:
        said.append(f"  nearest fit: {nearest}")
    return said


def _reason(reason: dict[str, Any]) -> str:
    count = reason.get("count") or 0
    text = str(reason.get("message") or reason.get("reason") or "")
    if count > 1:
        text += f" ({count} times)"
    nearest = _nearest(reason.get("nearest"))
    return f"{text}; nearest fit: {nearest}" if nearest else text


def _nearest(nearest: object) -> str:
    if isinstance(nearest, dict):
        return str(nearest.get("message") or " ".join(f"{name}={value}" for name, value in nearest.items()))
    return str(nearest) if nearest else ""
