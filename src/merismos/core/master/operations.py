"""Offer operations other than launches: refused for now, clearly; and what schedulers ask about them.

Rules: an operation with an id gets an UPDATE_OPERATION_STATUS that says why; one without id can only be found in the journal.
No operation is ever pending here, so none is known to a reconciliation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.master import counters
from merismos.core.master.effects import Respond, SendEvent
from merismos.core.master.journal import decide
from merismos.protocol.v1 import mesos, scheduler

if TYPE_CHECKING:
    from merismos.core.master.state import Framework, Master
    from merismos.protocol.thin import ThinCall, ThinOperation


def refuse(master: Master, framework: Framework, role: str, operation: ThinOperation, message: str, now: float) -> None:
    """Answer an operation that is not carried out."""
    decide(framework, now, "operation_invalid", role, message)
    if operation.id is not None:
        status = mesos.OperationStatus(
            operation_id=operation.id, state=mesos.OperationState.OPERATION_ERROR, message=message
        )
        send_status(master, framework, status)


def send_status(master: Master, framework: Framework, status: mesos.OperationStatus) -> None:
    """Send one UPDATE_OPERATION_STATUS to a scheduler that is there."""
    if framework.stream is None:
        return
    counters.count_event(framework, "UPDATE_OPERATION_STATUS")
    event = scheduler.Event(
        type=scheduler.Event_Type.UPDATE_OPERATION_STATUS,
        update_operation_status=scheduler.Event_UpdateOperationStatus(status=status),
    )
    master.effects.append(SendEvent(framework.stream, event))


def on_acknowledge_operation_status(
    master: Master,
    framework: Framework,  # noqa: ARG001 - the shape of a call's handler
    call: ThinCall,
    request: int,
    now: float,  # noqa: ARG001 - the signature is given
) -> None:
    """No status with a uuid was ever sent, so none waits for this: accepted, and counted as invalid."""
    acknowledge = call.acknowledge_operation_status
    assert acknowledge is not None
    counters.count(master, "master/messages_operation_status_update_acknowledgement")
    if len(acknowledge.uuid) != 16:  # noqa: PLR2004 - a UUID's bytes
        master.effects.append(Respond(request, 400, "Failed to validate scheduler::Call: Not a valid UUID"))
        return
    counters.count(master, "master/invalid_operation_status_update_acknowledgements")
    master.effects.append(Respond(request, 202))


def on_reconcile_operations(
    master: Master,
    framework: Framework,
    call: ThinCall,
    request: int,
    now: float,  # noqa: ARG001 - the shape of a call's handler
) -> None:
    """Answer for each operation asked about; an empty list asks for all pending ones, of which there are none."""
    assert call.reconcile_operations is not None
    counters.count(master, "master/messages_reconcile_operations")
    master.effects.append(Respond(request, 202))
    for operation in call.reconcile_operations.operations:
        agent_id = None if operation.agent_id is None else operation.agent_id.value
        answer = _answer(master, agent_id)
        if answer is None:
            continue
        state, message = answer
        status = mesos.OperationStatus(
            operation_id=operation.operation_id, state=state, message=message, agent_id=operation.agent_id
        )
        send_status(master, framework, status)


def _answer(master: Master, agent_id: str | None) -> tuple[mesos.OperationState, str] | None:
    states = mesos.OperationState
    if agent_id is None:
        return states.OPERATION_UNKNOWN, "Reconciliation: Operation is unknown and no 'agent_id' was provided"
    if agent_id in master.agents:
        return states.OPERATION_UNKNOWN, "Reconciliation: Operation is unknown"
    if agent_id in master.recovered_agents:
        return states.OPERATION_RECOVERING, "Reconciliation: Agent is recovered but has not re-registered"
    if agent_id in master.unreachable_agents:
        return states.OPERATION_UNREACHABLE, "Reconciliation: Agent is unreachable"
    if agent_id in master.gone_agents:
        return states.OPERATION_GONE_BY_OPERATOR, "Reconciliation: Agent marked gone by operator"
    return states.OPERATION_UNKNOWN, "Reconciliation: Both operation and agent are unknown"
