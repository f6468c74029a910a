from __future__ import annotations

import pytest

from merismos.core.allocator import Grant
from merismos.core.allocator.filters import REFUSE_S_MAX, last_step, step_at
from unit.allocator.rig import Rig, constraint, constraints, res


def alone(text: str = "cpus:4;mem:4096") -> Rig:
    rig = Rig()
    rig.agent(text)
    rig.framework("A")
    return rig


def test_a_declined_offer_is_not_reoffered_before_refuse_seconds() -> None:
    rig = alone()
    (grant,) = rig.cycle()
    rig.decline(grant, 5.0)
    assert rig.offered(4.9) == []
    assert rig.offered(0.3) == [("A", "S0")]


def test_a_declined_offer_is_not_reoffered_before_the_next_batch() -> None:
    rig = alone()
    rig.now = 10.3
    (grant,) = rig.cycle()
    rig.decline(grant, 0.0)
    assert rig.offered(0.6) == []
    assert rig.offered(0.2) == [("A", "S0")]


def test_a_declined_offer_goes_to_others_at_once() -> None:
    rig = alone()
    rig.framework("B")
    (grant,) = rig.cycle()
    rig.decline(grant, 3600.0)
    assert rig.offered() == [("B", "S0")]


def test_a_filter_counts_for_one_role_only() -> None:
    rig = Rig()
    rig.agent()
    rig.framework("A", "one", "two")
    (grant,) = rig.cycle()
    rig.decline(grant, 3600.0)
    (again,) = rig.cycle()
    assert {grant.role, again.role} == {"one", "two"}


def test_without_refuse_seconds_there_is_no_filter() -> None:
    rig = alone()
    (grant,) = rig.cycle()
    rig.decline(grant, None)
    assert rig.offered() == [("A", "S0")]


def test_an_agent_that_has_more_than_was_refused_is_offered_again() -> None:
    rig = alone("cpus:4;mem:4096")
    (grant,) = rig.cycle()
    task = res("cpus:1;mem:1024")
    rig.answer(grant, task, 3600.0)
    assert rig.offered(100.0) == []
    rig.free(grant, task)
    (again,) = rig.cycle()
    assert again.resources == res("cpus:4;mem:4096")


def test_a_filter_holds_again_when_the_agent_is_back_at_what_was_refused() -> None:
    rig = alone("cpus:4;mem:4096")
    (grant,) = rig.cycle()
    task = res("cpus:1;mem:1024")
    rig.answer(grant, task, 3600.0)
    rig.free(grant, task)
    (again,) = rig.cycle()
    rig.answer(again, task, None)
    assert rig.offered(100.0) == []


def test_a_filter_of_an_agent_that_has_less_now_holds() -> None:
    rig = alone("cpus:4;mem:4096")
    rig.framework("B")
    (grant,) = rig.cycle()
    rig.decline(grant, 3600.0)
    (other,) = rig.cycle()
    rig.answer(other, res("cpus:1;mem:1024"), 3600.0)
    assert rig.offered(100.0) == []


def test_offers_refused_at_once_for_different_times_come_back_at_different_times() -> None:
    rig = alone()
    rig.agent()
    first, second = rig.cycle()
    rig.decline(first, 3600.0)
    rig.decline(second, 5.0)
    assert rig.offered(6.0) == [("A", second.agent_id)]


def growing() -> tuple[Rig, Grant, Grant]:
    """An agent of which A was offered three CPUs and then, as a task of B ended, four; both offers unanswered."""
    rig = Rig()
    rig.agent("cpus:4", used=[("B", "ops", res("cpus:1"))])
    rig.framework("A")
    (small,) = rig.cycle()
    rig.decline(small, 3600.0)
    rig.allocator.recover("B", "ops", "S0", res("cpus:1"), now=rig.now)
    (big,) = rig.cycle()
    assert big.resources == res("cpus:4")
    return rig, small, big


def test_a_longer_refusal_of_less_outlives_a_shorter_one_of_more() -> None:
    rig, _, big = growing()
    rig.answer(big, res("cpus:1"), None)
    assert rig.cycle() == []
    rig.allocator.recover("A", "eng", "S0", res("cpus:1"), now=rig.now, refuse_s=None)
    (again,) = rig.cycle()
    rig.decline(again, 5.0)
    rig.allocator.allocate_used("B", "ops", "S0", res("cpus:1"))
    assert rig.offered(100.0) == []


def test_refusals_that_do_not_imply_each_other_are_kept_side_by_side() -> None:
    rig = Rig()
    rig.agent("cpus:4;mem:64", used=[("B", "ops", res("cpus:3"))])
    rig.framework("A")
    for freed, taken, left in (("cpus:3", "mem:32", "cpus:1;mem:64"), ("mem:32", "cpus:3", "cpus:4;mem:32")):
        (grant,) = rig.cycle()
        assert grant.resources == res(left)
        rig.decline(grant, 3600.0)
        rig.allocator.recover("B", "ops", "S0", res(freed), now=rig.now)
        rig.allocator.allocate_used("B", "ops", "S0", res(taken))
    assert rig.offered(100.0) == []
    rig.allocator.recover("B", "ops", "S0", res("cpus:3"), now=rig.now)
    assert rig.offered() == [("A", "S0")]


