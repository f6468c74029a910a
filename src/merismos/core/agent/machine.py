"""The agent's core machine: one table of events, one of the master's messages, one of deadlines.

Rules: messages count only on the link in use, and, but for the answers to an introduction, only once the agent is registered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from merismos.core.agent import (
    checks,
    docker_recovery,
    drain,
    ending,
    events,
    executors,
    executors_calls,
    executors_limits,
    gc,
    groups,
    kill,
    launch,
    messages,
    nested,
    recovery,
    registration,
)
from merismos.core.agent.checks_state import CHECK, HEALTH
from merismos.core.agent.effects import CollectContainer, Log
from merismos.core.agent.outbox import Outbox
from merismos.core.agent.state import Agent, AgentSettings, Link
from merismos.core.agent.statuses import send
from merismos.core.kernel import Effect, Event, TimerFired
from merismos.protocol import link

Handler = Callable[[Agent, Any, float], None]


def on_wall_clock_set(agent: Agent, event: events.WallClockSet, now: float) -> None:
    """Take the new offset of the wall clock."""
    agent.wall_offset_s = event.offset_s
    del now


def on_link_received(agent: Agent, event: events.LinkReceived, now: float) -> None:
    """Hand a message of the link in use to its handler."""
    state = agent.registration
    if event.link != state.link:
        return
    kind = type(event.message)
    if state.status is Link.REGISTERED or (state.status is Link.REGISTERING and kind in INTRODUCTION):
        handler = MESSAGE_HANDLERS.get(kind)
        if handler is not None:
            handler(agent, event.message, now)
            return
    agent.effects.append(
        Log("warning", f"a message {kind.__name__} of the master is not for an agent that is {state.status.name}")
    )


def on_stop_requested(agent: Agent, event: events.StopRequested, now: float) -> None:
    """End every task, then the agent; or the agent alone."""
    if event.keep_tasks:
        kill.leave_running(agent, event.reason)
    else:
        kill.stop(agent, event.reason, now)


def on_timer_fired(agent: Agent, event: TimerFired, now: float) -> None:
    """Do all that is due."""
    del event
    for key in agent.deadlines.pop_due(now):
        kind, subject = cast("tuple[str, str]", key)
        DEADLINE_HANDLERS[kind](agent, subject, now)
    for update in agent.updates.resend_due(now):
        send(agent, update)


def of_container(
    command: Handler, custom: Handler, check: Handler | None = None, by_operator: Handler | None = None
) -> Handler:
    """Return the handler of a container's event: a command task's, an executor's, or, where nothing is fetched, another's."""

    def handle(agent: Agent, event: Any, now: float) -> None:  # noqa: ANN401 - of a container
        container_id = event.container_id
        if container_id in agent.executors:
            custom(agent, event, now)
        elif check is not None and container_id in agent.checks:
            check(agent, event, now)
        elif by_operator is not None and container_id in agent.nested:
            by_operator(agent, event, now)
        else:
            command(agent, event, now)

    return handle


def on_executor_launch_failed(agent: Agent, event: events.ContainerLaunchFailed, now: float) -> None:
    """End an executor that can't be started."""
    builtin = agent.executors[event.container_id].is_builtin
    (groups.on_executor_sandbox_failed if builtin else executors.on_container_launch_failed)(agent, event, now)


def on_container_exited(agent: Agent, event: events.ContainerExited, now: float) -> None:
    """End what was in a container; its status is collected once that is written down."""
    ending.answer_waiters(agent, event.container_id, event.status)
    end_container(agent, event, now)
    agent.effects.append(CollectContainer(event.container_id))


end_container = of_container(
    ending.on_container_exited, executors.on_container_exited, checks.on_check_exited, nested.on_nested_exited
)


def on_containers_lost(agent: Agent, event: events.ContainersLost, now: float) -> None:
    """End all that had a process."""
    ending.on_containers_lost(agent, event, now)
    executors.on_containers_lost(agent, event, now)
    nested.on_containers_lost(agent, now)


