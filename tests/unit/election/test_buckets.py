from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merismos.adapters.zookeeper.buckets import (
    BUCKET_BYTES_MAX,
    BUCKETS,
    CLUSTER,
    TRANSACTION_BYTES,
    bucket_of,
    in_transactions,
    pack,
    unpack,
)
from merismos.ports.registry import RegistryError


def test_all_that_is_known_of_one_agent_is_in_one_bucket_and_the_clusters_own_in_another() -> None:
    assert bucket_of("agents", "x-S1") == bucket_of("unreachable", "x-S1") == bucket_of("gone", "x-S1")
    assert {bucket_of("weights", "a"), bucket_of("quotas", "b"), bucket_of("anything", "c")} == {CLUSTER}
    assert len({bucket_of("agents", f"5a1e-S{n}") for n in range(40_000)}) == BUCKETS


@given(st.lists(st.tuples(st.text(), st.text(), st.binary())))
def test_a_bucket_reads_back(entries: list[tuple[str, str, bytes]]) -> None:
    assert unpack("b", pack("b", entries)) == entries


def test_an_empty_znode_is_an_empty_bucket() -> None:
    assert unpack("b", b"") == []


@pytest.mark.parametrize("data", [b"\x02x", b"\x01", b"\x01garbage", pack("b", [])[:-1]])
def test_a_bucket_that_can_not_be_read_says_which(data: bytes) -> None:
    with pytest.raises(RegistryError, match="bucket b of the registry"):
        unpack("b", data)


def test_a_bucket_that_is_full_refuses_and_says_what_to_do() -> None:
    noise = random.Random(1).randbytes(BUCKET_BYTES_MAX)
    with pytest.raises(RegistryError, match="registry_max_agent_age"):
        pack("b", [("agents", "a", noise)])


@given(st.lists(st.integers(0, BUCKET_BYTES_MAX)))
def test_transactions_keep_the_order_and_their_limit(sizes: list[int]) -> None:
    groups = in_transactions(((number, size), size) for number, size in enumerate(sizes))
    assert [one for group in groups for one in group] == list(enumerate(sizes))
    assert all(len(group) == 1 or sum(size for _, size in group) <= TRANSACTION_BYTES for group in groups)
    assert all(groups)
