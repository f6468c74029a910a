"""Which GPU is whose, as the core decides it: one container's at a time, kept over a restart, free again at the end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from merismos.core.agent import effects, events
from merismos.core.agent.grants import held_gpus
from merismos.core.containers.cgroup_plan import CgroupSettings, CgroupWrite
from merismos.core.containers.device_plan import DeviceNode
from merismos.core.containers.docker_plan import DockerCreate, DockerSettings
from merismos.core.containers.gpu_plan import Gpu, GpuSettings
from merismos.ports.checkpoints import Entries, apply
from unit.agent.executor_rig import ExecutorRig, job
from unit.agent.rig import Rig, task
from unit.agent.test_docker import docker_task
from unit.agent.test_groups import run_group

CONTROL = DeviceNode("/dev/gpuctl", "c", 200, 255)


def gpu(index: int) -> Gpu:
    return Gpu(index, f"GPU-{index}", (DeviceNode(f"/dev/gpu{index}", "c", 200, index),))


def settings(count: int = 2, version: int = 1) -> dict[str, Any]:
    return {
        "gpus": GpuSettings(tuple(gpu(index) for index in range(count)), (CONTROL,)),
        "cgroups": CgroupSettings(version=version, isolators=("devices",)),
    }


def gpus(count: float) -> list[dict[str, object]]:
    return [{"name": "gpus", "type": "SCALAR", "scalar": {"value": count}}]


def launch_of(rig: Rig, task_id: str) -> effects.LaunchContainer:
    container = rig.container(task_id)
    return next(one for one in rig.of(effects.LaunchContainer) if one.container_id == container)


def allowed(writes: list[CgroupWrite]) -> list[str]:
    """Return what of the GPUs' devices a container may use."""
    if writes[0].file == "devices.list":
        entries = writes[0].value.split("\n")
    else:
        assert writes[0] == CgroupWrite("devices", "devices.deny", "a")
        entries = [one.value for one in writes if one.file == "devices.allow"]
    return [one for one in entries if one.startswith("c 200:")]


def may_use(rig: Rig, task_id: str) -> list[str]:
    cgroup = launch_of(rig, task_id).cgroup
    assert cgroup is not None
    return allowed(cgroup.writes)


@pytest.mark.parametrize("version", [1, 2])
def test_each_task_has_gpus_of_its_own_and_one_that_asks_for_none_sees_none(version: int) -> None:
    rig = Rig.registered(**settings(3, version))
    rig.run(task("a", resources=gpus(1)), task("b", resources=gpus(2)), task("c"))
    control = "c 200:255 rwm"
    assert may_use(rig, "a") == ["c 200:0 rwm", control]
    assert may_use(rig, "b") == ["c 200:1 rwm", "c 200:2 rwm", control]
    assert may_use(rig, "c") == []
    variables = [one for one in launch_of(rig, "b").environment if one.startswith("NVIDIA")]
    assert variables == ["NVIDIA_VISIBLE_DEVICES=GPU-1,GPU-2"]
    assert not [one for one in launch_of(rig, "c").environment if one.startswith("NVIDIA")]


def test_a_gpu_is_free_again_once_its_container_is_gone_though_nobody_acknowledged_it() -> None:
    rig = Rig.registered(**settings())
    rig.run(task("a", resources=gpus(1)), task("b", resources=gpus(1)))
    rig.launched("a")
    rig.exited("a", 0)
    rig.run(task("c", resources=gpus(1)))
    assert may_use(rig, "c")[0] == "c 200:0 rwm"


def test_a_task_that_asks_for_more_gpus_than_are_free_is_refused_with_the_numbers() -> None:
    rig = Rig.registered(**settings())
    rig.run(task("a", resources=gpus(1)), task("b", resources=gpus(2)))
    (status,) = [one for one in rig.updates() if one["task_id"]["value"] == "b"]
    assert (status["state"], status["message"]) == ("TASK_ERROR", "Requested 2 GPUs but only 1 available")


def test_a_part_of_a_gpu_is_refused() -> None:
    rig = Rig.registered(**settings())
    rig.run(task("a", resources=gpus(0.5)))
    (status,) = rig.updates()
    assert (status["state"], "must be an unsigned integer" in status["message"]) == ("TASK_ERROR", True)


