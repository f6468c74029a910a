from __future__ import annotations

import pytest

from merismos.core.allocator import Grant
from merismos.core.allocator.settings import MIN_ALLOCATABLE_DEFAULT
from merismos.model.quota import NO_QUOTA, Quota
from unit.allocator.rig import Rig, res

CPU = 1000


def quantities(grants: list[Grant]) -> list[tuple[str, dict[str, int]]]:
    return [(grant.framework_id, dict(grant.resources.quantities())) for grant in grants]


def limited(limits: dict[str, int], role: str = "eng", **guarantees: int) -> Rig:
    rig = Rig()
    rig.allocator.set_quotas({role: Quota(guarantees, limits)})
    return rig


def test_an_offer_is_cut_to_what_the_limit_leaves() -> None:
    rig = limited({"cpus": 3 * CPU})
    rig.agent("cpus:2;mem:1024;ports:[1-9]")
    rig.agent("cpus:2;mem:1024;ports:[1-9]")
    rig.framework("F")
    whole = {"cpus": 2 * CPU, "mem": 1024_000, "ports": 9000}
    assert quantities(rig.cycle()) == [("F", whole), ("F", whole | {"cpus": CPU})]
    assert rig.cycle(2.0) == []


def test_an_offer_that_a_limit_makes_too_small_is_not_made() -> None:
    rig = limited({"cpus": 2 * CPU, "mem": 1024_000})
    for _ in range(3):
        rig.agent("cpus:2;mem:1024;disk:9")
    rig.framework("F")
    assert len(rig.cycle()) == 1
    assert MIN_ALLOCATABLE_DEFAULT, "the third agent would be disk alone"


def test_what_a_limit_kept_back_goes_to_another_role() -> None:
    rig = limited({"cpus": CPU, "mem": 0})
    rig.agent("cpus:4;mem:1024")
    rig.framework("F", "eng")
    rig.framework("G", "ops")
    assert quantities(rig.cycle()) == [("F", {"cpus": CPU}), ("G", {"cpus": 3 * CPU, "mem": 1024_000})]


def test_a_limit_counts_what_the_roles_below_have() -> None:
    rig = limited({"cpus": 3 * CPU})
    rig.agent("cpus:2")
    rig.agent("cpus:2")
    rig.framework("F", "eng/web")
    rig.framework("G", "eng")
    assert sorted(grant.resources.cpus_milli for grant in rig.cycle()) == [CPU, 2 * CPU]


def test_an_idle_reservation_counts_for_the_limit() -> None:
    rig = limited({"cpus": 3 * CPU})
    rig.agent("cpus(eng):2", active=False)
    rig.allocator.deactivate_agent("S0")
    rig.agent("cpus:2")
    rig.framework("F")
    assert quantities(rig.cycle()) == [("F", {"cpus": CPU})]


def test_what_is_reserved_to_a_role_is_always_its_own() -> None:
    rig = limited({"cpus": CPU})
    rig.agent("cpus(eng):2;cpus:2")
    rig.framework("F")
    assert quantities(rig.cycle()) == [("F", {"cpus": 2 * CPU})]


def test_a_reservation_of_the_role_above_counts_below_as_it_is_allocated() -> None:
    rig = limited({"cpus": CPU}, role="eng/web")
    rig.agent("cpus(eng):2")
    rig.framework("F", "eng/web")
    assert quantities(rig.cycle()) == [("F", {"cpus": CPU})]


def test_gpus_are_cut_to_whole_ones() -> None:
    rig = limited({"gpus": 1500})
    rig.agent("cpus:1;gpus:4")
    rig.framework("F", capabilities=("GPU_RESOURCES",))
    assert quantities(rig.cycle()) == [("F", {"cpus": CPU, "gpus": CPU})]


def test_what_a_limit_kept_back_is_offered_once_something_of_the_role_ends() -> None:
    rig = limited({"cpus": 2 * CPU})
    rig.agent("cpus:2")
    rig.agent("cpus:2")
    rig.framework("F")
    (grant,) = rig.cycle()
    rig.answer(grant, res("cpus:2"))
    assert rig.cycle(10.0) == []
    rig.allocator.deactivate_agent(grant.agent_id)
    rig.free(grant, res("cpus:1.5"))
    assert [(one.agent_id, one.resources.cpus_milli) for one in rig.cycle(1.0)] == [("S1", 1500)]


