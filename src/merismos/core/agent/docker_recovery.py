"""How an agent goes on with the containers that Docker holds, once Docker answers.

Rules: Docker outlives agents and supervisors, so what it has is what there is. A container that it has goes on, with the exit
status of meanwhile; one that was created only is started; one that it never had is launched if that had begun, and is lost if it
ran. What belongs to no task is killed, unless --no-docker_kill_orphans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent.effects import CollectContainer, Log, SignalContainer
from merismos.core.agent.ending import end, stop_if_over
from merismos.core.agent.executors import SIGKILL
from merismos.core.agent.kill import kill
from merismos.core.agent.launch import launch
from merismos.core.agent.recovery import resume, start_over
from merismos.core.agent.state import Agent, Phase, Task

if TYPE_CHECKING:
    from merismos.core.agent import events


def on_docker_recovered(agent: Agent, event: events.DockerRecovered, now: float) -> None:
    """Bring every task that waited for this in line with what Docker has."""
    awaited, agent.docker_awaited = agent.docker_awaited, {}
    held = {container.container_id: container for container in event.containers}
    for task in awaited.values():
        container = held.pop(task.container_id, None)
        if task.phase is Phase.ENDED:
            continue
        if container is not None:
            _go_on(agent, task, container, now)
        elif task.phase is Phase.LAUNCHING:
            start_over(agent, task, now)
        else:
            state = "TASK_KILLED" if task.killing else "TASK_FAILED"
            why = "Docker doesn't have the container any more, and how it ended is not known"
            end(agent, task, now, state, message=why, reason="REASON_EXECUTOR_TERMINATED", from_agent=True)
    for container in held.values():
        _end_unknown(agent, container)
    if agent.settings.cleanup:
        for task in awaited.values():
            kill(agent, task, now, grace_s=0.0)
        stop_if_over(agent, now)


def _go_on(agent: Agent, task: Task, container: events.HeldContainer, now: float) -> None:
    if container.pid or container.status is not None:
        resume(agent, task, container, now)
    elif task.killing:
        agent.effects.append(SignalContainer(task.container_id, SIGKILL))
    else:
        launch(agent, task)


def _end_unknown(agent: Agent, container: events.HeldContainer) -> None:
    settings = agent.settings.docker
    if container.status is not None:
        agent.effects.append(CollectContainer(container.container_id))
    elif settings is not None and settings.kill_orphans:
        text = f"Docker's container {container.container_id} belongs to no task of this agent: it is killed"
        agent.effects.append(Log("warning", text))
        agent.effects.append(SignalContainer(container.container_id, SIGKILL))
