"""Which tasks run in containers of LXC, and what is refused of them.

Rules: a root filesystem of LXC is an image of type APPC: its name is a directory of the machine, or what `lxc-create -n NAME` has made
below --lxc_path. Images of type DOCKER are LXC's where --containerizers names it before mesos, or without: the first that can run a container
does. A container writes to a layer of its own, never to the root filesystem that it was made of. What LXC can't do is refused in words.
Source: Mesos, docs/containerizer.md, for the order; lxc.container.conf(5).
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from merismos.core.containers.image_config import ImageConfig
from merismos.core.containers.image_plan import PulledImage, RootPlan, image_of, images_of_volumes, validate_rooted
from merismos.core.containers.linux_info import profile_of
from merismos.model.rejection import Rejection
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.agent.state import AgentSettings

NO_IMAGE = PulledImage([], ImageConfig())
_UNSUPPORTED = "container_unsupported"
_LINE_BREAKS = frozenset("\r\n")
_CONTROL = frozenset(chr(code) for code in (*range(32), 127))


class LxcSettings(msgspec.Struct, frozen=True):
    """What the core has to know of LXC.

    Shapes: `path` is where LXC keeps what `lxc-create` makes; `first`: it is asked before the containerizer of processes.
    """

    path: str
    first: bool = False


def is_rootfs(container: mesos.ContainerInfo | None) -> bool:
    """Say whether a container is made of a directory of the machine."""
    image = image_of(container)
    return image is not None and image.type == mesos.Image_Type.APPC


def is_lxc(settings: LxcSettings | None, container: mesos.ContainerInfo | None) -> bool:
    """Say whether LXC runs a container."""
    image = image_of(container)
    return settings is not None and image is not None and (settings.first or image.type == mesos.Image_Type.APPC)


def in_lxc(settings: LxcSettings | None, container: mesos.ContainerInfo, plan: RootPlan) -> RootPlan:
    """Return the root of a container as LXC shall make it; one that is another's as it is."""
    if settings is None or not is_lxc(settings, container):
        return plan
    return msgspec.structs.replace(plan, lxc=True, rootfs=_directory(settings, container))


def validate_lxc(settings: AgentSettings, container: mesos.ContainerInfo) -> Rejection | None:
    """Say why LXC can't run a container as asked; None where it can, or where it doesn't run it."""
    linux = container.linux_info
    if settings.lxc is None or not is_lxc(settings.lxc, container):
        return None
    if linux is not None and (linux.share_pid_namespace or linux.ipc_mode == mesos.LinuxInfo_IpcMode.SHARE_PARENT):
        return _refused("containers of LXC have processes and IPC of their own: leave sharing them out of linux_info")
    if profile_of(settings.isolators, linux or mesos.LinuxInfo()):
        return _refused("LXC has one filter of system calls, ours: leave seccomp out, or set it to unconfined")
    if container.hostname is not None and _CONTROL & frozenset(container.hostname):
        return Rejection("hostname_invalid", "a host name holds no control characters")
    if any(_CONTROL & frozenset(volume.container_path) for volume in container.volumes):
        return Rejection("volume_invalid", "LXC takes no control characters in the path of a volume")
    return None


def validate_rootfs(settings: AgentSettings, container: mesos.ContainerInfo) -> Rejection | None:
    """Say why a container can't be made of a directory of the machine as asked."""
    if settings.lxc is None:
        what = "those of type APPC, root filesystems of LXC, need --containerizers=mesos,lxc"
        return _refused(f"only images of type DOCKER are supported on this agent; {what}")
    image = image_of(container)
    appc = None if image is None else image.appc
    if appc is None or not appc.name:
        return _refused("an image of type APPC must say appc.name: a root filesystem of LXC, by its name or directory")
    if appc.id or (appc.labels is not None and appc.labels.labels):
        return _refused("root filesystems of LXC are found by their name; leave appc.id and appc.labels out")
    path = PurePosixPath(appc.name)
    simple = path.is_absolute() or len(path.parts) == 1
    if not simple or ".." in path.parts or path == PurePosixPath("/") or _CONTROL & frozenset(appc.name):
        text = f"appc.name '{appc.name}' must be the name of a root filesystem below --lxc_path, or a directory but /"
        return Rejection("image_invalid", text)
    if images_of_volumes(container):
        return _refused("volumes of images need a container of an image of type DOCKER")
    return validate_rooted(settings, container)


def validate_variables(command: mesos.CommandInfo) -> Rejection | None:
    """Say why a command's environment can't be given to a container of LXC: its configuration has a line for each variable."""
    variables = [] if command.environment is None else command.environment.variables
    odd = [one.name for one in variables if _LINE_BREAKS & frozenset(f"{one.name}{one.value}")]
    if not odd:
        return None
    what = f"LXC takes no line breaks in environment variables, and '{odd[0]}' has one; put such a text in a file"
    return Rejection("environment_invalid", what)


def _directory(settings: LxcSettings, container: mesos.ContainerInfo) -> str:
    image = image_of(container)
    if image is None or image.appc is None or image.type != mesos.Image_Type.APPC:
        return ""
    name = image.appc.name
    return name if name.startswith("/") else f"{settings.path}/{name}/rootfs"


def _refused(text: str) -> Rejection:
    return Rejection(_UNSUPPORTED, text)
