"""What the core makes of a container that took too much, and which cgroup it plans for whom."""

from __future__ import annotations

import json
from typing import Any

from merismos.core.agent import effects, events
from merismos.core.containers.cgroup_plan import CgroupPlan, CgroupSettings
from merismos.protocol.v1 import mesos
from unit.agent.executor_rig import ExecutorRig, executor_info, job
from unit.agent.rig import Rig, task
from unit.agent.test_groups import run_group
from unit.agent.test_groups import running as running_group

REASON = "REASON_CONTAINER_LIMITATION_MEMORY"
KILLED = 9
SETTINGS = CgroupSettings(version=1, isolators=("cpu", "mem"))


def amount(name: str, value: float) -> dict[str, object]:
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}}


def limitation(mb: float = 32.0) -> events.Limitation:
    scalar = mesos.Value_Scalar(value=mb)
    mem = mesos.Resource(name="mem", type=mesos.Value_Type.SCALAR, scalar=scalar, role="*")
    return events.Limitation(REASON, "Memory limit exceeded: Requested: 32MB\n\nmore", [mem])


def running(rig: Rig, task_id: str = "t", **fields: object) -> str:
    rig.run(task(task_id, **fields))
    rig.launched(task_id)
    return rig.container(task_id)


def last(rig: Rig) -> dict[str, Any]:
    rig.acknowledge_all()
    return rig.updates()[-1]


def test_a_task_over_its_limit_is_killed_and_fails_with_the_reason_and_the_amount() -> None:
    rig = Rig.registered()
    container = running(rig)
    rig.handle(events.ContainerLimited(container, limitation()))
    assert rig.last(effects.SignalContainer) == effects.SignalContainer(container, KILLED)
    rig.exited("t", KILLED)
    status = last(rig)
    assert (status["state"], status["source"], status["reason"]) == ("TASK_FAILED", "SOURCE_AGENT", REASON)
    assert status["message"].startswith("Memory limit exceeded")
    assert status["limitation"] == {"resources": [{**amount("mem", 32.0), "role": "*"}]}


def test_the_first_limitation_counts() -> None:
    rig = Rig.registered()
    container = running(rig)
    rig.handle(events.ContainerLimited(container, limitation(32.0)))
    rig.handle(events.ContainerLimited(container, limitation(64.0)))
    assert len(rig.of(effects.SignalContainer)) == 1
    rig.exited("t", 0)
    assert last(rig)["limitation"]["resources"][0]["scalar"]["value"] == 32.0


def test_a_limitation_of_a_container_that_is_gone_means_nothing() -> None:
    rig = Rig.registered()
    rig.handle(events.ContainerLimited("gone", limitation()))
    assert rig.of(effects.SignalContainer) == []


def test_an_executor_over_its_limit_takes_its_tasks_with_it_for_that_reason() -> None:
    rig = ExecutorRig.registered()
    rig.run(job("a"), job("b"))
    container = rig.executor().container_id
    rig.handle(events.ContainerLaunched(container, 4711))
    rig.subscribe()
    rig.handle(events.ContainerLimited(container, limitation()))
    assert rig.last(effects.SignalContainer) == effects.SignalContainer(container, KILLED)
    rig.handle(events.ContainerExited(container, KILLED))
    ends = rig.updates()[-2:]
    assert [(one["state"], one["reason"]) for one in ends] == [("TASK_FAILED", REASON)] * 2
    assert all(one["limitation"]["resources"][0]["name"] == "mem" for one in ends)


def plan(rig: Rig) -> CgroupPlan:
    found = rig.last(effects.LaunchContainer).cgroup
    assert found is not None
    return found


def test_a_task_begins_in_a_cgroup_with_what_it_requests() -> None:
    rig = Rig.registered(cgroups=SETTINGS)
    container = running(rig, resources=[amount("cpus", 0.5), amount("mem", 64)])
    found = plan(rig)
    assert (found.container_id, found.joins) == (container, False)
    values = {write.file: write.value for write in found.writes}
    assert values == {
        "cpu.shares": "512",
        "memory.soft_limit_in_bytes": str(64 << 20),
        "memory.limit_in_bytes": str(64 << 20),
    }


