"""Task groups in an agent's core: launched together, ended together, and taken up again together."""

from __future__ import annotations

import json
from typing import Any

from merismos.core.agent import effects, events
from merismos.core.agent.views import v0
from merismos.protocol import json as wire
from merismos.protocol import link
from merismos.protocol.v1 import executor as api
from unit.agent.rig import FRAMEWORK, Rig, framework_info, task

RESOURCE = {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}}
EXECUTOR = {"type": "DEFAULT", "executor_id": {"value": "pod"}, "resources": [RESOURCE]}


def run_group(rig: Rig, *tasks: bytes, starts: bool = True) -> None:
    raw = [json.dumps(json.loads(one) | {"executor": EXECUTOR}).encode() for one in tasks]
    message = link.RunTaskGroup(FRAMEWORK, framework_info(), "eng", json.dumps(EXECUTOR).encode(), raw, starts)
    rig.receive(message)


def ready(*task_ids: str, **fields: Any) -> Rig:  # noqa: ANN401 - fields of each TaskInfo
    rig = Rig.registered()
    run_group(rig, *(task(task_id, **fields) for task_id in task_ids))
    return rig


def running(*task_ids: str) -> Rig:
    rig = ready(*task_ids)
    for number, task_id in enumerate(task_ids):
        rig.launched(task_id, 100 + number)
    rig.acknowledge_all()
    rig.take()
    return rig


def states(rig: Rig, task_id: str) -> list[str]:
    return [one["state"] for one in rig.updates() if one["task_id"]["value"] == task_id]


def test_each_task_has_a_container_and_a_sandbox_within_those_of_the_executor() -> None:
    rig = ready("a", "b")
    (executor,) = rig.state.executors.values()
    home = f"/w/slaves/S0/frameworks/F/executors/pod/runs/{executor.container_id}"
    assert rig.of(effects.CreateSandbox)[0].directory == home
    first, second = rig.of(effects.LaunchContainer)
    assert first.container_id != second.container_id
    for launch in (first, second):
        parent, _, own = launch.container_id.rpartition(".")
        assert parent == executor.container_id
        assert launch.directory == f"{home}/containers/{own}"
        assert f"MESOS_SANDBOX={launch.directory}" in launch.environment
        assert "MESOS_CONTAINER_IP=10.0.0.1" in launch.environment


def test_updates_name_the_executor_and_the_container_s_parent() -> None:
    rig = ready("a")
    rig.launched("a", 99)
    (told,) = rig.updates()
    (executor,) = rig.state.executors.values()
    assert told["executor_id"] == {"value": "pod"}
    assert told["container_status"]["container_id"]["parent"] == {"value": executor.container_id}
    assert told["container_status"]["executor_pid"] == 99


def test_nothing_is_launched_before_all_is_fetched() -> None:
    rig = Rig.registered()
    run_group(rig, task("a"), task("b", {"value": "x", "uris": [{"value": "file:///x"}]}))
    assert not rig.of(effects.LaunchContainer)
    rig.handle(events.UrisFetched(rig.container("b")))
    assert len(rig.of(effects.LaunchContainer)) == 2


def test_when_one_can_not_be_fetched_for_none_is_launched() -> None:
    rig = Rig.registered()
    run_group(rig, task("a"), task("b", {"value": "x", "uris": [{"value": "file:///x"}]}))
    rig.handle(events.FetchFailed(rig.container("b"), "no such file"))
    rig.acknowledge_all()
    assert not rig.of(effects.LaunchContainer)
    assert (states(rig, "a"), states(rig, "b")) == (["TASK_KILLED"], ["TASK_FAILED"])
    assert [one.executor_id for one in rig.sent(link.ExitedExecutor)] == ["pod"]


def test_one_that_the_agent_can_not_run_is_an_error_of_all() -> None:
    rig = Rig.registered()
    run_group(rig, task("a"), task("b", {"value": "x\0y"}))
    assert (states(rig, "a"), states(rig, "b")) == (["TASK_ERROR"], ["TASK_ERROR"])
    assert not rig.of(effects.CreateSandbox)
    assert not rig.state.executors


def test_one_failure_kills_the_group_and_the_executor_is_over_with_its_last_task() -> None:
    rig = running("a", "b")
    other = rig.container("b")
    rig.exited("a", 1 << 8)
    assert rig.last(effects.SignalContainer) == effects.SignalContainer(other, 15)
    assert not rig.sent(link.ExitedExecutor)
    rig.handle(events.ContainerExited(other, 15))
    rig.acknowledge_all()
    assert (states(rig, "a"), states(rig, "b")) == (["TASK_FAILED"], ["TASK_KILLED"])
    (exited,) = rig.sent(link.ExitedExecutor)
    assert (exited.executor_id, exited.status) == ("pod", 0)
    assert not rig.state.frameworks


