"""Tasks on an agent: taken, fetched for, launched, killed, ended, acknowledged, forgotten.

Rules: a task's terminal update is its last; a kill is TERM to the whole tree, then KILL when its grace is over, and asking
again never makes that later; a kill that comes before the process is there ends the task all the same. What a framework that
is being shut down still owes is forgotten, and it is completed once its last container is gone.
Source: `Killed before delivery to the executor`, `Command exited with status 3` and the like are Mesos' wording.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent import gc
from merismos.core.agent.effects import (
    AbortFetch,
    CreateSandbox,
    Exit,
    FetchUris,
    Log,
    SendMessage,
    SignalContainer,
)
from merismos.core.agent.state import Agent, Framework, Link, Phase, Task
from merismos.core.agent.statuses import (
    TERMINAL,
    Rendering,
    render_container,
    report_unknown,
    send,
    update_task,
)
from merismos.core.containers.exit_status import describe_exit, succeeded
from merismos.core.containers.launch_plan import effective_user, plan_launch, sandbox_of, validate_task
from merismos.model.ids import validate_id
from merismos.protocol import json, link
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.agent import events

SIGTERM = 15
SIGKILL = 9
_NANOS = 1_000_000_000
_STOP_WAIT_S = 2.0


# ------------------------------------------------------------------ messages of the master


def on_run_tasks(agent: Agent, message: link.RunTasks, now: float) -> None:
    """Launch the tasks of one framework and role, in order."""
    try:
        framework = find_framework(agent, message.framework_id, message.framework)
    except DecodeError as error:
        for task_id in message.task_ids:
            reject(agent, message.framework_id, task_id, f"the FrameworkInfo does not decode: {error}", now)
        keep_refused(agent, message)
        return
    for index, raw in enumerate(message.tasks):
        try:
            info = json.decode(mesos.TaskInfo, raw)
        except DecodeError as error:
            task_id = message.task_ids[index] if index < len(message.task_ids) else ""
            reject(agent, message.framework_id, task_id, str(error), now)
        else:
            run_task(agent, framework, Task(message.framework_id, info, raw, message.role), now)
    keep_refused(agent, message)
    forget_framework_if_idle(agent, framework)


def on_kill_task(agent: Agent, message: link.KillTask, now: float) -> None:
    """End a task; one that isn't here is reported as dropped, so that nobody waits for it."""
    task = agent.task(message.framework_id, message.task_id)
    if task is not None:
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
        for task in framework.completed
    )


def on_acknowledge_status(agent: Agent, message: link.AcknowledgeStatus, now: float) -> None:
    """Take an update as seen; send the next; forget the task after its last."""
    taken = agent.updates.acknowledge(message.framework_id, message.task_id, message.uuid, now)
    if taken is None:
        return
    acknowledged, following = taken
    if following is not None:
        send(agent, following)
    if acknowledged.state in TERMINAL:
        task = agent.task(message.framework_id, message.task_id)
        if task is not None:
            task.acknowledged = True
            complete_if_over(agent, task, now)
        else:
            agent.refused.pop((message.framework_id, message.task_id), None)
    stop_if_over(agent, now)


def on_shutdown_framework(agent: Agent, message: link.ShutdownFramework, now: float) -> None:
    """End all that a framework runs here, and forget what it is owed."""
    framework = agent.frameworks.get(message.framework_id)
    for key in [key for key in agent.refused if key[0] == message.framework_id]:
        del agent.refused[key]
    if framework is None:
        agent.updates.drop_framework(message.framework_id)
        return
    framework.shutting_down = True
    for task in list(framework.tasks.values()):
        shut_down(agent, task, now)
    agent.updates.drop_framework(message.framework_id)
    for task in list(framework.tasks.values()):
        complete_if_over(agent, task, now)
    forget_framework_if_idle(agent, framework)


def on_shutdown_executor(agent: Agent, message: link.ShutdownExecutor, now: float) -> None:
    """End an executor; a command task's is the task itself."""
    task = agent.task(message.framework_id, message.executor_id)
    if task is not None:
        shut_down(agent, task, now)


def on_message_executor(agent: Agent, message: link.MessageExecutor, now: float) -> None:
    """Drop a message to an executor: the built-in ones take none."""
    agent.counters.invalid_framework_messages += 1
    text = f"a message to executor '{message.executor_id}' of framework {message.framework_id} is dropped"
    agent.effects.append(Log("info", f"{text}: command tasks take none (at {now:.3f})"))


