from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from merismos.model.ranges import NUMBER_MAX, Ranges, parse_ranges, ranges_of

# Small numbers, so that ranges often overlap and touch; many of them, so that both ways of adding are taken.
pair = st.tuples(st.integers(0, 120), st.integers(0, 2)).map(lambda pair: (pair[0], pair[0] + pair[1]))
pairs = st.lists(pair, max_size=40)


def members(ranges: Ranges) -> set[int]:
    return {number for begin, end in ranges for number in range(begin, end + 1)}


def naive(given_pairs: list[tuple[int, int]]) -> set[int]:
    return {number for begin, end in given_pairs for number in range(begin, end + 1)}


def assert_canonical(ranges: Ranges) -> None:
    bounds = ranges.bounds
    assert len(bounds) % 2 == 0
    assert all(one < other for one, other in pairwise(bounds))


@given(pairs, pairs)
def test_ranges_behave_as_sets_of_numbers(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    left, right = ranges_of(one), ranges_of(other)
    for made, expected in (
        (left, naive(one)),
        (left + right, naive(one) | naive(other)),
        (left - right, naive(one) - naive(other)),
        (left & right, naive(one) & naive(other)),
    ):
        assert_canonical(made)
        assert members(made) == expected
        assert made.size == len(expected)
        assert bool(made) == bool(expected)
    assert (left <= right) == (naive(one) <= naive(other))
    assert (left == right) == (naive(one) == naive(other))


@given(pairs)
def test_membership_agrees_with_the_numbers(one: list[tuple[int, int]]) -> None:
    ranges = ranges_of(one)
    assert {number for number in range(-1, 140) if number in ranges} == naive(one)


@given(pairs)
def test_what_is_printed_is_read_back(one: list[tuple[int, int]]) -> None:
    ranges = ranges_of(one)
    assert parse_ranges(str(ranges)) == ranges


@given(
    st.lists(
        st.tuples(st.integers(0, NUMBER_MAX), st.integers(0, NUMBER_MAX)).map(lambda two: (min(two), max(two))),
        max_size=20,
    )
)
def test_numbers_of_any_size_come_back(one: list[tuple[int, int]]) -> None:
    ranges = ranges_of(one)
    everything = ranges_of([(0, NUMBER_MAX)])
    assert_canonical(everything - ranges)
    assert (everything - ranges) + ranges == everything
    assert not (everything - ranges) & ranges
    assert parse_ranges(str(ranges)) == ranges


@given(st.text(alphabet="[]-, 0123456789x\n", max_size=60))
def test_any_text_is_either_ranges_or_a_value_error(text: str) -> None:
    try:
        ranges = parse_ranges(text)
    except ValueError:
        return
    assert parse_ranges(str(ranges)) == ranges
