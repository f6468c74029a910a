"""The door that every scheduler call but SUBSCRIBE comes through: who calls, may they, and who handles it.

Rules: each call gets exactly one `Respond`, made here when it is turned away, by its handler otherwise. The checks run in Mesos'
order and answer in its words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from merismos.core.master import (
    accept,
    inverse_offers,
    messages,
    operations,
    preferences,
    reconcile,
    subscriptions,
    tasks,
)
from merismos.core.master.effects import Respond
from merismos.core.master.subscriptions import INVALID_CALL
from merismos.protocol.thin import ThinCall
from merismos.protocol.v1.scheduler import Call_Type

if TYPE_CHECKING:
    from merismos.core.master.events import SchedulerCalled
    from merismos.core.master.state import Framework, Master

CallHandler = Callable[["Master", "Framework", ThinCall, int, float], None]

# type -> (the field that has to be there, its handler)
CALLS: dict[str, tuple[str, CallHandler]] = {
    Call_Type.TEARDOWN: ("type", subscriptions.on_teardown),
    Call_Type.ACCEPT: ("accept", accept.on_accept),
    Call_Type.DECLINE: ("decline", accept.on_decline),
    Call_Type.ACCEPT_INVERSE_OFFERS: ("accept_inverse_offers", inverse_offers.on_accept_inverse_offers),
    Call_Type.DECLINE_INVERSE_OFFERS: ("decline_inverse_offers", inverse_offers.on_decline_inverse_offers),
    Call_Type.REVIVE: ("type", preferences.on_revive),
    Call_Type.SUPPRESS: ("type", preferences.on_suppress),
    Call_Type.REQUEST: ("request", preferences.on_request),
    Call_Type.UPDATE_FRAMEWORK: ("update_framework", preferences.on_update_framework),
    Call_Type.KILL: ("kill", messages.on_kill),
    Call_Type.SHUTDOWN: ("shutdown", messages.on_shutdown),
    Call_Type.MESSAGE: ("message", messages.on_message),
    Call_Type.ACKNOWLEDGE: ("acknowledge", tasks.on_acknowledge),
    Call_Type.ACKNOWLEDGE_OPERATION_STATUS: (
        "acknowledge_operation_status",
        operations.on_acknowledge_operation_status,
    ),
    Call_Type.RECONCILE: ("reconcile", reconcile.on_reconcile),
    Call_Type.RECONCILE_OPERATIONS: ("reconcile_operations", operations.on_reconcile_operations),
}
_COUNTERS = {kind: f"calls/{kind.lower()}" for kind in CALLS}
_UUID_BYTES = 16


def on_scheduler_called(master: Master, event: SchedulerCalled, now: float) -> None:
    """Check a call and hand it to its handler."""
    call = event.call
    kind: Any = call.type
    entry = CALLS.get(kind)
    if entry is None or call.framework_id is None or getattr(call, entry[0]) is None:
        _turn_away(master, event, *_fault_of_form(call))
        return
    if call.acknowledge is not None and len(call.acknowledge.uuid) != _UUID_BYTES:
        _turn_away(master, event, 400, INVALID_CALL + "Not a valid UUID")
        return
    framework = master.frameworks.get(call.framework_id.value)
    if framework is None or framework.stream is None or framework.stream_id != event.stream_id or event.principal:
        refusal = _refusal(framework, event)
        if refusal is not None:
            _turn_away(master, event, *refusal)
            return
        assert framework is not None
    framework_counters = framework.counters
    name = _COUNTERS[kind]
    framework_counters[name] = framework_counters.get(name, 0) + 1
    entry[1](master, framework, call, event.request, now)


def _turn_away(master: Master, event: SchedulerCalled, status: int, body: str) -> None:
    master.effects.append(Respond(event.request, status, body))


def _fault_of_form(call: ThinCall) -> tuple[int, str]:
    kind: Any = call.type
    if kind is None:
        return 400, INVALID_CALL + "Expecting 'type' to be present"
    if call.framework_id is None:
        return 400, INVALID_CALL + "Expecting 'framework_id' to be present"
    if kind in CALLS:
        return 400, INVALID_CALL + f"Expecting '{CALLS[kind][0]}' to be present"
    return 501, "501 Not Implemented."


def _refusal(framework: Framework | None, event: SchedulerCalled) -> tuple[int, str] | None:
    if framework is None:
        return 400, "Framework cannot be found"
    if event.principal and framework.principal and event.principal != framework.principal:
        principals = f"'{event.principal}' does not match principal '{framework.principal}'"
        return 400, f"Authenticated principal {principals} set in `FrameworkInfo`"
    if framework.stream is None:
        return 403, "Framework is not subscribed"
    if event.stream_id is None:
        return 400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header"
    if event.stream_id != framework.stream_id:
        named = f"The stream ID '{event.stream_id}' included in this request"
        return 400, f"{named} didn't match the stream ID currently associated with framework ID {framework.id}"
    return None
