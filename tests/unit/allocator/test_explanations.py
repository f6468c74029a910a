from __future__ import annotations

from merismos.core.allocator import NearestFit, Shortage
from unit.allocator.rig import PLAIN, Rig, constraint, constraints, res

WANTED = res("cpus:1;mem:4096")


def summary(rig: Rig, framework: str = "A", role: str = "eng", text: str | None = "cpus:1;mem:4096") -> str:
    return rig.allocator.explain(framework, role, None if text is None else res(text), rig.now).summary


def reasons(rig: Rig, text: str | None = "cpus:1;mem:4096") -> dict[str, int]:
    wanted = None if text is None else res(text)
    return {one.reason: one.agents for one in rig.allocator.explain("A", "eng", wanted, rig.now).obstacles}


def test_agents_are_counted_by_reason_with_the_nearest_fit() -> None:
    rig = Rig()
    for number in range(7):
        rig.agent(f"cpus:4;mem:{1024 + 2048 * (number == 3)}", marks="rack:r1")
    for _ in range(3):
        rig.agent("cpus:4;mem:8192", marks="rack:r9")
    for _ in range(2):
        rig.agent("cpus:4;mem:8192", marks="rack:r1")
    rig.framework("A", constraints=constraints("eng", [constraint(text_equals="r1")]))
    for grant in rig.cycle():
        rig.decline(grant, 5.0)
    rig.now += 1.0
    assert summary(rig) == "12 agents: 7 short of mem (nearest has 3072 of 4096), 3 constraint, 2 filtered for 4 s more"
    explanation = rig.allocator.explain("A", "eng", WANTED, rig.now)
    assert explanation.nearest == NearestFit("S3", "host3", False, [Shortage("mem", 3_072_000, 4_096_000)])
    assert [one.samples for one in explanation.obstacles] == [["S0", "S1", "S2"], ["S7", "S8", "S9"], ["S10", "S11"]]


def test_a_task_that_fits_nowhere_is_told_how_much_there_is() -> None:
    rig = Rig()
    rig.agent("cpus:4;mem:4096")
    rig.agent("cpus:8;mem:4096")
    rig.framework("A")
    assert summary(rig, text="cpus:999") == "2 agents: 2 short of cpus (nearest has 8 of 999)"


def test_a_framework_that_takes_no_part_is_told_why() -> None:
    rig = Rig()
    rig.agent()
    assert "unknown" in summary(rig)
    rig.framework("A", active=False)
    assert "not connected" in summary(rig)
    assert "not subscribed" in summary(rig, role="ops")
    rig.allocator.activate_framework("A")
    rig.allocator.suppress("A", [])
    assert "REVIVE" in summary(rig)
    assert rig.allocator.explain("A", "eng", WANTED, rig.now).obstacles == []


def test_a_cluster_without_agents_says_so() -> None:
    rig = Rig()
    rig.framework("A")
    assert summary(rig) == "there are no agents"


def test_each_reason_is_recognised() -> None:
    rig = Rig(region="europe", whitelist=[f"host{number}" for number in range(1, 20)])
    rig.agent()
    rig.agent(active=False)
    rig.agent("cpus:4;mem:4096;gpus:1")
    rig.agent(region="asia")
    rig.agent("cpus:4;mem:4096", used=[("other", "ops", res("cpus:1;mem:1"))])
    rig.framework("A")
    assert reasons(rig) == {"whitelist": 1, "inactive": 1, "gpu": 1, "region": 1, "in_use": 1}
    assert "1 short of free mem (nearest has 4095 of 4096), in use" in summary(rig)


def test_an_offer_that_waits_for_an_answer_is_the_reason() -> None:
    rig = Rig()
    rig.agent()
    rig.framework("A")
    rig.framework("B", "ops")
    (grant,) = rig.cycle()
    assert grant.framework_id == "A"
    assert reasons(rig) == {"offered": 1}
    rig.decline(grant, 5.0)
    (other,) = rig.cycle()
    assert other.framework_id == "B"
    assert reasons(rig) == {"held": 1}


def test_too_little_for_any_offer_and_waiting_for_a_turn_are_told_apart() -> None:
    rig = Rig()
    rig.agent("disk:1000")
    rig.agent()
    rig.framework("A")
    assert reasons(rig, None) == {"below_minimum": 1, "behind": 1}


def test_withheld_offers_are_a_reason() -> None:
    rig = Rig(offers_held_max=1)
    for _ in range(3):
        rig.agent()
    rig.framework("A")
    rig.framework("B", "ops")
    rig.cycle()
    assert reasons(rig) == {"offered": 1, "held": 1, "capped": 1}


def test_resources_reserved_for_others_do_not_count() -> None:
    rig = Rig()
    rig.agent("cpus:1;mem:1024;mem(ops):8192")
    rig.framework("A", capabilities=PLAIN)
    assert summary(rig) == "1 agent: 1 short of mem (nearest has 1024 of 4096)"
    rig.framework("A2", "ops")
    assert "short of" not in summary(rig, "A2", "ops")
