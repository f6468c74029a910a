"""The life of a custom executor: started for its first task, registering, running, shut down, gone.

Rules: one that doesn't subscribe within the registration timeout is killed. A shutdown is the event SHUTDOWN (a TERM where nobody
is subscribed to hear it), and KILL to the whole tree when the grace is over: its own where it has one, else the agent's. When
its container is gone every task that isn't over fails, and the master is told. A task that no executor has seen is killed
without it.
Source: the texts are Mesos'; a recorded session of a custom executor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.core.agent import gc
from merismos.core.agent.checkpoints import ContainerRuns, ExecutorTaken, ExecutorTaskTaken, executor_key, task_key
from merismos.core.agent.effects import (
    AbortFetch,
    CloseExecutorStream,
    CreateSandbox,
    DestroyCgroup,
    FetchUris,
    LeaveNetworks,
    Log,
    SendExecutorEvent,
    SendMessage,
    SignalContainer,
)
from merismos.core.agent.ending import (
    complete_if_over,
    end_nested_in,
    end_task,
    forget_framework_if_idle,
    stop_if_over,
)
from merismos.core.agent.executors_limits import update_limits
from merismos.core.agent.executors_state import Executor, ExecutorPhase
from merismos.core.agent.grants import grant_executor, grant_task
from merismos.core.agent.state import NANOS, Agent, Framework, Link, Task
from merismos.core.agent.statuses import report_unknown, update_task
from merismos.core.containers.executor_plan import plan_executor, sandbox_of_executor
from merismos.core.containers.image_config import command_in_image
from merismos.core.containers.image_plan import image_of
from merismos.core.containers.launch_plan import effective_user, plan_pull
from merismos.core.containers.network_plan import named_networks
from merismos.model.rejection import Rejection
from merismos.protocol import link
from merismos.protocol.v1 import executor as api
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.agent import events

SIGTERM = 15
SIGKILL = 9


class _WithExecutor(msgspec.Struct, gc=False):
    """A TaskInfo of which only the executor counts, as its client wrote it."""

    executor: msgspec.Raw


_RAW = msgspec.json.Decoder(_WithExecutor)
_STATUS_OF_NOTHING = 0
_STATUS_KILLED = 9


def run_in_executor(agent: Agent, framework: Framework, task: Task, now: float, *, may_start: bool) -> None:
    """Give a task to its executor, which is started where it isn't there and the master expects that."""
    info = task.info.executor
    assert info is not None
    executor = framework.executors.get(info.executor_id.value)
    if executor is not None and executor.phase is ExecutorPhase.TERMINATING:
        drop(agent, task, f"executor '{executor.executor_id}' is being shut down", now)
        return
    if executor is None and not may_start:
        drop(agent, task, f"executor '{info.executor_id.value}' has ended meanwhile", now)
        return
    started = executor is None
    if executor is None:
        executor = make_executor(agent, framework, info, bytes(_RAW.decode(task.raw).executor), task.role)
    give(agent, framework, executor, [task], now, starts=started)


def give(
    agent: Agent, framework: Framework, executor: Executor, tasks: list[Task], now: float, *, starts: bool
) -> None:
    """Make tasks an executor's, which gets them as soon as it is there; it is started where it is new."""
    for task in tasks:
        info = task.info.executor
        assert info is not None
        info.framework_id = executor.info.framework_id
        allocate(info.resources, executor.role)
        task.executor = executor
        task.executor_id = executor.executor_id
        task.container_id, task.directory, task.pid = executor.container_id, executor.directory, executor.pid
        framework.tasks[task.task_id] = task
        executor.tasks[task.task_id] = task
        belongs = ExecutorTaskTaken(task.framework_id, executor.executor_id, task.raw, task.role, task.group)
        agent.checkpoints.keep(task_key(task.framework_id, task.task_id), belongs)
        grant_task(agent, task)
    if starts:
        _prepare(agent, framework, executor, now)
        return
    update_limits(agent, executor)
    if executor.stream is not None:
        deliver(agent, executor, tasks)


def drop(agent: Agent, task: Task, text: str, now: float) -> None:
    """Answer a task whose executor is no more."""
    reason = "REASON_EXECUTOR_TERMINATED"
    report_unknown(agent, task.framework_id, task.task_id, "TASK_DROPPED", now, message=text, reason=reason)


