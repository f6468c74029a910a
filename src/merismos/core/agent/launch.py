"""Tasks on their way: taken from the master, refused, fetched for, launched, running.

Rules: what this agent can't run is answered before anything is started; a task that is here already is not started again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent.checkpoints import ContainerRuns, LaunchBegun, TaskRefused, TaskTaken, stream_key, task_key
from merismos.core.agent.checks import prepare_checks, start_checks
from merismos.core.agent.effects import CreateSandbox, FetchUris, Log, SendMessage
from merismos.core.agent.ending import end, fail_launch, forget_framework_if_idle, keep_framework
from merismos.core.agent.executors import allocate, run_in_executor
from merismos.core.agent.executors_limits import have_cgroup
from merismos.core.agent.grants import grant_task, shortage
from merismos.core.agent.kill import say_killing
from merismos.core.agent.state import NANOS, Agent, AgentSettings, Framework, Link, Phase, Task
from merismos.core.agent.statuses import Rendering, render_container, report_unknown, update_task
from merismos.core.containers.executor_plan import validate_executor
from merismos.core.containers.exit_status import describe_exit
from merismos.core.containers.image_config import command_in_image
from merismos.core.containers.image_plan import image_of
from merismos.core.containers.launch_plan import effective_user, plan_launch, plan_pull, sandbox_of, validate_task
from merismos.model.ids import validate_id
from merismos.model.rejection import Rejection
from merismos.protocol import json, link
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.agent import events


def on_run_tasks(agent: Agent, message: link.RunTasks, now: float) -> None:
    """Launch the tasks of one framework and role, in order."""
    try:
        framework = find_framework(agent, message.framework_id, message.framework)
    except DecodeError as error:
        for task_id in message.task_ids:
            reject(agent, message.framework_id, task_id, f"the FrameworkInfo does not decode: {error}", now)
        keep_refused(agent, message, message.task_ids)
        return
    for index, raw in enumerate(message.tasks):
        try:
            info = json.decode(mesos.TaskInfo, raw)
        except DecodeError as error:
            task_id = message.task_ids[index] if index < len(message.task_ids) else ""
            reject(agent, message.framework_id, task_id, str(error), now)
        else:
            task = Task(message.framework_id, info, raw, message.role)
            run_task(agent, framework, task, now, message.executors)
    keep_refused(agent, message, message.task_ids)
    forget_framework_if_idle(agent, framework)


def on_uris_fetched(agent: Agent, event: events.UrisFetched, now: float) -> None:
    """Launch what was fetched for."""
    task = agent.containers.get(event.container_id)
    if task is not None and task.phase is Phase.FETCHING:
        agent.counters.fetches_succeeded += 1
        take_prepared(agent, task)
    del now


def on_fetch_failed(agent: Agent, event: events.FetchFailed, now: float) -> None:
    """Fail a task whose URIs can't be had."""
    task = agent.containers.get(event.container_id)
    if task is not None and task.phase is Phase.FETCHING:
        agent.counters.fetches_failed += 1
        fail_launch(agent, task, event.message, now)


def on_image_pulled(agent: Agent, event: events.ImagePulled, now: float) -> None:
    """Launch what waited for its image, where the image says what to run if the task doesn't."""
    task = agent.containers.get(event.container_id)
    if task is None or task.phase is not Phase.FETCHING:
        return
    task.image = event.image
    assert task.info.command is not None
    words = command_in_image(task.info.command, event.image.config)
    if isinstance(words, Rejection):
        fail_launch(agent, task, words.message, now)
    else:
        take_prepared(agent, task)


def on_image_pull_failed(agent: Agent, event: events.ImagePullFailed, now: float) -> None:
    """Fail a task whose image can't be had."""
    task = agent.containers.get(event.container_id)
    if task is not None and task.phase is Phase.FETCHING:
        fail_launch(agent, task, event.message, now)


def on_container_launched(agent: Agent, event: events.ContainerLaunched, now: float) -> None:
    """Say TASK_STARTING and TASK_RUNNING: the process is there."""
    task = agent.containers.get(event.container_id)
    if task is None or task.phase is not Phase.LAUNCHING:
        return
    task.ip, task.networks = event.ip, event.networks
    run(agent, task, event.pid, now, event.data)


