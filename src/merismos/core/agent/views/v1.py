"""The answers of the agent's operator API that need nothing but its state."""

from __future__ import annotations

from merismos.core.agent.state import Agent, Task
from merismos.core.agent.views.records import (
    agent_info,
    all_executors,
    all_frameworks,
    executor_v1,
    is_terminal,
    task_v1,
)
from merismos.protocol import json
from merismos.protocol.v1 import agent as operator
from merismos.protocol.v1 import mesos


def get_agent(agent: Agent) -> operator.Response_GetAgent:
    """Return the answer to GET_AGENT."""
    if agent.drain is None:
        return operator.Response_GetAgent(agent_info=agent_info(agent))
    return operator.Response_GetAgent(
        agent_info=agent_info(agent),
        drain_config=json.decode(mesos.DrainConfig, agent.drain.config),
        estimated_drain_start_time=mesos.TimeInfo(nanoseconds=agent.drain.started_ns),
    )


def get_frameworks(agent: Agent) -> operator.Response_GetFrameworks:
    """Return the answer to GET_FRAMEWORKS."""
    shape = operator.Response_GetFrameworks_Framework
    return operator.Response_GetFrameworks(
        frameworks=[shape(framework_info=framework.info) for framework in agent.frameworks.values()],
        completed_frameworks=[shape(framework_info=framework.info) for framework in agent.completed_frameworks],
    )


def get_executors(agent: Agent) -> operator.Response_GetExecutors:
    """Return the answer to GET_EXECUTORS."""
    shape = operator.Response_GetExecutors_Executor
    active = [executor.info for executor in agent.executors.values()]
    active += [executor_v1(task) for task in agent.tasks() if task.executor is None]
    completed = [executor_v1(task) for framework in all_frameworks(agent) for task in framework.completed]
    completed += [one.info for framework in all_frameworks(agent) for one in framework.completed_executors]
    return operator.Response_GetExecutors(
        executors=[shape(executor_info=info) for info in active],
        completed_executors=[shape(executor_info=info) for info in completed],
    )


def get_tasks(agent: Agent) -> operator.Response_GetTasks:
    """Return the answer to GET_TASKS: queued before the first update, terminated until acknowledged, then completed."""
    answer = operator.Response_GetTasks()
    for framework in all_frameworks(agent):
        for task in framework.tasks.values():
            _list_of(answer, task).append(task_v1(agent, task))
        answer.completed_tasks += [task_v1(agent, task) for task in framework.completed]
    for executor in all_executors(agent):
        answer.completed_tasks += [task_v1(agent, task) for task in executor.completed]
    return answer


def _list_of(answer: operator.Response_GetTasks, task: Task) -> list:  # type: ignore[type-arg]
    if is_terminal(task):
        return answer.terminated_tasks
    return answer.launched_tasks if task.statuses or task.delivered else answer.queued_tasks


def get_state(agent: Agent) -> operator.Response_GetState:
    """Return the answer to GET_STATE."""
    return operator.Response_GetState(
        get_tasks=get_tasks(agent), get_executors=get_executors(agent), get_frameworks=get_frameworks(agent)
    )
