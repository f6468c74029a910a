"""How an agent goes on where an earlier one ended.

Rules: what was written down is what was decided; what holds the containers knows what became of them. A container that it has was
started, and is never started again; one that it doesn't have, though it is the same holder as then, never was, and is started now.
Under another holder every container of before is gone: its processes are killed and its task fails, unless it was still being
fetched for. A container that nothing is written of is ended. Deadlines count from when they were set, over the pause.
Nothing is sent to a master before containers are recovered, since the link opens later; Docker's containers are recovered once
Docker answers, and until then are taken to be as they were.
Source: Mesos, docs/agent-recovery.md, for strict, cleanup, reconfiguration and the reboot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.core.agent import checkpoints, executors_recovery, gc, groups, nested
from merismos.core.agent.checkpoints import (
    AGENT,
    AgentKnown,
    AnyRecord,
    ContainerRuns,
    ExecutorTaken,
    ExecutorTaskTaken,
    FrameworkKnown,
    Granted,
    GroupTaskTaken,
    KillBegun,
    LaunchBegun,
    NestedTaken,
    TaskRefused,
    TaskTaken,
    UpdateAcknowledged,
    UpdateOwed,
    stream_key,
)
from merismos.core.agent.checks import prepare_checks, start_checks
from merismos.core.agent.checks_state import RUN_PREFIX
from merismos.core.agent.compatibility import compare
from merismos.core.agent.effects import (
    CollectContainer,
    Exit,
    KillRemains,
    Log,
    OpenCheckpoints,
    SignalContainer,
)
from merismos.core.agent.ending import (
    complete_if_over,
    end,
    end_as,
    fail_launch,
    forget_framework_if_idle,
    keep_framework,
    stop_if_over,
)
from merismos.core.agent.executors import SIGKILL, SIGTERM, allocate
from merismos.core.agent.kill import kill
from merismos.core.agent.launch import begin_launch, prepare, run
from merismos.core.agent.registration import keep_agent
from merismos.core.agent.state import Agent, Framework, Phase, Task
from merismos.core.agent.statuses import Rendering, keep_status, render_container
from merismos.core.containers.docker_plan import is_docker
from merismos.core.containers.launch_plan import sandbox_of
from merismos.core.kernel import Prng
from merismos.model.task_states import TERMINAL
from merismos.protocol import json
from merismos.protocol.errors import DecodeError
from merismos.protocol.link import UpdateStatus
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.agent import events

_FRESH = "to start as a new agent, without what ran before, remove"
EXIT_TAKEN_OVER = 1
EXIT_UNRECOVERED = 1


class RecoveryError(Exception):
    """A record can't be used; the text says which and why."""


# ------------------------------------------------------------------ what was written down


def on_started(agent: Agent, event: events.Started, now: float) -> None:
    """Take the seed, the clock and what an earlier agent wrote down; plan the removal of what earlier runs left."""
    agent.prng = Prng(event.seed)
    agent.wall_offset_s = event.wall_offset_s
    agent.started_at = now
    agent.boot_id = event.boot_id
    restore(agent, event, now)
    live = {task.directory: None for task in agent.containers.values()}
    live |= {executor.directory: None for executor in agent.executors.values()}
    for directory, age_s in sorted(event.sandboxes_before, key=lambda one: -one[1]):
        if directory not in live:
            gc.keep(agent, directory, now - age_s)


def restore(agent: Agent, event: events.Started, now: float) -> None:
    """Rebuild the state of before, or say why that can't be."""
    damage = list(event.damage)
    records: dict[str, list[AnyRecord]] = {}
    for key, raw in event.checkpoints:
        try:
            records[key] = [checkpoints.decode(one) for one in raw]
        except msgspec.DecodeError as error:
            damage.append(f"the checkpoint of {key} does not decode ({error})")
    known = records.pop(AGENT, None)
    if known is None:
        if records:
            damage.append("the checkpoint of the agent's id is missing")
    elif restore_agent(agent, known[-1], event, now):
        restore_work(agent, records, damage)
    if damage and agent.settings.strict:
        give_up(agent, f"{damage[0]}; restore it, or start once with --no-strict to go on with what can be read")
        return
    if agent.exiting is not None:
        return
    for text in damage:
        agent.effects.append(Log("err", f"recovery goes on without this, since --no-strict is set: {text}"))
    agent.recovering = True


