"""How tasks are ended: one by one, with their executor, framework or agent.

Rules: a kill is TERM to the whole tree, then KILL when its grace is over, and asking again never makes that later; a kill that
comes before the process is there ends the task all the same. What a framework that is being shut down still owes is forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent.checkpoints import KillBegun, stream_key, task_key
from merismos.core.agent.effects import AbortFetch, Exit, Log, SignalContainer
from merismos.core.agent.ending import (
    complete_if_over,
    drop_unlaunched,
    fail_launch,
    forget_framework_if_idle,
    keep_framework,
    stop_checks,
    stop_if_over,
)
from merismos.core.agent.executors import SIGKILL, SIGTERM, kill_in_executor, shut_down_executor
from merismos.core.agent.nested_state import NestedPhase
from merismos.core.agent.state import NANOS, Agent, Phase, Task
from merismos.core.agent.statuses import report_unknown, update_task
from merismos.core.containers.docker_plan import is_docker

_GRACE_S_MIN = (
    0.1  # without any grace a busy machine's KILL would overtake the TERM; Mesos' own way between the two takes as long
)

if TYPE_CHECKING:
    from merismos.core.agent.executors_state import Executor
    from merismos.protocol import link


def on_kill_task(agent: Agent, message: link.KillTask, now: float) -> None:
    """End a task; one that isn't here is reported as dropped, so that nobody waits for it."""
    task = agent.task(message.framework_id, message.task_id)
    if task is not None and message.reason and not task.is_over():
        task.kill_reason, task.kill_state = message.reason, message.state
    if task is not None and task.is_custom():
        kill_in_executor(agent, task, now, message.grace_s)
    elif task is not None:
        kill(agent, task, now, grace_s=message.grace_s)
    elif (message.framework_id, message.task_id) not in agent.updates and not has_completed(agent, message):
        text = f"Cannot find task '{message.task_id}' on this agent to kill it"
        report_unknown(
            agent,
            message.framework_id,
            message.task_id,
            "TASK_DROPPED",
            now,
            message=text,
            reason="REASON_EXECUTOR_TERMINATED",
        )


def has_completed(agent: Agent, message: link.KillTask) -> bool:
    """Say whether a task is among those that have ended here: its end was told, and is final."""
    return any(
        task.task_id == message.task_id
        for framework in (*agent.frameworks.values(), *agent.completed_frameworks)
        if framework.framework_id == message.framework_id
        for task in (
            *framework.completed,
            *(task for executor in framework.completed_executors for task in executor.completed),
            *(task for executor in framework.executors.values() for task in executor.completed),
        )
    )


def on_shutdown_framework(agent: Agent, message: link.ShutdownFramework, now: float) -> None:
    """End all that a framework runs here, and forget what it is owed."""
    framework = agent.frameworks.get(message.framework_id)
    for key in [key for key in agent.refused if key[0] == message.framework_id]:
        del agent.refused[key]
    for framework_id, task_id in agent.updates.keys_of(message.framework_id):
        if agent.task(framework_id, task_id) is None:
            agent.checkpoints.drop(stream_key(framework_id, task_id))
    if framework is None:
        agent.updates.drop_framework(message.framework_id)
        return
    framework.shutting_down = True
    keep_framework(agent, framework)
    for task in list(framework.tasks.values()):
        shut_down(agent, task, now)
    for executor in list(framework.executors.values()):
        shut_down_custom(agent, executor, now)
    agent.updates.drop_framework(message.framework_id)
    for task in list(framework.tasks.values()):
        complete_if_over(agent, task, now)
    forget_framework_if_idle(agent, framework)


def on_shutdown_executor(agent: Agent, message: link.ShutdownExecutor, now: float) -> None:
    """End an executor; a command task's is the task itself."""
    framework = agent.frameworks.get(message.framework_id)
    executor = None if framework is None else framework.executors.get(message.executor_id)
    if executor is not None:
        for one in executor.live_tasks():
            shut_down(agent, one, now)
        shut_down_custom(agent, executor, now)
        return
    task = agent.task(message.framework_id, message.executor_id)
    if task is not None:
        shut_down(agent, task, now)


def on_shutdown_agent(agent: Agent, message: link.ShutdownAgent, now: float) -> None:
    """End everything, then exit."""
    stop(agent, f"the master ended this agent: {message.reason}", now)


