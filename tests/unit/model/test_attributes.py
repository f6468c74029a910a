from __future__ import annotations

import json

import msgspec
import pytest

from merismos.model.attributes import attributes_to_v0, parse_attributes
from merismos.model.rejection import Rejection


def test_each_attribute_has_the_type_that_its_text_suggests() -> None:
    attributes = parse_attributes("rack:r1;level:10.12345;keys:[1000-1500];tags:{a,b};url:http://host:80/x")
    assert not isinstance(attributes, Rejection)
    assert json.loads(msgspec.json.encode(attributes)) == [
        {"name": "rack", "type": "TEXT", "text": {"value": "r1"}},
        {"name": "level", "type": "SCALAR", "scalar": {"value": 10.12345}},
        {"name": "keys", "type": "RANGES", "ranges": {"range": [{"begin": 1000, "end": 1500}]}},
        {"name": "tags", "type": "SET", "set": {"item": ["a", "b"]}},
        {"name": "url", "type": "TEXT", "text": {"value": "http://host:80/x"}},
    ]
    assert attributes_to_v0(attributes) == {
        "rack": "r1",
        "level": 10.12345,
        "keys": "[1000-1500]",
        "tags": "{a, b}",
        "url": "http://host:80/x",
    }


def test_no_attributes_are_fine() -> None:
    assert parse_attributes("") == []


@pytest.mark.parametrize("text", ["rack", "rack:", ":r1", "a:[1-2", "a:[2-1]", "a:x{", "a: "])
def test_a_bad_attribute_is_refused(text: str) -> None:
    found = parse_attributes(f"zone:z1;{text}")
    assert isinstance(found, Rejection)
    assert found.reason == "attributes_invalid"
    assert text in found.message or text.partition(":")[2] in found.message