def restore_agent(agent: Agent, known: AnyRecord, event: events.Started, now: float) -> bool:
    """Take the id of before; False where this is a new agent, or none."""
    assert isinstance(known, AgentKnown)
    rebooted = known.boot_id != event.boot_id
    before = json.decode(mesos.AgentInfo, known.info)
    change = compare(before, agent.settings.info, additive=agent.settings.additive)
    if change is not None and not rebooted:
        latest = f"{agent.settings.work_dir}/meta/slaves/latest"
        policy = "--reconfiguration_policy=additive lets an agent grow"
        give_up(agent, f"the agent's configuration changed: {change}. Start it as before; {policy}; {_FRESH} {latest}")
        return False
    if change is not None:
        text = f"the machine was rebooted and the configuration changed ({change}): registering as a new agent"
        agent.effects.append(Log("warning", text))
        return False
    agent.registration.agent_id = known.agent_id
    agent.effects.append(OpenCheckpoints(known.agent_id))
    if rebooted or known.info != json.encode(agent.settings.info):
        keep_agent(agent)
    agent.effects.append(Log("notice", f"recovering agent {known.agent_id}"))
    del now
    return True


def give_up(agent: Agent, reason: str) -> None:
    """End the start; what runs goes on."""
    agent.exiting = reason
    agent.effects.append(Log("err", reason))
    agent.effects.append(Exit(EXIT_UNRECOVERED, reason, at_once=True))


def restore_work(agent: Agent, records: dict[str, list[AnyRecord]], damage: list[str]) -> None:
    """Rebuild frameworks, tasks and what is owed; what can't be is described in `damage` and left out."""
    for key, story in records.items():
        try:
            first = story[0]
            last = story[-1]
            if isinstance(last, FrameworkKnown):
                restore_framework(agent, last)
            elif isinstance(first, ExecutorTaken):
                executors_recovery.restore_executor(agent, first, story[1:])
            elif isinstance(first, NestedTaken):
                nested.restore(agent, first, story[1:])
            elif isinstance(first, ExecutorTaskTaken):
                task = executors_recovery.restore_task(agent, first)
                for record in story[1:]:
                    restore_saying(agent, record, task)
            elif isinstance(first, TaskTaken | GroupTaskTaken):
                restore_task(agent, first, story[1:])
            else:
                restore_stream(agent, story)
        except (RecoveryError, DecodeError, LookupError) as error:
            damage.append(f"the checkpoint of {key} can't be used ({error})")
    for framework in list(agent.frameworks.values()):
        if framework.shutting_down:
            agent.updates.drop_framework(framework.framework_id)
        for task in list(framework.tasks.values()):
            # Its last acknowledgement was written down, and the power went before its end was.
            task.acknowledged = task.phase is Phase.ENDED and (task.framework_id, task.task_id) not in agent.updates
            complete_if_over(agent, task, agent.started_at)
        forget_framework_if_idle(agent, framework)


def restore_framework(agent: Agent, known: FrameworkKnown) -> None:
    """Rebuild a framework."""
    info = json.decode(mesos.FrameworkInfo, known.framework)
    framework = Framework(known.framework_id, known.framework, info, agent.settings.completed_executors_max)
    framework.shutting_down = known.shutting_down
    agent.frameworks[known.framework_id] = framework