def test_a_lowered_limit_stops_offers_and_a_raised_one_brings_them_back() -> None:
    rig = limited({"cpus": CPU})
    rig.agent("cpus:4")
    rig.framework("F")
    rig.answer(rig.cycle()[0], res("cpus:1"))
    assert rig.cycle(10.0) == []
    rig.allocator.set_quotas({"eng": Quota({}, {"cpus": 3 * CPU})})
    assert [grant.resources.cpus_milli for grant in rig.cycle(1.0)] == [2 * CPU]
    rig.allocator.set_quotas({"eng": NO_QUOTA})
    assert [grant.resources.cpus_milli for grant in rig.cycle(1.0)] == [CPU]


def test_headroom_for_a_guarantee_is_held_back_from_others() -> None:
    rig = limited({}, role="prod", cpus=3 * CPU)
    rig.agent("cpus:4;mem:512")
    rig.framework("F", "eng")
    assert quantities(rig.cycle()) == [("F", {"cpus": CPU, "mem": 512_000})]
    rig.framework("P", "prod")
    assert quantities(rig.cycle()) == [("P", {"cpus": 3 * CPU})]


def test_headroom_is_free_again_once_the_guarantee_is_gone() -> None:
    rig = limited({}, role="prod", cpus=4 * CPU)
    rig.agent("cpus:4")
    rig.framework("F", "eng")
    assert rig.cycle() == []
    rig.allocator.set_quotas({"prod": NO_QUOTA})
    assert quantities(rig.cycle(1.0)) == [("F", {"cpus": 4 * CPU})]


def test_an_idle_reservation_of_the_guaranteed_role_needs_no_headroom() -> None:
    rig = limited({}, role="prod", cpus=2 * CPU)
    rig.agent("cpus(prod):2;cpus:2")
    rig.framework("F", "eng")
    assert quantities(rig.cycle()) == [("F", {"cpus": 2 * CPU})]


def test_agents_that_are_not_offered_are_no_headroom() -> None:
    rig = limited({}, role="prod", cpus=2 * CPU)
    rig.agent("cpus:2")
    rig.agent("cpus:2")
    rig.allocator.deactivate_agent("S0")
    rig.framework("F", "eng")
    assert rig.cycle() == []
    rig.allocator.activate_agent("S0")
    assert quantities(rig.cycle(1.0)) == [("F", {"cpus": 2 * CPU})]


def test_the_role_below_its_guarantee_comes_first_whatever_its_share() -> None:
    rig = limited({}, role="prod", cpus=4 * CPU)
    for _ in range(2):
        rig.agent("cpus:3")
    rig.framework("P", "prod")
    rig.framework("F", "eng")
    rig.allocator.set_weight("eng", 1000.0)
    assert rig.offered() == [("P", "S0"), ("P", "S1")]


def test_a_guarantee_of_a_nested_role_is_part_of_the_one_above_it() -> None:
    rig = limited({"cpus": 4 * CPU}, role="eng", cpus=4 * CPU)
    rig.allocator.set_quotas({"eng/web": Quota({"cpus": 2 * CPU}, {})})
    rig.agent("cpus:6")
    rig.framework("F", "ops")
    rig.framework("G", "eng")
    assert sorted(quantities(rig.cycle())) == [("F", {"cpus": 2 * CPU}), ("G", {"cpus": 2 * CPU})]
    rig.framework("H", "eng/web")
    assert quantities(rig.cycle(1.0)) == [("H", {"cpus": 2 * CPU})]


def test_a_paused_allocator_grants_nothing_and_says_why() -> None:
    rig = Rig()
    rig.agent()
    rig.framework("F")
    rig.allocator.pause("wait")
    assert rig.cycle() == []
    assert rig.allocator.next_deadline() is None
    assert rig.allocator.explain("F", "eng", None, rig.now).summary == "wait"
    rig.allocator.resume()
    assert rig.offered() == [("F", "S0")]


@pytest.mark.parametrize(
    ("quota", "role", "reason", "message"),
    [
        (Quota({}, {"cpus": CPU, "mem": 0}), "eng", "quota_limit", "kept by the quota limit of role eng: cpus 0 of 1 in use"),
        (
            Quota({"cpus": 3 * CPU}, {}),
            "prod",
            "headroom",
            "held back for the quota guarantees of other roles, which still ask for cpus 3",
        ),
    ],
)  # fmt: skip
def test_why_names_the_quota_that_is_in_the_way(quota: Quota, role: str, reason: str, message: str) -> None:
    rig = Rig()
    rig.agent("cpus:4;mem:4096")
    rig.framework("F")
    rig.allocator.set_quotas({role: quota})
    explanation = rig.allocator.explain("F", "eng", res("cpus:2"), rig.now)
    assert [(one.reason, one.message) for one in explanation.obstacles] == [(reason, message)]
    assert explanation.summary == f"1 agent: 1 {message}"
