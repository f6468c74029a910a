"""Checks: for any outcomes at any pace, runs don't overlap and what is told follows from the outcomes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from merismos.core.checks import NOTHING, Due, Health, Outcome, Report, Timetable, Timing, Verdict

TIMES = st.floats(0.0, 100.0, allow_nan=False)
GOOD = st.sampled_from(
    [Outcome(exit_code=0), Outcome(status_code=200), Outcome(status_code=399), Outcome(connected=True)]
)
BAD = st.sampled_from(
    [
        NOTHING,
        Outcome(exit_code=1),
        Outcome(exit_code=-9),
        Outcome(status_code=199),
        Outcome(status_code=400),
        Outcome(connected=False),
    ]
)
OUTCOMES = st.lists(st.one_of(GOOD, BAD), max_size=30)


@given(TIMES, TIMES, st.floats(0.5, 100.0), st.lists(st.one_of(st.none(), st.floats(0.0, 1.0)), max_size=20))
def test_a_run_begins_an_interval_after_the_one_before_has_ended_or_was_broken_off(
    delay_s: float, interval_s: float, timeout_s: float, parts: list[float | None]
) -> None:
    table = Timetable(Timing(delay_s, interval_s, timeout_s))
    table.start(10.0)
    expected = 10.0 + delay_s
    for number, part in enumerate(parts, 1):
        assert table.at == expected
        begun_at = table.at
        assert table.fire(begun_at) is Due.BEGIN
        assert (table.run, table.is_running) == (number, True)
        assert table.at == begun_at + timeout_s
        if part is None:
            ended_at = table.at
            assert table.fire(ended_at) is Due.BREAK_OFF
            assert not table.finish(number, ended_at)
        else:
            ended_at = begun_at + part * timeout_s
            assert not table.finish(number - 1, ended_at)
            assert table.finish(number, ended_at)
        assert not table.is_running
        expected = ended_at + interval_s
    assert not table.stop()
    assert table.at is None


def test_a_timeout_of_zero_breaks_nothing_off() -> None:
    table = Timetable(Timing(0.0, 1.0, 0.0))
    table.start(0.0)
    table.fire(0.0)
    assert table.at is None
    assert table.stop()


@given(OUTCOMES, st.integers(1, 5))
def test_a_kill_is_wanted_exactly_when_so_many_failures_came_in_a_row(
    outcomes: list[Outcome], failures_max: int
) -> None:
    health = Health(failures_max, grace_ends_at=-1.0)
    failures, before = 0, None
    for outcome in outcomes:
        verdict = health.take(outcome, 0.0)
        if outcome.passed():
            assert verdict == (Verdict(healthy=True) if before is not True else None)
            failures = 0
        else:
            failures += 1
            assert verdict == Verdict(healthy=False, kill=failures >= failures_max)
        before = outcome.passed()


@given(st.lists(BAD, min_size=1, max_size=10), GOOD, BAD)
def test_the_grace_period_forgives_until_the_first_pass_and_no_longer(
    early: list[Outcome], good: Outcome, late: Outcome
) -> None:
    health = Health(1, grace_ends_at=10.0)
    assert [health.take(outcome, 5.0) for outcome in early] == [None] * len(early)
    assert health.take(good, 6.0) == Verdict(healthy=True)
    assert health.take(late, 7.0) == Verdict(healthy=False, kill=True)


def test_the_grace_period_ends() -> None:
    health = Health(2, grace_ends_at=10.0)
    assert health.take(NOTHING, 10.0) is None
    assert health.take(NOTHING, 10.1) == Verdict(healthy=False)


@given(OUTCOMES)
def test_a_check_tells_what_is_new_and_nothing_twice(outcomes: list[Outcome]) -> None:
    report, known = Report(), NOTHING
    for outcome in outcomes:
        assert report.take(outcome) == (outcome != known)
        known = outcome