def on_run_task_group(agent: Agent, message: link.RunTaskGroup, now: float) -> None:
    """Refuse a group: there is no executor for it yet."""
    for raw in message.tasks:
        try:
            task_id = json.decode(mesos.TaskInfo, raw).task_id.value
        except DecodeError:
            continue
        reject(
            agent, message.framework_id, task_id, "task groups are not supported yet; launch the tasks one by one", now
        )


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
    for update in agent.updates.resend(framework_id, now):
        send(agent, update)


def on_shutdown_agent(agent: Agent, message: link.ShutdownAgent, now: float) -> None:
    """End everything, then exit."""
    stop(agent, f"the master ended this agent: {message.reason}", now)


# ------------------------------------------------------------------ events of containers


def on_uris_fetched(agent: Agent, event: events.UrisFetched, now: float) -> None:
    """Launch what was fetched for."""
    task = agent.containers.get(event.container_id)
    if task is not None and task.phase is Phase.FETCHING:
        agent.counters.fetches_succeeded += 1
        launch(agent, task)
    del now


def on_fetch_failed(agent: Agent, event: events.FetchFailed, now: float) -> None:
    """Fail a task whose URIs can't be had."""
    task = agent.containers.get(event.container_id)
    if task is not None and task.phase is Phase.FETCHING:
        agent.counters.fetches_failed += 1
        fail_launch(agent, task, event.message, now)


def on_container_launched(agent: Agent, event: events.ContainerLaunched, now: float) -> None:
    """Say TASK_STARTING and TASK_RUNNING: the process is there."""
    task = agent.containers.get(event.container_id)
    if task is None or task.phase is not Phase.LAUNCHING:
        return
    task.phase = Phase.RUNNING
    task.pid = event.pid
    task.started_wall_s = now + agent.wall_offset_s
    say_running(agent, task, now)
    limit = task.info.max_completion_time
    if limit is not None:
        agent.deadlines.set(("complete", task.container_id), now + max(limit.nanoseconds, 0) / _NANOS)
    if task.killing:
        say_killing(agent, task, now)


def on_container_launch_failed(agent: Agent, event: events.ContainerLaunchFailed, now: float) -> None:
    """Fail a task without a process; where only the command was wrong, as a command that exits with status 1."""
    task = agent.containers.get(event.container_id)
    if task is None or task.phase is Phase.ENDED:
        return
    if event.exec_failed and not task.killing:
        say_running(agent, task, now)
        end(agent, task, now, "TASK_FAILED", message=describe_exit(1 << 8))
    else:
        fail_launch(agent, task, event.message, now)


def on_container_exited(agent: Agent, event: events.ContainerExited, now: float) -> None:
    """Say how a task ended."""
    task = agent.containers.get(event.container_id)
    if task is None or task.phase is Phase.ENDED:
        return
    message = describe_exit(event.status)
    if task.kill_reason == "REASON_MAX_COMPLETION_TIME_REACHED":
        end(agent, task, now, "TASK_FAILED", message=message, reason=task.kill_reason)
    elif task.killing:
        end(agent, task, now, "TASK_KILLED", message=message, reason=task.kill_reason)
    else:
        end(agent, task, now, "TASK_FINISHED" if succeeded(event.status) else "TASK_FAILED", message=message)


def on_containers_lost(agent: Agent, event: events.ContainersLost, now: float) -> None:
    """Fail every task that was being launched or ran: its processes are gone."""
    agent.effects.append(Log("err", f"every container is lost: {event.reason}"))
    for task in list(agent.containers.values()):
        if task.phase in {Phase.LAUNCHING, Phase.RUNNING}:
            state = "TASK_KILLED" if task.killing else "TASK_FAILED"
            end(agent, task, now, state, message=event.reason, reason="REASON_EXECUTOR_TERMINATED", from_agent=True)


# ------------------------------------------------------------------ deadlines


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


# ------------------------------------------------------------------ the life of a task


