"""How a command task becomes a process: its sandbox, arguments, environment and user.

Rules: a later variable of the same name wins, so the framework's environment overrides the agent's; a task that asks for what
this agent cannot do is refused with a sentence that says so, before anything is started.
Source: the recorded environment of a command task; COMPATIBILITY, "Executor API".
"""

from __future__ import annotations

from merismos.core.agent.effects import LaunchContainer
from merismos.core.agent.state import AgentSettings, Framework, Task
from merismos.core.containers.cgroup_plan import CgroupPlan, demand_of, plan_cgroup
from merismos.model.rejection import Rejection
from merismos.protocol.v1 import mesos

SHELL = "/bin/sh"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def sandbox_of(work_dir: str, agent_id: str, task: Task) -> str:
    """Return the directory of a run, laid out as Mesos does."""
    return f"{work_dir}/slaves/{agent_id}/frameworks/{task.framework_id}/executors/{task.executor_id}/runs/{task.container_id}"


def sandbox_of_nested(directory: str, container_id: str) -> str:
    """Return the directory of a container that is nested in the one of this sandbox, laid out as Mesos does."""
    return f"{directory}/containers/{container_id.rpartition('.')[2]}"


def validate_task(info: mesos.TaskInfo) -> Rejection | None:
    """Say why this agent can't run a task, None where it can."""
    command = info.command
    if command is None:
        return Rejection(
            "command_missing", "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"
        )
    if info.container is not None:
        rejection = validate_container(info.container)
        if rejection is not None:
            return rejection
    for one in (command, *commands_of_checks(info)):
        rejection = validate_command(one)
        if rejection is not None:
            return rejection
    return None


def commands_of_checks(info: mesos.TaskInfo) -> list[mesos.CommandInfo]:
    """Return the commands that the checks of a task run."""
    health = None if info.health_check is None else info.health_check.command
    check = None if info.check is None or info.check.command is None else info.check.command.command
    return [command for command in (health, check) if command is not None]


def validate_command(command: mesos.CommandInfo) -> Rejection | None:
    """Say why a command can't be run, None where it can."""
    if command.value is None:
        return Rejection(
            "command_invalid", "the command has no value: give a shell line, or a program with shell=false"
        )
    variables = command.environment.variables if command.environment is not None else []
    for variable in variables:
        if variable.type != mesos.Environment_Variable_Type.VALUE:
            return Rejection(
                "secret_unsupported",
                f"environment variable '{variable.name}' is a secret; secrets are not supported yet",
            )
        if not variable.name or "=" in variable.name:
            return Rejection("environment_invalid", f"'{variable.name}' can't be the name of an environment variable")
    texts = [command.value, *command.arguments, *(variable.name + (variable.value or "") for variable in variables)]
    if any("\0" in text for text in texts):
        return Rejection("command_invalid", "a command, argument or environment variable can't hold a NUL character")
    return None


def validate_container(container: mesos.ContainerInfo) -> Rejection | None:
    """Say why this agent can't isolate a task as asked."""
    if container.type == mesos.ContainerInfo_Type.DOCKER:
        return Rejection(
            "container_unsupported", "containers of type DOCKER are not supported yet; use type MESOS without an image"
        )
    if container.mesos is not None and container.mesos.image is not None:
        return Rejection("container_unsupported", "container images are not supported yet; leave the image out")
    if container.volumes:
        return Rejection("container_unsupported", "container volumes are not supported yet; leave the volumes out")
    return None


def effective_user(settings: AgentSettings, framework: Framework, command: mesos.CommandInfo | None) -> str | None:
    """Return the user that a task or an executor of this command runs as; None: the agent's own."""
    if not settings.switch_user:
        return None
    return (command.user if command is not None else None) or framework.info.user or None


