"""What custom executors say: SUBSCRIBE, UPDATE, MESSAGE, HEARTBEAT.

Rules: a call is judged in Mesos' order: its shape, its framework, its executor, then whether the executor is subscribed. An update
is acknowledged to the executor once it is on its task's stream, and again when it comes again; after a task's terminal update
every further one is acknowledged and dropped. An executor speaks for its own tasks only.
Source: a recorded session of a custom executor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.core.agent.effects import (
    AnswerExecutor,
    CloseExecutorStream,
    Log,
    OpenExecutorStream,
    SendExecutorEvent,
    SendMessage,
)
from merismos.core.agent.ending import complete_if_over, end_task
from merismos.core.agent.executors import deliver, kill_event, send, shut_down_executor
from merismos.core.agent.executors_state import Executor, ExecutorPhase
from merismos.core.agent.state import Link, Phase
from merismos.core.agent.statuses import as_told, owe_status
from merismos.core.containers.net_class_plan import cgroup_info_of
from merismos.model.task_states import TERMINAL
from merismos.protocol import json, link
from merismos.protocol.v1 import executor as api
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.agent import events
    from merismos.core.agent.state import Agent, Task

UUID_BYTES = 16
UUIDS_MAX = 1024
STATUSES_MAX = 100
_INVALID = "Failed to validate Executor::Call: "


# ------------------------------------------------------------------ events


def on_executor_subscribed(agent: Agent, event: events.ExecutorSubscribed, now: float) -> None:
    """Open an executor's stream; take what it had not seen acknowledged; hand it what waits for it."""
    call = event.call
    executor = _find(agent, event.request, call)
    if executor is None:
        return
    agent.effects.append(OpenExecutorStream(event.request, event.stream))
    if executor.phase is ExecutorPhase.TERMINATING or agent.frameworks[executor.framework_id].shutting_down:
        agent.effects.append(SendExecutorEvent(event.stream, api.Event(type=api.Event_Type.SHUTDOWN)))
        agent.effects.append(CloseExecutorStream(event.stream))
        return
    if executor.stream is not None:
        agent.effects.append(CloseExecutorStream(executor.stream))
    executor.stream = event.stream
    first = executor.phase is not ExecutorPhase.RUNNING and not executor.recovered
    executor.phase = ExecutorPhase.RUNNING
    agent.deadlines.cancel(("executor-registration", executor.container_id))
    send(agent, executor, _subscribed(agent, executor))
    subscribe = call.subscribe
    assert subscribe is not None
    for update in subscribe.unacknowledged_updates:
        malformed = fault_of_update(call, update)
        fault = malformed or _take_update(agent, executor, update.status, now)
        if fault is not None:
            agent.effects.append(Log("warning", f"an update of executor '{executor.executor_id}' is dropped: {fault}"))
        if fault is not None and malformed is None:
            # Its task was over before this agent started: an executor that kept it would wait for ever.
            _acknowledge(agent, executor, update.status)
    if first and not executor.live_tasks():
        shut_down_executor(agent, executor, now)
        return
    known = {task.task_id.value: None for task in subscribe.unacknowledged_tasks}
    live = executor.live_tasks()
    deliver(agent, executor, [task for task in live if not task.statuses and task.task_id not in known])
    for task in live:
        if task.killing:
            send(agent, executor, kill_event(task))


def on_executor_called(agent: Agent, event: events.ExecutorCalled, now: float) -> None:
    """Take a call of an executor that is subscribed."""
    call = event.call
    executor = _find(agent, event.request, call)
    if executor is None:
        return
    if executor.stream is None:
        agent.effects.append(AnswerExecutor(event.request, 403, "Executor is not subscribed"))
        return
    fault = None
    if call.update is not None and call.type is api.Call_Type.UPDATE:
        fault = _take_update(agent, executor, call.update.status, now)
    elif call.message is not None and call.type is api.Call_Type.MESSAGE:
        _take_message(agent, executor, call.message.data)
    if fault is None:
        agent.effects.append(AnswerExecutor(event.request, 202))
    else:
        agent.counters.invalid_status_updates += 1
        agent.effects.append(AnswerExecutor(event.request, 400, _INVALID + fault))


def on_executor_stream_lost(agent: Agent, event: events.ExecutorStreamLost, now: float) -> None:  # noqa: ARG001 - a handler's shape
    """The connection of an executor's stream is gone; the executor may come back as long as it lives."""
    for executor in agent.executors.values():
        if executor.stream == event.stream:
            executor.stream = None
            text = f"executor '{executor.executor_id}' of framework {executor.framework_id} lost its connection"
            agent.effects.append(Log("warning", f"{text}"))
            return


# ------------------------------------------------------------------ what is wrong with a call


def fault_of_call(call: api.Call) -> str | None:
    """Return what is wrong with the shape of a call, None where nothing is."""
    kinds = api.Call_Type
    if call.type is None:
        return _INVALID + "Expecting 'type' to be present"
    fault = None
    if call.type is kinds.SUBSCRIBE and call.subscribe is None:
        fault = "Expecting 'subscribe' to be present"
    elif call.type is kinds.MESSAGE and call.message is None:
        fault = "Expecting 'message' to be present"
    elif call.type is kinds.UPDATE:
        fault = "Expecting 'update' to be present" if call.update is None else fault_of_update(call, call.update)
    return None if fault is None else _INVALID + fault


