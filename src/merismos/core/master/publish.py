"""The operator's event stream: what changed in the cluster, as it changes.

Rules: an event is only built when somebody listens. As in Mesos, an agent that becomes unreachable or is marked gone makes no
AGENT_REMOVED (its tasks' updates tell), and a framework's disconnection makes no event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.master.effects import OpenStream, PublishEvent, Respond
from merismos.core.master.statuses import decode_status
from merismos.core.master.views.agents import agent_v1
from merismos.core.master.views.frameworks import framework_v1
from merismos.core.master.views.tasks import task_v1
from merismos.protocol.v1 import master as operator
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.master.events import OperatorSubscribed
    from merismos.core.master.state import Agent, Framework, Master, Task

_Type = operator.Event_Type


def on_operator_subscribed(master: Master, event: OperatorSubscribed, now: float) -> None:
    """Open an operator's stream; the shell puts the snapshot of the state into SUBSCRIBED."""
    if len(master.operator_streams) >= master.config.max_operator_streams:
        master.effects.append(Respond(event.request, 503, "Too many operators are subscribed; close a stream first"))
        return
    master.operator_streams.append(event.stream)
    master.heartbeats.put(event.stream, now)
    master.effects.append(OpenStream(event.request, event.stream, ""))
    subscribed = operator.Event_Subscribed(heartbeat_interval_seconds=master.config.heartbeat_s)
    master.effects.append(PublishEvent([event.stream], operator.Event(type=_Type.SUBSCRIBED, subscribed=subscribed)))
    heartbeat(master, [event.stream])


def heartbeat(master: Master, streams: list[int]) -> None:
    """Tell these operators that the master is there."""
    master.effects.append(PublishEvent(streams, operator.Event(type=_Type.HEARTBEAT)))


def task_added(master: Master, task: Task) -> None:
    """A task was launched, or came back with its agent."""
    if master.operator_streams:
        _publish(master, operator.Event(type=_Type.TASK_ADDED, task_added=operator.Event_TaskAdded(task=task_v1(task))))


def task_updated(master: Master, task: Task, status: bytes) -> None:
    """A task changed its state."""
    if not master.operator_streams:
        return
    decoded = decode_status(status)
    if decoded is None:
        return
    updated = operator.Event_TaskUpdated(
        framework_id=mesos.FrameworkID(value=task.framework.id),
        status=decoded,
        state=mesos.TaskState(task.state),
    )
    _publish(master, operator.Event(type=_Type.TASK_UPDATED, task_updated=updated))


def framework_added(master: Master, framework: Framework) -> None:
    """A framework subscribed, or was learned of from an agent."""
    if master.operator_streams:
        added = operator.Event_FrameworkAdded(framework=framework_v1(master, framework))
        _publish(master, operator.Event(type=_Type.FRAMEWORK_ADDED, framework_added=added))


def framework_updated(master: Master, framework: Framework) -> None:
    """A framework's scheduler came back, or changed its FrameworkInfo."""
    if master.operator_streams:
        updated = operator.Event_FrameworkUpdated(framework=framework_v1(master, framework))
        _publish(master, operator.Event(type=_Type.FRAMEWORK_UPDATED, framework_updated=updated))


def framework_removed(master: Master, framework: Framework) -> None:
    """A framework is over."""
    if master.operator_streams:
        removed = operator.Event_FrameworkRemoved(framework_info=framework.info)
        _publish(master, operator.Event(type=_Type.FRAMEWORK_REMOVED, framework_removed=removed))


def agent_added(master: Master, agent: Agent) -> None:
    """An agent was admitted, or is back."""
    if master.operator_streams:
        added = operator.Event_AgentAdded(agent=agent_v1(master, agent))
        _publish(master, operator.Event(type=_Type.AGENT_ADDED, agent_added=added))


def agent_removed(master: Master, agent: Agent) -> None:
    """An agent left for good."""
    if master.operator_streams:
        removed = operator.Event_AgentRemoved(agent_id=mesos.AgentID(value=agent.id))
        _publish(master, operator.Event(type=_Type.AGENT_REMOVED, agent_removed=removed))


def _publish(master: Master, event: operator.Event) -> None:
    master.effects.append(PublishEvent(list(master.operator_streams), event))
