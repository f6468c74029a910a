from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from merismos.model.identity import (
    Disk,
    DiskSource,
    Identity,
    IdentityKey,
    Reservation,
    Value,
    VolumeDetails,
    identity_of,
    is_had_whole,
)
from merismos.model.ranges import Ranges, ranges_of
from merismos.model.resources import EMPTY, Resources, resources_of, sum_of
from merismos.model.scalars import SCALAR_MILLI_MAX, from_milli, to_milli
from merismos.model.sets import ItemSet

# The naive model of a collection: for each identity's key the exact amount, in types that have nothing to do with ours.
Amount = Fraction | set[int] | set[str]
Model = dict[IdentityKey, Amount]
Pair = tuple[Identity, Value]

stacks = st.sampled_from(
    [
        (),
        (),
        (Reservation("STATIC", "eng"),),
        (Reservation("DYNAMIC", "eng", "alice"),),
        (Reservation("STATIC", "eng"), Reservation("DYNAMIC", "eng/web", None, (("k", "v"),))),
    ],
)
disks = st.sampled_from(
    [
        Disk(DiskSource("PATH")),
        Disk(DiskSource("MOUNT")),
        Disk(DiskSource("RAW")),
        Disk(DiskSource("RAW", id="r")),
        Disk(None, "v1"),
        Disk(DiskSource("PATH"), "v2"),
    ],
)
millis = st.integers(0, 5_000)
details = st.sampled_from([None, VolumeDetails("alice"), VolumeDetails("bob")])


@st.composite
def scalar_pairs(draw: st.DrawFn) -> Pair:
    key = IdentityKey(
        draw(st.sampled_from(["cpus", "mem", "x"])), "SCALAR", draw(stacks), revocable=draw(st.booleans())
    )
    return identity_of(key), draw(millis)


@st.composite
def disk_pairs(draw: st.DrawFn) -> Pair:
    disk = draw(disks)
    shared = disk.persistence_id is not None and draw(st.booleans())
    value = draw(st.sampled_from([1000, 2000]))
    whole = value if is_had_whole(disk, shared=shared) else None
    key = IdentityKey("disk", "SCALAR", draw(stacks), disk, shared=shared, whole=whole)
    return identity_of(key, draw(details)), value if whole is None else draw(st.integers(0, 2))


@st.composite
def ranges_pairs(draw: st.DrawFn) -> Pair:
    numbers = draw(st.sets(st.integers(0, 12), max_size=6))
    return identity_of(IdentityKey("ports", "RANGES", draw(stacks))), ranges_of((number, number) for number in numbers)


@st.composite
def set_pairs(draw: st.DrawFn) -> Pair:
    return identity_of(IdentityKey("bugs", "SET", draw(stacks))), ItemSet(
        draw(st.lists(st.sampled_from("abcd"), max_size=4))
    )


pairs = st.lists(st.one_of(scalar_pairs(), disk_pairs(), ranges_pairs(), set_pairs()), max_size=6)


def plain(value: Value) -> Amount:
    if isinstance(value, int):
        return Fraction(value)
    if isinstance(value, Ranges):
        return {number for begin, end in value for number in range(begin, end + 1)}
    return set(value)


def joined(one: Amount, other: Amount) -> Amount:
    if isinstance(one, Fraction):
        assert isinstance(other, Fraction)
        return one + other
    return one | other  # type: ignore[operator]


def rest(one: Amount, other: Amount) -> Amount:
    if isinstance(one, Fraction):
        assert isinstance(other, Fraction)
        return max(one - other, Fraction(0))
    return one - other  # type: ignore[operator]


def naive_sum(given_pairs: list[Pair]) -> Model:
    model: Model = {}
    for identity, value in given_pairs:
        if value:
            amount = plain(value)
            model[identity.key] = joined(model[identity.key], amount) if identity.key in model else amount
    return model


def naive_difference(one: Model, other: Model) -> Model:
    left = {key: rest(amount, other[key]) if key in other else amount for key, amount in one.items()}
    return {key: amount for key, amount in left.items() if amount}


def naive_contains(one: Model, other: Model) -> bool:
    return all(key in one and amount <= one[key] for key, amount in other.items())  # type: ignore[operator]


