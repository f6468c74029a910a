from __future__ import annotations

import json

import pytest

from merismos.model.rejection import Rejection
from merismos.model.resource_json import resources_from_json_bytes
from merismos.model.resource_use import do_overlap, validate_one_revocability, validate_unique_persistence, validate_use
from merismos.model.resources import Resources

Json = dict[str, object]
RESERVED = [{"type": "DYNAMIC", "role": "eng"}]
MOUNTED = {"mode": "RW", "container_path": "p"}


def decoded(*entries: Json) -> Resources:
    found = resources_from_json_bytes(json.dumps(entries).encode())
    assert not isinstance(found, Rejection), found
    return found


def entry(name: str, value: float, **more: object) -> Json:
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}, **more}


def ports(begin: int, end: int) -> Json:
    return {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": begin, "end": end}]}}


def volume(volume_id: str = "v1", size: float = 5, **more: object) -> Json:
    return entry(
        "disk", size, reservations=RESERVED, disk={"persistence": {"id": volume_id}, "volume": MOUNTED}, **more
    )


def test_ordinary_resources_may_be_used() -> None:
    fine = decoded(entry("cpus", 0.1), entry("gpus", 2), ports(1, 2), volume())
    assert validate_use(fine) is None
    assert validate_unique_persistence(fine) is None
    assert validate_one_revocability(fine) is None


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (entry("gpus", 0.5), "Invalid 'gpus' resource: The 'gpus' resource must be an unsigned integer"),
        (
            entry("disk", 1, disk={"persistence": {"id": "v"}, "volume": MOUNTED}),
            "Invalid DiskInfo: Persistent volumes cannot be created from unreserved resources",
        ),
        (volume(revocable={}), "Invalid DiskInfo: Persistent volumes cannot be created from revocable resources"),
        (
            entry("disk", 1, reservations=RESERVED, disk={"persistence": {"id": "v"}}),
            "Invalid DiskInfo: Expecting 'volume' to be set for persistent volume",
        ),
        (
            entry(
                "disk",
                1,
                reservations=RESERVED,
                disk={"persistence": {"id": "v"}, "volume": {**MOUNTED, "host_path": "/"}},
            ),
            "Invalid DiskInfo: Expecting 'host_path' to be unset for persistent volume",
        ),
        (
            volume("a/b"),
            "Invalid DiskInfo: Invalid persistence ID for persistent volume: 'a/b' contains invalid characters",
        ),
        (entry("disk", 1, disk={"volume": MOUNTED}), "Invalid DiskInfo: Non-persistent volume not supported"),
        (entry("disk", 1, disk={}), "Invalid DiskInfo: DiskInfo is set but empty"),
        (
            entry("cpus", 1, reservations=RESERVED, revocable={}),
            (
                "Invalid ReservationInfo: Dynamically reserved resource cpus(reservations: [(DYNAMIC,eng)]){REV}:1 cannot be created"
                " from revocable resources"
            ),
        ),
    ],
)
def test_what_nobody_may_use_is_refused_in_the_words_of_mesos(bad: Json, message: str) -> None:
    assert validate_use(decoded(entry("mem", 1), bad)) == Rejection("resources_invalid", message)


def test_a_persistence_id_is_used_once_in_a_role() -> None:
    refused = Rejection("resources_invalid", "Persistence ID 'v1' is not unique")
    assert validate_unique_persistence(decoded(volume(), volume(size=6))) == refused
    assert validate_unique_persistence(decoded(volume(), volume())) == refused
    assert validate_unique_persistence(decoded(volume(shared={}), volume(shared={}))) is None


def test_one_name_is_not_had_both_revocable_and_not() -> None:
    mixed = decoded(entry("cpus", 1), entry("mem", 1, revocable={}), entry("cpus", 1, revocable={}))
    assert validate_one_revocability(mixed) == Rejection(
        "resources_invalid",
        "Cannot use both revocable and non-revocable 'cpus' at the same time",
    )


def test_a_port_named_twice_overlaps_and_scalars_never_do() -> None:
    assert do_overlap([decoded(ports(1, 5)), decoded(ports(5, 9))])
    assert not do_overlap([decoded(ports(1, 4), entry("cpus", 1)), decoded(ports(5, 9), entry("cpus", 1))])
    assert not do_overlap([decoded(volume(shared={})), decoded(volume(shared={}))])
