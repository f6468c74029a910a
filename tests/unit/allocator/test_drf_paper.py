"""The examples of Ghodsi, Zaharia, Hindman, Konwinski, Shenker, Stoica: Dominant Resource Fairness (NSDI 2011).

Section 4.1, figure 3 and table 1: 9 CPUs and 18 GB, user A's tasks take <1 CPU, 4 GB>, user B's <3 CPUs, 1 GB>.
Section 4.3 defines weighted DRF. Section 5, figure 4 compares DRF with asset fairness and CEEI on the same cluster.
"""

from __future__ import annotations

from fractions import Fraction

import pytest

from merismos.model.resources import EMPTY, Resources
from unit.allocator.rig import Rig, res

DEMANDS = {"A": res("cpus:1;mem:4"), "B": res("cpus:3;mem:1")}


def play(rig: Rig, demands: dict[str, Resources]) -> list[str]:
    """Let each scheduler launch one task from every offer that has room for one, until nobody can; return the launches.

    What a launch leaves is given back without a filter, as progressive filling asks for the poorest user after every task.
    """
    launches: list[str] = []
    while grants := rig.cycle():
        for grant in grants:
            demand = demands[grant.framework_id]
            if grant.resources.contains(demand):
                launches.append(grant.framework_id)
                rig.answer(grant, demand, None)
            else:
                rig.answer(grant, EMPTY, 3600.0)
    return launches


def cluster(*, scale: int = 1, roles: dict[str, str] | None = None) -> Rig:
    rig = Rig(min_allocatable=[])
    rig.agent(f"cpus:{9 * scale};mem:{18 * scale}")
    for name in ("A", "B"):
        rig.framework(name, (roles or {}).get(name, "users"))
    return rig


def test_user_a_gets_three_tasks_and_user_b_two_and_both_dominant_shares_are_two_thirds() -> None:
    rig = cluster(roles={"A": "a", "B": "b"})
    launches = play(rig, DEMANDS)
    assert (launches.count("A"), launches.count("B")) == (3, 2)
    shares = {view.role: view.share for view in rig.allocator.role_view()}
    assert shares == {"a": pytest.approx(2 / 3), "b": pytest.approx(2 / 3)}
    taken = {view.role: view.allocated_milli for view in rig.allocator.role_view()}
    assert taken == {"a": {"cpus": 3000, "mem": 12_000}, "b": {"cpus": 6000, "mem": 2000}}


def test_frameworks_of_one_role_share_like_roles() -> None:
    launches = play(cluster(), DEMANDS)
    assert (launches.count("A"), launches.count("B")) == (3, 2)


def test_tasks_start_in_the_order_of_table_1() -> None:
    # The paper's schedule begins with B; ties go by name, so B's role must come first.
    rig = cluster(roles={"A": "second", "B": "first"})
    assert play(rig, DEMANDS) == ["B", "A", "A", "B", "A"]


def test_the_result_is_neither_asset_fairness_nor_competitive_equilibrium() -> None:
    # Figure 4: asset fairness gives A 2.5 and B 2.2 tasks, CEEI 4.1 and 1.6; DRF 3 and 2. A cluster 100 times as big tells them apart.
    scale = 100
    launches = play(cluster(scale=scale, roles={"A": "a", "B": "b"}), DEMANDS)
    tasks = {name: Fraction(launches.count(name), scale) for name in ("A", "B")}
    assert tasks == {"A": 3, "B": 2}
    asset_fair = {"A": Fraction(18 * 7, 50), "B": Fraction(54, 25)}
    equilibrium = {"A": Fraction(45, 11), "B": Fraction(18, 11)}
    assert abs(tasks["A"] - asset_fair["A"]) > Fraction(1, 4)
    assert abs(tasks["A"] - equilibrium["A"]) > 1


def test_weighted_shares_are_in_the_ratio_of_the_weights() -> None:
    # Section 4.3: what is equalised is the dominant share over the weight. With weight 2 for A, memory is what runs out first.
    scale = 100
    rig = cluster(scale=scale, roles={"A": "a", "B": "b"})
    rig.allocator.set_weight("a", 2.0)
    launches = play(rig, DEMANDS)
    share_a = Fraction(4 * launches.count("A"), 18 * scale)
    share_b = Fraction(3 * launches.count("B"), 9 * scale)
    assert share_a / share_b == pytest.approx(2.0, rel=0.02)
    assert 4 * launches.count("A") + launches.count("B") >= 18 * scale - 4
