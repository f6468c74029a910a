"""How a task with an image becomes a container: what is refused, and the plan of its root filesystem and its rights.

Rules: a container with an image has its own mounts, processes, IPC and host name, and its agent's network unless it names others. It has docker's usual capabilities, unless
the agent's flags or the task say otherwise, and never more than the agent's bounding ones. Nothing in it gains rights by set-id programs. The user that an image names counts where the
framework's user is root and the command names none: an image may take rights away, never give them.
A path in a sandbox stays in it. What isn't supported is refused in words before anything is pulled.
Source: Mesos, docs/container-volume.md, docs/isolators/linux-capabilities.md, docs/isolators/posix-rlimits.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from merismos.core.containers.device_plan import DeviceNode
from merismos.core.containers.image_config import ImageConfig
from merismos.core.containers.linux_info import fault_of_profile, fault_of_sharing, profile_of
from merismos.core.containers.network_plan import validate_networks
from merismos.model.image_reference import parse_reference
from merismos.model.rejection import Rejection
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.agent.state import AgentSettings

DEFAULT_CAPABILITIES = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
)  # fmt: skip
RLIMIT_INFINITY = (1 << 64) - 1
_MB = 1 << 20
_KINDS = mesos.Volume_Source_Type
_UNSUPPORTED = "container_unsupported"


class Mount(msgspec.Struct, frozen=True):
    """Something of the machine that a container sees at `target`.

    Shapes: `kind` is host (`source` is a path of the machine), sandbox (`source` is a path below the directory `below`, made where
    it is missing), secret (`data` is the content of a file), or image (`layers` are those of its image, lowest first).
    """

    kind: str
    target: str
    source: str = ""
    below: str = ""
    data: bytes = b""
    read_only: bool = False
    layers: list[str] = []


class RLimit(msgspec.Struct, frozen=True):
    """A limit of a process, by the kernel's name of it."""

    name: str
    soft: int
    hard: int


class RootPlan(msgspec.Struct, frozen=True):
    """The root filesystem of a container, and what it may do in it.

    Shapes: `layers` are digests, lowest first. `image_user` is empty where the image has no say. `profile` is the name of its seccomp profile, empty for ours. `effective` is None for the usual: what is in `bounding` for root, nothing for others.
    `rootfs` is a directory of the machine that stands for the layers; `lxc`: LXC runs the container.
    """

    layers: list[str]
    working_dir: str
    sandbox_directory: str
    image_user: str = ""
    mounts: list[Mount] = []
    bounding: list[str] = []
    effective: list[str] | None = None
    rlimits: list[RLimit] = []
    hostname: str = ""
    confined: bool = True
    profile: str = ""
    share_pids: bool = False
    share_ipc: bool = False
    shm_bytes: int = 64 * _MB
    rootfs: str = ""
    lxc: bool = False
    devices: list[DeviceNode] = []

    def every_layer(self) -> list[str]:
        """Return the layers of the container and of its volumes, each once."""
        return list(dict.fromkeys([*self.layers, *(layer for mount in self.mounts for layer in mount.layers)]))


class PulledImage(msgspec.Struct, frozen=True):
    """An image whose layers are here; `volumes` are the layers of each image that is a volume of its container, in their order."""

    layers: list[str]
    config: ImageConfig
    volumes: list[list[str]] = []


def image_of(container: mesos.ContainerInfo | None) -> mesos.Image | None:
    """Return the image that a container is made of, None where it has the machine's own files."""
    return None if container is None or container.mesos is None else container.mesos.image


def validate_image(
    settings: AgentSettings, container: mesos.ContainerInfo, image: mesos.Image, *, has_terminal: bool = False
) -> Rejection | None:
    """Say why this agent can't run a container of an image as asked, None where it can."""
    if not settings.images:
        return _refused("container images are off on this agent: start it with --image_providers=docker")
    fault = _fault_of_image(image)
    if fault is not None:
        return fault
    return validate_rooted(settings, container, has_terminal=has_terminal)


def _fault_of_image(image: mesos.Image) -> Rejection | None:
    if image.type != mesos.Image_Type.DOCKER or image.docker is None:
        return _refused("only images of type DOCKER are supported")
    reference = parse_reference(image.docker.name)
    if isinstance(reference, Rejection):
        return reference
    secret = image.docker.config
    if secret is not None and (secret.type != mesos.Secret_Type.VALUE or secret.value is None):
        return _refused("the image's config must be a secret of type VALUE; references are not supported yet")
    return None


def images_of_volumes(container: mesos.ContainerInfo) -> list[mesos.Image]:
    """Return the images that are volumes of a container, in their order."""
    return [volume.image for volume in container.volumes if volume.image is not None]


