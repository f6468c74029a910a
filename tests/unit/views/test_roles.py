from __future__ import annotations

from merismos.core.master.views.roles import role_tree, roles_v0, roles_v1
from unit.master.rig import Rig, framework_info


def test_a_role_above_a_known_one_is_known_and_has_the_sums_of_its_tree() -> None:
    rig = Rig()
    rig.agent()
    scheduler = rig.subscribe(framework_info(roles=("a/b/c", "a/d")))
    found = {role["name"]: role for role in roles_v0(rig.master)}
    assert list(found) == sorted(found)
    assert {"a", "a/b", "a/b/c", "a/d"} <= set(found)
    assert found["a/b/c"]["frameworks"] == [scheduler.id]
    assert found["a"]["frameworks"] == found["a/b"]["frameworks"] == []
    offered = rig.master.offers
    assert offered, "the agent is offered to one of the roles"
    total = {name: sum(found[role]["offered"].get(name, 0.0) for role in ("a/b/c", "a/d")) for name in ("cpus", "mem")}
    assert {name: found["a"]["offered"][name] for name in total} == total
    assert found["a/b"]["offered"] == found["a/b/c"]["offered"]
    assert [role.name for role in roles_v1(rig.master)] == list(role_tree(rig.master))
