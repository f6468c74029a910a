from __future__ import annotations

import pytest

from merismos.model.scalars import SCALAR_MILLI_MAX, format_milli, from_milli, to_milli


@pytest.mark.parametrize(
    ("value", "milli"),
    [
        (0.1, 100),
        (1.5123, 1512),
        (0.0005, 1),
        (0.0004, 0),
        (2.0005, 2001),
        (-0.0005, -1),
        (-1.5, -1500),
        (0, 0),
        (4096.0, 4096000),
    ],
)
def test_a_value_is_kept_to_three_decimals_rounded_half_away_from_zero(value: float, milli: int) -> None:
    assert to_milli(value) == milli


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), 1e300, 1e13])
def test_what_cannot_be_kept_exactly_is_an_error(value: float) -> None:
    with pytest.raises(ValueError, match=r"is not a finite number|is larger than"):
        to_milli(value)


def test_the_largest_amount_survives_the_wire() -> None:
    for milli in (SCALAR_MILLI_MAX, SCALAR_MILLI_MAX - 1, SCALAR_MILLI_MAX // 3):
        assert to_milli(from_milli(milli)) == milli


def test_amounts_print_as_in_mesos() -> None:
    assert [format_milli(milli) for milli in (4000, 100, 10_000_000_000, 3700, 1)] == [
        "4",
        "0.1",
        "10000000",
        "3.7",
        "0.001",
    ]
