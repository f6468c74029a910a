"""What the master passes on: acknowledgements, a framework's new description, messages to executors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent import executors
from merismos.core.agent.checkpoints import UpdateAcknowledged
from merismos.core.agent.effects import Log
from merismos.core.agent.ending import complete_if_over, keep_framework, stop_if_over
from merismos.core.agent.state import Agent
from merismos.core.agent.statuses import key_of, send
from merismos.model.task_states import TERMINAL
from merismos.protocol import json
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import executor as api
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.protocol import link


def on_acknowledge_status(agent: Agent, message: link.AcknowledgeStatus, now: float) -> None:
    """Take an update as seen; send the next; forget the task after its last."""
    taken = agent.updates.acknowledge(message.framework_id, message.task_id, message.uuid, now)
    if taken is None:
        return
    acknowledged, following = taken
    if following is not None:
        send(agent, following)
    key = key_of(agent, message.framework_id, message.task_id)
    agent.checkpoints.keep(key, UpdateAcknowledged(message.uuid))
    task = agent.task(message.framework_id, message.task_id)
    if task is None:
        if acknowledged.state in TERMINAL:
            agent.refused.pop((message.framework_id, message.task_id), None)
        if following is None:
            agent.checkpoints.drop(key)
    elif acknowledged.state in TERMINAL:
        task.acknowledged = True
        complete_if_over(agent, task, now)
    stop_if_over(agent, now)


def on_message_executor(agent: Agent, message: link.MessageExecutor, now: float) -> None:  # noqa: ARG001 - a handler's shape
    """Pass bytes to a custom executor; the built-in ones take none, and one that isn't subscribed can't."""
    framework = agent.frameworks.get(message.framework_id)
    executor = None if framework is None else framework.executors.get(message.executor_id)
    if executor is not None and executor.stream is not None:
        agent.counters.valid_framework_messages += 1
        event = api.Event(type=api.Event_Type.MESSAGE, message=api.Event_Message(data=message.data))
        executors.send(agent, executor, event)
        return
    agent.counters.invalid_framework_messages += 1
    text = f"a message to executor '{message.executor_id}' of framework {message.framework_id} is dropped"
    agent.effects.append(Log("info", f"{text}: there is none, or it isn't subscribed"))


def on_update_framework(agent: Agent, message: link.UpdateFramework, now: float) -> None:
    """Take a framework's new FrameworkInfo; what it hasn't acknowledged goes out again, since its scheduler may be a new one."""
    try:
        info = json.decode(mesos.FrameworkInfo, message.framework)
    except DecodeError as error:
        agent.effects.append(Log("err", f"an update of a framework is dropped: {error}"))
        return
    framework_id = info.id.value if info.id is not None else ""
    framework = agent.frameworks.get(framework_id)
    if framework is not None:
        framework.update(message.framework, info)
        keep_framework(agent, framework)
    for update in agent.updates.resend(framework_id, now):
        send(agent, update)