def test_bits_that_are_used_again_mean_nothing_old() -> None:
    rig = Rig()
    rig.agent(marks="rack:r1")
    rig.agent(marks="rack:r2")
    rig.framework("A", constraints=constraints("eng", [constraint(text_equals="r1")]))
    for _ in range(200):
        (grant,) = rig.cycle()
        rig.decline(grant, 3600.0)
        rig.allocator.revive("A", [])
    for number in range(100):
        rig.framework(f"F{number}")
    cluster = rig.allocator._cluster
    assert (cluster.agents["S1"].denied & ~cluster.table.retired).bit_count() == 1
    assert cluster.agents["S0"].denied == 0


def test_revive_clears_filters_at_once() -> None:
    rig = alone()
    (grant,) = rig.cycle()
    rig.decline(grant, 3600.0)
    rig.allocator.revive("A", [])
    assert rig.offered() == [("A", "S0")]


def test_a_scheduler_that_comes_back_has_no_filters() -> None:
    rig = alone()
    (grant,) = rig.cycle()
    rig.decline(grant, 3600.0)
    rig.allocator.deactivate_framework("A")
    rig.allocator.activate_framework("A")
    assert rig.offered() == [("A", "S0")]


def test_an_update_of_a_framework_keeps_its_filters() -> None:
    rig = alone()
    (grant,) = rig.cycle()
    rig.decline(grant, 3600.0)
    rig.allocator.update_framework("A", ["eng", "ops"], [])
    (other,) = rig.cycle()
    assert other.role == "ops"


def test_an_update_of_an_agent_forgets_what_was_refused() -> None:
    rig = alone()
    (grant,) = rig.cycle()
    rig.decline(grant, 3600.0)
    rig.allocator.update_agent("S0", res("cpus:4;mem:4096"), [])
    assert rig.offered() == [("A", "S0")]


def test_suppressed_roles_are_offered_nothing_until_they_revive() -> None:
    rig = Rig()
    rig.framework("A", "one", "two")
    rig.allocator.suppress("A", ["one"])
    rig.agent()
    (grant,) = rig.cycle()
    assert grant.role == "two"
    rig.allocator.suppress("A", [])
    rig.decline(grant, None)
    assert rig.cycle(10.0) == []
    rig.allocator.revive("A", ["one"])
    (again,) = rig.cycle()
    assert again.role == "one"


def test_roles_may_be_suppressed_from_the_start() -> None:
    rig = Rig()
    rig.framework("A", "one", "two", suppressed=["one"])
    for _ in range(3):
        rig.agent()
    assert {grant.role for grant in rig.cycle()} == {"two"}


def test_filters_are_counted_by_role() -> None:
    rig = Rig()
    rig.framework("A", "one")
    rig.framework("B", "two/sub")
    for _ in range(5):
        rig.agent()
    for _ in range(2):
        for grant in rig.cycle():
            rig.decline(grant, 3600.0)
    assert {view.role: view.filters for view in rig.allocator.role_view()} == {"one": 5, "two": 0, "two/sub": 5}


def test_a_thousand_revives_leave_nothing_behind() -> None:
    rig = alone()
    for _ in range(1000):
        (grant,) = rig.cycle()
        rig.decline(grant, 3600.0)
        rig.allocator.revive("A", [])
    (agent,) = rig.allocator._cluster.agents.values()
    assert agent.blocked.bit_length() < 200
    assert sum(refusal.mask.bit_count() for refusal in agent.refusals) < 200
    assert rig.offered() == [("A", "S0")]


def test_an_agent_remembers_a_bounded_number_of_refusals() -> None:
    rig = Rig()
    rig.agent("cpus:1000;mem:1000")
    for number in range(50):
        rig.framework(f"F{number:02}")
    bystander = rig.cycle()[0]
    rig.decline(bystander, 3600.0)
    for number in range(900):
        for grant in rig.cycle(0.001):
            rig.answer(grant, res("cpus:1") if number % 2 else res("mem:1"), 3600.0)
    (agent,) = rig.allocator._cluster.agents.values()
    assert len(agent.refusals) <= 33


@pytest.mark.parametrize("refuse_s", [0.0, 0.1, 1.0, 4.99, 5.0, 60.0, 3600.0, 86_400.0, REFUSE_S_MAX])
@pytest.mark.parametrize("now", [0.0, 0.5, 12.3456, 98_765.4])
def test_a_filter_never_ends_early_and_little_later_than_asked(refuse_s: float, now: float) -> None:
    ends_at = step_at(last_step(now, refuse_s, 1.0))
    batch_at = now // 1.0 + 1.0
    asked = max(now + refuse_s, batch_at)
    assert asked <= ends_at <= asked + max(0.125, refuse_s / 64 + 0.125)


def test_a_filter_lasts_a_year_at_most() -> None:
    assert last_step(0.0, 1e18, 1.0) == last_step(0.0, REFUSE_S_MAX, 1.0)
    assert last_step(0.0, -3.0, 1.0) == last_step(0.0, 0.0, 1.0)
