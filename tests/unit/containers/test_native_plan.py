"""What isolates a container without an image: what is refused in words, and what each isolator makes of what was asked for."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from merismos.core.agent import effects, events
from merismos.core.containers.image_plan import Mount, RLimit
from merismos.core.containers.linux_info import IsolatorSettings
from merismos.core.containers.native_plan import NativePlan
from unit.agent.rig import Rig, task

EVERY = (
    "posix/rlimits", "linux/capabilities", "linux/nnp", "namespaces/pid", "namespaces/ipc", "environment_secret", "filesystem/linux",
    "volume/host_path", "volume/sandbox_path", "volume/secret",
)  # fmt: skip
SECRET = {"type": "VALUE", "value": {"data": base64.b64encode(b"hush").decode()}}
NOFILE = {"rlimits": [{"type": "RLMT_NOFILE", "soft": 1, "hard": 2}]}
SECRET_VARIABLE = {"name": "KEY", "type": "SECRET", "secret": SECRET}


def container(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of ContainerInfo
    return {"type": "MESOS", **fields}


def linux(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of LinuxInfo
    return container(linux_info=fields)


def capabilities(*names: str) -> dict[str, Any]:
    return {"capabilities": list(names)}


def volume(**source: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of Volume
    return container(volumes=[{"container_path": "v", "mode": "RO", **source}])


def rig_with(names: tuple[str, ...] = EVERY, **settings: Any) -> Rig:  # noqa: ANN401 - fields of IsolatorSettings
    return Rig.registered(isolators=IsolatorSettings(names=names, mounts="filesystem/linux" in names, **settings))


def planned(given: dict[str, Any] | None = None, names: tuple[str, ...] = EVERY, **settings: Any) -> NativePlan:  # noqa: ANN401 - likewise
    rig = rig_with(names, **settings)
    rig.run(task("t", container=given))
    plan = rig.last(effects.LaunchContainer).native
    assert plan is not None
    return plan


def refusal(given: dict[str, Any], names: tuple[str, ...] = EVERY, **settings: Any) -> str:  # noqa: ANN401 - likewise
    rig = rig_with(names, **settings)
    rig.run(task("t", container=given))
    assert not rig.of(effects.LaunchContainer)
    (status,) = rig.updates()
    assert status["state"] == "TASK_ERROR"
    return str(status["message"])


@pytest.mark.parametrize(
    ("given", "isolators"),
    [
        (container(rlimit_info=NOFILE), "posix/rlimits"),
        (linux(effective_capabilities=capabilities("CHOWN")), "linux/capabilities"),
        (linux(bounding_capabilities=capabilities()), "linux/capabilities"),
        (linux(seccomp={"profile_name": "p"}), "linux/seccomp --seccomp_config_dir=DIRECTORY"),
        (linux(ipc_mode="PRIVATE"), "filesystem/linux,namespaces/ipc"),
        (volume(host_path="/x"), "filesystem/linux"),
        (volume(source={"type": "HOST_PATH", "host_path": {"path": "/x"}}), "filesystem/linux,volume/host_path"),
        (volume(source={"type": "SECRET", "secret": SECRET}), "filesystem/linux,volume/secret"),
    ],
)
def test_what_no_isolator_gives_is_refused_and_the_isolator_named(given: dict[str, Any], isolators: str) -> None:
    assert f"needs --isolation={isolators} on this agent" in refusal(given, names=())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (container(rlimit_info={"rlimits": [{"type": "RLMT_NOFILE", "soft": 2, "hard": 1}]}), "above the hard one"),
        (linux(effective_capabilities=capabilities("SYS_ADMIN")), "SYS_ADMIN is not allowed on this agent"),
        (
            linux(effective_capabilities=capabilities("CHOWN"), bounding_capabilities=capabilities("KILL")),
            "CHOWN is effective, but not among the bounding ones",
        ),
        (linux(shm_size=8), "set ipc_mode to PRIVATE"),
        (linux(share_pid_namespace=True), "Sharing agent's PID namespace is not allowed"),
        (linux(ipc_mode="SHARE_PARENT"), "Sharing agent's IPC namespace is not allowed"),
        (volume(host_path="/x/../y"), "without '..'"),
        (volume(image={"type": "DOCKER", "docker": {"name": "x"}}), "for containers of images"),
    ],
)
def test_what_makes_no_sense_or_is_not_allowed_is_refused(given: dict[str, Any], said: str) -> None:
    assert said in refusal(given, bounding=("CHOWN", "KILL"), own_pids_only=True, own_ipc_only=True)


def test_an_agent_that_is_not_root_has_volumes_for_images_only() -> None:
    rig = Rig.registered(isolators=IsolatorSettings(names=EVERY))
    rig.run(task("t", container=volume(host_path="/x")))
    assert "needs an image, or an agent that is root" in rig.updates()[0]["message"]


def test_without_isolators_there_is_nothing_to_plan() -> None:
    rig = rig_with(())
    rig.run(task("t"))
    assert rig.last(effects.LaunchContainer).native is None


def test_what_is_named_holds_for_a_container_that_asks_for_nothing() -> None:
    assert planned() == NativePlan(no_new_privileges=True, own_files=True, own_pids=True, own_ipc=True)
    assert planned(names=("linux/nnp",)) == NativePlan(no_new_privileges=True)


def test_limits_have_the_names_of_the_kernel() -> None:
    assert planned(container(rlimit_info=NOFILE)).rlimits == [RLimit("RLIMIT_NOFILE", 1, 2)]


@pytest.mark.parametrize(
    ("given", "flags", "bounding", "effective"),
    [
        (None, {}, None, None),
        (None, {"bounding": ("KILL", "CHOWN")}, ["KILL", "CHOWN"], None),
        (None, {"effective": ("KILL",)}, ["KILL"], ["KILL"]),
        (None, {"effective": ()}, [], []),
        ({"effective_capabilities": capabilities("KILL")}, {"effective": ("CHOWN",)}, ["KILL"], ["KILL"]),
        (
            {"effective_capabilities": capabilities("KILL")},
            {"bounding": ("KILL", "CHOWN")},
            ["KILL", "CHOWN"],
            ["KILL"],
        ),
        ({"bounding_capabilities": capabilities("KILL")}, {"effective": ("CHOWN", "KILL")}, ["KILL"], ["KILL"]),
        ({"capability_info": capabilities("KILL")}, {}, ["KILL"], ["KILL"]),
    ],
)
def test_capabilities_are_the_tasks_else_the_flags_and_never_more(
    given: dict[str, Any] | None, flags: dict[str, Any], bounding: list[str] | None, effective: list[str] | None
) -> None:
    plan = planned(None if given is None else linux(**given), **flags)
    assert (plan.bounding, plan.effective) == (bounding, effective)


@pytest.mark.parametrize(
    ("given", "own_ipc", "shm_bytes"),
    [
        ({}, True, None),
        ({"ipc_mode": "SHARE_PARENT"}, False, None),
        ({"ipc_mode": "PRIVATE"}, True, 5 << 20),
        ({"ipc_mode": "PRIVATE", "shm_size": 2}, True, 2 << 20),
    ],
)
def test_memory_is_shared_with_whom_the_mode_says(given: dict[str, Any], own_ipc: bool, shm_bytes: int | None) -> None:
    plan = planned(linux(**given), shm_bytes=5 << 20)
    assert (plan.own_ipc, plan.own_shm_bytes) == (own_ipc, shm_bytes)


def test_a_task_may_share_the_pids_of_its_agent() -> None:
    assert not planned(linux(share_pid_namespace=True)).own_pids


def test_volumes_lie_in_the_sandbox_or_where_their_path_says() -> None:
    given = container(
        volumes=[
            {"container_path": "v", "mode": "RO", "host_path": "/x"},
            {"container_path": "/data", "mode": "RW", "source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "SELF", "path": "d"}}},
        ]
    )  # fmt: skip
    rig = rig_with()
    rig.run(task("t", container=given))
    launch = rig.last(effects.LaunchContainer)
    assert launch.native is not None
    assert launch.native.mounts == [
        Mount("host", f"{launch.directory}/v", "/x", read_only=True),
        Mount("sandbox", "/data", "d", launch.directory),
    ]


def test_a_check_has_the_rights_of_its_task_and_enters_its_namespaces() -> None:
    rig = rig_with()
    check = {"type": "COMMAND", "command": {"command": {"value": "true"}}, "delay_seconds": 0}
    rig.run(task("t", check=check, container=container(rlimit_info=NOFILE)))
    rig.handle(events.ContainerLaunched(rig.last(effects.LaunchContainer).container_id, 7))
    rig.advance(1)
    plan = rig.last(effects.LaunchContainer).native
    assert plan == NativePlan(no_new_privileges=True, own_files=True, own_pids=True, own_ipc=True, joins=7)


def test_a_secret_of_the_environment_is_resolved_where_its_isolator_is() -> None:
    rig = rig_with()
    rig.run(task("t", {"value": "x", "environment": {"variables": [SECRET_VARIABLE]}}))
    assert "KEY=hush" in rig.last(effects.LaunchContainer).environment
    for broken, said in (
        ({"type": "REFERENCE", "reference": {"name": "n"}}, "not of type VALUE"),
        ({"type": "VALUE", "value": {"data": base64.b64encode(b"\xff").decode()}}, "that is no text"),
        ({"type": "VALUE", "value": {"data": base64.b64encode(b"a\0b").decode()}}, "NUL"),
    ):
        rig.take()
        rig = rig_with()
        variables = [{**SECRET_VARIABLE, "secret": broken}]
        rig.run(task("u", {"value": "x", "environment": {"variables": variables}}))
        assert said in rig.updates()[0]["message"]


def test_an_executor_has_its_namespaces_and_its_secrets_too() -> None:
    rig = rig_with()
    executor = {
        "executor_id": {"value": "e"},
        "command": {"value": "run", "environment": {"variables": [SECRET_VARIABLE]}},
        "container": container(rlimit_info=NOFILE),
    }
    rig.run(task("t", command=None, executor=executor))
    launch = rig.last(effects.LaunchContainer)
    assert launch.native is not None
    assert (launch.native.own_pids, launch.native.rlimits) == (True, [RLimit("RLIMIT_NOFILE", 1, 2)])
    assert "KEY=hush" in launch.environment
