"""How a container that an operator asked for becomes a process: like what it is nested in, or like nothing else.

Rules: what is nested counts for its parent's cgroup; a standalone container has none. Without an image of its own it runs among its parent's files;
with one it has a root of its own, beside its parent's, and of its parent only the sandbox, by volumes of SANDBOX_PATH.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from merismos.core.agent.effects import LaunchContainer, Streams
from merismos.core.agent.nested_state import NestedPhase
from merismos.core.agent.state import Phase
from merismos.core.containers.cgroup_plan import CgroupPlan
from merismos.core.containers.executor_plan import environment_of_executor, native_of_executor
from merismos.core.containers.image_config import command_in_image
from merismos.core.containers.image_plan import environment_in_image, image_of, plan_root
from merismos.core.containers.launch_plan import (
    PATH,
    ROOT,
    command_line,
    effective_user,
    native_of_task,
    plan_environment,
)
from merismos.core.containers.lxc_plan import NO_IMAGE, in_lxc, is_rootfs
from merismos.core.containers.native_plan import NativePlan, join_native, plan_native
from merismos.core.containers.network_plan import join_network, named_networks, owner_of_network, plan_network
from merismos.core.containers.variables import variables_of
from merismos.model.rejection import Rejection

if TYPE_CHECKING:
    from merismos.core.agent.nested_state import Nested
    from merismos.core.agent.state import Agent, AgentSettings
    from merismos.core.containers.image_plan import PulledImage
    from merismos.core.containers.network_plan import NetworkPlan


class Surroundings(NamedTuple):
    """What a nested container has from its parent.

    Shapes: `inside` is the container with a root of its own that both are in, and that says then who `user` is; `network` is the one
    whose network they share; `owner` is whom its parent belongs to; `native` is
    what isolates it without a root of its own.
    """

    directory: str
    environment: list[str]
    user: str | None
    cgroup: CgroupPlan | None
    inside: str = ""
    network: str = ""
    owner: str | None = None
    native: NativePlan | None = None


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
        owner, network = effective_user(settings, framework, command), owner_of_network(task)
        if cgroup is not None:
            cgroup = CgroupPlan(task.cgroup_id(), joins=True)
        if image_of(task.info.container) is not None:
            return Surroundings(task.directory, [], None, cgroup, parent, network, owner)
        environment = plan_environment(settings, agent_id, framework, task, command)
        native = join_native(native_of_task(settings, task), task.pid)
        return Surroundings(task.directory, environment, owner, cgroup, network=network, owner=owner, native=native)
    if executor is not None and (executor.pid or executor.is_builtin):
        framework = agent.frameworks[executor.framework_id]
        owner = effective_user(settings, framework, executor.info.command)
        network = executor.container_id if named_networks(executor.info.container) else ""
        if image_of(executor.info.container) is not None:
            return Surroundings(executor.directory, [], None, cgroup, parent, network, owner)
        environment = environment_of_executor(settings, agent_id, framework, executor)
        own = cgroup if executor.shares_cgroup() or not executor.is_builtin else None
        native = join_native(native_of_executor(settings, executor), executor.pid)
        return Surroundings(executor.directory, environment, owner, own, network=network, owner=owner, native=native)
    if nested is not None and nested.phase is NestedPhase.RUNNING:
        around = surroundings_of(agent, nested.parent())
        if around is not None:
            below = _with(around, nested)
            native = below.native if nested.parent() else join_native(_native_of(settings, nested), nested.pid)
            return below._replace(native=native)
    return None


def plan_nested(settings: AgentSettings, around: Surroundings, one: Nested) -> LaunchContainer:
    """Return the process of a container, in the root of its image where it has one."""
    image = NO_IMAGE if is_rootfs(one.container) else one.image
    if image is not None:
        return _plan_in_image(settings, around, one, image)
    arguments, argv0 = command_line(one.command)
    own = _with(around, one)
    return LaunchContainer(
        container_id=one.container_id,
        directory=own.directory,
        arguments=arguments,
        argv0=argv0,
        environment=own.environment,
        user=own.user,
        cgroup=own.cgroup,
        streams=_streams(one),
        inside=own.inside,
        network=None if own.inside else _network(around, one),
        native=own.native if one.parent() else _native_of(settings, one),
    )


def _native_of(settings: AgentSettings, one: Nested) -> NativePlan | None:
    return plan_native(settings, one.container, directory=one.directory, parent=one.directory)


def _plan_in_image(settings: AgentSettings, around: Surroundings, one: Nested, image: PulledImage) -> LaunchContainer:
    assert one.container is not None
    arguments = command_in_image(one.command, image.config)
    assert not isinstance(arguments, Rejection), arguments
    environment = [
        PATH,
        *settings.environment,
        f"MESOS_CONTAINER_IP={settings.ip}",
        f"MESOS_SANDBOX={one.directory}",
        *variables_of(one.command),
    ]
    user = one.command.user or around.owner
    root = plan_root(
        settings,
        one.container,
        image,
        directory=one.directory,
        parent=around.directory if one.parent() else one.directory,
        image_user_counts=not one.command.user and user in {None, ROOT},
    )
    return LaunchContainer(
        container_id=one.container_id,
        directory=one.directory,
        arguments=arguments,
        argv0=arguments[0],
        environment=environment_in_image(environment, image.config, one.directory, settings.sandbox_directory),
        user=user,
        cgroup=around.cgroup,
        streams=_streams(one),
        root=in_lxc(settings.lxc, one.container, root),
        network=_network(around, one),
    )


def _network(around: Surroundings, one: Nested) -> NetworkPlan | None:
    return join_network(around.network) if one.parent() else plan_network(one.container, one.container_id)


def _streams(one: Nested) -> Streams | None:
    return Streams(one.tty) if one.is_session else None


def _with(around: Surroundings, one: Nested) -> Surroundings:
    if image_of(one.container) is not None:
        inside, owner = one.container_id, one.command.user or around.owner
        return Surroundings(one.directory, [], None, around.cgroup, inside, around.network, owner)
    environment = [*around.environment, *variables_of(one.command)]
    if not around.inside:  # its sandbox is out of sight there
        environment.insert(len(around.environment), f"MESOS_SANDBOX={one.directory}")
    user, owner = one.command.user or around.user, one.command.user or around.owner
    inside, network, native = around.inside, around.network, around.native
    return Surroundings(one.directory, environment, user, around.cgroup, inside, network, owner, native)
