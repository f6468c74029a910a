from __future__ import annotations

import pytest

from merismos.model.identity import IdentityKey, Reservation, identity_of
from merismos.model.resources import Resources, resources_of
from unit.allocator.rig import ALL, PLAIN, Rig, attributes, constraint, constraints, res

STACK = (Reservation("DYNAMIC", "eng"), Reservation("DYNAMIC", "eng/web"))


def special(**properties: object) -> Resources:
    return resources_of([(identity_of(IdentityKey("cpus", "SCALAR", **properties)), 2000)])  # type: ignore[arg-type]


# capabilities ------------------------------------------------------------------
def test_agents_with_gpus_are_offered_to_those_who_ask_for_gpus_only() -> None:
    rig = Rig()
    rig.agent("cpus:4;mem:4096;gpus:1")
    rig.framework("A")
    assert rig.offered() == []
    rig.framework("G", capabilities=[*PLAIN, "GPU_RESOURCES"])
    assert rig.offered() == [("G", "S0")]


def test_the_gpu_filter_can_be_turned_off() -> None:
    rig = Rig(filter_gpu_resources=False)
    rig.agent("cpus:4;mem:4096;gpus:1")
    rig.framework("A")
    assert rig.offered() == [("A", "S0")]


def test_agents_of_another_region_are_offered_to_the_region_aware_only() -> None:
    rig = Rig(region="europe")
    rig.agent(region="asia", zone="a")
    near = rig.agent(region="europe", zone="b")
    unknown = rig.agent()
    rig.framework("A")
    assert rig.offered() == [("A", near), ("A", unknown)]
    rig.framework("R", capabilities=[*PLAIN, "REGION_AWARE"])
    assert rig.offered() == [("R", "S0")]


@pytest.mark.parametrize(
    ("part", "capability"),
    [
        (special(revocable=True), "REVOCABLE_RESOURCES"),
        (special(shared=True, whole=2000), "SHARED_RESOURCES"),
        (special(reservations=STACK), "RESERVATION_REFINEMENT"),
    ],
    ids=["revocable", "shared", "refined"],
)
def test_special_resources_are_left_out_for_those_who_do_not_know_them(part: Resources, capability: str) -> None:
    for able in (True, False):
        rig = Rig()
        rig.allocator.add_agent("S0", res("cpus:1;mem:1024") + part, [], hostname="h")
        rig.framework("A", "eng/web", capabilities=[one for one in ALL if able or one != capability])
        (grant,) = rig.cycle()
        assert grant.resources == (res("cpus:1;mem:1024") + part if able else res("cpus:1;mem:1024"))


def test_what_one_framework_may_not_have_goes_to_another() -> None:
    rig = Rig()
    rig.allocator.add_agent("S0", res("cpus:1;mem:1024") + special(revocable=True), [], hostname="h")
    rig.framework("A", "a")
    rig.framework("B", "b", capabilities=ALL)
    assert [(grant.framework_id, grant.resources) for grant in rig.cycle()] == [
        ("A", res("cpus:1;mem:1024")),
        ("B", special(revocable=True)),
    ]


# smallest offers -----------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "offered"),
    [("cpus:0.01", True), ("mem:32", True), ("cpus:0.009;mem:31.999", False), ("cpus:0.009;mem:31;disk:9999", False)],
)
def test_no_offer_is_smaller_than_every_alternative_of_the_smallest(text: str, offered: bool) -> None:
    rig = Rig()
    rig.agent(text)
    rig.framework("A")
    assert bool(rig.cycle()) is offered


def test_a_framework_may_ask_for_bigger_offers_in_a_role() -> None:
    rig = Rig()
    rig.agent("cpus:2;mem:4096")
    rig.framework("A", "one", "two", min_allocatable={"one": [{"cpus": 4000}, {"mem": 9_000_000}]})
    assert [grant.role for grant in rig.cycle()] == ["two"]
    rig.agent("cpus:4;mem:1")
    assert [grant.role for grant in rig.cycle()] == ["one"]


def test_a_framework_may_ask_for_smaller_offers_than_the_cluster_makes() -> None:
    rig = Rig()
    rig.agent("disk:10")
    rig.framework("A")
    rig.framework("B", min_allocatable={"eng": [{"disk": 1000}]})
    rig.framework("C", min_allocatable={"eng": []})
    (grant,) = rig.cycle()
    assert grant.framework_id == "B"
    rig.decline(grant)
    assert rig.offered() == [("C", "S0")]


