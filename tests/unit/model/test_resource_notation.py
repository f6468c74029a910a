from __future__ import annotations

import pytest

from merismos.model.identity import IdentityKey, Reservation, identity_of
from merismos.model.quantities import parse_alternatives, parse_quantities
from merismos.model.ranges import parse_ranges
from merismos.model.rejection import Rejection
from merismos.model.resource_notation import format_notation, parse_resources
from merismos.model.resources import EMPTY, Resources
from merismos.model.sets import ItemSet


def parsed(text: str, default_role: str = "*") -> Resources:
    found = parse_resources(text, default_role)
    assert isinstance(found, Resources), found
    return found


def test_the_flag_names_scalars_ranges_sets_and_roles() -> None:
    resources = parsed("cpus:2.5;ports:[31000-31010, 32000-32000];mem(eng): 512 ;bugs:{a,b}")
    eng = (Reservation("STATIC", "eng"),)
    assert dict(resources.amounts) == {
        identity_of(IdentityKey("cpus", "SCALAR")): 2500,
        identity_of(IdentityKey("ports", "RANGES")): parse_ranges("[31000-31010,32000-32000]"),
        identity_of(IdentityKey("mem", "SCALAR", eng)): 512_000,
        identity_of(IdentityKey("bugs", "SET")): ItemSet(["a", "b"]),
    }
    assert format_notation(resources) == "cpus:2.5;ports:[31000-31010,32000-32000];mem(eng):512;bugs:{a,b}"


def test_what_names_no_role_goes_to_the_default_role() -> None:
    assert parsed("cpus:1;mem(*):2", "eng") == parsed("cpus(eng):1;mem:2")
    text = '[{"name":"cpus","type":"SCALAR","scalar":{"value":1}},{"name":"mem","type":"SCALAR","scalar":{"value":2},"role":"*"}]'
    assert parsed(text, "eng") == parsed("cpus(eng):1;mem:2")


def test_the_json_form_says_the_same() -> None:
    text = """
    [{"name":"cpus","type":"SCALAR","scalar":{"value":24}},
     {"name":"ports","type":"RANGES","ranges":{"range":[{"begin":21000,"end":24000},{"begin":30000,"end":34000}]}},
     {"name":"bugs","type":"SET","set":{"item":["a","b","c"]},"role":"debug_role"}]
    """
    assert parsed(text) == parsed("cpus:24;ports:[21000-24000,30000-34000];bugs(debug_role):{a,b,c}")


@pytest.mark.parametrize("text", ["", ";", "cpus:0", "ports:[]", "bugs:{}", "[]"])
def test_nothing_can_be_said_in_many_ways(text: str) -> None:
    assert parsed(text) == EMPTY


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cpus", "Bad value for resources, missing or extra ':' in cpus"),
        ("cpus:1:2", "Bad value for resources, missing or extra ':' in cpus:1:2"),
        ("cpus(eng:1", "Bad value for resources, mismatched parentheses in cpus(eng:1"),
        ("cpus:four", "Bad type for resource cpus value four type TEXT"),
        ("cpus:-1", "Bad type for resource cpus value -1 type TEXT"),
        ("cpus:inf", "Bad type for resource cpus value inf type TEXT"),
        ("cpus:nan", "Bad type for resource cpus value nan type TEXT"),
        ("cpus:1e999", "Bad type for resource cpus value 1e999 type TEXT"),
        ("cpus:[1-2", "Failed to parse resource cpus value [1-2 error Mismatched brackets"),
        ("cpus:]1-2[", "Failed to parse resource cpus value ]1-2[ error Mismatched brackets"),
        ("cpus: ", "Failed to parse resource cpus value   error Expecting non-empty string"),
        ("cpus:x[1-2]", "Failed to parse resource cpus value x[1-2] error Unexpected '[' found"),
        ("cpus:x{a}", "Failed to parse resource cpus value x{a} error Unexpected '{' found"),
        ("ports:[5-1]", "Failed to parse resource ports value [5-1] error range 5-1 begins after its end"),
        (
            "cpus:0.0001",
            "Failed to parse resource cpus value 0.0001 error 0.0001 is less than the smallest amount, 0.001",
        ),
        ("(eng):1", "Empty resource name in (eng):1"),
        ("cpus(a b):1", "Role component 'a b' is invalid because it contains backspace or whitespace"),
        ("cpus:1;cpus(eng):[1-2]", "Resources with the same name ('cpus') but different types are not allowed"),
        (
            '[{"name":"cpus","type":"SCALAR","scalar":{"value":1},"revocable":{}}]',
            "Revocable resources cannot be specified at the command line; do not include a 'revocable' key in the resources JSON",
        ),
        (
            '[{"name":"cpus","type":"SCALAR","scalar":{"value":1},"role":"eng","reservation":{}}]',
            (
                "Dynamic reservations cannot be specified at the command line; do not include a reservation with DYNAMIC type in the"
                " resources JSON"
            ),
        ),
        (
            '[{"name":"disk","type":"SCALAR","scalar":{"value":1},"role":"eng","disk":{"persistence":{"id":"v"}}}]',
            "Persistent volumes cannot be specified at the command line",
        ),
    ],
)
def test_a_bad_flag_is_refused_and_quoted(text: str, message: str) -> None:
    assert parse_resources(text) == Rejection("resources_invalid", message)


def test_broken_json_is_refused_as_json() -> None:
    found = parse_resources('[{"name":"cpus"}]')
    assert isinstance(found, Rejection)
    assert found.message.startswith("Some JSON resources were not formatted properly: ")


def test_quantities_add_up_and_drop_zeros() -> None:
    assert parse_quantities("cpus:0.01;mem:32; cpus:1;gpus:0") == {"cpus": 1010, "mem": 32_000}


def test_alternatives_are_separated_by_bars() -> None:
    assert parse_alternatives("cpus:0.01|mem:32;disk:1") == [{"cpus": 10}, {"mem": 32_000, "disk": 1000}]
    assert parse_alternatives("") == []


@pytest.mark.parametrize("text", ["cpus", "cpus:x", "cpus:[1-2]", "cpus:1:2", ":1", "cpus:-1", "cpus:0.0001"])
def test_bad_quantities_are_refused(text: str) -> None:
    for found in (parse_quantities(text), parse_alternatives(f"mem:1|{text}")):
        assert isinstance(found, Rejection)
        assert found.reason == "quantities_invalid"
