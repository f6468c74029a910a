"""How tasks end, and the agent after them.

Rules: a task's terminal update is its last. A framework that is shut down is completed once its last container is gone.
Source: `Killed before delivery to the executor`, `Command exited with status 3` and the like are Mesos' wording.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent import gc
from merismos.core.agent.checkpoints import FrameworkKnown, framework_key, nested_key, task_key
from merismos.core.agent.effects import (
    AbortFetch,
    AbortProbe,
    AnswerContainerCall,
    Exit,
    ForgetAgent,
    Log,
    SendMessage,
    SignalContainer,
)
from merismos.core.agent.executors_limits import update_limits
from merismos.core.agent.nested_state import NestedPhase
from merismos.core.agent.state import Agent, Framework, Link, Phase, Task
from merismos.core.agent.statuses import as_told, update_task
from merismos.core.containers.docker_plan import is_docker
from merismos.core.containers.exit_status import describe_exit, succeeded
from merismos.core.containers.image_plan import image_of
from merismos.protocol import link
from merismos.protocol.v1 import agent as operator

if TYPE_CHECKING:
    from merismos.core.agent import events
    from merismos.core.agent.checks_state import Check
    from merismos.core.agent.nested_state import Nested

_STOP_WAIT_S = 2.0
_SIGKILL = 9


def on_container_exited(agent: Agent, event: events.ContainerExited, now: float) -> None:
    """Say how a task ended."""
    task = agent.containers.get(event.container_id)
    if task is not None and task.phase is not Phase.ENDED:
        end_as(agent, task, event.status, now)


def on_container_limited(agent: Agent, event: events.ContainerLimited, now: float) -> None:
    """End a task that took more than it may."""
    task = agent.containers.get(event.container_id)
    if task is None or task.limitation is not None:
        return
    task.limitation = event.limitation
    agent.effects.append(Log("notice", f"task '{task.task_id}' is ended: {event.limitation.message.splitlines()[0]}"))
    agent.effects.append(SignalContainer(task.container_id, _SIGKILL))
    del now


def end_as(agent: Agent, task: Task, status: int, now: float) -> None:
    """Say how a task ended, by its first process' status in wait(2) form."""
    message = describe_exit(status, "Container" if is_docker(task.info.container) else "Command")
    limitation = task.limitation
    if limitation is not None:
        message, reason = limitation.message, limitation.reason
        end(agent, task, now, "TASK_FAILED", message=message, reason=reason, from_agent=True)
        return
    if task.kill_reason == "REASON_MAX_COMPLETION_TIME_REACHED":
        end(agent, task, now, "TASK_FAILED", message=message, reason=task.kill_reason)
    elif task.killing:
        end(agent, task, now, "TASK_KILLED", message=message, reason=task.kill_reason)
    else:
        end(agent, task, now, "TASK_FINISHED" if succeeded(status) else "TASK_FAILED", message=message)


def on_containers_lost(agent: Agent, event: events.ContainersLost, now: float) -> None:
    """Fail every task that was being launched or ran: its processes are gone; Docker's containers are held by Docker."""
    agent.effects.append(Log("err", f"every container is lost: {event.reason}"))
    for task in list(agent.containers.values()):
        if task.phase in {Phase.LAUNCHING, Phase.RUNNING} and not is_docker(task.info.container):
            state = "TASK_KILLED" if task.killing else "TASK_FAILED"
            end(agent, task, now, state, message=event.reason, reason="REASON_EXECUTOR_TERMINATED", from_agent=True)


def fail_launch(agent: Agent, task: Task, message: str, now: float) -> None:
    """End a task that never had a process; what is on its way for it, or kept, isn't wanted any more."""
    if image_of(task.info.container) is not None:
        agent.effects.append(AbortFetch(task.container_id))
    agent.counters.container_launch_errors += not task.killing
    if task.killing:
        text = "Killed before delivery to the executor"
        end(agent, task, now, "TASK_KILLED", message=text, reason="REASON_TASK_KILLED_DURING_LAUNCH", from_agent=True)
    else:
        text = f"Failed to launch container: {message}"
        end(agent, task, now, "TASK_FAILED", message=text, reason="REASON_CONTAINER_LAUNCH_FAILED", from_agent=True)


def end(
    agent: Agent,
    task: Task,
    now: float,
    state: str,
    *,
    message: str,
    reason: str | None = None,
    from_agent: bool = False,
) -> None:
    """Take a task's container as gone and owe its last update."""
    task.phase = Phase.ENDED
    task.ended_at = now
    stop_checks(agent, task)
    end_nested_in(agent, task.container_id)
    del agent.containers[task.container_id]
    agent.deadlines.cancel(("kill", task.container_id))
    agent.deadlines.cancel(("complete", task.container_id))
    if task.executor is None:
        gc.keep(agent, task.directory, now)
        agent.counters.executors_terminated += 1
    else:
        agent.unsettled.append(task.executor)
        update_limits(agent, task.executor)
    framework = agent.frameworks[task.framework_id]
    if framework.shutting_down:
        task.state = state
    else:
        update_task(agent, task, state, now, message=message, reason=reason, from_agent=from_agent)
    complete_if_over(agent, task, now)
    stop_if_over(agent, now)


