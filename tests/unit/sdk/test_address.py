from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merismos.sdk.address import Address, AddressError, parse, parse_master


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1:5051", Address("10.0.0.1", 5051)),
        ("master.example", Address("master.example", 5050)),
        (" one:80 ", Address("one", 80)),
        ("http://one:80/api/v1", Address("one", 80)),
        ("//one:80/api/v1/scheduler", Address("one", 80)),
        ("master@10.0.0.1:5050", Address("10.0.0.1", 5050)),
        ("[::1]:5051", Address("::1", 5051)),
        ("[::1]", Address("::1", 5050)),
        ("::1", Address("::1", 5050)),
    ],
)
def test_what_people_and_masters_write_is_understood(text: str, address: Address) -> None:
    assert parse(text) == address


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "write HOST:PORT"),
        (":5050", "write HOST:PORT"),
        ("a b", "write HOST:PORT"),
        ("one:x", "is no port"),
        ("one:0", "is no port"),
        ("one:65536", "is no port"),
        ("one:\u0663", "is no port"),
        ("zk://one:2181/mesos", "ZooKeeper"),
    ],
)
def test_what_is_no_address_is_refused_with_what_to_write(text: str, says: str) -> None:
    with pytest.raises(AddressError, match=says):
        parse(text)


def test_several_masters_are_named_with_commas_between() -> None:
    assert parse_master("one:1, two") == [Address("one", 1), Address("two", 5050)]
    assert parse_master("one:1") == Address("one", 1)
    assert parse_master(" zk://one:2181,two:2181/mesos ") == "zk://one:2181,two:2181/mesos"
    with pytest.raises(AddressError, match="write HOST:PORT"):
        parse_master("one:1,")


@given(st.sampled_from(["one", "10.1.2.3", "::1", "fe80::2"]), st.integers(min_value=1, max_value=65535))
def test_an_address_reads_back_as_written(host: str, port: int) -> None:
    address = Address(host, port)
    assert parse(str(address)) == parse(address.url) == address
