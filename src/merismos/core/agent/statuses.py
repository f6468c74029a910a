"""The JSON of a task's status updates, put together from pieces that a task renders once.

Rules: key order and number form are those of a recorded agent; the output is ASCII. Updates of a running container come from
its executor (SOURCE_EXECUTOR) and name its container; what the agent itself decides is SOURCE_AGENT and doesn't.
"""

from __future__ import annotations

import binascii
import json

import msgspec

from merismos.core.agent.checkpoints import UpdateOwed, stream_key, task_key
from merismos.core.agent.effects import SendMessage
from merismos.core.agent.state import Agent, Link, Task
from merismos.model.task_states import TERMINAL
from merismos.protocol.json import encode
from merismos.protocol.link import UpdateStatus
from merismos.protocol.thin import without_data
from merismos.protocol.v1 import mesos

_COUNTED = {
    "TASK_FINISHED": "tasks_finished",
    "TASK_FAILED": "tasks_failed",
    "TASK_KILLED": "tasks_killed",
    "TASK_ERROR": "tasks_error",
    "TASK_LOST": "tasks_lost",
    "TASK_DROPPED": "tasks_dropped",
    "TASK_GONE": "tasks_gone",
}
_KILLS = frozenset({"TASK_KILLING", "TASK_KILLED"})
_encode = msgspec.json.encode


def quote(text: str) -> bytes:
    """Return a string as ASCII JSON."""
    return _encode(text) if text.isascii() else json.dumps(text).encode()


class Rendering:
    """The pieces of a task's statuses that don't change."""

    __slots__ = ("container", "head", "ids")

    def __init__(self, agent: Agent, task_id: str, executor_id: str | None) -> None:
        self.head = b'{"task_id":{"value":%s},"state":"' % quote(task_id)
        agent_id = agent.registration.agent_id.encode()
        executor = b"" if executor_id is None else b',"executor_id":{"value":%s}' % quote(executor_id)
        self.ids = b',"agent_id":{"value":"%s"}%s,"timestamp":' % (agent_id, executor)
        self.container = b""


def render_container(agent: Agent, task: Task) -> bytes:
    """Return the `container_status` of a task's statuses, pid included once it is known."""
    pid = b',"executor_pid":%d' % task.pid if task.pid else b""
    parent, _, own = task.container_id.rpartition(".")
    nested = b',"parent":{"value":"%s"}' % parent.encode() if parent else b""
    networks = b",".join(map(encode, task.networks))
    if not networks:
        address = (task.ip or agent.settings.ip).encode()
        networks = b'{"ip_addresses":[{"protocol":"IPv4","ip_address":"%s"}]}' % address
    net_cls = b',"cgroup_info":{"net_cls":{"classid":%d}}' % task.classid if task.classid else b""
    return b',"container_status":{"container_id":{"value":"%s"%s},"network_infos":[%s]%s%s}' % (
        own.encode(), nested, networks, net_cls, pid,
    )  # fmt: skip


def render_status(
    rendering: Rendering,
    state: str,
    uuid: bytes,
    wall_s: float,
    source: bytes,
    message: str | None,
    reason: str | None,
    details: bytes = b"",
) -> bytes:
    """Return the JSON of one TaskStatus; `details` are what its task's checks say, or what it took too much of."""
    parts = [rendering.head, state.encode(), b'"']
    if message is not None:
        parts += (b',"message":', quote(message))
    parts += (b',"source":"', source, b'"')
    if reason is not None:
        parts += (b',"reason":"', reason.encode(), b'"')
    parts += (rendering.ids, repr(wall_s).encode(), b',"uuid":"', binascii.b2a_base64(uuid, newline=False), b'"')
    if source == b"SOURCE_EXECUTOR":
        parts += (details, rendering.container, b"}")
    else:
        parts += (details, b"}")
    return b"".join(parts)


