"""What goes between a scheduler and its tasks: KILL, SHUTDOWN, MESSAGE both ways, ACKNOWLEDGE, and executors that end.

Rules: a call is accepted (202) once it is well-formed; what can't be delivered is counted, or answered by a status update.
A kill for an agent whose link is down is kept and sent when it is back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.master import counters, reconcile, tasks
from merismos.core.master.effects import Respond, SendEvent, SendToAgent
from merismos.model.task_states import TERMINAL
from merismos.protocol import link
from merismos.protocol.v1 import mesos, scheduler

if TYPE_CHECKING:
    from merismos.core.master.state import Agent, Framework, Master, Task
    from merismos.protocol.thin import ThinCall

_NANOSECONDS = 1_000_000_000


def on_kill(master: Master, framework: Framework, call: ThinCall, request: int, now: float) -> None:
    """End a task, or say what became of it."""
    kill = call.kill
    assert kill is not None
    counters.count(master, "master/messages_kill_task")
    master.effects.append(Respond(request, 202))
    agent_id = None if kill.agent_id is None else kill.agent_id.value
    task = framework.tasks.get(kill.task_id.value)
    if task is None:
        reconcile.answer(master, framework, kill.task_id.value, agent_id, now)
        return
    if agent_id is not None and agent_id != task.agent.id:
        counters.count(master, "master/dropped_messages")
        return
    if task.state in TERMINAL:
        return
    grace_s = None
    if kill.kill_policy is not None and kill.kill_policy.grace_period is not None:
        grace_s = max(0.0, kill.kill_policy.grace_period.nanoseconds / _NANOSECONDS)
    end_task(master, task, grace_s)


def end_task(master: Master, task: Task, grace_s: float | None, *, reason: str = "", state: str = "") -> None:
    """Ask a task's agent to end it, and again whenever its link comes back before the task has ended.

    Shapes: `reason` and `state`, where given, are told in place of none and TASK_KILLED; later kills keep them.
    """
    agent, key = task.agent, (task.framework.id, task.id)
    before = agent.kills.get(key)
    if before is not None:
        reason, state = reason or before.reason, state or before.state
    kill = agent.kills[key] = link.KillTask(*key, grace_s, reason, state)
    if agent.link is not None:
        master.effects.append(SendToAgent(agent.link, kill))


def send_kept_kills(master: Master, agent: Agent) -> None:
    """Send the kills that came in while an agent's link was down, and those that may have gone down with it."""
    assert agent.link is not None
    for (framework_id, task_id), kill in list(agent.kills.items()):
        framework = master.frameworks.get(framework_id)
        task = None if framework is None else framework.tasks.get(task_id)
        if task is not None and task.agent is agent and task.state not in TERMINAL:
            master.effects.append(SendToAgent(agent.link, kill))
        else:
            del agent.kills[framework_id, task_id]


def on_shutdown(master: Master, framework: Framework, call: ThinCall, request: int, now: float) -> None:  # noqa: ARG001 - the signature is given
    """End an executor with all its tasks."""
    shutdown = call.shutdown
    assert shutdown is not None
    master.effects.append(Respond(request, 202))
    agent = master.agents.get(shutdown.agent_id.value)
    executor_id = shutdown.executor_id.value
    if agent is None or agent.link is None or (framework.id, executor_id) not in agent.executors:
        counters.count(master, "master/dropped_messages")
        return
    master.effects.append(SendToAgent(agent.link, link.ShutdownExecutor(framework.id, executor_id)))


def on_message(master: Master, framework: Framework, call: ThinCall, request: int, now: float) -> None:  # noqa: ARG001 - the signature is given
    """Pass bytes to an executor."""
    message = call.message
    assert message is not None
    counters.count(master, "master/messages_framework_to_executor")
    master.effects.append(Respond(request, 202))
    agent = master.agents.get(message.agent_id.value)
    if agent is None or agent.link is None:
        counters.count(master, "master/invalid_framework_to_executor_messages")
        return
    counters.count(master, "master/valid_framework_to_executor_messages")
    master.effects.append(
        SendToAgent(agent.link, link.MessageExecutor(framework.id, message.executor_id.value, message.data))
    )


def on_message_framework(master: Master, agent: Agent, message: link.MessageFramework, now: float) -> None:  # noqa: ARG001 - the signature is given
    """Pass bytes of an executor to its scheduler."""
    counters.count(master, "master/messages_executor_to_framework")
    framework = master.frameworks.get(message.framework_id)
    if framework is None or framework.stream is None:
        counters.count(master, "master/invalid_executor_to_framework_messages")
        return
    counters.count(master, "master/valid_executor_to_framework_messages")
    counters.count_event(framework, "MESSAGE")
    event = scheduler.Event(
        type=scheduler.Event_Type.MESSAGE,
        message=scheduler.Event_Message(
            agent_id=mesos.AgentID(value=agent.id),
            executor_id=mesos.ExecutorID(value=message.executor_id),
            data=message.data,
        ),
    )
    master.effects.append(SendEvent(framework.stream, event))


def on_exited_executor(master: Master, agent: Agent, message: link.ExitedExecutor, now: float) -> None:
    """An executor ended: free what it had and tell its scheduler."""
    counters.count(master, "master/messages_exited_executor")
    framework = master.frameworks.get(message.framework_id)
    executor = agent.executors.get((message.framework_id, message.executor_id))
    if framework is None or executor is None:
        counters.count(master, "master/dropped_messages")
        return
    tasks.remove_executor(master, agent, framework, executor, now)
    send_failure(master, framework, agent.id, message.executor_id, message.status)


def send_failure(
    master: Master, framework: Framework, agent_id: str, executor_id: str | None = None, status: int | None = None
) -> None:
    """Send one FAILURE to a scheduler that is there: of an executor, or of a whole agent."""
    if framework.stream is None:
        return
    counters.count_event(framework, "FAILURE")
    failure = scheduler.Event_Failure(
        agent_id=mesos.AgentID(value=agent_id),
        executor_id=None if executor_id is None else mesos.ExecutorID(value=executor_id),
        status=status,
    )
    event = scheduler.Event(type=scheduler.Event_Type.FAILURE, failure=failure)
    master.effects.append(SendEvent(framework.stream, event))