def find_framework(agent: Agent, framework_id: str, raw: bytes) -> Framework:
    """Return the framework, made from its FrameworkInfo where it is new here."""
    framework = agent.frameworks.get(framework_id)
    if framework is not None:
        if raw != framework.raw:
            framework.update(raw, json.decode(mesos.FrameworkInfo, raw))
        return framework
    info = json.decode(mesos.FrameworkInfo, raw)
    for old in agent.completed_frameworks:
        if old.framework_id == framework_id:
            agent.completed_frameworks.remove(old)
            old.update(raw, info)
            old.shutting_down = False
            agent.frameworks[framework_id] = old
            return old
    framework = Framework(framework_id, raw, info, agent.settings.completed_executors_max)
    agent.frameworks[framework_id] = framework
    return framework


def reject(agent: Agent, framework_id: str, task_id: str, text: str, now: float) -> None:
    """Answer a task that can't be run with TASK_ERROR."""
    if task_id:
        report_unknown(agent, framework_id, task_id, "TASK_ERROR", now, message=text, reason="REASON_TASK_INVALID")
    else:
        agent.effects.append(Log("err", f"a task of framework {framework_id} without a readable id is dropped: {text}"))


def keep_refused(agent: Agent, message: link.RunTasks) -> None:
    """Remember the tasks that were refused until that is acknowledged: the master takes them for tasks of this agent."""
    for task_id, raw in zip(message.task_ids, message.tasks, strict=False):
        update = agent.updates.latest(message.framework_id, task_id)
        if update is not None and agent.task(message.framework_id, task_id) is None:
            record = link.TaskRecord(message.framework_id, raw, message.role, update.state, update.status)
            agent.refused[message.framework_id, task_id] = (record, message.framework)


def release_executor(agent: Agent, task: Task) -> None:
    """Say that the executor of a task that is not run isn't there, so that the master doesn't hold resources for it."""
    executor = task.info.executor
    if executor is not None and agent.registration.status is Link.REGISTERED:
        exited = link.ExitedExecutor(task.framework_id, executor.executor_id.value, 0)
        agent.effects.append(SendMessage(agent.registration.link, exited))


def run_task(agent: Agent, framework: Framework, task: Task, now: float) -> None:
    """Start one task on its way."""
    if task.task_id in framework.tasks:
        agent.effects.append(
            Log("warning", f"task '{task.task_id}' of framework {task.framework_id} runs here already")
        )
        return
    id_rejection = validate_id(task.task_id)
    rejection = validate_task(task.info)
    if id_rejection is not None or rejection is not None:
        reject(agent, task.framework_id, task.task_id, id_rejection or (rejection.message if rejection else ""), now)
        release_executor(agent, task)
        return
    if agent.exiting is not None or framework.shutting_down:
        text = f"the {'agent' if agent.exiting is not None else 'framework'} is being shut down"
        report_unknown(
            agent,
            task.framework_id,
            task.task_id,
            "TASK_DROPPED",
            now,
            message=text,
            reason="REASON_SLAVE_DISCONNECTED",
        )
        return
    for resource in task.info.resources:
        if resource.allocation_info is None:
            resource.allocation_info = mesos.Resource_AllocationInfo(role=task.role)
    container_id = agent.prng.uuid_bytes().hex()
    task.container_id = (
        f"{container_id[:8]}-{container_id[8:12]}-{container_id[12:16]}-{container_id[16:20]}-{container_id[20:]}"
    )
    task.directory = sandbox_of(agent.settings.work_dir, agent.registration.agent_id, task)
    framework.tasks[task.task_id] = task
    agent.containers[task.container_id] = task
    user = effective_user(agent.settings, framework, task)
    agent.effects.append(CreateSandbox(task.container_id, task.directory, user))
    if task.info.health_check is not None or task.info.check is not None:
        agent.effects.append(
            Log("warning", f"task '{task.task_id}' runs without its check: checks are not supported yet")
        )
    command = task.info.command
    if command is not None and command.uris:
        agent.effects.append(FetchUris(task.container_id, task.directory, command.uris, user))
    else:
        launch(agent, task)


def launch(agent: Agent, task: Task) -> None:
    """Ask for the process of a task."""
    task.phase = Phase.LAUNCHING
    framework = agent.frameworks[task.framework_id]
    agent.effects.append(plan_launch(agent.settings, agent.registration.agent_id, framework, task))