def render_docker(inspected: bytes, ip: str) -> bytes:
    """Return what TASK_RUNNING says of a container of Docker: all that the Engine does, and a label of its address."""
    label = (
        b"" if not ip else b',"labels":{"labels":[{"key":"Docker.NetworkSettings.IPAddress","value":%s}]}' % quote(ip)
    )
    return b',"data":"%s"%s' % (binascii.b2a_base64(inspected, newline=False), label)


def as_told(task: Task, state: str) -> str:
    """Return the state in which a task is said to end: whoever had it killed may have named another than TASK_KILLED."""
    return task.kill_state if state == "TASK_KILLED" and task.kill_state else state


def update_task(
    agent: Agent,
    task: Task,
    state: str,
    now: float,
    *,
    message: str | None = None,
    reason: str | None = None,
    from_agent: bool = False,
    data: bytes = b"",
) -> None:
    """Move a task to `state` and owe its scheduler an update that says so."""
    if task.kill_reason is not None and state in _KILLS:
        reason = task.kill_reason
    state = as_told(task, state)
    rendering = task.rendering
    if not isinstance(rendering, Rendering):
        rendering = task.rendering = Rendering(agent, task.task_id, task.executor_id)
    uuid = agent.prng.uuid_bytes()
    source = b"SOURCE_AGENT" if from_agent else b"SOURCE_EXECUTOR"
    if not from_agent:
        details = b"".join([check.render(state) for check in task.checks])
    elif task.limitation is not None and state in TERMINAL:
        details = b',"limitation":' + encode(mesos.TaskResourceLimitation(resources=task.limitation.resources))
    else:
        details = b""
    if data:
        details += render_docker(data, task.ip)
    status = render_status(rendering, state, uuid, now + agent.wall_offset_s, source, message, reason, details)
    owe_status(agent, task, state, uuid, status, now)


def owe_status(agent: Agent, task: Task, state: str, uuid: bytes, status: bytes, now: float) -> None:
    """Move a task to `state` and owe its scheduler this status (JSON of TaskStatus)."""
    keep_status(task, state, status)
    agent.counters.valid_status_updates += 1
    counted = _COUNTED.get(state)
    if counted is not None:
        setattr(agent.counters, counted, getattr(agent.counters, counted) + 1)
    owe(agent, UpdateStatus(task.framework_id, task.task_id, state, state, uuid, status), now)


def keep_status(task: Task, state: str, status: bytes) -> None:
    """Move a task to a state; one that repeats takes the place of the last. The data is its scheduler's alone, as in Mesos."""
    status = without_data(status)
    if task.state == state and task.statuses:
        task.statuses[-1] = status
    else:
        task.statuses.append(status)
    task.state = state


def report_unknown(
    agent: Agent, framework_id: str, task_id: str, state: str, now: float, *, message: str, reason: str
) -> None:
    """Owe a scheduler a terminal update of a task that this agent doesn't have."""
    uuid = agent.prng.uuid_bytes()
    rendering = Rendering(agent, task_id, None)
    status = render_status(rendering, state, uuid, now + agent.wall_offset_s, b"SOURCE_AGENT", message, reason)
    counted = _COUNTED[state]
    setattr(agent.counters, counted, getattr(agent.counters, counted) + 1)
    owe(agent, UpdateStatus(framework_id, task_id, state, state, uuid, status), now)


def owe(agent: Agent, update: UpdateStatus, now: float) -> None:
    """Put an update on its stream and send what may go out."""
    record = UpdateOwed(update.framework_id, update.task_id, update.state, update.uuid, update.status)
    agent.checkpoints.keep(key_of(agent, update.framework_id, update.task_id), record, durable=update.state in TERMINAL)
    ready = agent.updates.append(update, now)
    if ready is not None:
        send(agent, ready)


def key_of(agent: Agent, framework_id: str, task_id: str) -> str:
    """Return the checkpoint key under which a task's updates are."""
    make = stream_key if agent.task(framework_id, task_id) is None else task_key
    return make(framework_id, task_id)


def send(agent: Agent, update: UpdateStatus) -> None:
    """Send an update over the registered link."""
    if agent.registration.status is Link.REGISTERED:
        agent.effects.append(SendMessage(agent.registration.link, update))
