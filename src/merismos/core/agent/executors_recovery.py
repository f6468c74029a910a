"""How an agent goes on with the executors of an earlier one.

Rules: an executor whose container is held has the re-registration timeout to subscribe again; one whose container ended meanwhile
ends now, with its status; one that has no container any more is killed where something of it is left, and its tasks fail: it
is never started a second time, since nobody but itself knows what it had begun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent.checkpoints import AnyRecord, ContainerRuns, ExecutorTaken, ExecutorTaskTaken, Granted
from merismos.core.agent.effects import CollectContainer, KillRemains, SignalContainer
from merismos.core.agent.ending import complete_if_over
from merismos.core.agent.executors import (
    SIGKILL,
    allocate,
    end_executor,
    fail_task,
    shut_down_executor,
    take_pid,
)
from merismos.core.agent.executors_state import Executor, ExecutorPhase
from merismos.core.agent.state import Agent, Framework, Phase, Task
from merismos.core.containers.executor_plan import sandbox_of_executor
from merismos.protocol import json
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.agent import events

_STATUS_KILLED = 9
_LOST = "what held the agent's containers ended while the agent was down, and the executor with it"


def restore_executor(agent: Agent, taken: ExecutorTaken, story: list[AnyRecord]) -> None:
    """Rebuild an executor.

    Errors: LookupError where its framework isn't known; DecodeError.
    """
    framework: Framework = agent.frameworks[taken.framework_id]
    info = json.decode(mesos.ExecutorInfo, taken.executor)
    executor = Executor(taken.framework_id, info, taken.executor, taken.role)
    executor.info.framework_id = mesos.FrameworkID(value=taken.framework_id)
    allocate(executor.info.resources, taken.role)
    executor.recovered = True
    executor.container_id = taken.container_id
    executor.directory = sandbox_of_executor(agent.settings.work_dir, agent.registration.agent_id, executor)
    executor.phase = ExecutorPhase.RUNNING if executor.is_builtin else ExecutorPhase.REGISTERING
    for record in story:
        if isinstance(record, ContainerRuns):
            executor.pid = record.pid
            executor.started_wall_s = record.started_wall_s
        elif isinstance(record, Granted):
            executor.gpus, executor.classid = record.gpus, record.classid
    framework.executors[executor.executor_id] = executor
    agent.executors[executor.container_id] = executor


def restore_task(agent: Agent, taken: ExecutorTaskTaken) -> Task:
    """Rebuild a task of an executor; of one that has ended, too, as long as its last update is owed.

    Errors: LookupError where its framework isn't known; DecodeError.
    """
    framework = agent.frameworks[taken.framework_id]
    task = Task(taken.framework_id, json.decode(mesos.TaskInfo, taken.task), taken.task, taken.role)
    allocate(task.info.resources, taken.role)
    executor = task.executor = executor_of(framework, task, taken.executor_id)
    task.executor_id = executor.executor_id
    task.container_id, task.directory, task.pid = executor.container_id, executor.directory, executor.pid
    task.delivered = True
    task.group = taken.group
    task.phase = Phase.RUNNING
    framework.tasks[task.task_id] = task
    executor.tasks[task.task_id] = task
    return task


def executor_of(framework: Framework, task: Task, executor_id: str) -> Executor:
    """Return the executor of a task; one that has ended is made from what the task says of it."""
    info = task.info.executor
    assert info is not None, "a task that names an executor has it"
    allocate(info.resources, task.role)
    info.framework_id = mesos.FrameworkID(value=framework.framework_id)
    executor = framework.executors.get(executor_id)
    if executor is None:
        executor = Executor(framework.framework_id, info, task.raw, task.role)
        executor.phase = ExecutorPhase.ENDED
    return executor


def resume_all(agent: Agent, held: dict[str, events.HeldContainer], now: float) -> None:
    """Bring every executor in line with what holds the containers now; what is theirs is taken out of `held`."""
    for executor in list(agent.executors.values()):
        if executor.is_builtin:
            agent.unsettled.append(executor)
            continue
        container = held.pop(executor.container_id, None)
        if container is None:
            executor.end_message = _LOST
            agent.effects.append(KillRemains([executor.container_id]))
            end_executor(agent, executor, _STATUS_KILLED, now)
            continue
        executor.networks = container.networks
        executor.limit(container.limitation)
        if container.status is not None:
            end_executor(agent, executor, container.status, now)
            agent.effects.append(CollectContainer(executor.container_id))
        else:
            take_pid(executor, container.pid)
            limit_s = agent.settings.executor_reregistration_timeout_s
            agent.deadlines.set(("executor-registration", executor.container_id), now + limit_s)
            if agent.frameworks[executor.framework_id].shutting_down:
                shut_down_executor(agent, executor, now)
            if agent.settings.cleanup or executor.limitation is not None:
                agent.effects.append(SignalContainer(executor.container_id, SIGKILL))
    fail_orphans(agent, now)


def fail_orphans(agent: Agent, now: float) -> None:
    """End the tasks whose executor can't be read any more, as --no-strict lets it be."""
    for framework in list(agent.frameworks.values()):
        for task in list(framework.tasks.values()):
            executor = task.executor
            if executor is not None and executor.phase is ExecutorPhase.ENDED and not task.is_over():
                fail_task(agent, framework, task, executor, now)
                complete_if_over(agent, task, now)
