from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merismos.model.attributes import parse_attributes
from merismos.model.ids import validate_id
from merismos.model.quantities import parse_alternatives
from merismos.model.rejection import Rejection
from merismos.model.resource_json import decode_resources
from merismos.model.resource_notation import format_notation, parse_resources
from merismos.model.resource_protocol import DecodedResources, format_resources, to_protocol
from merismos.model.resource_use import validate_one_revocability, validate_unique_persistence, validate_use
from merismos.model.resource_v0 import to_v0
from merismos.model.resources import Resources
from merismos.model.roles import validate_role

Json = dict[str, object]

roles = st.sampled_from(["eng", "ops", "eng/web"])
amounts = st.integers(1, 10**7).map(lambda milli: milli / 1000)
labels = st.fixed_dictionaries({"labels": st.lists(st.fixed_dictionaries({"key": st.sampled_from("abc")}), max_size=1)})
dynamic = st.fixed_dictionaries(
    {"type": st.just("DYNAMIC"), "role": roles}, optional={"principal": st.text(max_size=3), "labels": labels}
)
static = st.fixed_dictionaries({"type": st.just("STATIC"), "role": roles})
refined = st.tuples(static, st.fixed_dictionaries({"type": st.just("DYNAMIC"), "role": st.just("eng/web/api")})).filter(
    lambda stack: stack[0]["role"] != "ops",
)
stacks: st.SearchStrategy[list[Json]] = st.one_of(
    st.just([]), static.map(lambda one: [one]), dynamic.map(lambda one: [one]), refined.map(list)
)
volumes = st.fixed_dictionaries({"mode": st.sampled_from(["RW", "RO"]), "container_path": st.sampled_from(["a", "b"])})
persistences = st.fixed_dictionaries({"id": st.sampled_from(["v1", "v2"])}, optional={"principal": st.just("p")})
sources = st.sampled_from(
    [
        {"type": "PATH"},
        {"type": "MOUNT", "mount": {"root": "/m"}},
        {"type": "RAW", "id": "r", "vendor": "v"},
        {"type": "BLOCK"},
    ],
)
disks = st.fixed_dictionaries({}, optional={"persistence": persistences, "volume": volumes, "source": sources})


@st.composite
def entries(draw: st.DrawFn) -> Json:
    entry: Json = draw(
        st.one_of(
            st.builds(lambda name, value: {"name": name, "type": "SCALAR", "scalar": {"value": value}}, names, amounts),
            st.builds(
                lambda found: {"name": "ports", "type": "RANGES", "ranges": {"range": ranges_json(found)}}, numbers
            ),
            st.builds(lambda items: {"name": "bugs", "type": "SET", "set": {"item": items}}, items),
        ),
    )
    stack = draw(stacks)
    more: Json = {"reservations": stack} if stack else {}
    if entry["name"] == "disk" and draw(st.booleans()):
        disk = draw(disks)
        more |= {"disk": disk} | ({"shared": {}} if "persistence" in disk and draw(st.booleans()) else {})
    return entry | more | draw(st.sampled_from([{}, {"revocable": {}}, {"provider_id": {"value": "rp"}}]))


names = st.sampled_from(["cpus", "mem", "disk", "gpus", "x"])
numbers = st.sets(st.integers(0, 40), min_size=1, max_size=5)
items = st.lists(st.sampled_from("abcd"), min_size=1, unique=True)


def ranges_json(found: set[int]) -> list[Json]:
    return [{"begin": number, "end": number} for number in sorted(found)]


def decoded(wire: object) -> Resources:
    found = decode_resources(json.dumps(wire).encode())
    assert isinstance(found, DecodedResources), found
    return found.resources


@given(st.lists(entries(), max_size=4), st.sampled_from([{}, {"refinement": False}, {"endpoint": True}]))
def test_every_format_is_read_back_as_the_same_resources(wire: list[Json], form: dict[str, bool]) -> None:
    resources = decoded(wire)
    written = msgspec.json.encode(to_protocol(resources, allocation_role="eng", **form))
    again = decode_resources(written)
    assert isinstance(again, DecodedResources), again
    shared_once = decoded([entry for entry in wire if "shared" not in entry])
    assert again.resources.nonshared() == shared_once
    assert again.resources.shared().quantities() == resources.shared().quantities()
    assert not resources or (again.allocation_roles == ("eng",) and not again.unallocated)


@given(st.lists(entries(), max_size=4))
def test_writing_is_stable_once_read(wire: list[Json]) -> None:
    first = msgspec.json.encode(to_protocol(decoded(wire)))
    second = msgspec.json.encode(to_protocol(decoded(json.loads(first))))
    assert first == second


@given(st.lists(entries(), max_size=4))
def test_every_view_can_be_taken_of_every_resource(wire: list[Json]) -> None:
    resources = decoded(wire)
    assert format_resources(resources)
    assert set(to_v0(resources)) >= {"cpus", "mem", "disk", "gpus"}
    for validate in (validate_use, validate_unique_persistence, validate_one_revocability):
        assert isinstance(validate(resources), Rejection | None)


notation_entries = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["cpus", "mem", "x y"]), roles | st.none(), amounts.map(lambda value: f"{value:.15g}")
        ),
        st.tuples(st.just("ports"), roles | st.none(), st.sampled_from(["[1-4]", "[5-5,9-12]", "[3-7]"])),
        st.tuples(st.just("bugs"), roles | st.none(), st.sampled_from(["{a}", "{a,b}", "{c}"])),
    ),
    max_size=6,
)


@given(notation_entries)
def test_the_notation_is_read_back(noted: list[tuple[str, str | None, str]]) -> None:
    text = ";".join(f"{name}:{value}" if role is None else f"{name}({role}):{value}" for name, role, value in noted)
    resources = parse_resources(text)
    assert not isinstance(resources, Rejection), resources
    assert parse_resources(format_notation(resources)) == resources
    assert len(resources) == len({(name, role) for name, role, _ in noted})


PARSERS = [parse_resources, parse_attributes, parse_alternatives, validate_role, validate_id]


@pytest.mark.parametrize("parse", PARSERS)
@given(st.one_of(st.text(max_size=80), st.text(alphabet='cpus():;[]{}-,*0123456789.eE /|"\n', max_size=80)))
def test_no_text_is_an_accident(parse: object, text: str) -> None:
    assert callable(parse)
    found = parse(text)
    assert isinstance(found, Resources | Rejection | list | str | None)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "type",
                    "scalar",
                    "value",
                    "ranges",
                    "range",
                    "begin",
                    "end",
                    "set",
                    "item",
                    "role",
                    "reservations",
                    "disk",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_no_json_is_an_accident(value: object) -> None:
    assert isinstance(decode_resources(json.dumps(value).encode()), DecodedResources | Rejection)


@given(st.lists(entries(), min_size=1, max_size=3), json_values, st.data())
def test_no_spoilt_entry_is_an_accident(wire: list[Json], value: object, data: st.DataObject) -> None:
    spoilt = data.draw(st.sampled_from(wire))
    spoilt[data.draw(st.sampled_from(sorted(spoilt)))] = value
    assert isinstance(decode_resources(json.dumps(wire).encode()), DecodedResources | Rejection)


@given(st.binary(max_size=60))
def test_no_bytes_are_an_accident(raw: bytes) -> None:
    assert isinstance(decode_resources(raw), DecodedResources | Rejection)
