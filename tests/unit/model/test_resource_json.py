from __future__ import annotations

import pytest

from merismos.model.rejection import Rejection
from merismos.model.resource_json import CACHED_BYTES_MAX, decode_resources, resources_from_json_bytes
from merismos.model.resources import EMPTY, Resources

HALF = b'[{"name":"cpus","type":"SCALAR","scalar":{"value":0.5}}]'


def decoded(raw: bytes) -> Resources:
    found = resources_from_json_bytes(raw)
    assert isinstance(found, Resources), found
    return found


def test_equal_bytes_share_one_object() -> None:
    assert decoded(HALF) is decoded(bytes(bytearray(HALF)))


def test_a_long_text_is_read_but_not_kept() -> None:
    long = HALF[:-1] + b" " * CACHED_BYTES_MAX + b"]"
    assert decoded(long) == decoded(HALF)
    assert decoded(long) is not decoded(long)


@pytest.mark.parametrize(
    "raw",
    [
        b'[{"name":"cpus","type":"SCALAR","scalar":{"value":"0.5"}}]',
        b'{"name":"cpus","type":"SCALAR","scalar":{"value":0.5}}',
        b'[{"name":"cpus","type":"SCALAR","scalar":{"value":0.5},"ranges":null,"reservations":null,"what":[1]}]',
    ],
)
def test_what_mesos_reads_leniently_is_read(raw: bytes) -> None:
    assert decoded(raw) == decoded(HALF)


@pytest.mark.parametrize("raw", [b"[]", b"null"])
def test_nothing_is_nothing(raw: bytes) -> None:
    assert decoded(raw) is EMPTY


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[",
        b"x",
        b"\xff",
        b"{}",
        b"[1]",
        b'"text"',
        b"[" * 100_000,
        b'[{"name":"cpus","type":"SCALAR","scalar":{"value":"Infinity"}}]',
        b'[{"name":"cpus","type":"SCALAR","scalar":{"value":1e999}}]',
        b'[{"name":"cpus","type":"WHAT","scalar":{"value":1}}]',
        b'[{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":0,"end":18446744073709551616}]}}]',
        b'[{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":-5,"end":1}]}}]',
    ],
)
def test_what_makes_no_sense_is_a_rejection(raw: bytes) -> None:
    found = decode_resources(raw)
    assert isinstance(found, Rejection)
    assert found.reason == "resources_invalid"
    assert found.message