def allocate(resources: list[mesos.Resource], role: str) -> None:
    """Mark resources as a role's."""
    for resource in resources:
        if resource.allocation_info is None:
            resource.allocation_info = mesos.Resource_AllocationInfo(role=role)


def make_executor(agent: Agent, framework: Framework, info: mesos.ExecutorInfo, raw: bytes, role: str) -> Executor:
    """Take a new executor, and write that down; `raw` is the JSON of its ExecutorInfo."""
    executor = Executor(framework.framework_id, info, raw, role)
    executor.info.framework_id = mesos.FrameworkID(value=framework.framework_id)
    allocate(executor.info.resources, role)
    executor.container_id = agent.new_container_id()
    executor.directory = sandbox_of_executor(agent.settings.work_dir, agent.registration.agent_id, executor)
    framework.executors[executor.executor_id] = executor
    agent.executors[executor.container_id] = executor
    taken = ExecutorTaken(executor.framework_id, executor.raw, executor.role, executor.container_id)
    agent.checkpoints.keep(executor_key(executor.framework_id, executor.executor_id), taken, durable=True)
    grant_executor(agent, executor)
    return executor


def _prepare(agent: Agent, framework: Framework, executor: Executor, now: float) -> None:
    """Ask for the sandbox and what belongs into it, then for the process."""
    user = effective_user(agent.settings, framework, executor.info.command)
    agent.effects.append(CreateSandbox(executor.container_id, executor.directory, user))
    command = executor.info.command
    assert command is not None
    if command.uris:
        executor.awaited += 1
        agent.effects.append(FetchUris(executor.container_id, executor.directory, command.uris, user))
    pull = plan_pull(executor.container_id, executor.info.container)
    if pull is not None:
        executor.awaited += 1
        agent.effects.append(pull)
    if not executor.awaited:
        _launch(agent, executor, now)


def _take_prepared(agent: Agent, executor: Executor, now: float) -> None:
    """Count something that an executor waited for; launch it where that was the last."""
    executor.awaited -= 1
    if not executor.awaited:
        _launch(agent, executor, now)


def _launch(agent: Agent, executor: Executor, now: float) -> None:
    executor.phase = ExecutorPhase.REGISTERING
    limit_s = agent.settings.executor_registration_timeout_s
    agent.deadlines.set(("executor-registration", executor.container_id), now + limit_s)
    framework = agent.frameworks[executor.framework_id]
    agent.effects.append(plan_executor(agent.settings, agent.registration.agent_id, framework, executor))


# ------------------------------------------------------------------ events of its container


def on_uris_fetched(agent: Agent, event: events.UrisFetched, now: float) -> None:
    """Launch what was fetched for."""
    executor = agent.executors[event.container_id]
    if executor.phase is ExecutorPhase.FETCHING:
        agent.counters.fetches_succeeded += 1
        _take_prepared(agent, executor, now)


def on_fetch_failed(agent: Agent, event: events.FetchFailed, now: float) -> None:
    """End an executor whose URIs can't be had."""
    executor = agent.executors[event.container_id]
    if executor.phase is ExecutorPhase.FETCHING:
        agent.counters.fetches_failed += 1
        fail_launch(agent, executor, event.message, now)


def on_image_pulled(agent: Agent, event: events.ImagePulled, now: float) -> None:
    """Launch an executor that waited for its image, where the image says what to run if the executor doesn't."""
    executor = agent.executors[event.container_id]
    if executor.phase is not ExecutorPhase.FETCHING:
        return
    executor.image = event.image
    assert executor.info.command is not None
    words = command_in_image(executor.info.command, event.image.config)
    if isinstance(words, Rejection):
        fail_launch(agent, executor, words.message, now)
    else:
        _take_prepared(agent, executor, now)


def on_image_pull_failed(agent: Agent, event: events.ImagePullFailed, now: float) -> None:
    """End an executor whose image can't be had."""
    executor = agent.executors[event.container_id]
    if executor.phase is ExecutorPhase.FETCHING:
        fail_launch(agent, executor, event.message, now)


def on_container_launched(agent: Agent, event: events.ContainerLaunched, now: float) -> None:
    """Its process is there; now it has to subscribe."""
    executor = agent.executors[event.container_id]
    executor.started_wall_s = now + agent.wall_offset_s
    executor.networks = event.networks
    take_pid(executor, event.pid)
    key = executor_key(executor.framework_id, executor.executor_id)
    agent.checkpoints.keep(key, ContainerRuns(executor.pid, executor.started_wall_s, None))


