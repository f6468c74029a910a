"""A container's config.json says in full what it is and what it may do."""

from __future__ import annotations

from typing import Any

import pytest

from merismos.core.containers.image_plan import DEFAULT_CAPABILITIES, RLimit, RootPlan
from merismos.core.containers.oci_spec import BoundMount, ContainerUser, Surroundings, build_spec

PLACE = Surroundings(
    "/b/rootfs", "machine", "x86_64", "c1", (BoundMount("/t", "/s", read_only=True), BoundMount("/u", "/v"))
)
ALL = [f"CAP_{name}" for name in DEFAULT_CAPABILITIES]


def plan(**fields: Any) -> RootPlan:  # noqa: ANN401 - fields of RootPlan
    return RootPlan(
        **{
            "layers": ["l"],
            "working_dir": "/w",
            "sandbox_directory": "/mnt",
            "bounding": list(DEFAULT_CAPABILITIES),
            **fields,
        }
    )


def spec(user: ContainerUser | None = None, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of RootPlan
    return build_spec(plan(**fields), user or ContainerUser(), ["a", "b"], ["A=1"], PLACE)


def kinds(found: dict[str, Any]) -> list[str]:
    return [one["type"] for one in found["linux"]["namespaces"]]


def test_the_process_is_the_command_in_its_place() -> None:
    found = spec(ContainerUser(5, 6, (7,)), hostname="mine", rlimits=[RLimit("RLIMIT_CORE", 0, 1)])
    process = found["process"]
    assert (process["args"], process["env"], process["cwd"]) == (["a", "b"], ["A=1"], "/w")
    assert process["user"] == {"uid": 5, "gid": 6, "additionalGids": [7]}
    assert process["rlimits"] == [{"type": "RLIMIT_CORE", "soft": 0, "hard": 1}]
    assert process["noNewPrivileges"] is True
    assert found["hostname"] == "mine"
    assert found["linux"]["cgroupsPath"] == "c1"
    assert spec()["hostname"] == "machine"


def test_namespaces_are_its_own_but_for_the_network_and_what_it_shares() -> None:
    assert kinds(spec()) == ["mount", "uts", "pid", "ipc"]
    shared = spec(share_pids=True, share_ipc=True)
    assert kinds(shared) == ["mount", "uts"]
    shm = next(one for one in shared["mounts"] if one["destination"] == "/dev/shm")
    assert shm["type"] == "bind"


@pytest.mark.parametrize(
    ("uid", "effective", "expected", "ambient"),
    [(0, None, ALL, []), (9, None, [], []), (9, ["CHOWN"], ["CAP_CHOWN"], ["CAP_CHOWN"]), (0, [], [], [])],
)
def test_root_has_what_is_allowed_and_others_what_is_named(
    uid: int, effective: list[str] | None, expected: list[str], ambient: list[str]
) -> None:
    found = spec(ContainerUser(uid, uid), effective=effective)["process"]["capabilities"]
    assert (found["effective"], found["permitted"], found["ambient"]) == (expected, expected, ambient)
    assert found["bounding"] == ALL


def test_calls_into_the_machine_s_kernel_are_refused_unless_a_capability_is_for_them() -> None:
    def refused(found: dict[str, Any]) -> list[str]:
        return [name for rule in found["linux"]["seccomp"]["syscalls"] for name in rule["names"]]

    usual = refused(spec())
    assert {"mount", "unshare", "bpf", "keyctl", "kexec_load", "clone", "clone3"} <= set(usual)
    admin = refused(spec(bounding=["SYS_ADMIN"]))
    assert "bpf" in admin
    assert not {"mount", "unshare", "clone", "clone3"} & set(admin)
    assert "seccomp" not in spec(confined=False)["linux"]


def test_mounts_of_the_machine_are_bound_and_never_bring_devices_or_set_id_programs() -> None:
    found = {one["destination"]: one for one in spec()["mounts"]}
    assert found["/t"]["source"] == "/s"
    assert {"nosuid", "nodev", "ro"} <= set(found["/t"]["options"])
    assert "rw" in found["/u"]["options"]
    assert "size=67108864" in found["/dev/shm"]["options"]


def test_without_root_a_container_has_a_user_namespace_in_which_root_is_the_agents_user() -> None:
    place = Surroundings("/b/rootfs", "machine", "x86_64", "", root_is=(1000, 1001))
    found = build_spec(plan(), ContainerUser(), ["a"], [], place)
    assert "user" in kinds(found)
    assert found["linux"]["uidMappings"] == [{"containerID": 0, "hostID": 1000, "size": 1}]
    assert found["linux"]["gidMappings"] == [{"containerID": 0, "hostID": 1001, "size": 1}]
    assert "cgroupsPath" not in found["linux"]
    mounts = {one["destination"]: one for one in found["mounts"]}
    assert mounts["/sys"]["type"] == "bind"
    assert "gid=5" not in mounts["/dev/pts"]["options"]
    assert "uidMappings" not in spec()["linux"]
