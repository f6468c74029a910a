from __future__ import annotations

from collections import Counter

import pytest

from merismos.core.allocator import Grant
from unit.allocator.rig import Rig, res


def settle(rig: Rig, tasks: list[Grant], rounds: int) -> list[Grant]:
    """Let the oldest task end and whoever is offered its place take it, again and again."""
    for _ in range(rounds):
        task = tasks.pop(0)
        rig.free(task, task.resources)
        for grant in rig.cycle(0.01):
            rig.answer(grant, grant.resources)
            tasks.append(grant)
    return tasks


def take_all(rig: Rig) -> list[Grant]:
    tasks = rig.cycle()
    for grant in tasks:
        rig.answer(grant, grant.resources)
    return tasks


@pytest.mark.parametrize(
    ("weights", "expected"), [((1.0, 2.0), (10, 20)), ((1.0, 1.0), (15, 15)), ((5.0, 1.0), (25, 5))]
)
def test_greedy_frameworks_settle_at_the_ratio_of_their_weights(
    weights: tuple[float, float], expected: tuple[int, int]
) -> None:
    rig = Rig()
    for _ in range(30):
        rig.agent()
    rig.framework("F1", "one")
    tasks = take_all(rig)
    assert len(tasks) == 30
    rig.framework("F2", "two")
    rig.allocator.set_weight("one", weights[0])
    rig.allocator.set_weight("two", weights[1])
    counts = Counter(task.framework_id for task in settle(rig, tasks, 100))
    assert (counts["F1"], counts["F2"]) == expected


def test_subroles_share_what_their_parent_has() -> None:
    rig = Rig()
    for _ in range(24):
        rig.agent()
    rig.framework("ads", "ads")
    rig.framework("web", "eng/web")
    rig.framework("db", "eng/db")
    counts = Counter(task.framework_id for task in take_all(rig))
    assert counts == {"ads": 12, "web": 6, "db": 6}
    shares = {view.role: view.share for view in rig.allocator.role_view()}
    assert shares == {"ads": 0.5, "eng": 0.5, "eng/db": 0.25, "eng/web": 0.25}


def test_a_roles_own_frameworks_compete_with_its_subroles_as_one() -> None:
    rig = Rig()
    for _ in range(24):
        rig.agent()
    rig.framework("own1", "eng")
    rig.framework("own2", "eng")
    rig.framework("web", "eng/web")
    counts = Counter(task.framework_id for task in take_all(rig))
    assert counts == {"own1": 6, "own2": 6, "web": 12}


def test_a_subrole_that_comes_later_takes_its_part_from_its_parent_only() -> None:
    rig = Rig()
    for _ in range(24):
        rig.agent()
    rig.framework("ads", "ads")
    rig.framework("own", "eng")
    tasks = take_all(rig)
    rig.framework("web", "eng/web")
    counts = Counter(task.framework_id for task in settle(rig, tasks, 100))
    assert counts == {"ads": 12, "own": 6, "web": 6}


def test_weights_count_at_every_level() -> None:
    rig = Rig()
    for _ in range(36):
        rig.agent()
    for role, weight in {"eng": 2.0, "eng/web": 3.0}.items():
        rig.allocator.set_weight(role, weight)
    rig.framework("ads", "ads")
    rig.framework("web", "eng/web")
    rig.framework("db", "eng/db")
    assert Counter(task.framework_id for task in take_all(rig)) == {"ads": 12, "web": 18, "db": 6}


def test_ties_go_to_whoever_was_served_less_often_and_then_by_name() -> None:
    rig = Rig()
    agent = rig.agent()
    rig.framework("b")
    rig.framework("a")
    order = []
    for _ in range(4):
        (grant,) = rig.cycle(1.0)
        order.append(grant.framework_id)
        rig.decline(grant, None)
    assert order == ["a", "b", "a", "b"]
    assert agent == "S0"


def test_what_a_framework_took_while_it_was_alone_counts_once_another_comes() -> None:
    rig = Rig()
    for number in range(4):
        rig.agent(active=number < 2)
    rig.framework("A")
    assert len(take_all(rig)) == 2
    rig.framework("B")
    rig.allocator.activate_agent("S2")
    assert rig.offered() == [("B", "S2")]


