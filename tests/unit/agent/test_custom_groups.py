"""Groups for custom executors: handed over in one event, killed together as long as nobody has seen them."""

from __future__ import annotations

import json
from typing import Any

from merismos.core.agent import effects, events
from merismos.protocol import link
from unit.agent.executor_rig import ExecutorRig, executor_info, job
from unit.agent.rig import FRAMEWORK, framework_info, task


def run_group(rig: ExecutorRig, *names: str, starts: bool = True, **fields: Any) -> None:  # noqa: ANN401 - fields of ExecutorInfo
    info = executor_info(**fields)
    raw = [task(name, "sleep 1", executor=info) for name in names]
    rig.receive(link.RunTaskGroup(FRAMEWORK, framework_info(), "eng", json.dumps(info).encode(), raw, starts=starts))


def handed(rig: ExecutorRig) -> list[list[str]]:
    found = [event.launch_group for event in rig.heard("LAUNCH_GROUP")]
    return [[one.task_id.value for one in group.task_group.tasks] for group in found if group is not None]


def subscribed(*names: str) -> ExecutorRig:
    rig = ExecutorRig.registered()
    assert isinstance(rig, ExecutorRig)
    run_group(rig, *names)
    rig.handle(events.ContainerLaunched(rig.executor().container_id, 4711))
    rig.subscribe()
    return rig


def test_a_group_starts_its_executor_and_is_handed_to_it_in_one_event() -> None:
    rig = subscribed("a", "b")
    (launch,) = rig.of(effects.LaunchContainer)
    assert launch.arguments == ["/bin/sh", "-c", "./executor"]
    assert handed(rig) == [["a", "b"]]
    run_group(rig, "c", "d", starts=False)
    rig.run(job("e"), starts=[])
    assert handed(rig) == [["a", "b"], ["c", "d"]]
    assert rig.delivered() == ["e"]
    rig.update("a", "TASK_FAILED", 1)
    assert rig.executor().tasks["b"].killing is False, "what becomes of the others is the executor's to say"


def test_a_group_that_nobody_has_seen_ends_with_the_first_of_it_that_is_killed() -> None:
    rig = ExecutorRig.registered()
    assert isinstance(rig, ExecutorRig)
    run_group(rig, "a", "b")
    run_group(rig, "c", starts=False)
    rig.receive(link.KillTask(FRAMEWORK, "a", None))
    assert [(one["task_id"]["value"], one["state"]) for one in rig.updates()] == [
        ("a", "TASK_KILLED"),
        ("b", "TASK_KILLED"),
    ]
    rig.handle(events.ContainerLaunched(rig.executor().container_id, 4711))
    rig.subscribe()
    assert handed(rig) == [["c"]]


def test_a_group_whose_executor_is_gone_or_going_is_dropped_as_a_whole() -> None:
    rig = ExecutorRig.registered()
    assert isinstance(rig, ExecutorRig)
    run_group(rig, "a", "b", starts=False)
    assert {one["state"] for one in rig.updates()} == {"TASK_DROPPED"}
    rig = subscribed("a")
    rig.receive(link.ShutdownExecutor(FRAMEWORK, "e"))
    run_group(rig, "c", "d", starts=False)
    dropped = [one for one in rig.updates() if one["state"] == "TASK_DROPPED"]
    assert [one["task_id"]["value"] for one in dropped] == ["c", "d"]
    assert "is being shut down" in dropped[0]["message"]


def test_a_group_that_an_executor_has_not_told_of_is_handed_to_it_again_by_the_next_agent() -> None:
    rig = subscribed("a", "b", "c")
    rig.update("a", "TASK_RUNNING", 1)
    container_id = rig.executor().container_id
    after = ExecutorRig.after(rig, events.HeldContainer(container_id, 4711))
    assert isinstance(after, ExecutorRig)
    after.subscribe()
    assert handed(after) == [["b", "c"]]
