from __future__ import annotations

import json

import msgspec
import pytest

from merismos.model.rejection import Rejection
from merismos.model.resource_json import decode_messages, decode_resources, resources_from_json_bytes
from merismos.model.resource_protocol import DecodedResources, format_resources, from_protocol, to_protocol
from merismos.model.resources import EMPTY, Resources

Json = dict[str, object]


def entry(name: str = "cpus", value: float = 1, **more: object) -> Json:
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}, **more}


def dynamic(role: str, **more: object) -> Json:
    return {"type": "DYNAMIC", "role": role, **more}


def volume(path: str = "data", **more: object) -> Json:
    return {
        "persistence": {"id": "v1", "principal": "alice"},
        "volume": {"mode": "RW", "container_path": path},
        **more,
    }


def decoded(*entries: Json) -> Resources:
    found = resources_from_json_bytes(json.dumps(entries).encode())
    assert not isinstance(found, Rejection), found
    return found


def written(
    resources: Resources, *, role: str | None = None, refinement: bool = True, endpoint: bool = False
) -> object:
    messages = to_protocol(resources, allocation_role=role, refinement=refinement, endpoint=endpoint)
    return json.loads(msgspec.json.encode(messages))


def refused(*entries: Json) -> str:
    messages = decode_messages(json.dumps(entries).encode())
    assert not isinstance(messages, Rejection), messages
    found = from_protocol(messages)
    assert isinstance(found, Rejection), found
    assert found.reason == "resources_invalid"
    return found.message


def test_the_allocation_is_set_aside_and_reported() -> None:
    raw = json.dumps([entry(allocation_info={"role": "eng"}), entry("mem", 2)]).encode()
    assert decode_resources(raw) == DecodedResources(
        decoded(entry(), entry("mem", 2)), ("eng",), unallocated=True, count=2
    )


def test_an_offer_names_the_role_it_is_allocated_to() -> None:
    assert written(decoded(entry()), role="golden") == [entry(value=1.0, allocation_info={"role": "golden"})]


def test_the_old_format_names_star_for_what_is_unreserved() -> None:
    assert written(decoded(entry()), refinement=False) == [entry(value=1.0, role="*")]


@pytest.mark.parametrize("labels", [None, {"labels": [{"key": "a"}, {"key": "b", "value": "c"}]}])
def test_a_dynamic_reservation_reads_the_same_in_all_three_formats(labels: Json | None) -> None:
    more = {"principal": "p"} if labels is None else {"principal": "p", "labels": labels}
    new = entry(reservations=[dynamic("eng", **more)])
    old = entry(role="eng", reservation=more)
    both = {**new, **old}
    assert decoded(new) == decoded(old) == decoded(both)
    resources = decoded(new)
    assert written(resources) == [new]
    assert written(resources, refinement=False) == [old]
    assert written(resources, endpoint=True) == [both]


def test_a_static_reservation_reads_the_same_in_all_three_formats() -> None:
    new = entry(reservations=[{"type": "STATIC", "role": "eng"}])
    old = entry(role="eng")
    both = {**new, **old}
    assert decoded(new) == decoded(old) == decoded(both)
    assert written(decoded(new)) == [new]
    assert written(decoded(new), refinement=False) == [old]
    assert written(decoded(new), endpoint=True) == [both]


def test_a_refined_reservation_keeps_its_stack_in_every_format() -> None:
    stack = [{"type": "STATIC", "role": "eng"}, dynamic("eng/web", principal="p")]
    refined = entry(reservations=stack)
    resources = decoded(refined)
    assert written(resources) == written(resources, refinement=False) == written(resources, endpoint=True) == [refined]


def test_labels_of_a_reservation_have_no_order() -> None:
    one, two = {"key": "a", "value": "1"}, {"key": "b"}
    first = entry(reservations=[dynamic("eng", labels={"labels": [one, two]})])
    second = entry(reservations=[dynamic("eng", labels={"labels": [two, one]})])
    assert decoded(first) == decoded(second)


def test_a_volume_keeps_how_it_is_mounted_and_equals_itself_mounted_elsewhere() -> None:
    here = entry("disk", 64.0, reservations=[dynamic("eng")], disk=volume())
    there = entry("disk", 64.0, reservations=[dynamic("eng")], disk=volume("elsewhere"))
    assert written(decoded(here)) == [here]
    assert written(decoded(there)) == [there]
    assert decoded(here) == decoded(there)
    assert written(decoded(here) - decoded(there)) == []


def test_a_shared_volume_is_written_once_and_two_mounts_twice() -> None:
    shared = entry("disk", 64.0, reservations=[dynamic("eng")], disk=volume(), shared={})
    mount = entry("disk", 10.0, disk={"source": {"type": "MOUNT", "mount": {"root": "/m"}}})
    assert written(decoded(shared, shared)) == [shared]
    assert written(decoded(mount, mount)) == [mount, mount]