def test_how_often_a_role_was_served_while_it_was_alone_counts_once_another_comes() -> None:
    rig = Rig()
    rig.agent()
    rig.framework("A", "first")
    for _ in range(3):
        (grant,) = rig.cycle(1.0)
        rig.decline(grant, None)
    rig.framework("B", "second")
    assert rig.offered() == [("B", "S0")]


def test_a_weight_counts_from_the_next_cycle_on() -> None:
    rig = Rig()
    for number in range(3):
        rig.agent(active=number < 2)
    rig.framework("A", "first")
    rig.framework("B", "second")
    assert len(take_all(rig)) == 2
    rig.allocator.set_weight("second", 4.0)
    rig.allocator.activate_agent("S2")
    assert rig.offered() == [("B", "S2")]


def test_excluded_names_do_not_count_for_shares() -> None:
    rig = Rig(fair_sharing_excluded=["gpus"])
    rig.agent("gpus:8;mem:64;cpus:0.1")
    for _ in range(10):
        rig.agent("cpus:4;mem:4096")
    rig.framework("gpu", "gpu", capabilities=("MULTI_ROLE", "GPU_RESOURCES"))
    rig.framework("web", "web")
    counts = Counter(task.framework_id for task in take_all(rig))
    assert counts == {"gpu": 6, "web": 5}


def test_resources_in_use_since_before_count_for_shares() -> None:
    rig = Rig()
    rig.agent("cpus:8;mem:8192", used=[("old", "one", res("cpus:8;mem:8192"))])
    rig.framework("old", "one")
    rig.framework("new", "two")
    for _ in range(3):
        rig.agent("cpus:4;mem:4096")
    assert Counter(task.framework_id for task in take_all(rig)) == {"new": 2, "old": 1}


def test_the_random_order_serves_in_proportion_to_weights() -> None:
    rig = Rig(role_sorter="random", framework_sorter="random")
    for _ in range(100):
        rig.agent()
    for number in range(3):
        rig.framework(f"F{number}", f"role{number}")
    rig.framework("G", "role0")
    rig.allocator.set_weight("role0", 2.0)
    counts: Counter[str] = Counter()
    roles: Counter[str] = Counter()
    for _ in range(40):
        for grant in rig.cycle(1.0):
            counts[grant.framework_id] += 1
            roles[grant.role] += 1
            rig.decline(grant, None)
    total = counts.total()
    assert total == 4000
    assert roles["role0"] / total == pytest.approx(0.5, abs=0.03)
    assert roles["role1"] / total == pytest.approx(0.25, abs=0.03)
    assert counts["G"] / roles["role0"] == pytest.approx(0.5, abs=0.04)


def test_the_same_seed_draws_the_same_random_order() -> None:
    def transcript() -> list[tuple[str, str]]:
        rig = Rig(role_sorter="random")
        for number in range(20):
            rig.agent()
            rig.framework(f"F{number}", f"role{number}")
        return rig.offered()

    assert transcript() == transcript()


def test_a_large_tree_follows_the_size_of_the_cluster_within_a_batch() -> None:
    rig = Rig()
    rig.agent(
        "cpus:10;mem:10000",
        used=[("cpu-heavy", "x", res("cpus:6;mem:100")), ("mem-heavy", "y", res("cpus:1;mem:5000"))],
    )
    for number in range(60):
        rig.framework(f"idle{number:02}", f"idle{number}", suppressed=[f"idle{number}"])
    rig.framework("cpu-heavy", "x")
    rig.framework("mem-heavy", "y")
    (first,) = rig.offered()
    assert first == ("mem-heavy", "S0")
    # With so many CPUs more, memory is what the cluster is short of, and the other one is behind.
    rig.agent("cpus:90;mem:100", active=False)
    rig.agent("cpus:1;mem:100")
    rig.agent("cpus:1;mem:100")
    assert rig.offered(1.0)[0] == ("cpu-heavy", "S2")