def validate_rooted(
    settings: AgentSettings, container: mesos.ContainerInfo, *, has_terminal: bool = False
) -> Rejection | None:
    """Say why a container with a root of its own can't be had as asked, whatever its root is made of."""
    if container.tty_info is not None and not has_terminal:
        return _refused("terminals of containers are not supported yet; leave tty_info out")
    return (
        _first(fault_of_volume(volume) for volume in container.volumes)
        or _first(fault_of_rlimit(limit) for limit in rlimits_of(container))
        or _fault_of_linux(settings, container.linux_info)
        or validate_networks(settings, container)
    )


def plan_root(
    settings: AgentSettings,
    container: mesos.ContainerInfo,
    image: PulledImage,
    *,
    directory: str,
    parent: str,
    image_user_counts: bool,
    gpus: Sequence[DeviceNode] = (),
) -> RootPlan:
    """Return the root of a container that `validate_image` has passed; `parent` is the sandbox of the one that it is nested in, `gpus` are the devices of its GPUs."""
    config = image.config
    linux = container.linux_info or mesos.LinuxInfo()
    sandbox = settings.sandbox_directory
    bounding, effective = _capabilities(settings, linux)
    return RootPlan(
        layers=image.layers,
        working_dir=str(PurePosixPath("/", config.working_dir)) if config.working_dir else sandbox,
        sandbox_directory=sandbox,
        image_user=config.user if image_user_counts else "",
        mounts=_mounts(container, image, sandbox, directory, parent),
        bounding=bounding,
        effective=effective,
        rlimits=plan_rlimits(container),
        hostname=container.hostname or "",
        confined=linux.seccomp is None or not linux.seccomp.unconfined,
        profile=profile_of(settings.isolators, linux),
        share_pids=bool(linux.share_pid_namespace),
        share_ipc=linux.ipc_mode == mesos.LinuxInfo_IpcMode.SHARE_PARENT,
        shm_bytes=(linux.shm_size or 0) * _MB or settings.isolators.shm_bytes or 64 * _MB,
        devices=[*settings.image_devices, *gpus],
    )


def environment_in_image(environment: Sequence[str], image: ImageConfig, directory: str, sandbox: str) -> list[str]:
    """Return the environment of a container: the image's overrides the agent's PATH, the agent's and the task's override the image's."""
    path, *rest = environment
    found: dict[str, str] = {}
    for variable in (path, *image.env, *rest):
        name, _, value = variable.partition("=")
        found[name] = value
    if found.get("MESOS_SANDBOX") == directory:
        found["MESOS_SANDBOX"] = sandbox
    return [f"{name}={value}" for name, value in found.items()]


# ------------------------------------------------------------------ volumes


def _mounts(
    container: mesos.ContainerInfo, image: PulledImage, sandbox: str, directory: str, parent: str
) -> list[Mount]:
    pulled = iter(image.volumes)
    return [
        mount_of(volume, sandbox, directory, parent)
        if volume.image is None
        else Mount(
            "image",
            str(PurePosixPath(sandbox, volume.container_path)),
            read_only=volume.mode == mesos.Volume_Mode.RO,
            layers=next(pulled),
        )
        for volume in container.volumes
    ]


def mount_of(volume: mesos.Volume, sandbox: str, directory: str, parent: str) -> Mount:
    """Return the mount of a volume that `fault_of_volume` has passed; `sandbox` is where the container sees its own."""
    target = str(PurePosixPath(sandbox, volume.container_path))
    read_only = volume.mode == mesos.Volume_Mode.RO
    source = volume.source
    if source is None:
        path = volume.host_path or ""
        if path.startswith("/"):
            return Mount("host", target, path, read_only=read_only)
        return Mount("sandbox", target, path, directory, read_only=read_only)
    if source.host_path is not None:
        return Mount("host", target, source.host_path.path, read_only=read_only)
    if source.sandbox_path is not None:
        is_parent = source.sandbox_path.type == mesos.Volume_Source_SandboxPath_Type.PARENT
        return Mount(
            "sandbox", target, source.sandbox_path.path, parent if is_parent else directory, read_only=read_only
        )
    assert source.secret is not None
    assert source.secret.value is not None
    return Mount("secret", target, data=source.secret.value.data, read_only=True)