def run(agent: Agent, task: Task, pid: int, now: float, data: bytes = b"") -> None:
    """Take a task's process as running."""
    task.phase = Phase.RUNNING
    task.pid = pid
    task.started_wall_s = now + agent.wall_offset_s
    limit = task.info.max_completion_time
    task.complete_at = None if limit is None else now + max(limit.nanoseconds, 0) / NANOS
    key = task_key(task.framework_id, task.task_id)
    agent.checkpoints.keep(key, ContainerRuns(pid, task.started_wall_s, task.complete_at))
    prepare_checks(task, now)
    say_running(agent, task, now, data)
    if task.complete_at is not None and not task.killing:
        agent.deadlines.set(("complete", task.container_id), task.complete_at)
    if task.killing:
        say_killing(agent, task, now)
    else:
        start_checks(agent, task, now)


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


def find_framework(agent: Agent, framework_id: str, raw: bytes) -> Framework:
    """Return the framework, made from its FrameworkInfo where it is new here."""
    framework = agent.frameworks.get(framework_id)
    if framework is not None:
        if raw != framework.raw:
            framework.update(raw, json.decode(mesos.FrameworkInfo, raw))
            keep_framework(agent, framework)
        return framework
    info = json.decode(mesos.FrameworkInfo, raw)
    for old in agent.completed_frameworks:
        if old.framework_id == framework_id:
            agent.completed_frameworks.remove(old)
            old.update(raw, info)
            old.shutting_down = False
            agent.frameworks[framework_id] = old
            keep_framework(agent, old)
            return old
    framework = Framework(framework_id, raw, info, agent.settings.completed_executors_max)
    agent.frameworks[framework_id] = framework
    keep_framework(agent, framework)
    return framework


def reject(agent: Agent, framework_id: str, task_id: str, text: str, now: float) -> None:
    """Answer a task that can't be run with TASK_ERROR; of one that runs under the same id nothing is said."""
    if agent.task(framework_id, task_id) is not None:
        text = f"task '{task_id}' of framework {framework_id} runs here already; another of its id is dropped"
        agent.effects.append(Log("warning", text))
    elif task_id:
        report_unknown(agent, framework_id, task_id, "TASK_ERROR", now, message=text, reason="REASON_TASK_INVALID")
    else:
        agent.effects.append(Log("err", f"a task of framework {framework_id} without a readable id is dropped: {text}"))


def keep_refused(agent: Agent, message: link.RunTasks | link.RunTaskGroup, task_ids: list[str]) -> None:
    """Remember the tasks that were refused until that is acknowledged: the master takes them for tasks of this agent."""
    for task_id, raw in zip(task_ids, message.tasks, strict=False):
        update = agent.updates.latest(message.framework_id, task_id)
        if update is not None and agent.task(message.framework_id, task_id) is None:
            record = link.TaskRecord(message.framework_id, raw, message.role, update.state, update.status)
            agent.refused[message.framework_id, task_id] = (record, message.framework)
            key = stream_key(message.framework_id, task_id)
            agent.checkpoints.keep(key, TaskRefused(record, message.framework))


def release_executor(agent: Agent, task: Task) -> None:
    """Say that the executor of a task that is not run isn't there, so that the master doesn't hold resources for it."""
    executor = task.info.executor
    if executor is None or executor.executor_id.value in agent.frameworks[task.framework_id].executors:
        return
    if agent.registration.status is Link.REGISTERED:
        exited = link.ExitedExecutor(task.framework_id, executor.executor_id.value, 0)
        agent.effects.append(SendMessage(agent.registration.link, exited))


def fault_of_task(settings: AgentSettings, info: mesos.TaskInfo) -> str | None:
    """Return why this agent can't run a task, None where it can."""
    fault = validate_id(info.task_id.value)
    if fault is not None:
        return fault
    executor = info.executor
    is_custom = executor is not None and executor.type is not mesos.ExecutorInfo_Type.DEFAULT
    rejection = (
        validate_executor(settings, executor) if executor is not None and is_custom else validate_task(settings, info)
    )
    return None if rejection is None else rejection.message


