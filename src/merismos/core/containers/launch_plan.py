"""How a command task becomes a process: its sandbox, arguments, environment and user.

Rules: a later variable of the same name wins, so the framework's environment overrides the agent's; a task that asks for what
this agent cannot do is refused with a sentence that says so, before anything is started.
Source: the recorded environment of a command task; COMPATIBILITY, "Executor API".
"""

from __future__ import annotations

from merismos.core.agent.effects import LaunchContainer, PullImage, WantedImage
from merismos.core.agent.state import AgentSettings, Framework, Task
from merismos.core.containers.cgroup_plan import CgroupPlan, demand_of, plan_cgroup
from merismos.core.containers.device_plan import entries_of
from merismos.core.containers.docker_plan import (
    DockerCreate,
    DockerSettings,
    is_docker,
    plan_create,
    plan_exec,
    validate_docker,
)
from merismos.core.containers.gpu_plan import devices_of, environment_of, validate_gpus
from merismos.core.containers.image_config import command_in_image
from merismos.core.containers.image_plan import (
    PulledImage,
    environment_in_image,
    image_of,
    images_of_volumes,
    plan_root,
    validate_image,
)
from merismos.core.containers.isolation import ENVIRONMENT_SECRET
from merismos.core.containers.lxc_plan import (
    NO_IMAGE,
    in_lxc,
    is_lxc,
    is_rootfs,
    validate_lxc,
    validate_rootfs,
    validate_variables,
)
from merismos.core.containers.native_plan import NativePlan, join_native, plan_native, validate_native
from merismos.core.containers.network_plan import (
    join_network,
    network_of_task,
    owner_of_network,
    validate_networks,
)
from merismos.core.containers.variables import fault_of_variables, variables_of
from merismos.model.rejection import Rejection
from merismos.protocol.v1 import mesos

SHELL = "/bin/sh"
ROOT = "root"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def sandbox_of(work_dir: str, agent_id: str, task: Task) -> str:
    """Return the directory of a run, laid out as Mesos does."""
    return f"{work_dir}/slaves/{agent_id}/frameworks/{task.framework_id}/executors/{task.executor_id}/runs/{task.container_id}"


def sandbox_of_nested(directory: str, container_id: str) -> str:
    """Return the directory of a container that is nested in the one of this sandbox, laid out as Mesos does."""
    return f"{directory}/containers/{container_id.rpartition('.')[2]}"


def validate_task(settings: AgentSettings, info: mesos.TaskInfo) -> Rejection | None:
    """Say why this agent can't run a task, None where it can."""
    command = info.command
    if command is None:
        return Rejection(
            "command_missing", "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"
        )
    rejection = validate_gpus(info.resources) or _fault_of_containerizer(settings, info)
    if rejection is None and info.container is not None and not is_docker(info.container):
        rejection = validate_container(settings, info.container)
    if rejection is not None:
        return rejection
    in_image = is_docker(info.container) or (image_of(info.container) is not None and not is_rootfs(info.container))
    for one in (command, *commands_of_checks(info)):
        may_be_of_image = in_image and one is command and not command.shell
        secrets = has_secrets(settings) and not is_docker(info.container)
        rejection = validate_command(one, may_be_of_image=may_be_of_image, secrets=secrets)
        if rejection is None and is_lxc(settings.lxc, info.container):
            rejection = validate_variables(one)
        if rejection is not None:
            return rejection
    return None


def _fault_of_containerizer(settings: AgentSettings, info: mesos.TaskInfo) -> Rejection | None:
    """Say why none of the agent's containerizers takes a task; one of Docker's is looked at whole."""
    there = {"mesos": settings.native, "docker": settings.docker is not None, "lxc": settings.lxc is not None}
    names = [name for name, is_there in there.items() if is_there]
    if is_docker(info.container):
        if settings.docker is not None:
            return validate_docker(settings.docker, info)
        what = "containers of type DOCKER need --containerizers=mesos,docker"
    elif settings.native or is_lxc(settings.lxc, info.container):
        if info.limits and settings.cgroups is None:
            return Rejection(
                "limits_unsupported", "limits need cgroups: --isolation=cgroups/cpu,cgroups/mem on this agent"
            )
        return None
    else:
        what = "containers that aren't of type DOCKER need --containerizers=mesos,docker"
        if settings.lxc is not None:
            what = "containers without an image need mesos in --containerizers"
    return Rejection(
        "container_unsupported",
        f"None of the enabled containerizers ({', '.join(names)}) could create a container for the task: {what}",
    )


