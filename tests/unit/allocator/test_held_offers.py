from __future__ import annotations

from collections import Counter

from unit.allocator.rig import Rig


def test_a_framework_that_is_alone_is_offered_everything() -> None:
    rig = Rig()
    for _ in range(10):
        rig.agent()
    rig.framework("A")
    assert len(rig.cycle()) == 10


def test_a_slow_scheduler_holds_half_of_the_agents_at_most_while_another_could_use_them() -> None:
    rig = Rig()
    for _ in range(10):
        rig.agent()
    rig.framework("slow", "one")
    rig.framework("quick", "two")
    slow = 0
    for _ in range(20):
        for grant in rig.cycle(1.0):
            if grant.framework_id == "quick":
                rig.decline(grant, 0.5)
            else:
                slow += 1
    assert slow == 5
    # Its work comes: half of the cluster is there for it within a moment.
    assert len([grant for grant in rig.cycle(2.0) if grant.framework_id == "quick"]) == 5


def test_what_was_withheld_is_offered_once_offers_are_answered() -> None:
    rig = Rig(offers_held_max=2)
    for _ in range(6):
        rig.agent()
    rig.framework("A", "one")
    rig.framework("B", "two")
    first = rig.cycle()
    assert Counter(grant.framework_id for grant in first) == {"A": 2, "B": 2}
    assert rig.cycle(10.0) == []
    answered = [grant for grant in first if grant.framework_id == "A"]
    for grant in answered:
        rig.answer(grant, grant.resources)
    assert [one for one, _ in rig.offered()] == ["A", "A"]


def test_the_bound_falls_with_the_last_competitor() -> None:
    for leave in ("suppress", "deactivate", "remove"):
        rig = Rig(offers_held_max=1)
        for _ in range(5):
            rig.agent()
        rig.framework("A", "one")
        rig.framework("B", "two")
        assert len(rig.cycle()) == 2
        if leave == "suppress":
            rig.allocator.suppress("B", [])
        elif leave == "deactivate":
            rig.allocator.deactivate_framework("B")
        else:
            rig.allocator.remove_framework("B")
        assert {one for one, _ in rig.offered()} == {"A"}, leave


def test_someone_who_could_not_use_an_agent_is_no_competitor_for_it() -> None:
    rig = Rig(offers_held_max=1)
    for _ in range(3):
        rig.agent("cpus:4;mem:4096;gpus:1")
    rig.framework("G", "one", capabilities=["GPU_RESOURCES"])
    rig.framework("B", "two")
    assert rig.offered() == [("G", "S0"), ("G", "S1"), ("G", "S2")]


def test_two_roles_of_one_framework_do_not_compete() -> None:
    rig = Rig(offers_held_max=1)
    for _ in range(4):
        rig.agent()
    rig.framework("A", "one", "two")
    assert len(rig.cycle()) == 4


def test_more_agents_raise_the_bound_for_agents_that_were_withheld() -> None:
    rig = Rig()
    for _ in range(4):
        rig.agent()
    rig.framework("slow", "one")
    rig.framework("idle", "two")
    declined = [grant for grant in rig.cycle() if grant.framework_id == "idle"]
    for grant in declined:
        rig.decline(grant, 3600.0)
    assert rig.cycle(10.0) == []
    for _ in range(4):
        rig.agent(active=False)
    assert sorted(rig.offered()) == [("slow", grant.agent_id) for grant in declined]