def test_every_field_of_an_entry_survives() -> None:
    source = {
        "type": "RAW",
        "vendor": "v",
        "id": "i",
        "metadata": {"labels": [{"key": "k", "value": "v"}]},
        "profile": "fast",
    }
    wholes: list[Json] = [
        entry("disk", 5.0, disk={"source": source}, provider_id={"value": "rp"}, revocable={}),
        entry("disk", 5.0, disk={"source": {"type": "PATH", "path": {}}}),
        entry("disk", 5.0, disk={"source": {"type": "PATH", "path": {"root": "/p"}}}),
        {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 1, "end": 3}, {"begin": 5, "end": 5}]}},
        {"name": "bugs", "type": "SET", "set": {"item": ["b", "a"]}},
    ]
    for whole in wholes:
        assert written(decoded(whole)) == [whole]


def test_empty_entries_are_valid_and_vanish() -> None:
    no_ports: Json = {"name": "ports", "type": "RANGES", "ranges": {}}
    assert decoded(entry(value=0), no_ports, {"name": "s", "type": "SET", "set": {}}) is EMPTY


def test_entries_of_one_identity_add_up() -> None:
    assert decoded(entry(value=0.1), entry(value=0.2)) == decoded(entry(value=0.3))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (entry(value=-1), "Resource 'cpus:-1' is invalid: Invalid scalar resource: value <= 0"),
        (entry(value=0.0001), "Resource 'cpus:0' is invalid: Invalid scalar resource: value <= 0"),
        (entry(name=""), "Resource ':1' is invalid: Empty resource name"),
        ({"name": "cpus", "type": "SCALAR"}, "Resource 'cpus:' is invalid: Invalid scalar resource"),
        (entry(ranges={}), "Resource 'cpus:1' is invalid: Invalid scalar resource"),
        ({"name": "ports", "type": "RANGES"}, "Resource 'ports:' is invalid: Invalid ranges resource"),
        (
            {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 2, "end": 1}]}},
            "Resource 'ports:[2-1]' is invalid: Invalid ranges resource: begin > end",
        ),
        (
            {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 4, "end": 9}, {"begin": 1, "end": 4}]}},
            "Resource 'ports:[4-9, 1-4]' is invalid: Invalid ranges resource: overlapping ranges",
        ),
        ({"name": "s", "type": "SET", "ranges": {}}, "Resource 's:[]' is invalid: Invalid set resource"),
        (
            {"name": "s", "type": "SET", "set": {"item": ["a", "a"]}},
            "Resource 's:{a, a}' is invalid: Invalid set resource: duplicated elements",
        ),
        ({"name": "t", "type": "TEXT"}, "Resource 't:' is invalid: Unsupported resource type"),
        (entry(disk={}), "Resource 'cpus[]:1' is invalid: DiskInfo should not be set for cpus resource"),
        (
            entry("disk", disk={"source": {"type": "BLOCK", "mount": {}}}),
            "Resource 'disk[BLOCK]:1' is invalid: Mount should not be set for BLOCK disk source",
        ),
        (
            entry("disk", disk={"source": {"type": "RAW", "path": {}}}),
            "Resource 'disk[RAW]:1' is invalid: Path should not be set for RAW disk source",
        ),
        (
            entry("disk", disk={"source": {"type": "UNKNOWN"}}),
            "Resource 'disk[UNKNOWN]:1' is invalid: Unsupported 'DiskInfo.Source.Type' in 'UNKNOWN'",
        ),
        (
            entry(role="a b"),
            "Resource 'cpus:1' is invalid: Role component 'a b' is invalid because it contains backspace or whitespace",
        ),
        (
            entry(reservation={"principal": "p"}),
            "Resource 'cpus:1' is invalid: Invalid reservation: role \"*\" cannot be dynamically reserved",
        ),
        (
            entry(role="eng", reservation={"role": "eng"}),
            "Resource 'cpus:1' is invalid: 'Resource.ReservationInfo.role' must not be set for the 'Resource.reservation' field",
        ),
        (
            entry(role="eng", reservation=dynamic("eng")),
            "Resource 'cpus:1' is invalid: 'Resource.ReservationInfo.type' must not be set for the 'Resource.reservation' field",
        ),
        (
            entry(reservations=[{"role": "eng"}]),
            (
                "Resource 'cpus(reservations: [(,eng)]):1' is invalid:"
                " Invalid reservation: 'Resource.ReservationInfo.type' field must be set."
            ),
        ),
        (
            entry(reservations=[{"type": "DYNAMIC"}]),
            (
                "Resource 'cpus(reservations: [(DYNAMIC,)]):1' is invalid:"
                " Invalid reservation: 'Resource.ReservationInfo.role' field must be set."
            ),
        ),
        (
            entry(reservations=[dynamic("*")]),
            "Resource 'cpus(reservations: [(DYNAMIC,*)]):1' is invalid: Invalid reservation: role \"*\" cannot be reserved",
        ),
        (
            entry(reservations=[dynamic("a"), dynamic("b")]),
            (
                "Resource 'cpus(reservations: [(DYNAMIC,a), (DYNAMIC,b)]):1' is invalid:"
                " Invalid refined reservation: role 'b' is not a refinement of 'a'"
            ),
        ),
        (
            entry(reservations=[dynamic("a"), {"type": "STATIC", "role": "a/b"}]),
            (
                "Resource 'cpus(reservations: [(DYNAMIC,a), (STATIC,a/b)]):1' is invalid:"
                " Invalid refined reservation: A refined reservation cannot be STATIC"
            ),
        ),
        (
            entry(reservations=[dynamic("a"), dynamic("a/b")], role="a/b"),
            (
                "Resource 'cpus(reservations: [(DYNAMIC,a), (DYNAMIC,a/b)]):1' is invalid: Invalid resource format:"
                " 'Resource.role' must not be set if there is more than one reservation in 'Resource.reservations'"
            ),
        ),
        (
            entry(reservations=[dynamic("a")], role="b", reservation={}),
            (
                "Resource 'cpus(reservations: [(DYNAMIC,a)]):1' is invalid: Invalid resource format:"
                " 'Resource.role' field with 'b' does not match the role 'a' in 'Resource.reservations'"
            ),
        ),
        (
            entry(reservations=[dynamic("a")], role="a"),
            (
                "Resource 'cpus(reservations: [(DYNAMIC,a)]):1' is invalid: Invalid resource format: 'Resource.role' and"
                " 'Resource.reservation' must either be both set or both not set if the single reservation in"
                " 'Resource.reservations' is DYNAMIC"
            ),
        ),
        (
            entry(reservations=[dynamic("a", principal="p")], role="a", reservation={"principal": "q"}),
            (
                "Resource 'cpus(reservations: [(DYNAMIC,a,p)]):1' is invalid: Invalid resource format:"
                " 'Resource.reservation.principal' field with 'q' does not match the principal 'p' in 'Resource.reservations'"
            ),
        ),
        (
            entry(reservations=[{"type": "STATIC", "role": "a"}], role="a", reservation={}),
            (
                "Resource 'cpus(reservations: [(STATIC,a)]):1' is invalid: Invalid resource format: 'Resource.reservation'"
                " must not be set if the single reservation in 'Resource.reservations' is STATIC"
            ),
        ),
        (
            entry(reservations=[{"type": "UNKNOWN", "role": "a"}]),
            "Resource 'cpus(reservations: [(UNKNOWN,a)]):1' is invalid: Unsupported 'Resource.ReservationInfo.Type'",
        ),
        (entry(shared={}), "Resource 'cpus<SHARED>:1' is invalid: Resource cpus cannot be shared"),
        (entry("disk", shared={}), "Resource 'disk<SHARED>:1' is invalid: Only persistent volumes can be shared"),
    ],
)
def test_a_malformed_entry_is_refused_in_the_words_of_mesos(bad: Json, message: str) -> None:
    assert refused(entry("mem", 1), bad) == message