def commands_of_checks(info: mesos.TaskInfo) -> list[mesos.CommandInfo]:
    """Return the commands that the checks of a task run."""
    health = None if info.health_check is None else info.health_check.command
    check = None if info.check is None or info.check.command is None else info.check.command.command
    return [command for command in (health, check) if command is not None]


def validate_command(
    command: mesos.CommandInfo, *, may_be_of_image: bool = False, secrets: bool = False
) -> Rejection | None:
    """Say why a command can't be run, None where it can; an image may say what to run instead, and variables may be `secrets`."""
    if command.value is None and not may_be_of_image:
        return Rejection(
            "command_invalid", "the command has no value: give a shell line, or a program with shell=false"
        )
    fault = fault_of_variables(command, secrets=secrets)
    if fault is None and any("\0" in text for text in (command.value or "", *command.arguments)):
        text = "a command, argument or environment variable can't hold a NUL character"
        return Rejection("command_invalid", text)
    return fault


def validate_container(
    settings: AgentSettings, container: mesos.ContainerInfo, *, has_terminal: bool = False
) -> Rejection | None:
    """Say why this agent can't isolate a task, an executor or a nested container as asked; a session may have a terminal."""
    if container.type == mesos.ContainerInfo_Type.DOCKER:
        return Rejection(
            "container_unsupported",
            "containers of type DOCKER are for tasks with a command; executors and nested containers are of type MESOS",
        )
    image = image_of(container)
    if image is not None:
        if is_rootfs(container):
            return validate_rootfs(settings, container) or validate_lxc(settings, container)
        has_terminal = has_terminal and not is_lxc(settings.lxc, container)
        own = validate_image(settings, container, image, has_terminal=has_terminal)
        return own or validate_lxc(settings, container)
    return validate_native(settings, container) or validate_networks(settings, container)


def has_secrets(settings: AgentSettings) -> bool:
    """Say whether variables of the environment may be secrets."""
    return ENVIRONMENT_SECRET in settings.isolators.names


def plan_pull(container_id: str, container: mesos.ContainerInfo | None) -> PullImage | None:
    """Return how the image of a container that `validate_container` has passed is brought here with those of its volumes, None where it has none."""
    image = image_of(container)
    if container is None or image is None or image.docker is None:
        return None
    own, *volumes = (_wanted(one) for one in (image, *images_of_volumes(container)))
    return PullImage(container_id, own, volumes)


def _wanted(image: mesos.Image) -> WantedImage:
    assert image.docker is not None
    secret = image.docker.config
    config = secret.value.data if secret is not None and secret.value is not None else b""
    return WantedImage(image.docker.name, image.cached, config)


def effective_user(settings: AgentSettings, framework: Framework, command: mesos.CommandInfo | None) -> str | None:
    """Return the user that a task or an executor of this command runs as; None: the agent's own."""
    if not settings.switch_user:
        return None
    return (command.user if command is not None else None) or framework.info.user or None


def plan_launch(settings: AgentSettings, agent_id: str, framework: Framework, task: Task) -> LaunchContainer:
    """Return the process of a command task that `validate_task` has passed."""
    command = task.info.command
    assert command is not None
    image = NO_IMAGE if is_rootfs(task.info.container) else task.image
    if image is not None:
        return _plan_in_image(settings, agent_id, framework, task, command, image)
    if settings.docker is not None and is_docker(task.info.container):
        return plan_in_docker(settings, settings.docker, task)
    arguments, argv0 = command_line(command)
    return LaunchContainer(
        container_id=task.container_id,
        directory=task.directory,
        arguments=arguments,
        argv0=argv0,
        environment=plan_environment(settings, agent_id, framework, task, command),
        user=effective_user(settings, framework, command),
        cgroup=plan_cgroup_of(settings, task),
        network=network_of_task(task),
        native=native_of_task(settings, task),
    )


