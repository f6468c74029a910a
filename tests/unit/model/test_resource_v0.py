from __future__ import annotations

from merismos.model.identity import Disk, DiskSource, IdentityKey, identity_of
from merismos.model.rejection import Rejection
from merismos.model.resource_notation import parse_resources
from merismos.model.resource_v0 import reserved_to_v0, to_v0
from merismos.model.resources import EMPTY, Resources, resources_of


def res(text: str) -> Resources:
    parsed = parse_resources(text)
    assert not isinstance(parsed, Rejection), parsed
    return parsed


def test_an_agent_prints_numbers_and_texts() -> None:
    agent = res("cpus:4;mem:2048;disk:4096;ports:[31000-31010,32000-32000];bugs:{a,b}")
    assert to_v0(agent) == {
        "disk": 4096.0,
        "mem": 2048.0,
        "gpus": 0.0,
        "cpus": 4.0,
        "ports": "[31000-31010, 32000-32000]",
        "bugs": "{a, b}",
    }


def test_nothing_prints_as_four_zeros() -> None:
    assert to_v0(EMPTY) == {"disk": 0.0, "mem": 0.0, "gpus": 0.0, "cpus": 0.0}


def test_reservations_are_summed_and_listed_by_role() -> None:
    agent = res("cpus:1;cpus(eng):2;ports:[1-2];ports(eng):[3-4];cpus(ops):0.5")
    total = to_v0(agent)
    assert (total["cpus"], total["ports"]) == (3.5, "[1-4]")
    assert {role: (v0["cpus"], v0.get("ports")) for role, v0 in reserved_to_v0(agent).items()} == {
        "eng": (2.0, "[3-4]"),
        "ops": (0.5, None),
    }


def test_revocable_resources_have_names_of_their_own() -> None:
    revocable = resources_of([(identity_of(IdentityKey("cpus", "SCALAR", revocable=True)), 1500)])
    total = to_v0(res("cpus:1") + revocable)
    assert (total["cpus"], total["cpus_revocable"]) == (1.0, 1.5)


def test_a_shared_volume_counts_once_and_two_mounted_disks_twice() -> None:
    mount = IdentityKey("disk", "SCALAR", disk=Disk(DiskSource("MOUNT")), whole=10_000)
    volume = IdentityKey("disk", "SCALAR", disk=Disk(None, "v"), shared=True, whole=5_000)
    assert to_v0(resources_of([(identity_of(mount), 2), (identity_of(volume), 3)]))["disk"] == 25.0
