"""Tasks for LXC: who runs them, what is refused in words, and how they are launched."""

from __future__ import annotations

from typing import Any

import pytest

from merismos.core.agent import effects, events
from merismos.core.containers.image_config import ImageConfig
from merismos.core.containers.image_plan import PulledImage
from merismos.core.containers.lxc_plan import LxcSettings
from unit.agent.rig import Rig, task

LXC = LxcSettings("/var/lib/lxc")


def rootfs(name: str = "box", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of ContainerInfo
    return {"type": "MESOS", "mesos": {"image": {"type": "APPC", "appc": {"name": name}}}, **fields}


def docker(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of ContainerInfo
    return {"type": "MESOS", "mesos": {"image": {"type": "DOCKER", "docker": {"name": "app"}}}, **fields}


def launched(rig: Rig, container: dict[str, Any], command: object = "echo hi") -> effects.LaunchContainer:
    rig.run(task("t", command, container=container))
    for pull in rig.of(effects.PullImage):
        rig.handle(events.ImagePulled(pull.container_id, PulledImage(["sha256:1"], ImageConfig(["entry"]))))
    (launch,) = rig.of(effects.LaunchContainer)
    return launch


@pytest.mark.parametrize(("name", "directory"), [("box", "/var/lib/lxc/box/rootfs"), ("/srv/root", "/srv/root")])
def test_a_root_is_found_by_its_name_or_is_a_directory_and_nothing_is_pulled_for_it(name: str, directory: str) -> None:
    rig = Rig.registered(lxc=LXC)
    launch = launched(rig, rootfs(name))
    assert not rig.of(effects.PullImage)
    assert launch.root is not None
    assert (launch.root.lxc, launch.root.rootfs, launch.root.layers) == (True, directory, [])
    assert launch.arguments == ["/bin/sh", "-c", "echo hi"]
    assert "MESOS_SANDBOX=/mnt/mesos/sandbox" in launch.environment


@pytest.mark.parametrize(("first", "is_lxc"), [(True, True), (False, False)])
def test_images_are_of_the_containerizer_that_is_named_first(first: bool, is_lxc: bool) -> None:
    rig = Rig.registered(lxc=LxcSettings("/var/lib/lxc", first), images=True)
    launch = launched(rig, docker())
    assert launch.root is not None
    assert (launch.root.lxc, launch.root.rootfs, launch.root.layers) == (is_lxc, "", ["sha256:1"])


def test_without_the_containerizer_of_processes_only_what_has_a_root_runs() -> None:
    rig = Rig.registered(lxc=LxcSettings("/var/lib/lxc", first=True), native=False)
    rig.run(task("native", "true"))
    (status,) = rig.updates()
    assert "None of the enabled containerizers (lxc) could create a container" in status["message"]
    assert launched(rig, rootfs()).root is not None


@pytest.mark.parametrize(
    ("container", "said"),
    [
        (rootfs(""), "must say appc.name"),
        (rootfs("../x"), "must be the name of a root filesystem"),
        (rootfs("/a/../b"), "must be the name of a root filesystem"),
        (rootfs("/"), "must be the name of a root filesystem"),
        (rootfs("a/b"), "must be the name of a root filesystem"),
        (rootfs("a\nb"), "must be the name of a root filesystem"),
        ({"type": "MESOS", "mesos": {"image": {"type": "APPC"}}}, "must say appc.name"),
        ({"type": "MESOS", "mesos": {"image": {"type": "APPC", "appc": {"name": "a", "id": "b"}}}}, "leave appc.id and appc.labels out"),
        (rootfs(linux_info={"share_pid_namespace": True}), "processes and IPC of their own"),
        (rootfs(linux_info={"ipc_mode": "SHARE_PARENT"}), "processes and IPC of their own"),
        (rootfs(hostname="a\nb"), "a host name holds no control characters"),
        (rootfs(volumes=[{"mode": "RW", "container_path": "/a\nb", "host_path": "/x"}]), "no control characters in the path"),
        (rootfs(volumes=[{"mode": "RW", "container_path": "/../x", "host_path": "/y"}]), "without '..'"),
        (docker(), "container images are off on this agent"),
    ],
)  # fmt: skip
def test_what_lxc_cannot_do_is_refused_in_words(container: dict[str, Any], said: str) -> None:
    rig = Rig.registered(lxc=LXC)
    rig.run(task("t", "true", container=container))
    assert not rig.of(effects.LaunchContainer)
    (status,) = rig.updates()
    assert status["state"] == "TASK_ERROR"
    assert said in status["message"]


def test_a_variable_with_a_line_break_is_refused_where_lxc_would_have_to_write_it() -> None:
    rig = Rig.registered(lxc=LXC)
    command = {"value": "true", "environment": {"variables": [{"name": "TEXT", "value": "two\nlines"}]}}
    rig.run(task("t", command, container=rootfs()))
    assert "'TEXT' has one" in rig.updates()[0]["message"]
    rig.run(task("native", command))
    assert rig.of(effects.LaunchContainer)


def test_a_check_of_a_task_begins_in_its_container() -> None:
    rig = Rig.registered(lxc=LXC)
    check = {"type": "COMMAND", "command": {"command": {"value": "true"}}, "delay_seconds": 0.0}
    rig.run(task("t", "sleep 9", container=rootfs(), check=check))
    (launch,) = rig.of(effects.LaunchContainer)
    rig.handle(events.ContainerLaunched(launch.container_id, 7))
    rig.advance(1.0)
    (_, run) = rig.of(effects.LaunchContainer)
    assert run.inside == launch.container_id
