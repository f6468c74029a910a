"""How a custom executor becomes a process: its sandbox, environment, user and cgroup.

Source: the recorded environment of a custom executor; COMPATIBILITY, "Executor API".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent.effects import LaunchContainer
from merismos.core.containers.cgroup_plan import Demand, add_demands, demand_of, plan_cgroup
from merismos.core.containers.device_plan import entries_of
from merismos.core.containers.gpu_plan import devices_of, environment_of
from merismos.core.containers.launch_plan import (
    agent_environment,
    command_line,
    effective_user,
    validate_command,
    validate_container,
)
from merismos.core.containers.network_plan import plan_network, validate_networks
from merismos.model.ids import validate_id
from merismos.model.rejection import Rejection

if TYPE_CHECKING:
    from merismos.core.agent.executors_state import Executor
    from merismos.core.agent.state import AgentSettings, Framework
    from merismos.protocol.v1 import mesos


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
        rejection = validate_container(info.container) or validate_networks(settings, info.container)
        if rejection is not None:
            return rejection
    return validate_command(info.command)


def plan_executor(settings: AgentSettings, agent_id: str, framework: Framework, executor: Executor) -> LaunchContainer:
    """Return the process of an executor that `validate_executor` has passed."""
    command = executor.info.command
    assert command is not None
    arguments, argv0 = command_line(command)
    devices = entries_of(devices_of(settings.gpus, executor.every_gpu()))
    environment = environment_of_executor(settings, agent_id, framework, executor)
    return LaunchContainer(
        container_id=executor.container_id,
        directory=executor.directory,
        arguments=arguments,
        argv0=argv0,
        environment=environment,
        user=effective_user(settings, framework, command),
        executor=(executor.framework_id, executor.executor_id),
        cgroup=None
        if settings.cgroups is None
        else plan_cgroup(settings.cgroups, executor.container_id, demand_of_executor(executor), devices),
        network=plan_network(executor.info.container, executor.container_id),
    )


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
        environment.append(f"MESOS_DOMAIN_SOCKET={settings.domain_socket}")
    environment += environment_of(settings.gpus, executor.every_gpu())
    command = executor.info.command
    if command is not None and command.environment is not None:
        environment += [f"{one.name}={one.value or ''}" for one in command.environment.variables]
    return environment