def fault_of_volume(volume: mesos.Volume) -> Rejection | None:
    """Say why a volume can't be had, None where it can."""
    where = f"the volume at '{volume.container_path}'"
    if not volume.container_path or ".." in PurePosixPath(volume.container_path).parts or "\0" in volume.container_path:
        return Rejection("volume_invalid", f"{where}: its path in the container must be one without '..'")
    if volume.image is not None:
        if volume.source is not None or volume.host_path:
            return Rejection("volume_invalid", f"{where} is of an image, so it can't have another source as well")
        fault = _fault_of_image(volume.image)
        return None if fault is None else Rejection(fault.reason, f"{where}: {fault.message}")
    source = volume.source
    if source is None:
        if not volume.host_path:
            return Rejection("volume_invalid", f"{where} has no source")
        return _fault_of_path(where, volume.host_path, absolute=volume.host_path.startswith("/"))
    if source.type == _KINDS.HOST_PATH and source.host_path is not None:
        if source.host_path.mount_propagation is not None and source.host_path.mount_propagation.mode:
            return _refused(f"{where} asks for mount propagation, which is not supported yet")
        return _fault_of_path(where, source.host_path.path, absolute=True)
    if source.type == _KINDS.SANDBOX_PATH and source.sandbox_path is not None:
        return _fault_of_path(where, source.sandbox_path.path, absolute=False)
    if source.type == _KINDS.SECRET and source.secret is not None:
        if source.secret.type != mesos.Secret_Type.VALUE or source.secret.value is None:
            return _refused(f"{where} is a secret that is not of type VALUE; references are not supported yet")
        return None
    kind = "of no kind" if source.type is None else source.type.name
    return _refused(f"{where} is {kind}; HOST_PATH, SANDBOX_PATH, SECRET and images are supported")


def _fault_of_path(where: str, path: str, *, absolute: bool) -> Rejection | None:
    parts = PurePosixPath(path).parts
    if not path or "\0" in path or ".." in parts or path.startswith("/") is not absolute:
        form = "an absolute path" if absolute else "a path below the sandbox"
        return Rejection("volume_invalid", f"{where}: its source must be {form}, without '..'")
    return None


# ------------------------------------------------------------------ limits and rights


def rlimits_of(container: mesos.ContainerInfo) -> list[mesos.RLimitInfo_RLimit]:
    """Return the limits that a container asks for."""
    return [] if container.rlimit_info is None else container.rlimit_info.rlimits


def _rlimit_name(limit: mesos.RLimitInfo_RLimit) -> str:
    assert limit.type is not None
    return limit.type.name.replace("RLMT_", "RLIMIT_")


def plan_rlimits(container: mesos.ContainerInfo) -> list[RLimit]:
    """Return the limits of a container by the kernel's names; one without numbers is none."""
    return [
        RLimit(
            _rlimit_name(one),
            RLIMIT_INFINITY if one.soft is None else one.soft,
            RLIMIT_INFINITY if one.hard is None else one.hard,
        )
        for one in rlimits_of(container)
    ]


def fault_of_rlimit(limit: mesos.RLimitInfo_RLimit) -> Rejection | None:
    """Say why a limit makes no sense, None where it does."""
    if limit.type is None or limit.type == mesos.RLimitInfo_RLimit_Type.UNKNOWN:
        return Rejection("rlimit_invalid", "an rlimit must have a type that is known")
    if (limit.soft is None) is not (limit.hard is None):
        return Rejection("rlimit_invalid", f"{limit.type.name} must have both a soft and a hard limit, or neither")
    if limit.soft is not None and limit.hard is not None and limit.soft > limit.hard:
        return Rejection("rlimit_invalid", f"{limit.type.name} has a soft limit above the hard one")
    return None


def _fault_of_linux(settings: AgentSettings, linux: mesos.LinuxInfo | None) -> Rejection | None:
    if linux is None:
        return None
    fault = fault_of_profile(settings.isolators, linux) or fault_of_sharing(settings.isolators, linux)
    if fault is not None:
        return fault
    wanted = [
        one for info in (linux.bounding_capabilities, linux.effective_capabilities, linux.capability_info) if info is not None
        for one in info.capabilities
    ]  # fmt: skip
    beyond = [one.name for one in wanted if one.name not in settings.bounding_capabilities]
    if beyond:
        what = "its operator may allow it by --bounding_capabilities"
        return Rejection("capability_refused", f"capability {beyond[0]} is not allowed on this agent; {what}")
    return None


def _capabilities(settings: AgentSettings, linux: mesos.LinuxInfo) -> tuple[list[str], list[str] | None]:
    """Return the bounding and the effective set: what the task names, else what the agent's flags do."""
    given = linux.effective_capabilities or linux.capability_info
    effective = capability_names(given) if given is not None else settings.effective_capabilities
    if linux.bounding_capabilities is not None:
        bounding = capability_names(linux.bounding_capabilities)
    else:
        bounding = list(settings.bounding_capabilities) if effective is None else list(effective)
    if effective is not None and linux.bounding_capabilities is not None:
        effective = [one for one in effective if one in bounding]
    return bounding, None if effective is None else list(effective)


def capability_names(info: mesos.CapabilityInfo) -> list[str]:
    """Return the names of capabilities, without CAP_."""
    return [one.name for one in info.capabilities]


def _first(faults: Iterable[Rejection | None]) -> Rejection | None:
    return next((fault for fault in faults if fault is not None), None)


def _refused(text: str) -> Rejection:
    return Rejection(_UNSUPPORTED, text)
