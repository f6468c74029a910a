from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec

from merismos.model.attributes import attributes_to_v0, parse_attributes
from merismos.model.rejection import Rejection
from merismos.model.resource_json import decode_resources
from merismos.model.resource_notation import parse_resources
from merismos.model.resource_protocol import DecodedResources, to_protocol
from merismos.model.resource_v0 import reserved_to_v0, to_v0

AGENT = "cpus:4;mem:2048;disk:4096;ports:[31000-31999]"


def bodies(folder: Path) -> Iterator[object]:
    for path in sorted(folder.glob("*/*.json")):
        recorded = json.loads(path.read_text())
        if not isinstance(recorded, dict):
            continue
        yield recorded.get("response", {}).get("body_json")
        yield from (event.get("event") for event in recorded.get("events", []))


def resource_lists(value: object) -> Iterator[list[dict[str, object]]]:
    if isinstance(value, dict):
        for one in value.values():
            yield from resource_lists(one)
    elif isinstance(value, list):
        if value and all(
            isinstance(one, dict) and {"name", "type"} <= one.keys() and "text" not in one for one in value
        ):
            if all(one["type"] in {"SCALAR", "RANGES", "SET"} for one in value):
                yield value
        else:
            for one in value:
                yield from resource_lists(one)


def test_every_recorded_resource_is_read_and_written_without_loss(recordings: Path) -> None:
    seen = 0
    for body in bodies(recordings):
        for entries in resource_lists(body):
            decoded = decode_resources(json.dumps(entries).encode())
            assert isinstance(decoded, DecodedResources), (decoded, entries)
            if len(decoded.allocation_roles) > 1:
                continue
            role = decoded.allocation_roles[0] if decoded.allocation_roles else None
            endpoint = "role" in entries[0]
            reserved = any("reservations" in entry for entry in entries)
            messages = to_protocol(
                decoded.resources, allocation_role=role, endpoint=endpoint and reserved, refinement=not endpoint
            )
            assert json.loads(msgspec.json.encode(messages)) == [
                entry for entry in entries if entry.get("scalar") != {"value": 0.0}
            ]
            seen += 1
    assert seen > 100


def test_the_recorded_v0_state_of_an_agent_is_ours(recordings: Path) -> None:
    recorded = json.loads((recordings / "v0" / "master_state.json").read_text())["response"]["body_json"]["slaves"][0]
    total = parse_resources(AGENT)
    assert not isinstance(total, Rejection)
    assert to_v0(total) == recorded["resources"]
    assert to_v0(total.unreserved()) == recorded["unreserved_resources"]
    assert reserved_to_v0(total) == recorded["reserved_resources"]
    attributes = parse_attributes("rack:r1;zone:z1")
    assert not isinstance(attributes, Rejection)
    assert attributes_to_v0(attributes) == recorded["attributes"]


def test_the_recorded_v0_view_of_reservations_and_volumes_is_ours(recordings: Path) -> None:
    recorded = json.loads((recordings / "v0" / "slaves_with_volume.json").read_text())["response"]["body_json"][
        "slaves"
    ][0]
    full = [entry for entries in recorded["reserved_resources_full"].values() for entry in entries]
    decoded = decode_resources(json.dumps(full + recorded["unreserved_resources_full"]).encode())
    assert isinstance(decoded, DecodedResources)
    assert to_v0(decoded.resources) == recorded["resources"]
    assert reserved_to_v0(decoded.resources) == recorded["reserved_resources"]
    for role, entries in recorded["reserved_resources_full"].items():
        written = to_protocol(decoded.resources.reserved_to(role), endpoint=True)
        assert json.loads(msgspec.json.encode(written)) == entries
