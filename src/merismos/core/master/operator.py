"""Operator calls that change something; what only reads never comes here.

Rules: each call gets exactly one `Respond`: 200 once what it changed is durable, 4xx in Mesos' words, 501 for what a later issue
brings.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from merismos.core.master import agents, drain, frameworks, maintenance, quota, registrar
from merismos.core.master.effects import Respond
from merismos.model.roles import validate_role
from merismos.protocol.v1.master import Call, Call_Type

if TYPE_CHECKING:
    from merismos.core.master.events import OperatorCalled
    from merismos.core.master.state import Master

OperatorHandler = Callable[["Master", Call, int, float], None]


def on_operator_called(master: Master, event: OperatorCalled, now: float) -> None:
    """Check a call's form and hand it to its handler."""
    kind: Any = event.call.type
    if kind is None:
        _respond(master, event.request, 400, "Failed to validate master::Call: Expecting 'type' to be present")
        return
    entry = CALLS.get(kind)
    if entry is None:
        _respond(
            master, event.request, 501, f"{kind} is not supported yet" if kind != "UNKNOWN" else "501 Not Implemented."
        )
        return
    field, handler = entry
    if getattr(event.call, field) is None:
        text = f"Failed to validate master::Call: Expecting '{field}' to be present"
        _respond(master, event.request, 400, text)
        return
    handler(master, event.call, event.request, now)


def _respond(master: Master, request: int, status: int, body: str = "") -> None:
    master.effects.append(Respond(request, status, body))


def _on_teardown(master: Master, call: Call, request: int, now: float) -> None:
    assert call.teardown is not None
    framework = master.frameworks.get(call.teardown.framework_id.value)
    if framework is None:
        _respond(master, request, 400, "No framework found with specified ID")
        return
    frameworks.remove(master, framework, now)
    _respond(master, request, 200)


def _on_update_weights(master: Master, call: Call, request: int, now: float) -> None:  # noqa: ARG001 - a handler's shape
    assert call.update_weights is not None
    weights: dict[str, float] = {}
    for info in call.update_weights.weight_infos:
        role = (info.role or "").strip()
        rejection = validate_role(role)
        if rejection is not None:
            text = f"Failed to validate update weights request JSON: Invalid role '{role}': {rejection.message}"
            _respond(master, request, 400, text)
            return
        if not 0 < info.weight < math.inf:
            text = (
                f"Failed to validate update weights request JSON for role '{role}': Invalid weight '{info.weight:g}':"
                " Weights must be positive"
            )
            _respond(master, request, 400, text)
            return
        weights[role] = info.weight
    if not weights:
        _respond(master, request, 200)
        return
    changes = [("weights", role, registrar.number(weight)) for role, weight in weights.items()]
    registrar.store(master, changes, functools.partial(_on_weights_stored, weights, request))


def _on_weights_stored(weights: dict[str, float], request: int, master: Master, now: float) -> None:  # noqa: ARG001 - the signature is given
    for role, weight in weights.items():
        master.weights[role] = weight
        master.allocator.set_weight(role, weight)
    _respond(master, request, 200)


def _on_mark_agent_gone(master: Master, call: Call, request: int, now: float) -> None:
    assert call.mark_agent_gone is not None
    agent_id = call.mark_agent_gone.agent_id.value
    if agent_id in master.gone_agents:
        _respond(master, request, 200)
        return
    if (
        agent_id not in master.agents
        and agent_id not in master.unreachable_agents
        and agent_id not in master.recovered_agents
    ):
        _respond(master, request, 404, f"Agent '{agent_id}' not found")
        return
    agents.store_gone(master, agent_id, now, functools.partial(_on_marked_gone, agent_id, request))


def _on_marked_gone(agent_id: str, request: int, wall_at: float, master: Master, now: float) -> None:
    agents.mark_gone(master, agent_id, wall_at, now)
    _respond(master, request, 200)


CALLS: dict[str, tuple[str, OperatorHandler]] = {
    Call_Type.TEARDOWN: ("teardown", _on_teardown),
    Call_Type.UPDATE_WEIGHTS: ("update_weights", _on_update_weights),
    Call_Type.UPDATE_QUOTA: ("update_quota", quota.on_update_quota),
    Call_Type.SET_QUOTA: ("set_quota", quota.on_set_quota),
    Call_Type.REMOVE_QUOTA: ("remove_quota", quota.on_remove_quota),
    Call_Type.UPDATE_MAINTENANCE_SCHEDULE: ("update_maintenance_schedule", maintenance.on_update_schedule),
    Call_Type.START_MAINTENANCE: ("start_maintenance", maintenance.on_start),
    Call_Type.STOP_MAINTENANCE: ("stop_maintenance", maintenance.on_stop),
    Call_Type.DRAIN_AGENT: ("drain_agent", drain.on_drain),
    Call_Type.DEACTIVATE_AGENT: ("deactivate_agent", drain.on_deactivate),
    Call_Type.REACTIVATE_AGENT: ("reactivate_agent", drain.on_reactivate),
    Call_Type.MARK_AGENT_GONE: ("mark_agent_gone", _on_mark_agent_gone),
}
