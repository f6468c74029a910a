"""Tasks with images: refused in words, pulled for, launched with what the image says, and let go of."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from merismos.core.agent import effects, events
from merismos.core.containers.image_config import ImageConfig
from merismos.core.containers.image_plan import DEFAULT_CAPABILITIES, Mount, PulledImage, RLimit
from merismos.protocol import link
from unit.agent.rig import FRAMEWORK, Rig, framework_info, task

PULLED = PulledImage(["sha256:1"], ImageConfig(["entry"], ["cmd"], ["PATH=/own", "A=image"], "/work", "web"))
SECRET = {"type": "VALUE", "value": {"data": base64.b64encode(b"hush").decode()}}


def container(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of ContainerInfo
    return {"type": "MESOS", "mesos": {"image": {"type": "DOCKER", "docker": {"name": "app:1"}}}, **fields}


def volume(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of Volume
    return container(volumes=[{"mode": "RW", "container_path": "/x", **fields}])


def source(kind: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of Volume.Source
    return volume(source={"type": kind, **fields})


def with_images(**settings: Any) -> Rig:  # noqa: ANN401 - any of AgentSettings
    return Rig.registered(images=True, **settings)


def launched(rig: Rig, raw: bytes, image: PulledImage = PULLED) -> effects.LaunchContainer:
    rig.run(raw)
    (pull,) = rig.of(effects.PullImage)
    rig.handle(events.ImagePulled(pull.container_id, image))
    (launch,) = rig.of(effects.LaunchContainer)
    return launch


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"type": "MESOS", "mesos": {"image": {"type": "APPC", "appc": {"name": "x"}}}}, "only images of type DOCKER"),
        ({"type": "MESOS", "mesos": {"image": {"type": "DOCKER", "docker": {"name": "Ä"}}}}, "can't be the name of an image"),
        ({"type": "MESOS", "mesos": {"image": {"type": "DOCKER", "docker": {"name": "x", "config": {"type": "REFERENCE"}}}}}, "of type VALUE"),
        (container(network_infos=[{"name": "bridge"}]), "this agent joins none; start it with --isolation=network/cni"),
        (container(tty_info={}), "terminals of containers are not supported yet"),
        (volume(), "has no source"),
        (volume(image={"type": "DOCKER", "docker": {"name": "y"}}, host_path="/y"), "can't have another source as well"),
        (volume(image={"type": "DOCKER", "docker": {"name": "Ä"}}), "the volume at '/x': "),
        (volume(image={"type": "APPC", "appc": {"name": "y"}}), "only images of type DOCKER"),
        (volume(host_path="/a/../b"), "must be an absolute path"),
        (volume(host_path="../b"), "a path below the sandbox"),
        (container(volumes=[{"mode": "RW", "container_path": "/../x", "host_path": "/y"}]), "without '..'"),
        (source("HOST_PATH", host_path={"path": "relative"}), "must be an absolute path"),
        (source("HOST_PATH", host_path={"path": "/x", "mount_propagation": {"mode": "BIDIRECTIONAL"}}), "mount propagation"),
        (source("SANDBOX_PATH", sandbox_path={"type": "SELF", "path": "/absolute"}), "a path below the sandbox"),
        (source("SANDBOX_PATH", sandbox_path={"type": "SELF", "path": "a/../.."}), "a path below the sandbox"),
        (source("SECRET", secret={"type": "REFERENCE", "reference": {"name": "x"}}), "not of type VALUE"),
        (source("DOCKER_VOLUME", docker_volume={"name": "x"}), "is DOCKER_VOLUME"),
        (container(rlimit_info={"rlimits": [{"type": "RLMT_NOFILE", "soft": 2, "hard": 1}]}), "above the hard one"),
        (container(rlimit_info={"rlimits": [{"type": "RLMT_NOFILE", "soft": 2}]}), "both a soft and a hard limit"),
        (container(rlimit_info={"rlimits": [{"soft": 2, "hard": 3}]}), "must have a type"),
        (container(linux_info={"effective_capabilities": {"capabilities": ["SYS_ADMIN"]}}), "SYS_ADMIN is not allowed"),
        (container(linux_info={"seccomp": {"profile_name": "mine"}}), "needs --isolation=linux/seccomp --seccomp_config_dir"),
    ],
)  # fmt: skip
def test_what_a_container_cannot_have_is_refused_before_anything_is_pulled(given: dict[str, Any], said: str) -> None:
    rig = with_images()
    rig.run(task("t", container=given))
    assert not rig.of(effects.PullImage)
    (status,) = rig.updates()
    assert status["state"] == "TASK_ERROR"
    assert said in status["message"]


def test_a_task_is_launched_with_what_its_image_says_and_what_it_says_itself() -> None:
    env = {"variables": [{"name": "A", "value": "task"}]}
    launch = launched(
        with_images(), task("t", {"shell": False, "arguments": ["mine"], "environment": env}, container=container())
    )
    assert launch.arguments == ["entry", "mine"]
    environment = dict(variable.split("=", 1) for variable in launch.environment)
    assert (environment["PATH"], environment["A"], environment["MESOS_SANDBOX"]) == (
        "/own",
        "task",
        "/mnt/mesos/sandbox",
    )
    root = launch.root
    assert root is not None
    assert (root.layers, root.working_dir, root.image_user) == (["sha256:1"], "/work", "web")
    assert (root.bounding, root.effective) == (list(DEFAULT_CAPABILITIES), None)


@pytest.mark.parametrize(
    ("user", "command_user", "expected"),
    [("root", None, "web"), ("nobody", None, ""), ("root", "root", ""), ("root", "nobody", "")],
)
def test_an_image_may_only_take_rights_away(user: str, command_user: str | None, expected: str) -> None:
    rig = with_images(switch_user=True)
    rig.run(task("t", {"value": "x", "user": command_user}, container=container()), framework=framework_info(user=user))
    (pull,) = rig.of(effects.PullImage)
    rig.handle(events.ImagePulled(pull.container_id, PULLED))
    (launch,) = rig.of(effects.LaunchContainer)
    assert launch.root is not None
    assert launch.root.image_user == expected
    assert launch.user == (command_user or user)


def test_volumes_limits_and_rights_become_a_plan() -> None:
    volumes = [
        {"mode": "RO", "container_path": "/a", "host_path": "/host"},
        {"mode": "RW", "container_path": "b", "host_path": "in/sandbox"},
        {"mode": "RW", "container_path": "/c", "source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": "p"}}},
        {"mode": "RW", "container_path": "/d", "source": {"type": "SECRET", "secret": SECRET}},
    ]  # fmt: skip
    linux = {
        "effective_capabilities": {"capabilities": ["CHOWN", "KILL"]}, "bounding_capabilities": {"capabilities": ["CHOWN"]},
        "share_pid_namespace": True, "ipc_mode": "SHARE_PARENT", "shm_size": 8, "seccomp": {"unconfined": True},
    }  # fmt: skip
    limits = {"rlimits": [{"type": "RLMT_NOFILE", "soft": 1, "hard": 2}, {"type": "RLMT_CORE"}]}
    info = container(volumes=volumes, linux_info=linux, rlimit_info=limits, hostname="h")
    launch = launched(with_images(), task("t", container=info))
    root, sandbox = launch.root, launch.directory
    assert root is not None
    assert root.mounts == [
        Mount("host", "/a", "/host", read_only=True),
        Mount("sandbox", "/mnt/mesos/sandbox/b", "in/sandbox", sandbox),
        Mount("sandbox", "/c", "p", sandbox),
        Mount("secret", "/d", data=b"hush", read_only=True),
    ]
    assert (root.bounding, root.effective) == (["CHOWN"], ["CHOWN"])
    assert (root.share_pids, root.share_ipc, root.shm_bytes, root.confined, root.hostname) == (
        True,
        True,
        8 << 20,
        False,
        "h",
    )
    assert root.rlimits == [RLimit("RLIMIT_NOFILE", 1, 2), RLimit("RLIMIT_CORE", (1 << 64) - 1, (1 << 64) - 1)]


def test_images_that_are_volumes_are_pulled_with_their_container_s_and_mounted_each_where_it_shall_be() -> None:
    config = base64.b64encode(b"{}").decode()
    secret = {"type": "VALUE", "value": {"data": config}}
    volumes = [
        {"mode": "RO", "container_path": "/a", "image": {"type": "DOCKER", "docker": {"name": "y", "config": secret}, "cached": False}},
        {"mode": "RW", "container_path": "/b", "host_path": "/host"},
        {"mode": "RW", "container_path": "c", "image": {"type": "DOCKER", "docker": {"name": "z"}}},
    ]  # fmt: skip
    rig = with_images()
    pulled = PulledImage(["sha256:1"], ImageConfig(cmd=["x"]), [["sha256:2", "sha256:1"], ["sha256:3"]])
    launch = launched(rig, task("t", container=container(volumes=volumes)), pulled)
    (pull,) = rig.of(effects.PullImage)
    assert pull.image == effects.WantedImage("app:1")
    assert pull.volumes == [effects.WantedImage("y", cached=False, config=b"{}"), effects.WantedImage("z")]
    assert launch.root is not None
    assert launch.root.mounts == [
        Mount("image", "/a", read_only=True, layers=["sha256:2", "sha256:1"]),
        Mount("host", "/b", "/host"),
        Mount("image", "/mnt/mesos/sandbox/c", layers=["sha256:3"]),
    ]
    assert launch.root.every_layer() == ["sha256:1", "sha256:2", "sha256:3"]


def test_files_and_an_image_are_brought_side_by_side_and_the_last_of_them_launches() -> None:
    for first in ("image", "files"):
        rig = with_images()
        rig.run(task("t", {"value": "x", "uris": [{"value": "/f"}]}, container=container()))
        (pull,) = rig.of(effects.PullImage)
        steps = {"image": events.ImagePulled(pull.container_id, PULLED), "files": events.UrisFetched(pull.container_id)}
        rig.handle(steps.pop(first))
        assert not rig.of(effects.LaunchContainer)
        rig.handle(*steps.values())
        assert len(rig.of(effects.LaunchContainer)) == 1


@pytest.mark.parametrize("what", ["image", "files", "sandbox", "command"])
def test_where_one_thing_cannot_be_had_the_task_fails_and_its_image_is_let_go(what: str) -> None:
    rig = with_images()
    command = {"shell": False} if what == "command" else {"value": "x", "uris": [{"value": "/f"}]}
    rig.run(task("t", command, container=container()))
    (pull,) = rig.of(effects.PullImage)
    cid = pull.container_id
    rig.handle(
        {
            "image": events.ImagePullFailed(cid, "gone"),
            "files": events.FetchFailed(cid, "gone"),
            "sandbox": events.ContainerLaunchFailed(cid, "gone"),
            "command": events.ImagePulled(cid, PulledImage([], ImageConfig())),
        }[what]
    )
    (status,) = rig.updates()
    assert status["state"] == "TASK_FAILED"
    assert status["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
    assert [effect.container_id for effect in rig.of(effects.AbortFetch)] == [cid]
    rig.handle(events.ImagePulled(cid, PULLED))
    assert not rig.of(effects.LaunchContainer)


def test_a_task_is_killed_while_its_image_is_pulled() -> None:
    rig = with_images()
    rig.run(task("t", container=container()))
    (pull,) = rig.of(effects.PullImage)
    rig.receive(link.KillTask(FRAMEWORK, "t", None))
    assert pull.container_id in [effect.container_id for effect in rig.of(effects.AbortFetch)]
    (status,) = rig.updates()
    assert status["state"] == "TASK_KILLED"


def test_a_command_check_runs_inside_of_its_task_s_container() -> None:
    rig = with_images()
    check = {
        "type": "COMMAND",
        "command": {"command": {"value": "probe", "environment": {"variables": [{"name": "B", "value": "1"}]}}},
        "delay_seconds": 0,
    }
    launch = launched(rig, task("t", container=container(), check=check))
    rig.handle(events.ContainerLaunched(launch.container_id, 7))
    rig.advance(1.0)
    (run,) = [effect for effect in rig.of(effects.LaunchContainer) if effect.inside]
    assert (run.inside, run.environment, run.arguments) == (launch.container_id, ["B=1"], ["/bin/sh", "-c", "probe"])
