from __future__ import annotations

import pytest

from merismos.model.ranges import NUMBER_MAX, Ranges, parse_ranges, ranges_of


def test_ranges_are_sorted_and_coalesced_also_where_they_only_touch() -> None:
    assert list(ranges_of([(5, 9), (1, 4), (20, 30), (25, 40)])) == [(1, 9), (20, 40)]


def test_taking_from_the_middle_splits_a_range() -> None:
    ports = parse_ranges("[31000-31999]")
    rest = ports - parse_ranges("[31100-31100]")
    assert str(rest) == "[31000-31099, 31101-31999]"
    assert rest + parse_ranges("[31100-31100]") == ports


def test_membership_is_decided_at_both_ends() -> None:
    ports = parse_ranges("[10-12,20-20]")
    assert [number for number in range(8, 23) if number in ports] == [10, 11, 12, 20]


def test_size_counts_the_numbers() -> None:
    assert parse_ranges("[31000-31010,32000-32000]").size == 12


def test_the_whole_of_64_bits_fits() -> None:
    everything = ranges_of([(0, NUMBER_MAX)])
    assert everything.size == NUMBER_MAX + 1
    many = ranges_of((number, number) for number in range(0, 40, 2))
    assert everything - (everything - many) == many
    assert (everything - many) + many == everything


def test_nothing_is_falsy_and_written_as_brackets() -> None:
    assert not parse_ranges("[]")
    assert str(Ranges()) == "[]"


@pytest.mark.parametrize(
    "text", ["", "[", "[1]", "[a-b]", "[1-2", "1-2", "[2-1]", "[1--2]", "[0-18446744073709551616]", "[-1-2]"]
)
def test_a_text_that_is_no_ranges_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected ranges|begins after its end|leaves 0-"):
        parse_ranges(text)
