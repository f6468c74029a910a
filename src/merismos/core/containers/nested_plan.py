"""How a container that an operator asked for becomes a process: like what it is nested in, or like nothing else.

Rules: what is nested counts for its parent's cgroup; a standalone container has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from merismos.core.agent.effects import LaunchContainer, Streams
from merismos.core.agent.nested_state import NestedPhase
from merismos.core.agent.state import Phase
from merismos.core.containers.cgroup_plan import CgroupPlan
from merismos.core.containers.executor_plan import environment_of_executor
from merismos.core.containers.image_plan import image_of
from merismos.core.containers.launch_plan import PATH, command_line, effective_user, plan_environment
from merismos.core.containers.network_plan import join_network, named_networks, owner_of_network

if TYPE_CHECKING:
    from merismos.core.agent.nested_state import Nested
    from merismos.core.agent.state import Agent
    from merismos.protocol.v1 import mesos


class Surroundings(NamedTuple):
    """What a nested container has from its parent; `inside` is the container with a root of its own that both are in, `network` the one whose network they share."""

    directory: str
    environment: list[str]
    user: str | None
    cgroup: CgroupPlan | None
    inside: str = ""
    network: str = ""


def sandbox_of_standalone(work_dir: str, container_id: str) -> str:
    """Return the directory of a standalone container, laid out as Mesos does."""
    return f"{work_dir}/containers/{container_id}"


def surroundings_of(agent: Agent, parent: str) -> Surroundings | None:
    """Return what a container that is nested in `parent` has from it (empty: nothing); None where no such container runs."""
    settings, agent_id = agent.settings, agent.registration.agent_id
    if not parent:
        return Surroundings(settings.work_dir, [PATH, *settings.environment], None, None)
    cgroup = None if settings.cgroups is None else CgroupPlan(parent, joins=True)
    task, executor, nested = agent.containers.get(parent), agent.executors.get(parent), agent.nested.get(parent)
    if task is not None and task.phase is Phase.RUNNING:
        framework, command = agent.frameworks[task.framework_id], task.info.command
        assert command is not None
        if image_of(task.info.container) is not None:
            return Surroundings(task.directory, [], None, cgroup, parent)
        environment = plan_environment(settings, agent_id, framework, task, command)
        user, network = effective_user(settings, framework, command), owner_of_network(task)
        return Surroundings(task.directory, environment, user, cgroup, network=network)
    if executor is not None and (executor.pid or executor.is_builtin):
        framework = agent.frameworks[executor.framework_id]
        environment = environment_of_executor(settings, agent_id, framework, executor)
        user = effective_user(settings, framework, executor.info.command)
        network = executor.container_id if named_networks(executor.info.container) else ""
        own = None if executor.is_builtin else cgroup
        return Surroundings(executor.directory, environment, user, own, network=network)
    if nested is not None and nested.phase is NestedPhase.RUNNING:
        around = surroundings_of(agent, nested.parent())
        if around is not None:
            return _with(around, nested)
    return None


def plan_nested(around: Surroundings, one: Nested, tty: tuple[int, int] | None) -> LaunchContainer:
    """Return the process of a container; `tty` is the size of a session's terminal."""
    arguments, argv0 = command_line(one.command)
    own = _with(around, one)
    streams = Streams(tty) if one.is_session else None
    return LaunchContainer(
        container_id=one.container_id,
        directory=own.directory,
        arguments=arguments,
        argv0=argv0,
        environment=own.environment,
        user=own.user,
        cgroup=own.cgroup,
        streams=streams,
        inside=own.inside,
        network=join_network(own.network),
    )


def _with(around: Surroundings, one: Nested) -> Surroundings:
    environment = [*around.environment, *_variables(one.command)]
    if not around.inside:  # its sandbox is out of sight there
        environment.insert(len(around.environment), f"MESOS_SANDBOX={one.directory}")
    user = one.command.user or around.user
    return Surroundings(one.directory, environment, user, around.cgroup, around.inside, around.network)


def _variables(command: mesos.CommandInfo) -> list[str]:
    variables = command.environment.variables if command.environment is not None else []
    return [f"{one.name}={one.value or ''}" for one in variables]