def test_no_smallest_offer_means_that_anything_is_offered() -> None:
    rig = Rig(min_allocatable=[])
    rig.agent("disk:10")
    rig.framework("A")
    assert rig.offered() == [("A", "S0")]


# reservations ----------------------------------------------------------------------
def test_reserved_resources_go_to_their_role_and_below_only() -> None:
    rig = Rig()
    rig.agent("cpus(eng):4;mem(eng):1024")
    rig.framework("A", "ops")
    rig.framework("B", "engineering")
    assert rig.cycle() == []
    rig.framework("C", "eng/web")
    assert rig.offered() == [("C", "S0")]


def test_an_agent_is_split_where_roles_may_have_different_parts_of_it() -> None:
    rig = Rig()
    rig.agent("cpus:1;mem:64;cpus(eng):4;cpus(ops):2")
    rig.framework("A", "ops")
    rig.framework("B", "eng")
    rig.framework("C", "other")
    assert [(grant.framework_id, grant.resources) for grant in rig.cycle()] == [
        ("B", res("cpus:1;mem:64;cpus(eng):4")),
        ("A", res("cpus(ops):2")),
    ]


def test_a_refused_part_is_not_offered_again_because_others_got_their_part() -> None:
    rig = Rig()
    rig.agent("cpus:1;mem:64;cpus(eng):4")
    rig.framework("B", "eng")
    rig.framework("C", "other")
    first, *_ = rig.cycle()
    assert first.framework_id == "B"
    rig.decline(first, 3600.0)
    (second,) = rig.cycle()
    assert (second.framework_id, second.resources) == ("C", res("cpus:1;mem:64"))
    rig.decline(second, 3600.0)
    assert rig.cycle(100.0) == []


# agents -----------------------------------------------------------------------------
def test_an_inactive_agent_is_not_offered() -> None:
    rig = Rig()
    rig.agent(active=False)
    rig.framework("A")
    assert rig.cycle() == []
    rig.allocator.activate_agent("S0")
    (grant,) = rig.cycle()
    rig.allocator.deactivate_agent("S0")
    rig.decline(grant, None)
    assert rig.cycle(10.0) == []


def test_only_agents_on_the_whitelist_are_offered() -> None:
    rig = Rig(whitelist=["host1"])
    rig.agent()
    rig.agent()
    rig.framework("A")
    assert rig.offered() == [("A", "S1")]
    rig.allocator.set_whitelist(["host0", "host1"])
    assert rig.offered() == [("A", "S0")]
    rig.agent()
    assert rig.cycle() == []
    rig.allocator.set_whitelist(None)
    assert rig.offered() == [("A", "S2")]


def test_an_inactive_framework_is_not_offered_anything() -> None:
    rig = Rig()
    rig.agent()
    rig.framework("A", active=False)
    assert rig.cycle() == []
    rig.allocator.activate_framework("A")
    (grant,) = rig.cycle()
    rig.allocator.deactivate_framework("A")
    rig.decline(grant, None)
    assert rig.cycle(10.0) == []


def test_a_removed_agent_gives_its_frameworks_shares_back() -> None:
    rig = Rig()
    rig.agent()
    rig.framework("A")
    rig.cycle()
    rig.allocator.remove_agent("S0")
    (view,) = rig.allocator.role_view()
    assert (view.allocated_milli, view.share) == ({}, 0.0)


def test_a_removed_framework_leaves_everything_free() -> None:
    rig = Rig()
    rig.agent()
    rig.framework("A")
    rig.cycle()
    rig.allocator.remove_framework("A")
    rig.framework("B")
    assert rig.offered() == [("B", "S0")]


def test_resources_in_use_are_not_offered() -> None:
    rig = Rig()
    rig.agent("cpus:4;mem:4096", used=[("A", "eng", res("cpus:3;mem:1024"))])
    rig.framework("B", "eng")
    (grant,) = rig.cycle()
    assert grant.resources == res("cpus:1;mem:3072")
    rig.allocator.recover("A", "eng", "S0", res("cpus:3;mem:1024"), now=rig.now)
    (more,) = rig.cycle()
    assert more.resources == res("cpus:3;mem:1024")


