"""How a task of container type DOCKER becomes a container: from its TaskInfo to a request of the Docker Engine API.

Rules: what can't be had as asked is refused with a sentence, before anything is started. The image says what runs, unless the
command has a value: a shell line replaces the image's entrypoint, other words are its arguments. The sandbox is a mount; the user
is the image's. Shares and limits are those of native containers.
Source: Mesos, docs/docker-containerizer.md; the Docker Engine API, ContainerCreate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from merismos.core.containers.cgroup_plan import (
    PERIOD_US,
    QUOTA_US_MIN,
    Demand,
    cpu_shares,
    demand_of,
    memory_bytes,
)
from merismos.core.containers.cni_format import Dns
from merismos.core.containers.docker_parameters import apply_parameter
from merismos.core.containers.network_plan import DnsDefaults
from merismos.model.image_reference import parse_reference
from merismos.model.rejection import Rejection
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.containers.device_plan import DeviceNode

NAME_PREFIX = "mesos-"
LABEL_WORK_DIR = "org.merismos.work_dir"
LABEL_CONTAINER = "org.merismos.container_id"
LABEL_SANDBOX = "org.merismos.sandbox"
LABEL_TASK = "MESOS_TASK_ID"
SHELL = "/bin/sh"
_PROTOCOLS = ("tcp", "udp", "sctp")
_PORT_MAX = 65_535
_PROPAGATION: Mapping[mesos.MountPropagation_Mode | None, str] = {
    mesos.MountPropagation_Mode.HOST_TO_CONTAINER: "rslave",
    mesos.MountPropagation_Mode.BIDIRECTIONAL: "rshared",
}
_Network = mesos.ContainerInfo_DockerInfo_Network


class DockerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the flags say about containers of Docker.

    Shapes: `work_dir` tells this agent's containers from others'; `stop_timeout_s` is the grace of tasks without a kill policy,
    None for that of all tasks; `kill_orphans`: what runs and belongs to no task is killed; `bridge_dns` and `user_dns` are the
    resolvers of tasks that say nothing of them.
    """

    work_dir: str
    sandbox_directory: str = "/mnt/mesos/sandbox"
    enable_cfs: bool = False
    revocable_cpu_low_priority: bool = True
    stop_timeout_s: float | None = None
    kill_orphans: bool = True
    bridge_dns: Dns | None = None
    user_dns: DnsDefaults = DnsDefaults()


class DockerCreate(msgspec.Struct, gc=False):
    """A container to be created and started; `body` is what the Engine is asked for."""

    name: str
    image: str
    force_pull: bool
    body: dict[str, Any]


class DockerExec(msgspec.Struct, gc=False):
    """A process to be started in a container that runs."""

    container_id: str
    body: dict[str, Any]


class _Mounts(msgspec.Struct):
    """What a container sees of the machine's files; `mounts` is for paths that `binds` can't spell."""

    binds: list[str] = []
    mounts: list[dict[str, Any]] = []
    driver: str = ""


def is_docker(container: mesos.ContainerInfo | None) -> bool:
    """Say whether a container is Docker's."""
    return container is not None and container.type is mesos.ContainerInfo_Type.DOCKER


def validate_docker(settings: DockerSettings, info: mesos.TaskInfo) -> Rejection | None:
    """Say why a task of type DOCKER can't be run, None where it can."""
    container, command = info.container, info.command
    assert container is not None
    assert command is not None
    docker = container.docker
    if docker is None:
        return _invalid("No docker info found in container info")
    reference = parse_reference(docker.image)
    if isinstance(reference, Rejection):
        return reference
    if command.shell and command.value is None:
        return _invalid("Shell specified but no command value provided")
    fault = _fault_of_network(container, docker, info.resources)
    if fault is not None:
        return _invalid(fault)
    planned = plan_create(settings, info, "id", "/sandbox", [])
    return planned if isinstance(planned, Rejection) else None