def on_kill_overdue(agent: Agent, container_id: str) -> None:
    """The grace is over: kill the whole tree."""
    task = agent.containers.get(container_id)
    if task is not None and task.phase in {Phase.LAUNCHING, Phase.RUNNING}:
        agent.effects.append(SignalContainer(container_id, SIGKILL))


def on_completion_overdue(agent: Agent, container_id: str, now: float) -> None:
    """A task ran longer than it said it would."""
    task = agent.containers.get(container_id)
    if task is not None and task.phase is Phase.RUNNING and not task.killing:
        kill(agent, task, now, reason="REASON_MAX_COMPLETION_TIME_REACHED")


def kill(agent: Agent, task: Task, now: float, *, grace_s: float | None = None, reason: str | None = None) -> None:
    """End a task wherever it is on its way; again with another grace moves the forced end."""
    if task.phase is Phase.ENDED:
        return
    if task.phase is Phase.FETCHING:
        task.killing = True
        agent.effects.append(AbortFetch(task.container_id))
        fail_launch(agent, task, "", now)
        return
    first = not task.killing
    if first:
        task.killing = True
        task.kill_reason = reason or task.kill_reason
        task.kill_at = now
        agent.deadlines.cancel(("complete", task.container_id))
        stop_checks(agent, task)
    grace = grace_of(agent, task) if grace_s is None else max(grace_s, 0.0)
    task.kill_due_at = task.kill_at + max(grace, _GRACE_S_MIN)
    begun = KillBegun(task.kill_reason, task.kill_at, task.kill_due_at, task.kill_state)
    agent.checkpoints.keep(task_key(task.framework_id, task.task_id), begun)
    agent.deadlines.set(("kill", task.container_id), task.kill_due_at)
    if first:
        if task.phase is Phase.RUNNING:
            say_killing(agent, task, now)
        agent.effects.append(SignalContainer(task.container_id, SIGTERM))


def shut_down(agent: Agent, task: Task, now: float) -> None:
    """End a task with its built-in executor: within the agent's grace, however long its own may be."""
    if not task.is_custom():
        kill(agent, task, now, grace_s=min(grace_of(agent, task), agent.settings.kill_grace_s))


def shut_down_custom(agent: Agent, executor: Executor, now: float) -> None:
    """End an executor that has a process; a built-in one is over with its last task."""
    if not executor.is_builtin:
        shut_down_executor(agent, executor, now)


def grace_of(agent: Agent, task: Task) -> float:
    """Return the time between TERM and KILL: the task's kill policy, else the agent's flag, which is another for Docker's."""
    policy, docker = task.info.kill_policy, agent.settings.docker
    if policy is None or policy.grace_period is None:
        if docker is not None and docker.stop_timeout_s is not None and is_docker(task.info.container):
            return docker.stop_timeout_s
        return agent.settings.kill_grace_s
    return max(policy.grace_period.nanoseconds, 0) / NANOS


def say_killing(agent: Agent, task: Task, now: float) -> None:
    """Owe TASK_KILLING to a framework that knows the state."""
    framework = agent.frameworks[task.framework_id]
    if "TASK_KILLING_STATE" in framework.capabilities and not framework.shutting_down:
        update_task(agent, task, "TASK_KILLING", now, reason=task.kill_reason)


def leave_running(agent: Agent, reason: str) -> None:
    """End the agent alone: the next one goes on with its tasks."""
    agent.effects.append(
        Log("notice", f"stopping: {reason}; the tasks go on, and wait for the next start of this agent")
    )
    agent.effects.append(Exit(0, reason, at_once=True))


def stop(agent: Agent, reason: str, now: float) -> None:
    """End every task, then the agent; asked again, wait no longer."""
    if agent.exiting is not None:
        for container_id in agent.containers:
            agent.deadlines.set(("kill", container_id), now)
        for container_id, executor in agent.executors.items():
            if not executor.is_builtin:
                agent.deadlines.set(("executor-kill", container_id), now)
        return
    agent.exiting = reason
    agent.effects.append(Log("notice", f"shutting down: {reason}"))
    for task in agent.tasks():
        shut_down(agent, task, now)
    for executor in list(agent.executors.values()):
        shut_down_custom(agent, executor, now)
    for one in list(agent.nested.values()):
        if one.phase is NestedPhase.FETCHING:
            drop_unlaunched(agent, one)
        elif one.is_live():
            agent.effects.append(SignalContainer(one.container_id, SIGKILL))
    stop_if_over(agent, now)
