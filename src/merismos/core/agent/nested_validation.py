"""What is wrong with a call about containers, in Mesos' words, whoever it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from merismos.core.agent.nested_state import DEPTH_MAX, path_of
from merismos.core.containers.image_plan import image_of
from merismos.core.containers.launch_plan import has_secrets, validate_command, validate_container
from merismos.core.containers.lxc_plan import is_rootfs
from merismos.core.containers.network_plan import named_networks
from merismos.model.ids import validate_id
from merismos.protocol.v1 import agent as api
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.agent.state import AgentSettings

_FAILED = "Failed to validate agent::Call: "
_NESTED = frozenset(
    {
        "launch_nested_container",
        "launch_nested_container_session",
        "wait_nested_container",
        "kill_nested_container",
        "remove_nested_container",
    }
)


class Launch(NamedTuple):
    """A container that is asked for; `tty` is rows and columns of the terminal that a session gets, None without."""

    container_id: mesos.ContainerID
    command: mesos.CommandInfo
    container: mesos.ContainerInfo | None
    is_session: bool
    tty: tuple[int, int] | None


def validate_call(settings: AgentSettings, call: api.Call) -> str | None:
    """Return why a call can't be taken, None where it can."""
    name = str(call.type).lower()
    body = getattr(call, name)
    if body is None:
        return f"{_FAILED}Expecting '{name}' to be present"
    container_id: mesos.ContainerID = body.container_id
    fault = _fault_of_id(container_id, name)
    if fault is not None:
        return _FAILED + fault
    if not name.startswith("launch_"):
        return None
    if body.command is None:
        return f"{_FAILED}Expecting '{name}.command' to be present"
    in_image = image_of(body.container) is not None and not is_rootfs(body.container)
    may_be_of_image = in_image and not body.command.shell
    rejection = validate_command(body.command, may_be_of_image=may_be_of_image, secrets=has_secrets(settings))
    if rejection is None and body.container is not None:
        has_terminal = call.launch_nested_container_session is not None
        rejection = validate_container(settings, body.container, has_terminal=has_terminal)
    if rejection is None and container_id.parent is not None and named_networks(body.container):
        return f"{_FAILED}what is nested is in its parent's network; leave '{name}.container.network_infos' out"
    if rejection is None and container_id.parent is not None and _asks_for_its_own(body.container):
        what = "what is nested without an image has its parent's limits, rights, namespaces and files"
        return f"{_FAILED}{what}; leave '{name}.container' out, or give it an image"
    if rejection is None and body.command.uris:
        return f"{_FAILED}'{name}.command' has URIs, which are fetched for tasks and executors only"
    return None if rejection is None else _FAILED + rejection.message


def _asks_for_its_own(container: mesos.ContainerInfo | None) -> bool:
    if container is None or image_of(container) is not None:
        return False
    return bool(container.volumes) or container.linux_info is not None or container.rlimit_info is not None


def launch_of(call: api.Call) -> Launch | None:
    """Return the container that a valid call asks for, None for a call of another kind."""
    body = call.launch_nested_container or call.launch_nested_container_session or call.launch_container
    if body is None:
        return None
    assert body.command is not None, "a validated launch has a command"
    is_session = call.launch_nested_container_session is not None
    size = None
    if is_session and body.container is not None and body.container.tty_info is not None:
        window = body.container.tty_info.window_size
        size = (window.rows, window.columns) if window is not None else (24, 80)
    return Launch(body.container_id, body.command, body.container, is_session, size)


def _fault_of_id(container_id: mesos.ContainerID, name: str) -> str | None:
    if name in _NESTED and container_id.parent is None:
        return f"Expecting '{name}.container_id.parent' to be present"
    one: mesos.ContainerID | None = container_id
    depth = 0
    while one is not None:
        depth += 1
        fault = validate_id(one.value) or ("'.' is not allowed in it" if "." in one.value and depth == 1 else None)
        if fault is not None:
            return f"'{name}.container_id' is invalid: {fault}"
        if depth > DEPTH_MAX:
            return f"'{name}.container_id' is invalid: {path_of(container_id)} is nested too deeply"
        one = one.parent
    return None