def test_an_agent_that_shrank_below_what_is_in_use_offers_nothing_of_the_excess() -> None:
    rig = Rig()
    rig.agent("cpus:4;mem:4096")
    rig.framework("A")
    (grant,) = rig.cycle()
    rig.answer(grant, grant.resources)
    rig.allocator.update_agent("S0", res("cpus:2;mem:4096"), [])
    rig.free(grant, res("cpus:1;mem:1024"))
    (again,) = rig.cycle()
    assert again.resources == res("mem:1024")


def test_a_framework_that_left_a_role_keeps_what_it_has_there_and_gets_no_more() -> None:
    rig = Rig()
    rig.agent()
    rig.framework("A", "one")
    (grant,) = rig.cycle()
    rig.answer(grant, res("cpus:1;mem:1024"), None)
    rig.allocator.update_framework("A", ["two"], PLAIN)
    assert {view.role: view.frameworks for view in rig.allocator.role_view()} == {"one": [], "two": ["A"]}
    (other,) = rig.cycle()
    assert other.role == "two"
    rig.free(grant, res("cpus:1;mem:1024"))
    assert [view.role for view in rig.allocator.role_view()] == ["two"]


def test_an_agent_that_comes_with_more_in_use_than_it_has_offers_nothing_of_the_excess() -> None:
    rig = Rig()
    rig.agent("cpus:4;mem:4096", used=[("A", "eng", res("cpus:3;mem:1024")), ("A", "eng", res("cpus:3;mem:1024"))])
    rig.framework("A")
    (grant,) = rig.cycle()
    assert grant.resources == res("mem:2048")
    rig.answer(grant, grant.resources)
    rig.allocator.recover("A", "eng", "S0", res("cpus:3;mem:1024"), now=rig.now)
    (more,) = rig.cycle()
    assert more.resources == res("cpus:1;mem:1024")


def test_a_role_that_a_framework_left_goes_with_the_last_agent_that_held_it() -> None:
    rig = Rig()
    rig.agent()
    rig.framework("A", "one")
    rig.cycle()
    rig.allocator.update_framework("A", ["two"], PLAIN)
    rig.allocator.remove_agent("S0")
    assert [view.role for view in rig.allocator.role_view()] == ["two"]


def test_giving_back_more_than_was_given_is_a_bug() -> None:
    rig = Rig()
    rig.agent("cpus:4;mem:4096")
    rig.framework("A")
    (grant,) = rig.cycle()
    with pytest.raises(AssertionError, match="gets back more"):
        rig.free(grant, res("cpus:5"))
    rig.free(grant, grant.resources)
    with pytest.raises(AssertionError, match="nothing of agent S0"):
        rig.free(grant, res("cpus:1"))


# constraints --------------------------------------------------------------------------
def test_agents_that_a_constraint_excludes_are_not_offered() -> None:
    rig = Rig()
    for rack in ("r1", "r2", "r3"):
        rig.agent(marks=f"rack:{rack}")
    rig.framework("A", constraints=constraints("eng", [constraint(text_matches="r[12]")]))
    assert rig.offered() == [("A", "S0"), ("A", "S1")]
    rig.agent(marks="rack:r1")
    rig.agent(marks="rack:r4")
    assert rig.offered() == [("A", "S3")]


def test_a_constraint_counts_in_its_role_only() -> None:
    rig = Rig()
    rig.agent(marks="rack:r3")
    rig.framework("A", "one", "two", constraints=constraints("one", [constraint(text_equals="r1")]))
    assert [grant.role for grant in rig.cycle()] == ["two"]


def test_changed_constraints_and_changed_attributes_count_at_once() -> None:
    rig = Rig()
    rig.agent(marks="rack:r1")
    rig.agent(marks="rack:r2")
    rig.framework("A", constraints=constraints("eng", [constraint(text_equals="r1")]))
    (grant,) = rig.cycle()
    rig.answer(grant, grant.resources)
    rig.allocator.update_framework("A", ["eng"], PLAIN, constraints=constraints("eng", [constraint(text_equals="r9")]))
    assert rig.cycle() == []
    rig.allocator.update_agent("S1", res("cpus:4;mem:4096"), attributes("rack:r9"))
    assert rig.offered() == [("A", "S1")]
    rig.allocator.update_framework("A", ["eng"], PLAIN)
    rig.agent()
    assert rig.offered() == [("A", "S2")]