def model_of(resources: Resources) -> Model:
    return {identity.key: plain(amount) for identity, amount in resources.amounts.items()}


@given(pairs, pairs)
def test_the_algebra_agrees_with_the_naive_model(one: list[Pair], other: list[Pair]) -> None:
    left, right = resources_of(one), resources_of(other)
    assert model_of(left) == naive_sum(one)
    assert model_of(left + right) == naive_sum(one + other)
    assert model_of(left - right) == naive_difference(naive_sum(one), naive_sum(other))
    assert left.contains(right) == naive_contains(naive_sum(one), naive_sum(other))
    assert (left == right) == (naive_sum(one) == naive_sum(other))


@given(pairs, pairs, pairs)
def test_addition_has_no_order(one: list[Pair], two: list[Pair], three: list[Pair]) -> None:
    a, b, c = resources_of(one), resources_of(two), resources_of(three)
    assert a + b == b + a
    assert hash(a + b) == hash(b + a)
    assert (a + b) + c == a + (b + c) == sum_of([c, a, b])
    assert a + EMPTY == a


def overlap(one: Resources, other: Resources) -> bool:
    return any(
        not isinstance(amount, int) and amount - (amount - one.amounts[identity])
        for identity, amount in other.amounts.items()
        if identity in one.amounts
    )


@given(pairs, pairs)
def test_what_was_added_can_be_taken_back(one: list[Pair], other: list[Pair]) -> None:
    a, b = resources_of(one), resources_of(other)
    assume(not overlap(a, b))
    assert (a + b).contains(a)
    assert (a + b).contains(b)
    assert (a + b) - b == a


@given(pairs, pairs)
def test_what_is_contained_can_be_taken_and_given_back(one: list[Pair], other: list[Pair]) -> None:
    a, b = resources_of(one), resources_of(other)
    whole = a + b
    assert whole.contains(a)
    assert (whole - a) + a == whole
    assert not (whole - whole)


@given(pairs, pairs)
def test_nothing_is_ever_empty_or_negative(one: list[Pair], other: list[Pair]) -> None:
    for made in (resources_of(one) - resources_of(other), resources_of(one) + resources_of(other)):
        assert all(amount > 0 if isinstance(amount, int) else bool(amount) for amount in made.amounts.values())


@given(pairs)
def test_views_split_a_collection_without_loss(one: list[Pair]) -> None:
    whole = resources_of(one)
    assert whole.reserved() + whole.unreserved() == whole
    assert whole.revocable() + whole.nonrevocable() == whole
    assert whole.shared() + whole.nonshared() == whole
    assert sum_of([whole.unreserved(), *whole.reserved_by_role().values()]) == whole
    assert sum_of([whole.named(name) for name in whole.names()]) == whole
    assert whole.contains(whole.allocatable_to("eng"))


@given(pairs)
def test_quantities_count_what_the_naive_model_counts(one: list[Pair]) -> None:
    counted: Counter[str] = Counter()
    for key, amount in naive_sum(one).items():
        if key.whole is not None:
            assert isinstance(key.whole, int)
            assert isinstance(amount, Fraction)
            counted[key.name] += key.whole * (1 if key.shared else int(amount))
        else:
            counted[key.name] += int(amount) if isinstance(amount, Fraction) else 1000 * len(amount)
    whole = resources_of(one)
    assert whole.quantities() == counted
    assert whole.quantities() is whole.quantities()


@given(st.integers(0, 1 << 50))
def test_every_amount_survives_the_wire(milli: int) -> None:
    assert to_milli(from_milli(milli)) == milli


@given(st.decimals(min_value=0, max_value=10**9, places=3))
def test_three_decimals_are_exact(value: object) -> None:
    assert Fraction(to_milli(float(str(value))), 1000) == Fraction(str(value))


@given(st.floats())
def test_any_float_is_an_amount_or_a_value_error(value: float) -> None:
    if not abs(value) * 1000 <= SCALAR_MILLI_MAX:
        with pytest.raises(ValueError, match=r"finite|larger"):
            to_milli(value)
        return
    assert abs(Fraction(to_milli(value), 1000) - Fraction(value)) <= Fraction(1, 2000) + abs(Fraction(value)) / 2**50