def plan_launch(settings: AgentSettings, agent_id: str, framework: Framework, task: Task) -> LaunchContainer:
    """Return the process of a command task that `validate_task` has passed."""
    command = task.info.command
    assert command is not None
    arguments, argv0 = command_line(command)
    return LaunchContainer(
        container_id=task.container_id,
        directory=task.directory,
        arguments=arguments,
        argv0=argv0,
        environment=plan_environment(settings, agent_id, framework, task, command),
        user=effective_user(settings, framework, command),
        cgroup=plan_cgroup_of(settings, task),
    )


def plan_cgroup_of(settings: AgentSettings, task: Task) -> CgroupPlan | None:
    """Return the cgroup of a command task, None where this agent makes none."""
    if settings.cgroups is None:
        return None
    return plan_cgroup(settings.cgroups, task.container_id, demand_of(task.info.resources, task.info.limits))


def plan_check(
    settings: AgentSettings, agent_id: str, framework: Framework, task: Task, command: mesos.CommandInfo, run_id: str
) -> LaunchContainer:
    """Return the process of a COMMAND check: the task's surroundings, and the check's own environment on top."""
    arguments, argv0 = command_line(command)
    own = task.info.command
    assert own is not None
    environment = plan_environment(settings, agent_id, framework, task, own)
    if command.environment is not None:
        environment += [f"{variable.name}={variable.value or ''}" for variable in command.environment.variables]
    user = command.user if settings.switch_user and command.user else effective_user(settings, framework, own)
    cgroup = None if settings.cgroups is None else CgroupPlan(task.container_id, joins=True)
    return LaunchContainer(run_id, task.directory, arguments, argv0, environment, user, cgroup=cgroup)


def command_line(command: mesos.CommandInfo) -> tuple[list[str], str]:
    """Return the program with its arguments, and the name that it is called by."""
    assert command.value is not None
    if command.shell:
        return [SHELL, "-c", command.value], "sh"
    argv0 = command.arguments[0] if command.arguments else command.value
    return [command.value, *command.arguments[1:]], argv0


def plan_environment(
    settings: AgentSettings, agent_id: str, framework: Framework, task: Task, command: mesos.CommandInfo
) -> list[str]:
    """Return the environment of a command task, or of one in a group, as NAME=value."""
    if task.executor is None:
        environment = [
            *agent_environment(settings, agent_id, framework, executor_id=task.executor_id, directory=task.directory),
            f"MESOS_ALLOCATION_ROLE={task.role}",
            f"MESOS_TASK_ID={task.task_id}",
        ]
    else:
        environment = [
            PATH,
            *settings.environment,
            f"MESOS_ALLOCATION_ROLE={task.role}",
            f"MESOS_CONTAINER_IP={settings.ip}",
            f"MESOS_SANDBOX={task.directory}",
        ]
    if command.environment is not None:
        environment += [f"{variable.name}={variable.value or ''}" for variable in command.environment.variables]
    return environment


def agent_environment(
    settings: AgentSettings, agent_id: str, framework: Framework, *, executor_id: str, directory: str
) -> list[str]:
    """Return what every executor finds in its environment, as NAME=value."""
    environment = [
        PATH,
        *settings.environment,
        f"LIBPROCESS_IP={settings.ip}",
        "LIBPROCESS_PORT=0",
        f"MESOS_AGENT_ENDPOINT={settings.ip}:{settings.port}",
        f"MESOS_DIRECTORY={directory}",
        f"MESOS_EXECUTOR_ID={executor_id}",
        f"MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD={settings.kill_grace_text}",
        f"MESOS_FRAMEWORK_ID={framework.framework_id}",
        "MESOS_HTTP_COMMAND_EXECUTOR=0",
        f"MESOS_SANDBOX={directory}",
        f"MESOS_SLAVE_ID={agent_id}",
        f"MESOS_SLAVE_PID={settings.pid}",
    ]
    if framework.info.checkpoint:
        environment += [
            "MESOS_CHECKPOINT=1",
            f"MESOS_RECOVERY_TIMEOUT={settings.recovery_timeout_text}",
            "MESOS_SUBSCRIPTION_BACKOFF_MAX=2secs",
        ]
    else:
        environment.append("MESOS_CHECKPOINT=0")
    return environment