def test_without_cgroups_nothing_is_planned() -> None:
    rig = Rig.registered()
    running(rig)
    assert rig.last(effects.LaunchContainer).cgroup is None


def test_a_command_check_joins_the_cgroup_of_its_task() -> None:
    rig = Rig.registered(cgroups=SETTINGS)
    check = {"type": "COMMAND", "command": {"command": {"value": "true"}}, "delay_seconds": 0.0}
    container = running(rig, check=check)
    rig.advance(1.0)
    assert plan(rig) == CgroupPlan(container, joins=True)


def test_the_limits_of_an_executor_follow_its_tasks() -> None:
    rig = ExecutorRig.registered(cgroups=SETTINGS)
    own = [amount("cpus", 0.1), amount("mem", 32)]

    def one(task_id: str) -> bytes:
        info = json.loads(job(task_id))
        return json.dumps(
            {**info, "resources": [amount("mem", 100)], "executor": executor_info(resources=own)}
        ).encode()

    rig.run(one("a"))
    assert ("memory.soft_limit_in_bytes", str(132 << 20)) in [write[1:3] for write in plan(rig).writes]
    rig.handle(events.ContainerLaunched(rig.executor().container_id, 4711))
    rig.subscribe()
    rig.run(one("b"))
    update = rig.last(effects.UpdateContainer)
    assert update.container_id == rig.executor().container_id
    assert ("memory.soft_limit_in_bytes", str(232 << 20)) in [write[1:3] for write in update.writes]
    assert all(write.grows for write in update.writes if write.file == "memory.limit_in_bytes")


def test_a_limitation_that_happened_while_the_agent_was_down_ends_the_task_so() -> None:
    rig = Rig.registered()
    container = running(rig)
    entries: dict[str, list[bytes]] = {}
    for checkpoint in rig.checkpoints:
        for key, record in checkpoint.changes:
            if record is None:
                entries.pop(key, None)
            else:
                entries.setdefault(key, []).append(record)
    again = Rig.__new__(Rig)
    again.now, again.done, again.checkpoints = 200.0, [], []
    again.machine = type(rig.machine)(rig.state.settings)
    again.handle(events.Started(1, 0.0, (), tuple(entries.items())))
    held = events.HeldContainer(container, 4711, KILLED, limitation=limitation())
    again.handle(events.ContainersRecovered("", (held,)))
    record = again.state.frameworks["F"].tasks["t"]
    assert record.state == "TASK_FAILED"
    assert json.loads(record.statuses[-1])["reason"] == REASON


def test_a_task_of_a_group_over_its_limit_fails_for_that_and_ends_the_group() -> None:
    rig = running_group("a", "b")
    first, second = (rig.container(task_id) for task_id in ("a", "b"))
    rig.handle(events.ContainerLimited(first, limitation()))
    assert rig.last(effects.SignalContainer) == effects.SignalContainer(first, KILLED)
    rig.exited("a", KILLED)
    assert second in [one.container_id for one in rig.of(effects.SignalContainer)]
    rig.exited("b", 15)
    rig.acknowledge_all()
    ends = {one["task_id"]["value"]: one for one in rig.updates() if one["state"] in {"TASK_FAILED", "TASK_KILLED"}}
    assert (ends["a"]["state"], ends["a"]["reason"]) == ("TASK_FAILED", REASON)
    assert ends["a"]["limitation"]["resources"]
    assert "limitation" not in ends["b"]


def test_each_task_of_a_group_has_a_cgroup_of_its_own() -> None:
    rig = Rig.registered(cgroups=SETTINGS)
    run_group(rig, task("a"), task("b"))
    launches = rig.of(effects.LaunchContainer)
    assert [launch.cgroup.container_id for launch in launches if launch.cgroup is not None] == [
        launch.container_id for launch in launches
    ]
    assert rig.of(effects.UpdateContainer) == []