def restore_task(agent: Agent, taken: TaskTaken | GroupTaskTaken, story: list[AnyRecord]) -> None:
    """Rebuild a task from what became of it."""
    framework = agent.frameworks.get(taken.framework_id)
    if framework is None:
        raise RecoveryError(f"framework {taken.framework_id} is not known")
    task = Task(taken.framework_id, json.decode(mesos.TaskInfo, taken.task), taken.task, taken.role)
    allocate(task.info.resources, task.role)
    if isinstance(taken, GroupTaskTaken):
        executor = executors_recovery.executor_of(framework, task, taken.executor_id)
        groups.place(executor, task, taken.group, taken.container_id)
    else:
        task.container_id = taken.container_id
        task.directory = sandbox_of(agent.settings.work_dir, agent.registration.agent_id, task)
    task.holder = taken.holder
    task.phase = Phase.LAUNCHING if taken.holder else Phase.FETCHING
    for record in story:
        match record:
            case LaunchBegun():
                task.holder = record.holder
                task.phase = Phase.LAUNCHING
            case ContainerRuns():
                task.pid = record.pid
                task.started_wall_s = record.started_wall_s
                task.complete_at = record.complete_at
                task.phase = Phase.RUNNING
            case KillBegun():
                task.killing = True
                task.kill_reason = record.reason
                task.kill_state = record.state
                task.kill_at = record.at
                task.kill_due_at = record.due_at
            case _:
                restore_saying(agent, record, task)
    rendering = task.rendering = Rendering(agent, task.task_id, task.executor_id)
    rendering.container = render_container(agent, task)
    task.prepared = task.phase is not Phase.FETCHING
    framework.tasks[task.task_id] = task
    if task.phase is not Phase.ENDED:
        agent.containers[task.container_id] = task


def restore_saying(agent: Agent, record: AnyRecord, task: Task) -> None:
    """Rebuild what a scheduler has to hear of a task, or has heard."""
    match record:
        case UpdateOwed():
            restore_update(agent, record, task)
            if task.is_custom():
                task.uuids[record.uuid] = None
        case UpdateAcknowledged():
            agent.updates.take_off(task.framework_id, task.task_id, record.uuid)
        case Granted():
            task.gpus, task.classid = record.gpus, record.classid
        case _:
            raise RecoveryError(f"{type(record).__name__} says nothing about a task")


def restore_update(agent: Agent, owed: UpdateOwed, task: Task | None) -> None:
    """Owe an update again, under the uuid that it had."""
    update = UpdateStatus(owed.framework_id, owed.task_id, owed.state, owed.state, owed.uuid, owed.status)
    agent.updates.restore(update)
    if task is None:
        return
    keep_status(task, owed.state, owed.status)
    if owed.state in TERMINAL:
        task.phase = Phase.ENDED


def restore_stream(agent: Agent, story: list[AnyRecord]) -> None:
    """Rebuild what is owed for a task that isn't here."""
    first = story[0]
    if not isinstance(first, UpdateOwed):
        raise RecoveryError(f"{type(first).__name__} begins no story of an update")
    key = first.framework_id, first.task_id
    for record in story:
        match record:
            case UpdateOwed():
                restore_update(agent, record, None)
            case UpdateAcknowledged():
                agent.updates.take_off(*key, record.uuid)
            case TaskRefused():
                agent.refused[key] = (record.record, record.framework)
            case _:
                raise RecoveryError(f"{type(record).__name__} says nothing about an update")
    if key not in agent.updates:
        # Its last acknowledgement was written down, and the power went before its end was.
        agent.refused.pop(key, None)
        agent.checkpoints.drop(stream_key(*key))


# ------------------------------------------------------------------ what became of the containers


def on_containers_recovered(agent: Agent, event: events.ContainersRecovered, now: float) -> None:
    """Bring every task in line with what holds the containers now."""
    agent.holder = event.holder
    if agent.exiting is not None:
        return
    if not agent.recovering:
        for task in agent.containers.values():
            if task.phase is Phase.LAUNCHING and task.holder != agent.holder:
                begin_launch(agent, task)
        return
    agent.recovering = False
    if agent.settings.cleanup:
        clean_up(agent)
    held = {container.container_id: container for container in event.containers}
    lost: list[Task] = []
    for task in list(agent.containers.values()):
        resume_or_lose(agent, task, held.pop(task.container_id, None), lost, now)
    executors_recovery.resume_all(agent, held, now)
    nested.resume_all(agent, held, now)
    lose(agent, lost, now)
    for container in held.values():
        end_unknown(agent, container)
    if agent.settings.cleanup:
        for task in list(agent.containers.values()):
            kill(agent, task, now, grace_s=0.0)
        stop_if_over(agent, now)


