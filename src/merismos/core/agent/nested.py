"""Containers by an operator's call: launched beside a task or on their own, waited for, killed, removed.

Rules: a nested container runs as its parent does: in a sandbox within its, with its environment and as its user; a session runs in
the parent's sandbox itself. A call to launch is answered when the process is there, a call to wait when it is gone. When a parent
ends, what is nested in it is killed. All but sessions are written down, and taken up by the next agent.
Source: Mesos, docs/nested-container-and-task-group.md and docs/standalone-containers.md; recorded answers of an agent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent.checkpoints import AnyRecord, NestedEnded, NestedTaken, nested_key
from merismos.core.agent.effects import (
    AbortFetch,
    AnswerContainerCall,
    CollectContainer,
    CreateSandbox,
    DestroyCgroup,
    EndStreams,
    KillRemains,
    RemoveSandbox,
    SignalContainer,
)
from merismos.core.agent.ending import answer_wait, answer_waiters, drop_unlaunched, end_nested_in, stop_if_over
from merismos.core.agent.nested_state import Nested, NestedPhase, path_of
from merismos.core.agent.nested_validation import Launch, launch_of, validate_call
from merismos.core.agent.state import Agent
from merismos.core.containers.docker_plan import is_docker
from merismos.core.containers.image_config import command_in_image
from merismos.core.containers.image_plan import image_of
from merismos.core.containers.launch_plan import plan_pull, sandbox_of_nested
from merismos.core.containers.nested_plan import plan_nested, sandbox_of_standalone, surroundings_of
from merismos.model.rejection import Rejection
from merismos.protocol import json
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.agent import events

SIGKILL = 9


def on_container_called(agent: Agent, event: events.ContainerCalled, now: float) -> None:  # noqa: ARG001 - a handler's shape
    """Take a call that launches, waits for, kills or removes a container."""
    call, request = event.call, event.request
    fault = validate_call(agent.settings, call)
    if fault is not None:
        _answer(agent, request, 400, fault)
        return
    launch = launch_of(call)
    if launch is not None:
        _launch(agent, request, launch)
    elif call.wait_container is not None:
        _wait(agent, request, path_of(call.wait_container.container_id))
    elif call.wait_nested_container is not None:
        _wait(agent, request, path_of(call.wait_nested_container.container_id))
    elif call.kill_container is not None:
        _kill(agent, request, path_of(call.kill_container.container_id), call.kill_container.signal)
    elif call.kill_nested_container is not None:
        _kill(agent, request, path_of(call.kill_nested_container.container_id), call.kill_nested_container.signal)
    elif call.remove_container is not None:
        _remove(agent, request, path_of(call.remove_container.container_id))
    elif call.remove_nested_container is not None:
        _remove(agent, request, path_of(call.remove_nested_container.container_id))


def on_container_caller_gone(agent: Agent, event: events.ContainerCallerGone, now: float) -> None:  # noqa: ARG001 - a handler's shape
    """Nobody waits for an answer any more; a session ends with its connection."""
    for waiting in agent.waiters.values():
        if event.request in waiting:
            waiting.remove(event.request)
    for one in list(agent.nested.values()):
        if one.request == event.request:
            one.request = 0
            if one.is_session and one.phase is NestedPhase.FETCHING:
                drop_unlaunched(agent, one)
            elif one.is_session and one.is_live():
                agent.effects.append(SignalContainer(one.container_id, SIGKILL))


# ------------------------------------------------------------------ calls


def _launch(agent: Agent, request: int, launch: Launch) -> None:
    path = path_of(launch.container_id)
    known = agent.nested.get(path)
    if path in agent.containers or path in agent.executors or (known is not None and known.is_live()):
        _answer(agent, request, 409 if launch.is_session else 202, f"Container {path} is there already")
        return
    parent = path.rpartition(".")[0]
    around = surroundings_of(agent, parent)
    if around is None:
        _answer(agent, request, 400, f"Parent container {parent} does not exist")
        return
    task = agent.containers.get(parent)
    if task is not None and is_docker(task.info.container):
        _answer(
            agent, request, 400, f"Container {parent} is Docker's: nothing can be nested in it; use docker exec there"
        )
        return
    if agent.exiting is not None:
        _answer(agent, request, 503, "the agent is being shut down")
        return
    directory = around.directory
    if not launch.is_session:
        home = sandbox_of_standalone(agent.settings.work_dir, path)
        directory = sandbox_of_nested(around.directory, path) if parent else home
        agent.effects.append(CreateSandbox(path, directory, launch.command.user or around.user, is_inner=True))
        container = b"" if launch.container is None else json.encode(launch.container)
        taken = NestedTaken(path, directory, json.encode(launch.command), container)
        agent.checkpoints.drop(nested_key(path))
        agent.checkpoints.keep(nested_key(path), taken)
    one = Nested(path, directory, launch.command, launch.container, is_session=launch.is_session)
    one.request, one.tty = request, launch.tty
    agent.nested[path] = one
    pull = plan_pull(path, launch.container)
    if pull is None:
        agent.effects.append(plan_nested(agent.settings, around, one))
    else:
        one.phase = NestedPhase.FETCHING
        agent.effects.append(pull)


def _wait(agent: Agent, request: int, path: str) -> None:
    one = agent.nested.get(path)
    if one is not None and not one.is_live():
        answer_wait(agent, request, one.status)
    elif one is not None or path in agent.containers or path in agent.executors:
        agent.waiters.setdefault(path, []).append(request)
    else:
        _not_found(agent, request, path)


def _kill(agent: Agent, request: int, path: str, signal: int | None) -> None:
    one = agent.nested.get(path)
    if one is None and path not in agent.containers and path not in agent.executors:
        _not_found(agent, request, path)
        return
    if one is not None and one.phase is NestedPhase.FETCHING:
        drop_unlaunched(agent, one)
    elif one is None or one.is_live():
        agent.effects.append(SignalContainer(path, SIGKILL if signal is None else signal))
    _answer(agent, request, 200)


def _remove(agent: Agent, request: int, path: str) -> None:
    one = agent.nested.get(path)
    if one is None:
        _not_found(agent, request, path)
    elif one.is_live():
        _answer(agent, request, 500, "Nested container has not terminated yet")
    else:
        forget(agent, one)
        _answer(agent, request, 200)


def forget(agent: Agent, one: Nested) -> None:
    """Know nothing of a container any more."""
    del agent.nested[one.container_id]
    if not one.is_session:
        agent.checkpoints.drop(nested_key(one.container_id))
        agent.effects.append(RemoveSandbox(one.directory, is_inner=True))


# ------------------------------------------------------------------ after a restart


def restore(agent: Agent, taken: NestedTaken, story: list[AnyRecord]) -> None:
    """Rebuild a container that an earlier agent launched.

    Errors: DecodeError.
    """
    command = json.decode(mesos.CommandInfo, taken.command)
    container = json.decode(mesos.ContainerInfo, taken.container) if taken.container else None
    one = Nested(taken.container_id, taken.directory, command, container, is_session=False)
    one.phase = NestedPhase.LAUNCHING
    for record in story:
        if isinstance(record, NestedEnded):
            one.phase, one.status = NestedPhase.ENDED, record.status
    agent.nested[one.container_id] = one


def resume_all(agent: Agent, held: dict[str, events.HeldContainer], now: float) -> None:
    """Bring them in line with what holds the containers now; what is theirs is taken out of `held`."""
    for one in list(agent.nested.values()):
        parent = one.parent()
        if parent and parent not in agent.containers and parent not in agent.executors and parent not in agent.nested:
            end_nested_in(agent, parent)
            agent.effects.append(DestroyCgroup(parent))
        container = held.pop(one.container_id, None)
        if container is not None and container.status is None:
            one.phase = NestedPhase.RUNNING
            one.pid = container.pid
        elif container is not None:
            agent.effects.append(CollectContainer(one.container_id))
            if one.is_live():
                _end(agent, one, container.status or 0, now)
        elif one.is_live():
            agent.effects.append(KillRemains([one.container_id]))
            _end(agent, one, SIGKILL, now)
        if agent.settings.cleanup and one.is_live():
            agent.effects.append(SignalContainer(one.container_id, SIGKILL))


# ------------------------------------------------------------------ what became of them


def on_image_pulled(agent: Agent, event: events.ImagePulled, now: float) -> None:
    """Launch what waited for its image, where the image says what to run if the call doesn't."""
    one = agent.nested[event.container_id]
    if one.phase is not NestedPhase.FETCHING:
        return
    words = command_in_image(one.command, event.image.config)
    around = surroundings_of(agent, one.parent())
    if isinstance(words, Rejection):
        _fail(agent, one, words.message, now)
    elif around is None:
        _fail(agent, one, f"Parent container {one.parent()} does not exist", now)
    else:
        one.image = event.image
        one.phase = NestedPhase.LAUNCHING
        agent.effects.append(plan_nested(agent.settings, around, one))


