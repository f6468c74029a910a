"""Task groups: tasks that share a default executor, each in a container nested in its, launched together and ended together.

Rules: nothing is launched before everything that the group needs is fetched. When one of a group fails or is killed, the others are
killed; when the last task of an executor is over, so is the executor. Both are settled in the turn in which a task ends, so that no
crash comes in between. A group for a custom executor is handed to it in one event; what becomes of its tasks is the executor's to say.
Source: Mesos, docs/nested-container-and-task-group.md; a recorded session of a default executor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent.checkpoints import GroupTaskTaken, task_key
from merismos.core.agent.effects import CreateSandbox
from merismos.core.agent.ending import fail_launch, forget_framework_if_idle
from merismos.core.agent.executors import allocate, drop, end_executor, give, make_executor
from merismos.core.agent.executors_state import ExecutorPhase
from merismos.core.agent.grants import grant_task, shortage
from merismos.core.agent.kill import kill
from merismos.core.agent.launch import fault_of_task, find_framework, keep_refused, prepare, reject
from merismos.core.agent.state import Agent, Phase, Task
from merismos.core.containers.launch_plan import effective_user, sandbox_of_nested
from merismos.core.containers.network_plan import validate_networks
from merismos.protocol import json, link
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.agent import events
    from merismos.core.agent.executors_state import Executor
    from merismos.core.agent.state import Framework


def on_run_task_group(agent: Agent, message: link.RunTaskGroup, now: float) -> None:
    """Launch a group, or none of it."""
    task_ids = [_id_of(raw) for raw in message.tasks]
    try:
        framework = find_framework(agent, message.framework_id, message.framework)
        info = json.decode(mesos.ExecutorInfo, message.executor)
        tasks = [
            Task(message.framework_id, json.decode(mesos.TaskInfo, raw), raw, message.role) for raw in message.tasks
        ]
    except DecodeError as error:
        for task_id in task_ids:
            reject(agent, message.framework_id, task_id, f"the task group does not decode: {error}", now)
        keep_refused(agent, message, task_ids)
        return
    executor_id = info.executor_id.value
    executor = framework.executors.get(executor_id)
    fault = _fault_of(agent, framework, info, tasks)
    if fault is not None:
        for task in tasks:
            reject(agent, task.framework_id, task.task_id, fault, now)
    elif agent.exiting is not None or framework.shutting_down:
        _drop(agent, tasks, f"the {'agent' if agent.exiting is not None else 'framework'} is being shut down", now)
    elif executor is None and not message.starts:
        _drop(agent, tasks, f"executor '{executor_id}' has ended meanwhile", now)
    elif info.type is mesos.ExecutorInfo_Type.CUSTOM:
        _run_in_custom(agent, framework, executor, tasks, message, now)
    else:
        if executor is None:
            executor = make_executor(agent, framework, info, message.executor, message.role)
            executor.phase = ExecutorPhase.RUNNING
            executor.started_wall_s = now + agent.wall_offset_s
            user = effective_user(agent.settings, framework, None)
            agent.effects.append(CreateSandbox(executor.container_id, executor.directory, user))
        _run(agent, framework, executor, tasks)
    keep_refused(agent, message, task_ids)
    forget_framework_if_idle(agent, framework)


def _run_in_custom(
    agent: Agent,
    framework: Framework,
    executor: Executor | None,
    tasks: list[Task],
    message: link.RunTaskGroup,
    now: float,
) -> None:
    """Give a group to a custom executor, which gets it in one event and does with it what it likes."""
    if executor is not None and executor.phase is ExecutorPhase.TERMINATING:
        _drop(agent, tasks, f"executor '{executor.executor_id}' is being shut down", now)
        return
    starts = executor is None
    if executor is None:
        info = json.decode(mesos.ExecutorInfo, message.executor)
        executor = make_executor(agent, framework, info, message.executor, message.role)
    group = agent.new_container_id()
    for task in tasks:
        allocate(task.info.resources, task.role)
        task.group = group
    give(agent, framework, executor, tasks, now, starts=starts)


def on_executor_sandbox_failed(agent: Agent, event: events.ContainerLaunchFailed, now: float) -> None:
    """The sandbox of a default executor can't be made: nothing of it is launched."""
    executor = agent.executors[event.container_id]
    for task in executor.live_tasks():
        if task.phase is Phase.FETCHING:
            fail_launch(agent, task, event.message, now)
        else:
            kill(agent, task, now, grace_s=0.0)


def settle(agent: Agent, now: float) -> None:
    """Draw the consequences of the tasks that have ended in this turn."""
    while agent.unsettled:
        executor = agent.unsettled.pop()
        live = executor.live_tasks()
        known = (*executor.tasks.values(), *executor.completed)
        failed = {task.group: None for task in known if task.is_over() and task.state != "TASK_FINISHED"}
        for task in live:
            if task.group in failed and not task.killing:
                kill(agent, task, now)
        if not live and executor.phase is ExecutorPhase.RUNNING:
            end_executor(agent, executor, 0, now)


def _fault_of(agent: Agent, framework: Framework, info: mesos.ExecutorInfo, tasks: list[Task]) -> str | None:
    rejection = validate_networks(agent.settings, info.container)
    if rejection is not None:
        return f"Executor '{info.executor_id.value}' is invalid: {rejection.message}"
    for task in tasks:
        if task.info.container is not None and task.info.container.network_infos:
            return f"Task '{task.task_id}' is invalid: NetworkInfos must not be set on the task"
        if task.task_id in framework.tasks:
            return f"task '{task.task_id}' of framework {task.framework_id} runs here already"
        fault = fault_of_task(agent.settings, task.info)
        if fault is not None:
            return f"Task '{task.task_id}' is invalid: {fault}"
    return shortage(agent, framework, [task.info for task in tasks])


def _drop(agent: Agent, tasks: list[Task], text: str, now: float) -> None:
    for task in tasks:
        drop(agent, task, text, now)


def _run(agent: Agent, framework: Framework, executor: Executor, tasks: list[Task]) -> None:
    """Take a group, then ask for what its tasks need."""
    group = agent.new_container_id()
    for task in tasks:
        allocate(task.info.resources, task.role)
        place(executor, task, group, f"{executor.container_id}.{agent.new_container_id()}")
        framework.tasks[task.task_id] = task
        agent.containers[task.container_id] = task
        taken = GroupTaskTaken(
            task.framework_id, task.executor_id, group, task.raw, task.role, task.container_id, task.holder
        )
        agent.checkpoints.keep(task_key(task.framework_id, task.task_id), taken)
        grant_task(agent, task)
    for task in tasks:
        prepare(agent, framework, task)


def place(executor: Executor, task: Task, group: str, container_id: str) -> None:
    """Say where a task of a group lives; it waits for what the whole group needs."""
    task.executor = executor
    task.executor_id = executor.executor_id
    task.group = group
    task.container_id = container_id
    task.directory = sandbox_of_nested(executor.directory, container_id)
    executor.tasks[task.task_id] = task


def _id_of(raw: bytes) -> str:
    try:
        return json.decode(mesos.TaskInfo, raw).task_id.value
    except DecodeError:
        return ""
