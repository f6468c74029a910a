"""The endpoint of calls about containers, for an agent that a test plays."""

from __future__ import annotations

from pathlib import Path

from merismos.adapters.agent_http.containers import ContainersEndpoint
from merismos.containers.sessions import Sessions
from unit.agent.rig import Rig


def containers_of(rig: Rig) -> ContainersEndpoint:
    """An endpoint whose calls reach the rig, and nobody answers."""
    return ContainersEndpoint(rig.handle, rig.state, Sessions(Path("/no/such/sessions")))