def test_a_refusal_names_the_role_that_the_framework_left_out() -> None:
    messages = decode_messages(json.dumps([entry(value=-1)]).encode())
    assert not isinstance(messages, Rejection)
    found = from_protocol(messages, allocation_role="golden")
    assert found == Rejection(
        "resources_invalid",
        "Resource 'cpus(allocated: golden):-1' is invalid: Invalid scalar resource: value <= 0",
    )


def test_resources_print_as_in_the_messages_of_mesos() -> None:
    reserved = entry(
        "disk", 100, reservations=[dynamic("r", principal="op", labels={"labels": [{"key": "k", "value": "v"}]})]
    )
    stored = entry("disk", 64, reservations=[dynamic("r")], disk=volume(), shared={})
    assert format_resources(EMPTY) == "{}"
    assert format_resources(decoded(entry(value=0.1), entry("mem", 32)), allocation_role="other") == (
        "cpus(allocated: other):0.1; mem(allocated: other):32"
    )
    assert format_resources(decoded(reserved, stored, entry("gpus", 2, revocable={}))) == (
        "disk(reservations: [(DYNAMIC,r,op,{k: v})]):100; disk(reservations: [(DYNAMIC,r)])[v1:data]<SHARED>:64; gpus{REV}:2"
    )


def test_a_disk_prints_where_it_is_and_how_it_is_mounted() -> None:
    mounted = {**volume(), "volume": {"mode": "RO", "container_path": "c", "host_path": "/h"}}
    entries = [
        entry("disk", 1, disk={"source": {"type": "MOUNT", "mount": {"root": "/m"}}}),
        entry("disk", 2, disk={"source": {"type": "BLOCK", "id": "i", "vendor": "v", "profile": "p"}}),
        entry("disk", 3, reservations=[dynamic("r")], disk={**mounted, "source": {"type": "PATH"}}),
    ]
    assert format_resources(decoded(*entries)) == (
        "disk[MOUNT:/m]:1; disk[BLOCK(v,i,p)]:2; disk(reservations: [(DYNAMIC,r)])[PATH,v1:/h:c:ro]:3"
    )