def take_pid(executor: Executor, pid: int) -> None:
    """Know the first process of an executor."""
    executor.pid = pid
    for task in executor.tasks.values():
        task.pid = pid


def on_container_launch_failed(agent: Agent, event: events.ContainerLaunchFailed, now: float) -> None:
    """End an executor without a process."""
    fail_launch(agent, agent.executors[event.container_id], event.message, now)


def on_container_exited(agent: Agent, event: events.ContainerExited, now: float) -> None:
    """End an executor whose container is gone."""
    end_executor(agent, agent.executors[event.container_id], event.status, now)


def on_containers_lost(agent: Agent, event: events.ContainersLost, now: float) -> None:
    """End every executor that had a process: it is gone."""
    for executor in list(agent.executors.values()):
        if executor.phase is not ExecutorPhase.FETCHING and not executor.is_builtin:
            executor.end_message = event.reason
            end_executor(agent, executor, _STATUS_KILLED, now)


def fail_launch(agent: Agent, executor: Executor, message: str, now: float) -> None:
    """End an executor that never had a process; what is on its way for it, or kept, isn't wanted any more."""
    if image_of(executor.info.container) is not None:
        agent.effects.append(AbortFetch(executor.container_id))
    agent.counters.container_launch_errors += 1
    executor.end_reason = "REASON_CONTAINER_LAUNCH_FAILED"
    executor.end_message = f"Failed to launch container: {message}"
    end_executor(agent, executor, 1 << 8, now)


def end_executor(agent: Agent, executor: Executor, status: int, now: float) -> None:
    """Take an executor's container as gone: tell the master, fail what it ran, remember it."""
    framework = agent.frameworks[executor.framework_id]
    executor.phase = ExecutorPhase.ENDED
    executor.ended_at = now
    end_nested_in(agent, executor.container_id)
    for kind in ("executor-registration", "executor-kill"):
        agent.deadlines.cancel((kind, executor.container_id))
    if executor.stream is not None:
        agent.effects.append(CloseExecutorStream(executor.stream))
        executor.stream = None
    if executor.is_builtin and named_networks(executor.info.container):
        agent.effects.append(LeaveNetworks(executor.container_id))
    if executor.is_builtin and agent.settings.cgroups is not None:
        agent.effects.append(DestroyCgroup(executor.container_id))
    del agent.executors[executor.container_id]
    framework.completed_executors.append(executor)
    gc.keep(agent, executor.directory, now)
    agent.counters.executors_terminated += 1
    exited = link.ExitedExecutor(executor.framework_id, executor.executor_id, status)
    if agent.registration.status is Link.REGISTERED:
        agent.effects.append(SendMessage(agent.registration.link, exited))
    elif agent.registration.status is Link.REGISTERING:
        agent.registration.exits_owed.append(exited)
    for task in executor.live_tasks():
        fail_task(agent, framework, task, executor, now)
    for task in list(executor.tasks.values()):
        complete_if_over(agent, task, now)
    # After its tasks and before its framework: where a power cut tears this write, the next start ends what is left.
    del framework.executors[executor.executor_id]
    agent.checkpoints.drop(executor_key(executor.framework_id, executor.executor_id))
    forget_framework_if_idle(agent, framework)
    stop_if_over(agent, now)


def fail_task(agent: Agent, framework: Framework, task: Task, executor: Executor, now: float) -> None:
    """End a task whose executor is gone."""
    state = "TASK_KILLED" if task.killing and executor.limitation is None else "TASK_FAILED"
    task.limitation = executor.limitation
    if not framework.shutting_down:
        message, reason = executor.end_message, executor.end_reason
        update_task(agent, task, state, now, message=message, reason=reason, from_agent=True)
    end_task(agent, task, state, now)


# ------------------------------------------------------------------ its end


def on_registration_overdue(agent: Agent, container_id: str, now: float) -> None:  # noqa: ARG001 - a handler's shape
    """An executor did not subscribe in time: kill it."""
    executor = agent.executors.get(container_id)
    if executor is None or executor.phase is not ExecutorPhase.REGISTERING:
        return
    executor.phase = ExecutorPhase.TERMINATING
    if executor.recovered:
        executor.end_reason = "REASON_EXECUTOR_REREGISTRATION_TIMEOUT"
        limit = agent.settings.executor_reregistration_timeout_text
        executor.end_message = f"Executor did not reregister within {limit}"
    else:
        executor.end_reason = "REASON_EXECUTOR_REGISTRATION_TIMEOUT"
        limit = agent.settings.executor_registration_timeout_text
        executor.end_message = f"Executor did not register within {limit}"
    agent.effects.append(SignalContainer(container_id, SIGKILL))
    text = f"executor '{executor.executor_id}' of framework {executor.framework_id} is killed"
    agent.effects.append(Log("warning", f"{text}: {executor.end_message}"))


