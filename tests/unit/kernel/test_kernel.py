"""The kernel's deadlines and generator."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from merismos.core.kernel import Deadlines, Prng


def test_the_earliest_deadline_is_next() -> None:
    deadlines = Deadlines()
    deadlines.set("late", 5.0)
    deadlines.set("early", 2.0)
    assert deadlines.next() == 2.0


def test_setting_a_key_again_moves_it() -> None:
    deadlines = Deadlines()
    deadlines.set("offer", 1.0)
    deadlines.set("offer", 9.0)
    assert deadlines.pop_due(5.0) == []
    assert deadlines.pop_due(9.0) == ["offer"]


def test_a_cancelled_key_never_fires() -> None:
    deadlines = Deadlines()
    deadlines.set("offer", 1.0)
    deadlines.cancel("offer")
    assert deadlines.next() is None
    assert deadlines.pop_due(100.0) == []


def test_keys_of_one_instant_fire_in_the_order_in_which_they_were_set() -> None:
    deadlines = Deadlines()
    for key in ("b", "a", "c"):
        deadlines.set(key, 1.0)
    assert deadlines.pop_due(1.0) == ["b", "a", "c"]


@given(st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 20)))), st.integers(0, 20))
def test_deadlines_behave_as_a_plain_dictionary_would(steps: list[tuple[int, int | None]], now: int) -> None:
    deadlines, naive = Deadlines(), dict[int, float]()
    for key, at in steps:
        if at is None:
            deadlines.cancel(key)
            naive.pop(key, None)
        else:
            deadlines.set(key, float(at))
            naive[key] = float(at)
    assert deadlines.next() == min(naive.values(), default=None)
    due = deadlines.pop_due(float(now))
    assert sorted(due, key=repr) == sorted((key for key, at in naive.items() if at <= now), key=repr)
    assert len(deadlines) == len([at for at in naive.values() if at > now])


def test_deadlines_that_are_moved_for_ever_take_no_more_room() -> None:
    deadlines = Deadlines()
    for instant in range(10_000):
        deadlines.set(instant % 10, float(instant))
    assert len(deadlines._heap) < 100
    assert [deadlines.next(), deadlines.pop_due(9_990.0)] == [9_990.0, [0]]


def test_the_same_seed_draws_the_same_numbers() -> None:
    one, two = Prng(7), Prng(7)
    assert [one.next_u64() for _ in range(5)] == [two.next_u64() for _ in range(5)]


def test_the_generator_draws_the_published_numbers() -> None:
    """Source: the reference implementation's first outputs for seed 1234567."""
    generator = Prng(1234567)
    assert [generator.next_u64() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(st.integers(0, 2**64 - 1))
def test_a_uuid_is_of_version_four(seed: int) -> None:
    raw = Prng(seed).uuid_bytes()
    assert len(raw) == 16
    assert raw[6] >> 4 == 4
    assert raw[8] >> 6 == 2


@given(st.integers(0, 2**64 - 1), st.floats(0, 10), st.floats(0.001, 10))
def test_uniform_stays_within_its_bounds(seed: int, low: float, width: float) -> None:
    drawn = Prng(seed).uniform(low, low + width)
    assert low <= drawn <= low + width
