"""Tasks, executors and frameworks of an agent as v1 messages.

Rules: a command task's executor is the agent's own: it shows as Mesos' command executor does, and uses no resources.
"""

from __future__ import annotations

from collections.abc import Iterator

from merismos.core.agent.executors_state import Executor
from merismos.core.agent.state import Agent, Framework, Task
from merismos.model.rejection import Rejection
from merismos.model.resource_protocol import from_protocol
from merismos.model.resources import Resources
from merismos.model.task_states import TERMINAL
from merismos.protocol import json
from merismos.protocol.v1 import mesos

_COMMAND_CHARACTERS_MAX = 15


def task_v1(agent: Agent, task: Task) -> mesos.Task:
    """Return the Task message of GET_TASKS and GET_STATE."""
    info = task.info
    statuses = [json.decode(mesos.TaskStatus, status) for status in task.statuses]
    latest = statuses[-1] if statuses else None
    return mesos.Task(
        name=info.name,
        task_id=info.task_id,
        framework_id=mesos.FrameworkID(value=task.framework_id),
        executor_id=mesos.ExecutorID(value=task.executor_id) if task.executor is not None else None,
        agent_id=mesos.AgentID(value=agent.registration.agent_id),
        state=mesos.TaskState(task.state),
        resources=info.resources,
        statuses=statuses,
        status_update_state=latest.state if latest else None,
        status_update_uuid=latest.uuid if latest else None,
        labels=info.labels,
        discovery=info.discovery,
        container=info.container,
        health_check=info.health_check,
        kill_policy=info.kill_policy,
        user=info.command.user if info.command is not None else None,
    )


def executor_name(task: Task) -> str:
    """Return the name that Mesos gives to a command task's executor."""
    command = task.info.command
    if command is None:
        return ""
    if command.shell:
        line = shorten(command.value or "")
        return f"Command Executor (Task: {task.task_id}) (Command: sh -c '{line}')"
    line = shorten(", ".join([command.value or "", *command.arguments]))
    return f"Command Executor (Task: {task.task_id}) (Command: [{line}])"


def shorten(text: str) -> str:
    """Return at most fifteen characters of a command."""
    return text if len(text) <= _COMMAND_CHARACTERS_MAX else text[: _COMMAND_CHARACTERS_MAX - 3] + "..."


def executor_v1(task: Task) -> mesos.ExecutorInfo:
    """Return the ExecutorInfo of a command task."""
    return mesos.ExecutorInfo(
        executor_id=mesos.ExecutorID(value=task.executor_id),
        framework_id=mesos.FrameworkID(value=task.framework_id),
        command=task.info.command,
        name=executor_name(task),
        source=task.task_id,
        labels=task.info.labels,
    )


def agent_info(agent: Agent) -> mesos.AgentInfo:
    """Return the AgentInfo, with the id that the agent has."""
    info = agent.settings.info
    agent_id = agent.registration.agent_id
    return mesos.AgentInfo(
        hostname=info.hostname,
        port=info.port,
        resources=info.resources,
        attributes=info.attributes,
        id=mesos.AgentID(value=agent_id) if agent_id else None,
        domain=info.domain,
    )


def resources_of(messages: list[mesos.Resource]) -> Resources:
    """Return resources that were validated before as values; what is none is taken as nothing."""
    parsed = from_protocol(messages)
    return Resources() if isinstance(parsed, Rejection) else parsed


def used_resources(agent: Agent) -> Resources:
    """Return what the tasks that have a container use, and custom executors with their tasks."""
    used = Resources()
    for task in agent.containers.values():
        if task.executor is None:
            used += resources_of(task.info.resources)
    for executor in agent.executors.values():
        used += executor_resources(executor)
    return used


def executor_resources(executor: Executor) -> Resources:
    """Return what a custom executor uses: its own resources once, and those of each task that is not over."""
    used = resources_of(executor.info.resources)
    for task in executor.live_tasks():
        used += resources_of(task.info.resources)
    return used


def all_executors(agent: Agent) -> Iterator[Executor]:
    """Yield every custom executor that is remembered, the active ones of each framework first."""
    for framework in all_frameworks(agent):
        yield from framework.executors.values()
        yield from framework.completed_executors


def is_terminal(task: Task) -> bool:
    """Say whether a task has ended."""
    return task.state in TERMINAL


def all_frameworks(agent: Agent) -> Iterator[Framework]:
    """Yield active frameworks, then completed ones."""
    yield from agent.frameworks.values()
    yield from agent.completed_frameworks
