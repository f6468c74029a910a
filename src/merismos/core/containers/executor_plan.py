"""How a custom executor becomes a process: its sandbox, environment, user, cgroup, and the root of its image where it has one.

Source: the recorded environment of a custom executor; COMPATIBILITY, "Executor API".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.core.agent.effects import LaunchContainer
from merismos.core.containers.cgroup_plan import CgroupPlan, Demand, add_demands, demand_of, plan_cgroup
from merismos.core.containers.device_plan import entries_of
from merismos.core.containers.gpu_plan import devices_of, environment_of
from merismos.core.containers.image_config import command_in_image
from merismos.core.containers.image_plan import Mount, environment_in_image, image_of, plan_root
from merismos.core.containers.launch_plan import (
    ROOT,
    agent_environment,
    command_line,
    effective_user,
    has_secrets,
    validate_command,
    validate_container,
)
from merismos.core.containers.lxc_plan import NO_IMAGE, in_lxc, is_rootfs
from merismos.core.containers.native_plan import NativePlan, plan_native
from merismos.core.containers.network_plan import plan_network
from merismos.core.containers.variables import variables_of
from merismos.model.ids import validate_id
from merismos.model.rejection import Rejection

if TYPE_CHECKING:
    from merismos.core.agent.executors_state import Executor
    from merismos.core.agent.state import AgentSettings, Framework
    from merismos.core.containers.image_plan import PulledImage
    from merismos.protocol.v1 import mesos


SOCKETS = "/mnt/mesos/agent"  # where a container with files of its own finds the agent's socket


def sandbox_of_executor(work_dir: str, agent_id: str, executor: Executor) -> str:
    """Return the directory of an executor's run, laid out as Mesos does."""
    home = f"{work_dir}/slaves/{agent_id}/frameworks/{executor.framework_id}/executors/{executor.executor_id}"
    return f"{home}/runs/{executor.container_id}"


def validate_executor(settings: AgentSettings, info: mesos.ExecutorInfo) -> Rejection | None:
    """Say why this agent can't run an executor, None where it can."""
    fault = validate_id(info.executor_id.value)
    if fault is not None:
        return Rejection("executor_invalid", f"Executor ID is invalid: {fault}")
    if info.command is None:
        return Rejection("command_missing", "'ExecutorInfo.command' must be set for 'CUSTOM' executor")
    if info.container is not None:
        rejection = validate_container(settings, info.container)
        if rejection is not None:
            return rejection
    in_image = image_of(info.container) is not None and not is_rootfs(info.container)
    may_be_of_image = in_image and not info.command.shell
    return validate_command(info.command, may_be_of_image=may_be_of_image, secrets=has_secrets(settings))


def plan_executor(settings: AgentSettings, agent_id: str, framework: Framework, executor: Executor) -> LaunchContainer:
    """Return the process of an executor that `validate_executor` has passed."""
    command = executor.info.command
    assert command is not None
    environment = environment_of_executor(settings, agent_id, framework, executor)
    launch = LaunchContainer(
        container_id=executor.container_id,
        directory=executor.directory,
        arguments=[],
        argv0="",
        environment=environment,
        user=effective_user(settings, framework, command),
        executor=(executor.framework_id, executor.executor_id),
        cgroup=plan_cgroup_of_executor(settings, executor),
        network=plan_network(executor.info.container, executor.container_id),
    )
    image = NO_IMAGE if is_rootfs(executor.info.container) else executor.image
    if image is None:
        launch.arguments, launch.argv0 = command_line(command)
        launch.native = native_of_executor(settings, executor)
    else:
        _put_in_image(settings, launch, executor, image)
    return launch


def native_of_executor(settings: AgentSettings, executor: Executor) -> NativePlan | None:
    """Return what isolates an executor without an image besides its cgroup."""
    directory = executor.directory
    return plan_native(settings, executor.info.container, directory=directory, parent=directory)


def _put_in_image(settings: AgentSettings, launch: LaunchContainer, executor: Executor, image: PulledImage) -> None:
    """Give an executor the root of its image, in which it reaches its agent by the port, and by the socket where there is one."""
    command, container = executor.info.command, executor.info.container
    assert command is not None
    assert container is not None
    arguments = command_in_image(command, image.config)
    assert not isinstance(arguments, Rejection), arguments
    launch.arguments, launch.argv0 = arguments, arguments[0]
    sandbox = settings.sandbox_directory
    launch.environment = environment_in_image(launch.environment, image.config, executor.directory, sandbox)
    chosen = settings.switch_user and bool(command.user)
    root = plan_root(
        settings,
        container,
        image,
        directory=executor.directory,
        parent=executor.directory,
        image_user_counts=not chosen and launch.user in {None, ROOT},
        gpus=devices_of(settings.gpus, executor.every_gpu()),
    )
    if settings.domain_socket:
        folder = shared_directory_of(settings.domain_socket)
        root = msgspec.structs.replace(root, mounts=[*root.mounts, Mount("host", SOCKETS, folder, read_only=True)])
    launch.root = in_lxc(settings.lxc, container, root)


def shared_directory_of(socket: str) -> str:
    """Return the directory that shows an agent's socket to containers that have files of their own: mounted, it shows each new socket."""
    return f"{socket}.d"


def plan_cgroup_of_executor(settings: AgentSettings, executor: Executor) -> CgroupPlan | None:
    """Return the cgroup of a custom executor, or the one that tasks of a default executor share; None where this agent makes none."""
    if settings.cgroups is None:
        return None
    devices = entries_of(devices_of(settings.gpus, executor.every_gpu()))
    demand = demand_of_executor(executor)
    return plan_cgroup(settings.cgroups, executor.container_id, demand, devices, executor.classid)


def demand_of_executor(executor: Executor) -> Demand:
    """Return what an executor's container has to hold: the executor itself, and its tasks."""
    own = demand_of(executor.info.resources, {})
    return add_demands([own, *(demand_of(task.info.resources, task.info.limits) for task in executor.live_tasks())])


def environment_of_executor(
    settings: AgentSettings, agent_id: str, framework: Framework, executor: Executor
) -> list[str]:
    """Return the environment of an executor as NAME=value."""
    environment = agent_environment(
        settings, agent_id, framework, executor_id=executor.executor_id, directory=executor.directory
    )
    if settings.domain_socket:
        socket = settings.domain_socket
        if image_of(executor.info.container) is not None:
            socket = f"{SOCKETS}/{socket.rpartition('/')[2]}"
        environment.append(f"MESOS_DOMAIN_SOCKET={socket}")
    environment += environment_of(settings.gpus, executor.every_gpu())
    return [*environment, *variables_of(executor.info.command)]
