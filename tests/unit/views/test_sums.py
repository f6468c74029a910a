from __future__ import annotations

from hypothesis import given, settings

from merismos.core.master.views import metrics, values
from merismos.core.master.views.roles import role_sums
from merismos.model.resources import Resources, sum_of
from unit.views.walks import Walk, walks


@given(steps=walks)
@settings(max_examples=40, deadline=None)
def test_sums_over_roles_equal_sums_over_agents(steps: list[tuple[str, int]]) -> None:
    master = Walk(steps, []).rig.master
    by_agent = [values.used(agent) for agent in master.agents.values()]
    sums = role_sums(master)
    for role, entry in sums.items():
        assert entry.allocated == sum_of(used[role] for used in by_agent if role in used)
        assert entry.offered == sum_of(offer.resources for offer in master.offers.values() if offer.role == role)
    assert all(role in sums for used in by_agent for role in used)
    assert values.used_by_role(master) == {role: entry.allocated for role, entry in sums.items() if entry.allocated}


@given(steps=walks)
@settings(max_examples=40, deadline=None)
def test_what_is_used_offered_and_free_is_what_there_is(steps: list[tuple[str, int]]) -> None:
    walk = Walk(steps, [])
    for agent in walk.rig.master.agents.values():
        taken: Resources = sum_of([*values.used(agent).values(), *values.offered(agent).values()])
        assert agent.total.contains(taken)


@given(steps=walks)
@settings(max_examples=40, deadline=None)
def test_the_metrics_count_what_the_state_shows(steps: list[tuple[str, int]]) -> None:
    walk = Walk(steps, [])
    master = walk.rig.master
    found = metrics.snapshot(master, walk.rig.now)
    states = [task.state for framework in master.frameworks.values() for task in framework.tasks.values()]
    for name in ("staging", "starting", "running", "killing"):
        assert found[f"master/tasks_{name}"] == states.count(f"TASK_{name.upper()}")
    used = values.total_of(values.used_by_role(master))
    assert found["master/cpus_used"] == used.cpus_milli / 1000
    assert found["allocator/mesos/quota/roles//resources/mem/consumed"] == used.mem_milli / 1000
    below = [part for role, part in values.used_by_role(master).items() if role in {"a", "a/b"}]
    if "allocator/mesos/quota/roles/a/resources/cpus/consumed" in found:
        assert found["allocator/mesos/quota/roles/a/resources/cpus/consumed"] == sum_of(below).cpus_milli / 1000
    for framework in master.frameworks.values():
        head = f"master/frameworks/{framework.info.name}/{framework.id}/"
        calls = [value for name, value in found.items() if name.startswith(head + "calls/")]
        assert found[head + "calls"] == sum(calls)