def test_who_has_which_gpu_outlives_the_agent() -> None:
    rig = Rig.registered(**settings(3))
    rig.run(task("a", resources=gpus(1)), task("b", resources=gpus(1)))
    for name in ("a", "b"):
        rig.launched(name)
    rig.exited("a", 0)
    kept: Entries = {}
    for checkpoint in rig.checkpoints:
        apply(kept, checkpoint.changes)
    started = events.Started(2, 1_000_000.0, checkpoints=tuple(kept.items()))
    after = Rig(started=started, now=rig.now, **settings(3))
    after.handle(events.ContainersRecovered("holder", (events.HeldContainer(rig.container("b"), pid=4711),)))
    assert held_gpus(after.state) == [1]
    known = after.state.task("F", "b")
    assert known is not None
    assert known.gpus == (1,)


def test_tasks_of_a_group_have_gpus_each_and_are_refused_together() -> None:
    rig = Rig.registered(**settings())
    own = {"type": "MESOS", "linux_info": {"share_cgroups": False}}
    run_group(rig, *(task(name, resources=gpus(1), container=own) for name in ("a", "b")))
    assert [may_use(rig, name)[0] for name in ("a", "b")] == ["c 200:0 rwm", "c 200:1 rwm"]
    run_group(rig, task("c"), task("d", resources=gpus(1)))
    assert [one["state"] for one in rig.updates() if one["task_id"]["value"] in {"c", "d"}] == ["TASK_ERROR"] * 2


@pytest.mark.parametrize("version", [1, 2])
def test_the_gpus_of_an_executor_follow_its_tasks(version: int) -> None:
    rig = ExecutorRig.registered(**settings(3, version))
    rig.run(gpu_job("a", 1))
    (launch,) = rig.of(effects.LaunchContainer)
    assert launch.cgroup is not None
    assert allowed(launch.cgroup.writes) == ["c 200:0 rwm", "c 200:1 rwm", "c 200:255 rwm"]
    rig.handle(events.ContainerLaunched(launch.container_id, 4711))
    rig.subscribe()
    rig.take()
    rig.run(gpu_job("b", 1), starts=[])
    assert changes(rig)[-1] == (["c 200:0 rwm", "c 200:1 rwm", "c 200:2 rwm", "c 200:255 rwm"], [])
    rig.update("a", "TASK_FINISHED", 1)
    assert changes(rig)[-1] == (
        ["c 200:0 rwm", "c 200:2 rwm", "c 200:255 rwm"],
        ["c 200:1 rwm"] if version == 1 else [],
    )
    assert held_gpus(rig.state) == [0, 2]


def gpu_job(task_id: str, count: int) -> bytes:
    info = json.loads(job(task_id, resources=gpus(1)))
    return json.dumps({**info, "resources": gpus(count)}).encode()


def changes(rig: Rig) -> list[tuple[list[str], list[str]]]:
    """Return what each update of a container gives and takes."""
    found = []
    for update in rig.of(effects.UpdateContainer):
        by_file = {
            file: [one.value for one in update.writes if one.file == file]
            for file in ("devices.allow", "devices.deny", "devices.list")
        }
        listed = [entry for text in by_file["devices.list"] for entry in text.split("\n") if entry.startswith("c 200:")]
        found.append((by_file["devices.allow"] or listed, by_file["devices.deny"]))
    return found


def test_without_an_isolator_gpus_are_a_number_like_any_other() -> None:
    rig = Rig.registered()
    rig.run(task("a", resources=gpus(4)))
    (launch,) = rig.of(effects.LaunchContainer)
    assert not [one for one in launch.environment if one.startswith("NVIDIA")]
    assert held_gpus(rig.state) == []


def test_a_container_of_docker_has_the_devices_of_its_gpus() -> None:
    rig = Rig.registered(**settings(), docker=DockerSettings(work_dir="/w"))
    rig.run(docker_task(resources=gpus(1)))
    plan = rig.last(effects.LaunchContainer).docker
    assert isinstance(plan, DockerCreate)
    assert [one["PathOnHost"] for one in plan.body["HostConfig"]["Devices"]] == ["/dev/gpu0", "/dev/gpuctl"]
    assert "NVIDIA_VISIBLE_DEVICES=GPU-0" in plan.body["Env"]