def test_a_task_that_finishes_leaves_the_others_alone() -> None:
    rig = running("a", "b")
    rig.exited("a", 0)
    assert not rig.of(effects.SignalContainer)
    rig.exited("b", 0)
    rig.acknowledge_all()
    assert (states(rig, "a"), states(rig, "b")) == (["TASK_FINISHED"], ["TASK_FINISHED"])


def test_a_kill_of_one_kills_all_of_its_group_and_no_other_group() -> None:
    rig = running("a", "b")
    run_group(rig, task("c"), starts=False)
    rig.launched("c", 300)
    rig.acknowledge_all()
    killed, mate = rig.container("a"), rig.container("b")
    rig.receive(link.KillTask(FRAMEWORK, "a", 1.0))
    rig.handle(events.ContainerExited(killed, 15))
    assert [one.container_id for one in rig.of(effects.SignalContainer)] == [killed, mate]
    rig.handle(events.ContainerExited(mate, 15))
    assert rig.state.executors
    rig.receive(link.ShutdownExecutor(FRAMEWORK, "pod"))
    assert rig.last(effects.SignalContainer).container_id == rig.container("c")


def test_an_executor_that_has_ended_meanwhile_is_not_started_behind_the_master_s_back() -> None:
    rig = Rig.registered()
    run_group(rig, task("a"), starts=False)
    assert states(rig, "a") == ["TASK_DROPPED"]
    assert not rig.of(effects.LaunchContainer)


def test_a_sandbox_of_the_executor_that_can_not_be_made_fails_the_group() -> None:
    rig = Rig.registered()
    run_group(rig, task("a", {"value": "x", "uris": [{"value": "file:///x"}]}))
    (executor,) = rig.state.executors
    rig.handle(events.ContainerLaunchFailed(executor, "the disk is full"))
    rig.acknowledge_all()
    assert states(rig, "a") == ["TASK_FAILED"]
    assert not rig.state.executors


def test_when_what_holds_the_containers_dies_the_group_fails() -> None:
    rig = running("a", "b")
    rig.handle(events.ContainersLost("the supervisor ended"))
    rig.acknowledge_all()
    assert (states(rig, "a"), states(rig, "b")) == (["TASK_FAILED"], ["TASK_FAILED"])
    assert len(rig.sent(link.ExitedExecutor)) == 1


def test_a_group_is_taken_up_by_the_next_agent() -> None:
    before = running("a", "b")
    held = [events.HeldContainer(before.container(name), 100) for name in ("a", "b")]
    rig = Rig.after(before, *held)
    (introduction,) = rig.sent(link.ReregisterAgent)
    assert [json.loads(one.executor)["executor_id"]["value"] for one in introduction.executors] == ["pod"]
    assert [json.loads(one.task)["executor"]["executor_id"]["value"] for one in introduction.tasks] == ["pod", "pod"]
    rig.take()
    rig.exited("a", 1 << 8)
    assert rig.last(effects.SignalContainer).container_id == before.container("b")
    rig.exited("b", 9)
    rig.acknowledge_all()
    assert (states(rig, "a"), states(rig, "b")) == (["TASK_FAILED"], ["TASK_KILLED"])


def test_a_failure_while_the_agent_was_down_kills_the_rest_when_it_is_back() -> None:
    before = running("a", "b")
    held = (
        events.HeldContainer(before.container("a"), 100, 1 << 8),
        events.HeldContainer(before.container("b"), 101),
    )
    rig = Rig.after(before, *held)
    assert rig.last(effects.SignalContainer).container_id == before.container("b")


def test_a_group_that_was_being_launched_is_launched_by_the_next_agent() -> None:
    before = ready("a", "b")
    rig = Rig.after(before)
    assert [one.container_id for one in rig.of(effects.LaunchContainer)] == [
        before.container("a"),
        before.container("b"),
    ]


def test_a_group_whose_tasks_have_ended_is_owed_its_updates_by_the_next_agent() -> None:
    before = running("a")
    before.exited("a", 0)
    rig = Rig.after(before)
    assert rig.acknowledge_all() == ["TASK_FINISHED"]
    assert not rig.state.frameworks


def test_the_state_shows_the_executor_with_its_tasks_and_their_resources_once() -> None:
    rig = running("a", "b")
    shown = v0.state(rig.state, {})
    (framework,) = shown["frameworks"]
    (executor,) = framework["executors"]
    assert executor["id"] == "pod"
    assert [one["id"] for one in executor["tasks"]] == ["a", "b"]
    assert shown["unreserved_resources_allocated"]["cpus"] == 0.3


def test_nobody_can_subscribe_as_a_built_in_executor() -> None:
    rig = running("a")
    body = json.dumps(
        {"type": "SUBSCRIBE", "framework_id": {"value": FRAMEWORK}, "executor_id": {"value": "pod"}, "subscribe": {}}
    )
    rig.handle(events.ExecutorSubscribed(1, 2, wire.decode(api.Call, body.encode())))
    assert rig.last(effects.AnswerExecutor).status == 400
    assert not rig.of(effects.OpenExecutorStream)
