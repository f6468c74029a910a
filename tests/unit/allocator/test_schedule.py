from __future__ import annotations

from unit.allocator.rig import Rig, res


def test_nothing_is_due_while_nothing_happens() -> None:
    rig = Rig()
    assert rig.allocator.next_deadline() is None
    rig.agent()
    rig.framework("A")
    rig.cycle()
    assert rig.allocator.next_deadline() is None


def test_an_event_that_finds_the_allocator_at_rest_is_served_at_once() -> None:
    rig = Rig()
    rig.framework("A")
    rig.cycle()
    rig.now += 1.0
    rig.agent()
    due = rig.allocator.next_deadline()
    assert due is not None
    assert due <= rig.now


def test_cycles_are_two_milliseconds_apart() -> None:
    rig = Rig()
    rig.agent()
    rig.framework("A")
    (grant,) = rig.cycle()
    rig.decline(grant, None)
    assert rig.allocator.next_deadline() == rig.now + 0.002


def test_freed_resources_are_offered_to_another_within_ten_milliseconds() -> None:
    rig = Rig()
    rig.agent()
    rig.framework("A")
    (grant,) = rig.cycle()
    rig.answer(grant, grant.resources)
    rig.framework("B")
    rig.cycle(5.0)
    rig.free(grant, grant.resources)
    due = rig.allocator.next_deadline()
    assert due is not None
    assert due <= rig.now + 0.01
    assert rig.offered(0.01) == [("B", "S0")]


def test_after_a_cycle_over_many_agents_the_next_one_waits_longer() -> None:
    rig = Rig()
    for _ in range(2000):
        rig.agent()
    rig.framework("A")
    grants = rig.cycle()
    assert len(grants) == 2000
    rig.decline(grants[0], None)
    assert rig.allocator.next_deadline() == rig.now + 0.01


def test_the_end_of_a_filter_is_a_deadline() -> None:
    rig = Rig()
    rig.agent()
    rig.framework("A")
    (grant,) = rig.cycle()
    rig.decline(grant, 5.0)
    assert rig.cycle(0.01) == []
    due = rig.allocator.next_deadline()
    assert due is not None
    rig.now = due
    assert rig.offered() == [("A", "S0")]


def test_a_cycle_looks_only_at_agents_with_news() -> None:
    rig = Rig()
    rig.agent()
    rig.agent()
    rig.framework("A")
    first, _ = rig.cycle()
    before = rig.allocator.runs
    assert rig.cycle(1.0) == []
    assert rig.allocator.runs == before
    rig.decline(first, None)
    assert list(rig.allocator._cluster.dirty) == [rig.allocator._cluster.agents[first.agent_id]]


def test_what_is_not_known_is_ignored() -> None:
    rig = Rig()
    allocator = rig.allocator
    allocator.recover("nobody", "eng", "nowhere", res("cpus:1"), now=1.0)
    allocator.answered("nobody", "eng", "nowhere")
    allocator.suppress("nobody", [])
    allocator.revive("nobody", [])
    allocator.activate_framework("nobody")
    allocator.deactivate_framework("nobody")
    allocator.update_framework("nobody", [], [])
    allocator.remove_framework("nobody")
    allocator.update_agent("nowhere", res("cpus:1"), [])
    allocator.activate_agent("nowhere")
    allocator.deactivate_agent("nowhere")
    allocator.remove_agent("nowhere")
    allocator.allocate_used("nobody", "eng", "nowhere", res("cpus:1"))
    assert allocator.role_view() == []
    assert rig.cycle() == []