def end_nested_in(agent: Agent, container_id: str) -> None:
    """Kill and forget what is nested in a container that is gone, and let nobody wait for it; a sandbox goes with its parent's."""
    answer_waiters(agent, container_id, None)
    for path, one in list(agent.nested.items()):
        if not path.startswith(f"{container_id}."):
            continue
        if not one.is_session and not one.is_orphan:
            agent.checkpoints.drop(nested_key(path))
        one.is_orphan = True
        if one.phase is NestedPhase.FETCHING:
            drop_unlaunched(agent, one)
        elif one.is_live():
            agent.effects.append(SignalContainer(path, _SIGKILL))
        else:
            del agent.nested[path]


def drop_unlaunched(agent: Agent, one: Nested) -> None:
    """Forget a container that waits for its image, and answer who asked for it."""
    agent.effects.append(AbortFetch(one.container_id))
    if one.request:
        agent.effects.append(
            AnswerContainerCall(one.request, 500, "Failed to launch container: killed before it started")
        )
    if not one.is_session:
        agent.checkpoints.drop(nested_key(one.container_id))
    del agent.nested[one.container_id]
    answer_waiters(agent, one.container_id, None)


def answer_waiters(agent: Agent, container_id: str, status: int | None) -> None:
    """Answer those who wait for the end of a container; None: nobody knows how it ended."""
    for request in agent.waiters.pop(container_id, []):
        answer_wait(agent, request, status)


def answer_wait(agent: Agent, request: int, status: int | None) -> None:
    """Answer a call to wait."""
    agent.effects.append(AnswerContainerCall(request, 200, "", operator.Response_WaitContainer(exit_status=status)))


def stop_checks(agent: Agent, task: Task) -> None:
    """Run no more checks of a task, and break off what runs."""
    for check in task.checks:
        check.timetable.stop()
        agent.deadlines.cancel((check.kind, task.container_id))
        break_off(agent, check)


def break_off(agent: Agent, check: Check) -> None:
    """End the run of a check that is under way, whatever it would find."""
    if agent.checks.pop(check.run_id, None) is None:
        return
    is_command = check.asked.command is not None
    agent.effects.append(SignalContainer(check.run_id, _SIGKILL) if is_command else AbortProbe(check.run_id))


def end_task(agent: Agent, task: Task, state: str, now: float) -> None:
    """Take a task of a custom executor as over."""
    task.phase = Phase.ENDED
    task.ended_at = now
    task.state = as_told(task, state)
    if task.executor is not None:
        update_limits(agent, task.executor)
    stop_if_over(agent, now)


def complete_if_over(agent: Agent, task: Task, now: float) -> None:
    """Move a task to the completed ones: it is over, its last update acknowledged or not wanted."""
    framework = agent.frameworks[task.framework_id]
    if task.phase is not Phase.ENDED or not (task.acknowledged or framework.shutting_down):
        return
    if framework.tasks.pop(task.task_id, None) is not None:
        agent.checkpoints.drop(task_key(task.framework_id, task.task_id))
        if task.executor is None:
            framework.completed.append(task)
        else:
            task.executor.tasks.pop(task.task_id, None)
            task.executor.completed.append(task)
    forget_framework_if_idle(agent, framework)
    del now


def forget_framework_if_idle(agent: Agent, framework: Framework) -> None:
    """Move a framework to the completed ones once nothing of it is active."""
    if framework.tasks or framework.executors or agent.frameworks.pop(framework.framework_id, None) is None:
        return
    agent.checkpoints.drop(framework_key(framework.framework_id))
    if framework.completed or framework.completed_executors:
        agent.completed_frameworks.append(framework)


def keep_framework(agent: Agent, framework: Framework) -> None:
    """Write a framework down as it is now."""
    record = FrameworkKnown(framework.framework_id, framework.raw, framework.shutting_down)
    agent.checkpoints.keep(framework_key(framework.framework_id), record)


def stop_if_over(agent: Agent, now: float) -> None:
    """Leave once every container is gone and every update acknowledged, or waited for long enough."""
    if agent.exiting is None or agent.containers or agent.executors:
        return
    if any(one.is_live() for one in agent.nested.values()):
        return
    if len(agent.updates) == 0 or agent.registration.status is not Link.REGISTERED:
        leave(agent)
    elif ("leave", "") not in agent.deadlines:
        agent.deadlines.set(("leave", ""), now + _STOP_WAIT_S)


def leave(agent: Agent) -> None:
    """Say goodbye and exit."""
    assert agent.exiting is not None
    if agent.registration.status is Link.REGISTERED:
        agent.effects.append(SendMessage(agent.registration.link, link.UnregisterAgent(agent.exiting)))
    agent.effects.append(ForgetAgent())
    agent.effects.append(Exit(0, agent.exiting))