def run_task(agent: Agent, framework: Framework, task: Task, now: float, executors: list[str]) -> None:
    """Start one task on its way; `executors` are the ids of those that the master expects to be started."""
    if task.task_id in framework.tasks:
        agent.effects.append(
            Log("warning", f"task '{task.task_id}' of framework {task.framework_id} runs here already")
        )
        return
    custom = task.info.executor
    fault = fault_of_task(agent.settings, task.info) or shortage(agent, framework, [task.info])
    if fault is not None:
        reject(agent, task.framework_id, task.task_id, fault, now)
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
            reason="REASON_AGENT_DISCONNECTED",
        )
        return
    allocate(task.info.resources, task.role)
    if custom is not None:
        run_in_executor(agent, framework, task, now, may_start=custom.executor_id.value in executors)
        return
    task.container_id = agent.new_container_id()
    task.directory = sandbox_of(agent.settings.work_dir, agent.registration.agent_id, task)
    framework.tasks[task.task_id] = task
    agent.containers[task.container_id] = task
    command = task.info.command
    assert command is not None
    task.holder = "" if command.uris or image_of(task.info.container) is not None else agent.holder
    taken = TaskTaken(task.framework_id, task.raw, task.role, task.container_id, task.holder)
    agent.checkpoints.keep(task_key(task.framework_id, task.task_id), taken)
    grant_task(agent, task)
    prepare(agent, framework, task)


def prepare(agent: Agent, framework: Framework, task: Task) -> None:
    """Ask for a task's sandbox and for what belongs into it."""
    user = effective_user(agent.settings, framework, task.info.command)
    agent.effects.append(CreateSandbox(task.container_id, task.directory, user, is_inner=task.executor is not None))
    command = task.info.command
    pull = plan_pull(task.container_id, task.info.container)
    task.awaited = 0
    if command is not None and command.uris:
        task.awaited += 1
        agent.effects.append(FetchUris(task.container_id, task.directory, command.uris, user))
    if pull is not None:
        task.awaited += 1
        agent.effects.append(pull)
    if not task.awaited:
        launch_when_ready(agent, task)


def take_prepared(agent: Agent, task: Task) -> None:
    """Count something that a task waited for; launch it where that was the last."""
    task.awaited -= 1
    if not task.awaited:
        launch_when_ready(agent, task)


def launch_when_ready(agent: Agent, task: Task) -> None:
    """Launch a task that nothing has to be fetched for any more; one of a group with the last of the group."""
    if task.executor is None:
        launch(agent, task)
        return
    task.prepared = True
    waiting = [one for one in task.executor.live_tasks() if one.group == task.group and one.phase is Phase.FETCHING]
    if all(one.prepared for one in waiting):
        have_cgroup(agent, task.executor)
        for one in waiting:
            launch(agent, one)


def launch(agent: Agent, task: Task) -> None:
    """Ask for the process of a task."""
    if task.holder != agent.holder:
        begin_launch(agent, task)
    task.phase = Phase.LAUNCHING
    framework = agent.frameworks[task.framework_id]
    agent.effects.append(plan_launch(agent.settings, agent.registration.agent_id, framework, task))


def begin_launch(agent: Agent, task: Task) -> None:
    """Write down what will hold a task's process; durable, or a power cut would have it fetched for and started again."""
    task.holder = agent.holder
    agent.checkpoints.keep(task_key(task.framework_id, task.task_id), LaunchBegun(agent.holder), durable=True)


def say_running(agent: Agent, task: Task, now: float, data: bytes = b"") -> None:
    """Owe TASK_STARTING and TASK_RUNNING; the second goes out once the first is acknowledged."""
    rendering = Rendering(agent, task.task_id, task.executor_id)
    rendering.container = render_container(agent, task)
    task.rendering = rendering
    if agent.frameworks[task.framework_id].shutting_down:
        return
    update_task(agent, task, "TASK_STARTING", now)
    update_task(agent, task, "TASK_RUNNING", now, data=data)
