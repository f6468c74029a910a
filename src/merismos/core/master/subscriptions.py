"""How schedulers come, come back, take over from each other, fall silent and are given up.

Rules:
- An invalid FrameworkInfo is answered on the stream: 200, one ERROR, a clean end. What breaks the call's own form is a 400.
- A framework has one stream. Who subscribes with its id takes over: the old stream gets `Framework failed over` and ends.
- A framework without a stream keeps its tasks for `failover_timeout`, then it is removed and they are killed.
- A HEARTBEAT follows SUBSCRIBED at once, then every 15 seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.allocator import validate_constraints
from merismos.core.master import counters, frameworks, publish
from merismos.core.master.effects import CloseStream, OpenStream, Respond, SendEvent, SendHeartbeat, SendToAgent
from merismos.core.master.validate.framework import (
    roles_of,
    validate_framework,
    validate_role_whitelist,
    validate_suppressed_roles,
    validate_update,
)
from merismos.core.master.views.values import master_info
from merismos.model.rejection import Rejection
from merismos.protocol import link
from merismos.protocol.v1 import mesos, scheduler

if TYPE_CHECKING:
    from merismos.core.master.events import SchedulerSubscribed, StreamClosed
    from merismos.core.master.state import Framework, Master
    from merismos.protocol.thin import ThinCall

INVALID_CALL = "Failed to validate scheduler::Call: "


def on_scheduler_subscribed(master: Master, event: SchedulerSubscribed, now: float) -> None:
    """Admit a framework, or its next scheduler, or say why not."""
    fault = _fault_of_call(event)
    if fault is not None:
        master.effects.append(Respond(event.request, 400, INVALID_CALL + fault))
        return
    subscribe = event.call.subscribe
    assert subscribe is not None
    info = subscribe.framework_info
    if info.principal is None and event.principal is not None:
        info.principal = event.principal
    framework_id = "" if info.id is None else info.id.value
    framework = master.frameworks.get(framework_id)
    rejection = _refusal(master, subscribe, framework_id, framework)
    if rejection is not None:
        _refuse_on_stream(master, event, rejection)
        return
    kind = "reregister" if framework_id else "register"
    counters.count(master, f"master/messages_{kind}_framework")
    if framework is None:
        framework = _admit(master, subscribe, framework_id, now)
        _open(master, framework, event, now)
        publish.framework_added(master, framework)
    else:
        _take_over(master, framework, subscribe, now)
        _open(master, framework, event, now)
        publish.framework_updated(master, framework)
    counters.count_call(framework, "SUBSCRIBE")


def _fault_of_call(event: SchedulerSubscribed) -> str | None:
    call = event.call
    if call.subscribe is None:
        return "Expecting 'subscribe' to be present"
    info = call.subscribe.framework_info
    outer = "" if call.framework_id is None else call.framework_id.value
    inner = "" if info.id is None else info.id.value
    if outer != inner:
        return "'framework_id' differs from 'subscribe.framework_info.id'"
    if event.principal is not None and info.principal is not None and info.principal != event.principal:
        return f"Authenticated principal '{event.principal}' does not match principal '{info.principal}' set in `FrameworkInfo`"
    return None


def _refusal(
    master: Master, subscribe: scheduler.Call_Subscribe, framework_id: str, framework: Framework | None
) -> Rejection | None:
    info = subscribe.framework_info
    roles = roles_of(info)
    rejection = (
        validate_framework(info)
        or validate_role_whitelist(roles, master.config.roles)
        or validate_suppressed_roles(roles, subscribe.suppressed_roles)
        or validate_constraints(subscribe.offer_constraints, roles)
    )
    if rejection is not None:
        return rejection
    if framework_id in master.removed_frameworks:
        return Rejection("framework_removed", "Framework has been removed")
    if framework is not None and (framework.info.principal or "") != (info.principal or ""):
        rejection = validate_update(framework.info, info)
    return rejection


def _refuse_on_stream(master: Master, event: SchedulerSubscribed, rejection: Rejection) -> None:
    master.effects += (
        OpenStream(event.request, event.stream, event.stream_id),
        SendEvent(event.stream, _error(rejection.message)),
        CloseStream(event.stream),
    )


def _error(message: str) -> scheduler.Event:
    return scheduler.Event(type=scheduler.Event_Type.ERROR, error=scheduler.Event_Error(message=message))


def _admit(master: Master, subscribe: scheduler.Call_Subscribe, framework_id: str, now: float) -> Framework:
    info = subscribe.framework_info
    if not framework_id:
        framework_id = f"{master.id}-{master.next_framework:04d}"
        master.next_framework += 1
        info.id = mesos.FrameworkID(value=framework_id)
    framework = frameworks.make(info, framework_id, now)
    framework.offer_constraints = subscribe.offer_constraints
    framework.suppressed = dict.fromkeys(subscribe.suppressed_roles)
    master.frameworks[framework_id] = framework
    frameworks.add_to_allocator(master, framework, active=True)
    return framework


def _take_over(master: Master, framework: Framework, subscribe: scheduler.Call_Subscribe, now: float) -> None:
    if framework.stream is not None:
        old = framework.stream
        counters.count_event(framework, "ERROR")
        master.effects += (SendEvent(old, _error("Framework failed over")), CloseStream(old))
        _forget_stream(master, framework)
        frameworks.withdraw_offers(master, framework, now)
    info = subscribe.framework_info
    # Mesos lets a new scheduler come with another user or checkpoint flag, and keeps the old values.
    info.user = framework.info.user
    info.checkpoint = framework.info.checkpoint
    framework.offer_constraints = subscribe.offer_constraints
    framework.suppressed = dict.fromkeys(subscribe.suppressed_roles)
    frameworks.adopt(framework, info)
    frameworks.update_in_allocator(master, framework)
    master.allocator.activate_framework(framework.id)
    framework.reregistered_at = now
    framework.recovered = False


def _open(master: Master, framework: Framework, event: SchedulerSubscribed, now: float) -> None:
    master.deadlines.cancel(("failover", framework.id))
    framework.stream = event.stream
    framework.stream_id = event.stream_id
    framework.active = True
    framework.disconnected_at = None
    master.streams[event.stream] = framework
    master.heartbeats.put(event.stream, now)
    master.effects += (
        OpenStream(event.request, event.stream, event.stream_id),
        SendEvent(event.stream, _subscribed(master, framework)),
        SendHeartbeat([event.stream]),
    )
    counters.count_event(framework, "SUBSCRIBED")
    # The agents' unacknowledged updates come again as soon as they hear that the scheduler is back.
    _tell_agents(master, framework)


def _subscribed(master: Master, framework: Framework) -> scheduler.Event:
    return scheduler.Event(
        type=scheduler.Event_Type.SUBSCRIBED,
        subscribed=scheduler.Event_Subscribed(
            framework_id=mesos.FrameworkID(value=framework.id),
            heartbeat_interval_seconds=master.config.heartbeat_s,
            master_info=master_info(master),
        ),
    )


def _tell_agents(master: Master, framework: Framework) -> None:
    if not framework.tasks and not framework.executors:
        return
    message = link.UpdateFramework(framework.info_json)
    for agent in frameworks.agents_of(master, framework):
        if agent.link is not None:
            master.effects.append(SendToAgent(agent.link, message))


def on_stream_closed(master: Master, event: StreamClosed, now: float) -> None:
    """A stream ended: its framework is disconnected until a scheduler comes back."""
    if event.stream in master.operator_streams:
        master.operator_streams.remove(event.stream)
        master.heartbeats.cancel(event.stream)
        return
    framework = master.streams.get(event.stream)
    if framework is not None:
        disconnect(master, framework, now)


def disconnect(master: Master, framework: Framework, now: float) -> None:
    """Take back what is offered to a framework without a scheduler, and set the clock to its failover timeout."""
    _forget_stream(master, framework)
    framework.active = False
    framework.disconnected_at = now
    master.allocator.deactivate_framework(framework.id)
    frameworks.withdraw_offers(master, framework, now)
    master.deadlines.set(("failover", framework.id), now + max(0.0, framework.info.failover_timeout))


def _forget_stream(master: Master, framework: Framework) -> None:
    if framework.stream is not None:
        master.streams.pop(framework.stream, None)
        master.heartbeats.cancel(framework.stream)
        framework.stream = None


def on_failover_timeout(master: Master, framework_id: str, now: float) -> None:
    """No scheduler came back in time."""
    framework = master.frameworks.get(framework_id)
    if framework is not None and framework.stream is None:
        frameworks.remove(master, framework, now)


def beat(master: Master, now: float) -> None:
    """Send the heartbeats that are due."""
    due = master.heartbeats.pop_due(now)
    if not due:
        return
    streams = [stream for stream in due if stream in master.streams]
    operators = [stream for stream in due if stream in master.operator_streams]
    for stream in streams:
        counters.count_event(master.streams[stream], "HEARTBEAT")
        master.heartbeats.put(stream, now)
    for stream in operators:
        master.heartbeats.put(stream, now)
    if streams:
        master.effects.append(SendHeartbeat(streams))
    if operators:
        publish.heartbeat(master, operators)


def on_teardown(master: Master, framework: Framework, call: ThinCall, request: int, now: float) -> None:  # noqa: ARG001 - the signature is given
    """The scheduler ends its framework."""
    counters.count(master, "master/messages_unregister_framework")
    master.effects.append(Respond(request, 202))
    frameworks.remove(master, framework, now)