def on_image_pull_failed(agent: Agent, event: events.ImagePullFailed, now: float) -> None:
    """Its image can't be had."""
    one = agent.nested[event.container_id]
    if one.phase is NestedPhase.FETCHING:
        _fail(agent, one, event.message, now)


def on_nested_launched(agent: Agent, event: events.ContainerLaunched, now: float) -> None:  # noqa: ARG001 - a handler's shape
    """Its process is there."""
    one = agent.nested[event.container_id]
    one.phase = NestedPhase.RUNNING
    one.pid = event.pid
    _answer(agent, one.request, 200)
    if not one.is_session:
        one.request = 0


def on_nested_launch_failed(agent: Agent, event: events.ContainerLaunchFailed, now: float) -> None:
    """It could not be started."""
    _fail(agent, agent.nested[event.container_id], event.message, now)


def _fail(agent: Agent, one: Nested, message: str, now: float) -> None:
    if image_of(one.container) is not None:
        agent.effects.append(AbortFetch(one.container_id))
    _answer(agent, one.request, 500, f"Failed to launch container: {message}")
    one.request = 0
    _end(agent, one, 1 << 8, now)


def on_nested_exited(agent: Agent, event: events.ContainerExited, now: float) -> None:
    """It is gone."""
    _end(agent, agent.nested[event.container_id], event.status, now)


def on_containers_lost(agent: Agent, now: float) -> None:
    """All that had a process is gone."""
    for one in list(agent.nested.values()):
        if one.is_live() and one.phase is not NestedPhase.FETCHING:
            _end(agent, one, SIGKILL, now)


def _end(agent: Agent, one: Nested, status: int, now: float) -> None:
    one.phase = NestedPhase.ENDED
    one.status = status
    if one.is_session:
        agent.effects.append(EndStreams(one.container_id))
    elif not one.is_orphan:
        agent.checkpoints.keep(nested_key(one.container_id), NestedEnded(status))
    answer_waiters(agent, one.container_id, status)
    end_nested_in(agent, one.container_id)
    if one.is_orphan:
        del agent.nested[one.container_id]
    stop_if_over(agent, now)


def _answer(agent: Agent, request: int, status: int, text: str = "") -> None:
    if request:
        agent.effects.append(AnswerContainerCall(request, status, text))


def _not_found(agent: Agent, request: int, path: str) -> None:
    _answer(agent, request, 404, f"Container {path} cannot be found")