def plan_create(
    settings: DockerSettings,
    info: mesos.TaskInfo,
    container_id: str,
    directory: str,
    environment: list[str],
    devices: Sequence[DeviceNode] = (),
) -> DockerCreate | Rejection:
    """Return the container of a task, which sees `devices`, or what of it can't be had."""
    container, command = info.container, info.command
    assert container is not None
    assert container.docker is not None
    assert command is not None
    docker = container.docker
    mounts = _plan_mounts(settings, container, directory)
    if isinstance(mounts, Rejection):
        return mounts
    name = NAME_PREFIX + container_id
    host: dict[str, Any] = {
        **_limits(settings, demand_of(info.resources, info.limits)),
        "Binds": mounts.binds,
        "Mounts": mounts.mounts,
        "Privileged": docker.privileged,
        "LogConfig": {"Type": "json-file"},
    }
    if devices:
        host["Devices"] = [
            {"PathOnHost": one.path, "PathInContainer": one.path, "CgroupPermissions": one.rights} for one in devices
        ]
    if mounts.driver:
        host["VolumeDriver"] = mounts.driver
    body: dict[str, Any] = {
        "Image": docker.image,
        "Env": [*environment, f"MESOS_SANDBOX={settings.sandbox_directory}", f"MESOS_CONTAINER_NAME={name}"],
        "Labels": {
            LABEL_WORK_DIR: settings.work_dir,
            LABEL_CONTAINER: container_id,
            LABEL_SANDBOX: directory,
            LABEL_TASK: info.task_id.value,
        },
        "HostConfig": host,
        **_words(command),
    }
    if container.hostname is not None:
        body["Hostname"] = container.hostname
    _set_network(body, container, docker)
    for parameter in docker.parameters:
        rejection = apply_parameter(body, parameter.key, parameter.value)
        if rejection is not None:
            return rejection
    _set_dns(body, settings, container, docker)
    variables = command.environment.variables if command.environment is not None else []
    body["Env"] += [f"{variable.name}={variable.value or ''}" for variable in variables]
    return DockerCreate(name, docker.image, bool(docker.force_pull_image), body)


def plan_exec(container_id: str, command: mesos.CommandInfo) -> DockerExec:
    """Return the process of a COMMAND check, which `validate_command` has passed."""
    assert command.value is not None
    words = [SHELL, "-c", command.value] if command.shell else [command.value, *command.arguments[1:]]
    variables = command.environment.variables if command.environment is not None else []
    body: dict[str, Any] = {
        "Cmd": words,
        "Env": [f"{variable.name}={variable.value or ''}" for variable in variables],
        "AttachStdout": True,
        "AttachStderr": True,
    }
    if command.user:
        body["User"] = command.user
    return DockerExec(container_id, body)


def _invalid(text: str) -> Rejection:
    return Rejection("docker_invalid", text)


def _words(command: mesos.CommandInfo) -> dict[str, Any]:
    if command.shell:
        return {"Entrypoint": [SHELL], "Cmd": ["-c", command.value]}
    words = [*([] if command.value is None else [command.value]), *command.arguments]
    return {"Cmd": words} if words else {}


def _limits(settings: DockerSettings, demand: Demand) -> dict[str, Any]:
    """Return the shares and limits; a limit that is infinite is none."""
    limits: dict[str, Any] = {}
    if demand.cpus or demand.revocable:
        low = settings.revocable_cpu_low_priority
        limits["CpuShares"] = cpu_shares(demand, revocable_low_priority=low)
    most = demand.cpus_limit
    if most is None and settings.enable_cfs and demand.cpus:
        most = demand.cpus
    if most is not None and not math.isinf(most):
        limits["CpuPeriod"] = PERIOD_US
        limits["CpuQuota"] = max(math.floor(most * PERIOD_US), QUOTA_US_MIN)
    if demand.mem_mb or demand.mem_mb_limit is not None:
        soft, hard = memory_bytes(demand)
        if hard is not None:
            limits["Memory"] = hard
        if demand.mem_mb_limit is not None:
            limits["MemoryReservation"] = soft
    return limits


# ------------------------------------------------------------------ networks


def _fault_of_network(
    container: mesos.ContainerInfo, docker: mesos.ContainerInfo_DockerInfo, resources: list[mesos.Resource]
) -> str | None:
    network = docker.network
    if network is _Network.HOST and container.hostname is not None:
        return "Unable to set hostname with host network mode"
    if network is _Network.USER and not (container.network_infos and container.network_infos[0].name):
        return "No network name found in network info: a USER network is named by network_infos[0].name"
    if len(container.network_infos) > 1:
        return "Only a single network can be defined in Docker run"
    if docker.port_mappings and network not in {_Network.BRIDGE, _Network.USER}:
        return "Port mappings are only supported for bridge and user-defined networks"
    offered = [
        (one.begin, one.end)
        for resource in resources
        if resource.name == "ports" and resource.ranges is not None
        for one in resource.ranges.range
    ]
    for mapping in docker.port_mappings:
        if not 0 < mapping.container_port <= _PORT_MAX:
            return f"Port [{mapping.container_port}] can't be a port of a container"
        if (mapping.protocol or "tcp").lower() not in _PROTOCOLS:
            return f"Protocol '{mapping.protocol}' of a port mapping is not known; give {', '.join(_PROTOCOLS)}"
        if not any(begin <= mapping.host_port <= end for begin, end in offered):
            return f"Port [{mapping.host_port}] not included in resources"
    return None