HANDLERS: dict[type[Event], Handler] = {
    TimerFired: on_timer_fired,
    events.Started: recovery.on_started,
    events.WallClockSet: on_wall_clock_set,
    events.DiskMeasured: gc.on_disk_measured,
    events.MasterDetected: registration.on_master_detected,
    events.LinkOpened: registration.on_link_opened,
    events.LinkReceived: on_link_received,
    events.LinkClosed: registration.on_link_closed,
    events.UrisFetched: of_container(launch.on_uris_fetched, executors.on_uris_fetched),
    events.ImagePulled: of_container(
        launch.on_image_pulled, executors.on_image_pulled, by_operator=nested.on_image_pulled
    ),
    events.ImagePullFailed: of_container(
        launch.on_image_pull_failed, executors.on_image_pull_failed, by_operator=nested.on_image_pull_failed
    ),
    events.FetchFailed: of_container(launch.on_fetch_failed, executors.on_fetch_failed),
    events.ContainerLaunched: of_container(
        launch.on_container_launched,
        executors.on_container_launched,
        checks.on_check_launched,
        nested.on_nested_launched,
    ),
    events.ContainerLaunchFailed: of_container(
        launch.on_container_launch_failed,
        on_executor_launch_failed,
        checks.on_check_launch_failed,
        nested.on_nested_launch_failed,
    ),
    events.ContainerCalled: nested.on_container_called,
    events.ContainerCallerGone: nested.on_container_caller_gone,
    events.ProbeEnded: checks.on_probe_ended,
    events.ContainerExited: on_container_exited,
    events.ContainerLimited: of_container(ending.on_container_limited, executors_limits.on_container_limited),
    events.ContainersRecovered: recovery.on_containers_recovered,
    events.DockerRecovered: docker_recovery.on_docker_recovered,
    events.ContainersLost: on_containers_lost,
    events.ContainersTakenOver: recovery.on_containers_taken_over,
    events.ExecutorSubscribed: executors_calls.on_executor_subscribed,
    events.ExecutorCalled: executors_calls.on_executor_called,
    events.ExecutorStreamLost: executors_calls.on_executor_stream_lost,
    events.StopRequested: on_stop_requested,
}

MESSAGE_HANDLERS: dict[type[link.Message], Handler] = {
    link.AgentRegistered: registration.on_agent_registered,
    link.RefuseAgent: registration.on_refuse_agent,
    link.Ping: registration.on_ping,
    link.RunTasks: launch.on_run_tasks,
    link.RunTaskGroup: groups.on_run_task_group,
    link.KillTask: kill.on_kill_task,
    link.AcknowledgeStatus: messages.on_acknowledge_status,
    link.ShutdownFramework: kill.on_shutdown_framework,
    link.ShutdownExecutor: kill.on_shutdown_executor,
    link.MessageExecutor: messages.on_message_executor,
    link.UpdateFramework: messages.on_update_framework,
    link.DrainAgent: drain.on_drain_agent,
    link.ShutdownAgent: kill.on_shutdown_agent,
}

INTRODUCTION = frozenset({link.AgentRegistered, link.RefuseAgent, link.Ping, link.ShutdownAgent})

DEADLINE_HANDLERS: dict[str, Callable[[Agent, str, float], None]] = {
    "connect": lambda agent, _, now: registration.open_link(agent),  # noqa: ARG005 - the signature is given
    "introduce": lambda agent, _, now: registration.on_introduction_due(agent, now),
    "answer": lambda agent, _, now: registration.on_answer_overdue(agent, now),
    "ping": lambda agent, _, now: registration.on_ping_overdue(agent, now),
    "kill": lambda agent, subject, now: kill.on_kill_overdue(agent, subject),  # noqa: ARG005 - the signature is given
    "complete": kill.on_completion_overdue,
    HEALTH: lambda agent, subject, now: checks.on_check_due(agent, HEALTH, subject, now),
    CHECK: lambda agent, subject, now: checks.on_check_due(agent, CHECK, subject, now),
    "executor-registration": executors.on_registration_overdue,
    "executor-kill": lambda agent, subject, now: executors.on_executor_kill_overdue(agent, subject),  # noqa: ARG005 - the signature is given
    "sandboxes": lambda agent, _, now: gc.on_sandboxes_overdue(agent, now),
    "leave": lambda agent, _, now: ending.leave(agent),  # noqa: ARG005 - the signature is given
}


class AgentMachine:
    """Takes events, returns effects; its state may be read between two events."""

    __slots__ = ("_outbox", "state")

    def __init__(self, settings: AgentSettings) -> None:
        self.state = Agent(settings)
        self._outbox = Outbox()

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        """Take one event and return the effects, in the order in which the shell performs them."""
        agent = self.state
        if isinstance(event, events.Checkpointed):
            return self._outbox.release(agent, event.sequence)
        agent.effects = []
        HANDLERS[type(event)](agent, event, now)
        if agent.unsettled:
            groups.settle(agent, now)
        return self._outbox.commit(agent)

    def next_deadline(self) -> float | None:
        """Return the instant at which the machine wants a `TimerFired`, None for never."""
        own = self.state.deadlines.next()
        resend = self.state.updates.next_deadline()
        if own is None or (resend is not None and resend < own):
            return resend
        return own