def say_running(agent: Agent, task: Task, now: float) -> None:
    """Owe TASK_STARTING and TASK_RUNNING; the second goes out once the first is acknowledged."""
    rendering = Rendering(agent, task.task_id, task.executor_id)
    rendering.container = render_container(agent, task)
    task.rendering = rendering
    if agent.frameworks[task.framework_id].shutting_down:
        return
    update_task(agent, task, "TASK_STARTING", now)
    update_task(agent, task, "TASK_RUNNING", now)


def say_killing(agent: Agent, task: Task, now: float) -> None:
    """Owe TASK_KILLING to a framework that knows the state."""
    framework = agent.frameworks[task.framework_id]
    if "TASK_KILLING_STATE" in framework.capabilities and not framework.shutting_down:
        update_task(agent, task, "TASK_KILLING", now, reason=task.kill_reason)


def kill(agent: Agent, task: Task, now: float, *, grace_s: float | None = None, reason: str | None = None) -> None:
    """End a task wherever it is on its way; again with another grace moves the forced end."""
    if task.phase is Phase.ENDED:
        return
    if task.phase is Phase.FETCHING:
        task.killing = True
        agent.effects.append(AbortFetch(task.container_id))
        fail_launch(agent, task, "", now)
        return
    if not task.killing:
        task.killing = True
        task.kill_reason = reason
        task.kill_at = now
        agent.deadlines.cancel(("complete", task.container_id))
        if task.phase is Phase.RUNNING:
            say_killing(agent, task, now)
        agent.effects.append(SignalContainer(task.container_id, SIGTERM))
    grace = grace_of(agent, task) if grace_s is None else max(grace_s, 0.0)
    agent.deadlines.set(("kill", task.container_id), task.kill_at + grace)


def shut_down(agent: Agent, task: Task, now: float) -> None:
    """End a task with the executor that runs it: within the agent's grace, however long its own may be."""
    kill(agent, task, now, grace_s=min(grace_of(agent, task), agent.settings.kill_grace_s))


def grace_of(agent: Agent, task: Task) -> float:
    """Return the time between TERM and KILL: the task's kill policy, else the agent's flag."""
    policy = task.info.kill_policy
    if policy is None or policy.grace_period is None:
        return agent.settings.kill_grace_s
    return max(policy.grace_period.nanoseconds, 0) / _NANOS


def fail_launch(agent: Agent, task: Task, message: str, now: float) -> None:
    """End a task that never had a process."""
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
    del agent.containers[task.container_id]
    agent.deadlines.cancel(("kill", task.container_id))
    agent.deadlines.cancel(("complete", task.container_id))
    gc.keep(agent, task.directory, now)
    agent.counters.executors_terminated += 1
    if agent.frameworks[task.framework_id].shutting_down:
        task.state = state
    else:
        update_task(agent, task, state, now, message=message, reason=reason, from_agent=from_agent)
    complete_if_over(agent, task, now)
    stop_if_over(agent, now)


def complete_if_over(agent: Agent, task: Task, now: float) -> None:
    """Move a task to the completed ones: its container is gone, its last update acknowledged or not wanted."""
    framework = agent.frameworks[task.framework_id]
    if task.phase is not Phase.ENDED or not (task.acknowledged or framework.shutting_down):
        return
    if framework.tasks.pop(task.task_id, None) is not None:
        framework.completed.append(task)
    forget_framework_if_idle(agent, framework)
    del now


def forget_framework_if_idle(agent: Agent, framework: Framework) -> None:
    """Move a framework to the completed ones once nothing of it is active."""
    if not framework.tasks and agent.frameworks.pop(framework.framework_id, None) is not None and framework.completed:
        agent.completed_frameworks.append(framework)


# ------------------------------------------------------------------ the end of the agent


def stop(agent: Agent, reason: str, now: float) -> None:
    """End every task, then the agent; asked again, wait no longer."""
    if agent.exiting is not None:
        for container_id in agent.containers:
            agent.deadlines.set(("kill", container_id), now)
        return
    agent.exiting = reason
    agent.effects.append(Log("notice", f"shutting down: {reason}"))
    for task in agent.tasks():
        shut_down(agent, task, now)
    stop_if_over(agent, now)


def stop_if_over(agent: Agent, now: float) -> None:
    """Leave once every container is gone and every update acknowledged, or waited for long enough."""
    if agent.exiting is None or agent.containers:
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
    agent.effects.append(Exit(0, agent.exiting))