def fault_of_update(call: api.Call, update: api.Call_Update) -> str | None:
    """Return what is wrong with an update by itself, None where nothing is."""
    status = update.status
    executor_id, framework_id = call.executor_id.value, call.framework_id.value
    if status.uuid is None:
        return "Expecting 'uuid' to be present"
    if len(status.uuid) != UUID_BYTES:
        return "Not a valid UUID"
    if status.executor_id is not None and status.executor_id.value != executor_id:
        return f"ExecutorID in Call: {executor_id} does not match ExecutorID in TaskStatus: {status.executor_id.value}"
    if status.source is not mesos.TaskStatus_Source.SOURCE_EXECUTOR:
        return (
            f"Received Call from executor {executor_id} of framework {framework_id} with invalid source, "
            "expecting 'SOURCE_EXECUTOR'"
        )
    if status.state is mesos.TaskState.TASK_STAGING:
        return f"Received TASK_STAGING from executor {executor_id} of framework {framework_id} which is not allowed"
    return None


def _find(agent: Agent, request: int, call: api.Call) -> Executor | None:
    framework = agent.frameworks.get(call.framework_id.value)
    executor = None if framework is None else framework.executors.get(call.executor_id.value)
    if executor is None or executor.is_builtin:
        text = "Framework cannot be found" if framework is None else "Executor cannot be found"
        agent.effects.append(AnswerExecutor(request, 400, text))
        return None
    return executor


# ------------------------------------------------------------------ what a call does


def _subscribed(agent: Agent, executor: Executor) -> api.Event:
    framework = agent.frameworks[executor.framework_id]
    agent_id = mesos.AgentID(value=agent.registration.agent_id)
    subscribed = api.Event_Subscribed(
        executor_info=executor.info,
        framework_info=msgspec.structs.replace(framework.info, id=mesos.FrameworkID(value=executor.framework_id)),
        agent_info=msgspec.structs.replace(agent.settings.info, id=agent_id),
        container_id=mesos.ContainerID(value=executor.container_id),
    )
    return api.Event(type=api.Event_Type.SUBSCRIBED, subscribed=subscribed)


def _take_update(agent: Agent, executor: Executor, status: mesos.TaskStatus, now: float) -> str | None:
    """Put an update on its task's stream and acknowledge it; return why not."""
    task_id, uuid = status.task_id, status.uuid
    assert uuid is not None
    task = executor.tasks.get(task_id.value)
    if task is None and executor.completed_task(task_id.value) is None:
        return f"Task '{task_id.value}' is not a task of executor '{executor.executor_id}'"
    if task is not None and not task.is_over() and uuid not in task.uuids:
        task.uuids[uuid] = None
        if len(task.uuids) > UUIDS_MAX:
            del task.uuids[next(iter(task.uuids))]
        task.phase = Phase.RUNNING
        if not agent.frameworks[task.framework_id].shutting_down:
            _complete_status(agent, executor, task, status, now)
            owe_status(agent, task, str(status.state), uuid, json.encode(status), now)
            del task.statuses[:-STATUSES_MAX]
        if status.state in TERMINAL:
            end_task(agent, task, str(status.state), now)
            complete_if_over(agent, task, now)
    _acknowledge(agent, executor, status)
    return None


def _acknowledge(agent: Agent, executor: Executor, status: mesos.TaskStatus) -> None:
    assert status.uuid is not None
    acknowledged = api.Event_Acknowledged(task_id=status.task_id, uuid=status.uuid)
    send(agent, executor, api.Event(type=api.Event_Type.ACKNOWLEDGED, acknowledged=acknowledged))


def _complete_status(agent: Agent, executor: Executor, task: Task, status: mesos.TaskStatus, now: float) -> None:
    """Add what only the agent knows to an executor's status."""
    kinds = mesos.TaskState
    if task.kill_reason is not None and status.state in {kinds.TASK_KILLING, kinds.TASK_KILLED}:
        status.reason = mesos.TaskStatus_Reason(task.kill_reason)
        status.state = kinds(as_told(task, str(status.state)))
    status.agent_id = mesos.AgentID(value=agent.registration.agent_id)
    status.executor_id = mesos.ExecutorID(value=executor.executor_id)
    if status.timestamp is None:
        status.timestamp = now + agent.wall_offset_s
    known = status.container_status or mesos.ContainerStatus()
    joined = known.network_infos or list(executor.networks)
    address = mesos.NetworkInfo_IPAddress(protocol=mesos.NetworkInfo_Protocol.IPv4, ip_address=agent.settings.ip)
    status.container_status = msgspec.structs.replace(
        known,
        container_id=_container_of(executor, known.container_id),
        network_infos=joined or [mesos.NetworkInfo(ip_addresses=[address])],
        cgroup_info=cgroup_info_of(executor.classid),
        executor_pid=executor.pid or None,
    )


def _container_of(executor: Executor, given: mesos.ContainerID | None) -> mesos.ContainerID:
    """Return the container that a status may name: one nested in the executor's, else the executor's."""
    if given is not None and given.parent is not None and given.parent.value == executor.container_id:
        return given
    return mesos.ContainerID(value=executor.container_id)


def _take_message(agent: Agent, executor: Executor, data: bytes) -> None:
    """Pass an executor's bytes to its scheduler; without a link to the master they are lost, as messages may be."""
    if agent.registration.status is not Link.REGISTERED:
        agent.counters.invalid_framework_messages += 1
        return
    agent.counters.valid_framework_messages += 1
    message = link.MessageFramework(executor.framework_id, executor.executor_id, data)
    agent.effects.append(SendMessage(agent.registration.link, message))
