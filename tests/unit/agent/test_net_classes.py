"""Classes of network traffic: one a container, the lowest that is free, told in its status."""

from __future__ import annotations

from merismos.core.agent import effects
from merismos.core.containers.cgroup_plan import CgroupSettings, CgroupWrite
from merismos.core.containers.net_class_plan import NetClasses
from unit.agent.executor_rig import ExecutorRig, job
from unit.agent.rig import Rig, task
from unit.agent.test_groups import run_group


def settings(last: int = 3) -> CgroupSettings:
    return CgroupSettings(version=1, isolators=("net_cls",), net_classes=NetClasses(0x10, 1, last))


def classes(rig: Rig) -> list[int]:
    """Return the classes of all containers that were launched, in order."""
    plans = [one.cgroup for one in rig.of(effects.LaunchContainer)]
    lines = [line for plan in plans if plan is not None for line in plan.writes]
    assert all(isinstance(line, CgroupWrite) and line.file == "net_cls.classid" for line in lines)
    return [int(line.value) for line in lines]


def test_each_container_has_a_class_that_is_free_again_at_its_end_and_told_in_its_status() -> None:
    rig = Rig.registered(cgroups=settings())
    rig.run(task("a"), task("b"))
    rig.launched("a")
    assert rig.updates()[-1]["container_status"]["cgroup_info"] == {"net_cls": {"classid": 0x100001}}
    rig.exited("a", 0)
    rig.run(task("c"))
    assert classes(rig) == [0x100001, 0x100002, 0x100001]


def test_tasks_of_a_group_have_a_class_each_and_are_refused_together_where_there_are_too_few() -> None:
    rig = Rig.registered(cgroups=settings(last=1))
    run_group(rig, task("a"), task("b"))
    assert "are too many for --cgroups_net_cls_secondary_handles" in rig.updates()[0]["message"]
    assert classes(rig) == []


def test_a_custom_executor_and_its_tasks_share_one_class() -> None:
    rig = ExecutorRig.registered(cgroups=settings(last=1))
    rig.run(job("a"), job("b"))
    assert classes(rig) == [0x100001]
