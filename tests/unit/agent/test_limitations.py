"""What the core makes of a container that took too much, and which cgroup it plans for whom."""

from __future__ import annotations

import json
from typing import Any

from merismos.core.agent import effects, events
from merismos.core.containers.cgroup_plan import CgroupPlan, CgroupSettings, CgroupWrite
from merismos.model.task_states import TERMINAL
from merismos.protocol.v1 import mesos
from unit.agent.executor_rig import ExecutorRig, executor_info, job
from unit.agent.rig import Rig, task
from unit.agent.test_groups import run_group
from unit.agent.test_groups import running as running_group
from unit.agent.test_nested import Operator, nested

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


OWN = {"type": "MESOS", "linux_info": {"share_cgroups": False}}


def test_each_task_of_a_group_that_does_not_share_has_a_cgroup_of_its_own() -> None:
    rig = Rig.registered(cgroups=SETTINGS)
    run_group(rig, task("a", container=OWN), task("b", container=OWN))
    launches = rig.of(effects.LaunchContainer)
    assert [launch.cgroup.container_id for launch in launches if launch.cgroup is not None] == [
        launch.container_id for launch in launches
    ]
    assert rig.of(effects.UpdateContainer) == []
    assert rig.of(effects.CreateCgroup) == []


def shares_of(writes: list[CgroupWrite]) -> str:
    return next(write.value for write in writes if write.file == "cpu.shares")


def test_tasks_of_a_group_share_a_cgroup_that_has_room_for_all_of_them_and_the_executor() -> None:
    rig = Rig.registered(cgroups=SETTINGS)
    run_group(rig, task("a"), task("b"))
    (executor,) = rig.state.executors.values()
    (made,) = rig.of(effects.CreateCgroup)
    assert made.plan.container_id == executor.container_id
    assert shares_of(made.plan.writes) == "307", "0.1 CPUs each, and 0.1 of the executor"
    launches = rig.of(effects.LaunchContainer)
    assert [launch.cgroup for launch in launches] == [CgroupPlan(executor.container_id, joins=True)] * 2
    performed = [type(effect) for effect in rig.done]
    assert performed.index(effects.CreateCgroup) < performed.index(effects.LaunchContainer)
    run_group(rig, task("c"), starts=False)
    assert shares_of(rig.of(effects.UpdateContainer)[-1].writes) == "409"
    for number, name in enumerate(("a", "b", "c")):
        rig.launched(name, 100 + number)
    rig.exited("a", 0)
    assert shares_of(rig.of(effects.UpdateContainer)[-1].writes) == "307"
    assert not rig.of(effects.DestroyCgroup)
    for name in ("b", "c"):
        rig.exited(name, 0)
    assert [one.container_id for one in rig.of(effects.DestroyCgroup)] == [executor.container_id]


def test_a_shared_cgroup_that_is_full_ends_all_tasks_in_it_for_that_reason() -> None:
    rig = Rig.registered(cgroups=SETTINGS)
    run_group(rig, task("a"), task("b"))
    for number, name in enumerate(("a", "b")):
        rig.launched(name, 100 + number)
    (executor,) = rig.state.executors.values()
    rig.handle(events.ContainerLimited(executor.container_id, limitation()))
    killed = {one.container_id for one in rig.of(effects.SignalContainer) if one.signal == KILLED}
    assert killed == {rig.container("a"), rig.container("b")}
    for name in ("a", "b"):
        rig.exited(name, KILLED)
    rig.acknowledge_all()
    ends = [one for one in rig.updates() if one["state"] == "TASK_FAILED"]
    assert [(one["task_id"]["value"], one["reason"]) for one in ends] == [("a", REASON), ("b", REASON)]


def test_a_shared_cgroup_that_cannot_be_made_fails_the_group() -> None:
    rig = Rig.registered(cgroups=SETTINGS)
    run_group(rig, task("a"), task("b"))
    (executor,) = rig.state.executors.values()
    rig.handle(events.ContainerLaunchFailed(executor.container_id, "no room"))
    for name in ("a", "b"):
        rig.handle(events.ContainerLaunchFailed(rig.container(name), "no such cgroup"))
    rig.acknowledge_all()
    assert {one["state"] for one in rig.updates() if one["state"] in TERMINAL} <= {"TASK_FAILED", "TASK_KILLED"}
    assert not rig.state.executors


def test_what_checks_and_nests_in_a_task_that_shares_is_in_the_group_s_cgroup() -> None:
    check = {"type": "COMMAND", "command": {"command": {"value": "probe"}}, "delay_seconds": 0}
    rig = Rig.registered(cgroups=SETTINGS)
    run_group(rig, task("a", check=check))
    rig.launched("a")
    (executor,) = rig.state.executors.values()
    rig.advance(1.0)
    assert rig.last(effects.LaunchContainer).cgroup == CgroupPlan(executor.container_id, joins=True)
    Operator(rig).call("LAUNCH_NESTED_CONTAINER", nested(rig.container("a"), "n"), command={"value": "x"})
    assert rig.last(effects.LaunchContainer).cgroup == CgroupPlan(executor.container_id, joins=True)