def resume_or_lose(
    agent: Agent, task: Task, container: events.HeldContainer | None, lost: list[Task], now: float
) -> None:
    """Bring a task in line with its container; without one it begins again, waits for Docker's word, or is lost."""
    if container is not None:
        resume(agent, task, container, now)
    elif task.phase is Phase.FETCHING or is_unlaunched(agent, task):
        start_over(agent, task, now)
    elif agent.settings.docker is not None and is_docker(task.info.container):
        agent.docker_awaited[task.container_id] = task
    else:
        lost.append(task)


def is_unlaunched(agent: Agent, task: Task) -> bool:
    """Say whether a task that isn't held was never launched: what holds containers is the same, and doesn't have it."""
    return task.phase is Phase.LAUNCHING and task.holder == agent.holder and not is_docker(task.info.container)


def resume(agent: Agent, task: Task, container: events.HeldContainer, now: float) -> None:
    """Go on with a container that was started, or will be."""
    task.ip, task.networks = container.ip, container.networks
    if container.pid and task.phase is not Phase.RUNNING:
        run(agent, task, container.pid, now)
    elif task.phase is Phase.RUNNING:
        if isinstance(task.rendering, Rendering):
            task.rendering.container = render_container(agent, task)
        prepare_checks(task, now)
    task.limitation = container.limitation
    if container.status is not None:
        end_as(agent, task, container.status, now)
        agent.effects.append(CollectContainer(container.container_id))
    elif task.limitation is not None:
        agent.effects.append(SignalContainer(task.container_id, SIGKILL))
    elif task.killing:
        if not container.signal:
            agent.effects.append(SignalContainer(task.container_id, SIGTERM))
        agent.deadlines.set(("kill", task.container_id), task.kill_due_at)
    else:
        if task.complete_at is not None:
            agent.deadlines.set(("complete", task.container_id), task.complete_at)
        start_checks(agent, task, now)


def start_over(agent: Agent, task: Task, now: float) -> None:
    """Prepare a container that never was."""
    if task.killing:
        fail_launch(agent, task, "", now)
    else:
        task.phase = Phase.FETCHING
        task.holder = ""
        prepare(agent, agent.frameworks[task.framework_id], task)


def lose(agent: Agent, tasks: list[Task], now: float) -> None:
    """Fail tasks whose containers are gone, once nothing of them runs."""
    if not tasks:
        return
    agent.effects.append(KillRemains([task.container_id for task in tasks]))
    why = "what held the agent's containers ended while the agent was down, and the container with it"
    for task in tasks:
        state = "TASK_KILLED" if task.killing else "TASK_FAILED"
        end(agent, task, now, state, message=why, reason="REASON_EXECUTOR_TERMINATED", from_agent=True)


def end_unknown(agent: Agent, container: events.HeldContainer) -> None:
    """End a container that nothing is written of."""
    if container.status is not None:
        agent.effects.append(CollectContainer(container.container_id))
        return
    if not container.container_id.startswith(RUN_PREFIX):
        text = f"container {container.container_id} runs, but no task of this agent is in it: it is killed"
        agent.effects.append(Log("warning", text))
    agent.effects.append(SignalContainer(container.container_id, SIGKILL))


def clean_up(agent: Agent) -> None:
    """Want nothing of what runs: no updates, and then no agent."""
    agent.exiting = "--recover=cleanup: all containers are ended; start without it to register as a new agent"
    agent.effects.append(Log("notice", "--recover=cleanup: ending all containers of before"))
    for framework in agent.frameworks.values():
        framework.shutting_down = True
        keep_framework(agent, framework)
    agent.updates.clear()
    agent.refused.clear()


def on_containers_taken_over(agent: Agent, event: events.ContainersTakenOver, now: float) -> None:
    """Leave at once: another agent speaks for these tasks."""
    reason = f"another agent has taken over {agent.settings.work_dir}; only one may run there"
    agent.exiting = reason
    agent.effects.append(Log("err", reason))
    agent.effects.append(Exit(EXIT_TAKEN_OVER, reason, at_once=True))
    del event, now