def on_executor_kill_overdue(agent: Agent, container_id: str) -> None:
    """The grace of an executor's shutdown is over: kill the whole tree."""
    if container_id in agent.executors:
        agent.effects.append(SignalContainer(container_id, SIGKILL))


def shut_down_executor(agent: Agent, executor: Executor, now: float) -> None:
    """Ask an executor to end, and see to it that it does."""
    if executor.phase is ExecutorPhase.FETCHING:
        agent.effects.append(AbortFetch(executor.container_id))
        end_executor(agent, executor, _STATUS_OF_NOTHING, now)
        return
    if executor.phase in {ExecutorPhase.TERMINATING, ExecutorPhase.ENDED}:
        return
    executor.phase = ExecutorPhase.TERMINATING
    agent.deadlines.cancel(("executor-registration", executor.container_id))
    agent.deadlines.set(("executor-kill", executor.container_id), now + grace_of_executor(agent, executor))
    if executor.stream is None:
        agent.effects.append(SignalContainer(executor.container_id, SIGTERM))
    else:
        send(agent, executor, api.Event(type=api.Event_Type.SHUTDOWN))


def grace_of_executor(agent: Agent, executor: Executor) -> float:
    """Return the time between SHUTDOWN and KILL: the executor's own, else the agent's flag."""
    period = executor.info.shutdown_grace_period
    return agent.settings.kill_grace_s if period is None else max(period.nanoseconds, 0) / NANOS


# ------------------------------------------------------------------ its tasks


def kill_in_executor(agent: Agent, task: Task, now: float, grace_s: float | None = None) -> None:
    """Have a task killed by its executor; what the executor has not seen ends here."""
    executor = task.executor
    assert executor is not None
    if task.is_over():
        return
    task.killing = True
    task.kill_grace_s = grace_s
    if not task.delivered:
        together = [one for one in executor.live_tasks() if task.group and one.group == task.group]
        for one in together or [task]:
            kill_undelivered(agent, one, now)
        if not executor.live_tasks() and executor.phase is not ExecutorPhase.RUNNING:
            shut_down_executor(agent, executor, now)
    elif executor.stream is not None:
        send(agent, executor, kill_event(task))


def kill_undelivered(agent: Agent, task: Task, now: float) -> None:
    """End a task that its executor has not seen."""
    if not agent.frameworks[task.framework_id].shutting_down:
        text, reason = "Killed before delivery to the executor", "REASON_TASK_KILLED_DURING_LAUNCH"
        update_task(agent, task, "TASK_KILLED", now, message=text, reason=reason, from_agent=True)
    end_task(agent, task, "TASK_KILLED", now)
    complete_if_over(agent, task, now)


def kill_event(task: Task) -> api.Event:
    """Return the KILL of a task; its grace is there only where the scheduler gave one for this kill."""
    policy = None
    if task.kill_grace_s is not None:
        policy = mesos.KillPolicy(grace_period=mesos.DurationInfo(nanoseconds=round(task.kill_grace_s * NANOS)))
    kill = api.Event_Kill(task_id=task.info.task_id, kill_policy=policy)
    return api.Event(type=api.Event_Type.KILL, kill=kill)


def deliver(agent: Agent, executor: Executor, tasks: list[Task]) -> None:
    """Hand tasks to their executor, those of a group in one event."""
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        task.delivered = True
        if task.group:
            groups.setdefault(task.group, []).append(task)
        else:
            send(agent, executor, api.Event(type=api.Event_Type.LAUNCH, launch=api.Event_Launch(task=task.info)))
    for group in groups.values():
        together = api.Event_LaunchGroup(task_group=mesos.TaskGroupInfo(tasks=[task.info for task in group]))
        send(agent, executor, api.Event(type=api.Event_Type.LAUNCH_GROUP, launch_group=together))


def send(agent: Agent, executor: Executor, event: api.Event) -> None:
    """Send an event to an executor that is subscribed."""
    if executor.stream is not None:
        agent.effects.append(SendExecutorEvent(executor.stream, event))