def _set_network(body: dict[str, Any], container: mesos.ContainerInfo, docker: mesos.ContainerInfo_DockerInfo) -> None:
    network = docker.network
    if network is _Network.USER:
        name = (container.network_infos[0].name if container.network_infos else None) or ""
        body["NetworkingConfig"] = {"EndpointsConfig": {name: {}}}
    else:
        name = str(network).lower()
    body["HostConfig"]["NetworkMode"] = name
    for mapping in docker.port_mappings:
        port = f"{mapping.container_port}/{(mapping.protocol or 'tcp').lower()}"
        body.setdefault("ExposedPorts", {})[port] = {}
        bindings = body["HostConfig"].setdefault("PortBindings", {}).setdefault(port, [])
        bindings.append({"HostPort": str(mapping.host_port)})


def _set_dns(
    body: dict[str, Any],
    settings: DockerSettings,
    container: mesos.ContainerInfo,
    docker: mesos.ContainerInfo_DockerInfo,
) -> None:
    """Give a container the flag's resolvers, where its parameters say nothing of them."""
    host = body["HostConfig"]
    if any(key in host for key in ("Dns", "DnsSearch", "DnsOptions")):
        return
    dns = None
    if docker.network is _Network.BRIDGE:
        dns = settings.bridge_dns
    elif docker.network is _Network.USER:
        dns = settings.user_dns.of((container.network_infos[0].name if container.network_infos else None) or "")
    if dns is not None:
        host |= {"Dns": dns.nameservers, "DnsSearch": dns.search, "DnsOptions": dns.options}


# ------------------------------------------------------------------ volumes


def _plan_mounts(settings: DockerSettings, container: mesos.ContainerInfo, directory: str) -> _Mounts | Rejection:
    assert container.docker is not None
    sandbox = {"Type": "bind", "Source": directory, "Target": settings.sandbox_directory}
    mounts = _Mounts(mounts=[sandbox], driver=container.docker.volume_driver or "")
    for volume in container.volumes:
        fault = _add_volume(mounts, settings, volume, directory)
        if fault is not None:
            return _invalid(fault)
    return mounts


def _add_volume(mounts: _Mounts, settings: DockerSettings, volume: mesos.Volume, directory: str) -> str | None:
    """Add one volume; return what is wrong with it."""
    inside = volume.container_path
    target = inside if inside.startswith("/") else f"{settings.sandbox_directory}/{inside}"
    options = ["ro" if volume.mode is mesos.Volume_Mode.RO else "rw"]
    source = _source_of(volume)
    if source is None:
        return f"The volume at '{inside}' has no source that a container of type DOCKER can have: give a host path"
    kind, path = source
    if kind is mesos.Volume_Source_Type.DOCKER_VOLUME:
        assert volume.source is not None
        assert volume.source.docker_volume is not None
        driver = volume.source.docker_volume.driver or ""
        if driver and mounts.driver not in {"", driver}:
            return f"Only one volume driver is supported: '{mounts.driver}' and '{driver}' are asked for"
        mounts.driver = mounts.driver or driver
        if "/" in path or ":" in path or not path:
            return f"'{path}' can't be the name of a docker volume"
    elif kind is mesos.Volume_Source_Type.SANDBOX_PATH or (not path.startswith("/") and not mounts.driver):
        if not inside.startswith("/"):
            return f"Both the host path '{path}' and the container path '{inside}' of a volume are relative"
        if ".." in path.split("/"):
            return f"The path '{path}' of a volume leaves the sandbox"
        path = f"{directory}/{path}"
    if kind is mesos.Volume_Source_Type.HOST_PATH and volume.source is not None and volume.source.host_path is not None:
        propagation = volume.source.host_path.mount_propagation
        mode = _PROPAGATION.get(None if propagation is None else propagation.mode)
        options += [] if mode is None else [mode]
    if ":" in path or ":" in target:
        read_only = volume.mode is mesos.Volume_Mode.RO
        mounts.mounts.append({"Type": "bind", "Source": path, "Target": target, "ReadOnly": read_only})
    else:
        mounts.binds.append(f"{path}:{target}:{','.join(options)}")
    return None


def _source_of(volume: mesos.Volume) -> tuple[mesos.Volume_Source_Type, str] | None:
    """Return where a volume comes from, None where such volumes can't be had."""
    kinds = mesos.Volume_Source_Type
    if volume.host_path is not None:
        return kinds.HOST_PATH, volume.host_path
    source = volume.source
    if source is None:
        return None
    if source.docker_volume is not None:
        return kinds.DOCKER_VOLUME, source.docker_volume.name
    if source.host_path is not None:
        return kinds.HOST_PATH, source.host_path.path
    sandbox = source.sandbox_path
    if sandbox is not None and sandbox.type is not mesos.Volume_Source_SandboxPath_Type.PARENT:
        return kinds.SANDBOX_PATH, sandbox.path
    return None