def native_of_task(settings: AgentSettings, task: Task) -> NativePlan | None:
    """Return what isolates a task without an image besides its cgroup."""
    parent = task.directory if task.executor is None else task.executor.directory
    return plan_native(settings, task.info.container, directory=task.directory, parent=parent)


def plan_in_docker(settings: AgentSettings, docker: DockerSettings, task: Task) -> LaunchContainer:
    """Return the container of a task of type DOCKER that `validate_task` has passed."""
    environment = [
        *settings.environment,
        f"MESOS_ALLOCATION_ROLE={task.role}",
        f"MESOS_TASK_ID={task.task_id}",
        *environment_of(settings.gpus, task.gpus),
    ]
    gpus = devices_of(settings.gpus, task.gpus)
    plan = plan_create(docker, task.info, task.container_id, task.directory, environment, gpus)
    assert isinstance(plan, DockerCreate), plan
    return LaunchContainer(task.container_id, task.directory, [], "", [], None, docker=plan)


def plan_cgroup_of(settings: AgentSettings, task: Task) -> CgroupPlan | None:
    """Return the cgroup of a command task, None where this agent makes none."""
    if settings.cgroups is None:
        return None
    if task.shares_cgroup():
        return CgroupPlan(task.cgroup_id(), joins=True)
    devices = entries_of(devices_of(settings.gpus, task.gpus))
    demand = demand_of(task.info.resources, task.info.limits)
    return plan_cgroup(settings.cgroups, task.container_id, demand, devices, task.classid)


def _plan_in_image(
    settings: AgentSettings,
    agent_id: str,
    framework: Framework,
    task: Task,
    command: mesos.CommandInfo,
    image: PulledImage,
) -> LaunchContainer:
    assert task.info.container is not None
    arguments = command_in_image(command, image.config)
    assert not isinstance(arguments, Rejection), arguments
    user = effective_user(settings, framework, command)
    environment = plan_environment(settings, agent_id, framework, task, command)
    parent = task.directory if task.executor is None else task.executor.directory
    chosen = settings.switch_user and bool(command.user)
    root = plan_root(
        settings,
        task.info.container,
        image,
        directory=task.directory,
        parent=parent,
        image_user_counts=not chosen and user in {None, ROOT},
        gpus=devices_of(settings.gpus, task.gpus),
    )
    return LaunchContainer(
        container_id=task.container_id,
        directory=task.directory,
        arguments=arguments,
        argv0=arguments[0],
        environment=environment_in_image(environment, image.config, task.directory, settings.sandbox_directory),
        user=user,
        cgroup=plan_cgroup_of(settings, task),
        root=in_lxc(settings.lxc, task.info.container, root),
        network=network_of_task(task),
    )


def plan_check(
    settings: AgentSettings, agent_id: str, framework: Framework, task: Task, command: mesos.CommandInfo, run_id: str
) -> LaunchContainer:
    """Return the process of a COMMAND check: the task's surroundings, and the check's own environment on top."""
    if is_docker(task.info.container):
        return LaunchContainer(run_id, task.directory, [], "", [], None, docker=plan_exec(task.container_id, command))
    arguments, argv0 = command_line(command)
    cgroup = None if settings.cgroups is None else CgroupPlan(task.cgroup_id(), joins=True)
    own = task.info.command
    assert own is not None
    if image_of(task.info.container) is not None:
        extra = variables_of(command)
        user = command.user if settings.switch_user else None
        return LaunchContainer(
            run_id, task.directory, arguments, argv0, extra, user, cgroup=cgroup, inside=task.container_id
        )
    environment = [*plan_environment(settings, agent_id, framework, task, own), *variables_of(command)]
    user = command.user if settings.switch_user and command.user else effective_user(settings, framework, own)
    network = join_network(owner_of_network(task))
    native = join_native(native_of_task(settings, task), task.pid)
    return LaunchContainer(
        run_id, task.directory, arguments, argv0, environment, user, cgroup=cgroup, network=network, native=native
    )


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
    environment += environment_of(settings.gpus, task.gpus)
    return [*environment, *variables_of(command)]


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
