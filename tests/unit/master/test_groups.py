"""LAUNCH_GROUP at the master: all of a group or none of it."""

from __future__ import annotations

import json

import pytest

from merismos.protocol import link
from unit.master.rig import Json, Peer, Rig, Scheduler, launch, resources, task, value

EXECUTOR = {"type": "DEFAULT", "executor_id": value("pod"), "resources": resources("cpus:1;mem:64")}


def ready() -> tuple[Rig, Peer, Scheduler, Json]:
    rig = Rig()
    agent = rig.agent("cpus:4;mem:2048")
    framework = rig.subscribe()
    return rig, agent, framework, framework.offers()[0]


def group(*tasks: Json, executor: Json | None = None) -> Json:
    return {
        "type": "LAUNCH_GROUP",
        "launch_group": {"executor": executor or EXECUTOR, "task_group": {"tasks": list(tasks)}},
    }


def test_a_group_goes_to_its_agent_in_one_message_each_task_with_the_executor() -> None:
    _, agent, framework, offer = ready()
    framework.accept([offer], group(task("g-1", offer), task("g-2", offer)))
    (message,) = agent.of(link.RunTaskGroup)
    assert message.starts
    tasks = [json.loads(raw) for raw in message.tasks]
    assert [(one["task_id"]["value"], one["executor"]) for one in tasks] == [("g-1", EXECUTOR), ("g-2", EXECUTOR)]
    assert json.loads(message.executor) == EXECUTOR
    assert [one.executor_id for one in framework.record.tasks.values()] == ["pod", "pod"]


def test_the_executor_of_groups_is_paid_for_once() -> None:
    rig, agent, framework, offer = ready()
    framework.accept([offer], group(task("g-1", offer)), group(task("g-2", offer)))
    assert [message.starts for message in agent.of(link.RunTaskGroup)] == [True, False]
    rig.advance(2)
    assert [one["quantities"] for one in framework.offers()] == [{"cpus": 2800, "mem": 1920_000}]


@pytest.mark.parametrize(
    ("executor", "second", "message"),
    [
        ({}, {"resources": resources("cpus:1000;mem:32")}, "Total resources "),
        ({}, {"task_id": value("a/b")}, "Task 'a/b' is invalid: 'a/b' contains invalid characters"),
        ({}, {"task_id": value("g-1")}, "Task 'g-1' is invalid: Task has duplicate ID: g-1"),
        ({}, {"command": None}, "Task 'g-2' is invalid: Task should have at least one"),
        ({}, {"executor": EXECUTOR}, "Task 'g-2' is invalid: 'TaskInfo.executor' must not be set"),
        (
            {},
            {"container": {"type": "DOCKER"}},
            "Task 'g-2' is invalid: Docker ContainerInfo is not supported on the task",
        ),
        ({"type": "CUSTOM"}, {}, "'ExecutorInfo.command' must be set for 'CUSTOM' executor"),
        ({"type": None}, {}, "'ExecutorInfo.type' must be set"),
        ({"type": "UNKNOWN"}, {}, "Unknown executor type"),
        (
            {"type": "CUSTOM", "command": {"value": "x"}, "container": {"type": "DOCKER"}},
            {},
            "Docker ContainerInfo is not supported on the executor",
        ),
        ({"command": {"value": "x"}}, {}, "'ExecutorInfo.command' must not be set for 'DEFAULT' executor"),
        (
            {},
            {"container": {"type": "MESOS", "linux_info": {"share_cgroups": False}}},
            "If set, the value of 'share_cgroups' must be the same for all tasks in each task group",
        ),
        (
            {},
            {"limits": {"mem": {"value": 512}}},
            "Task 'g-2' is invalid: Resource limits may only be set for tasks within a task group when",
        ),
        ({"container": {"type": "DOCKER"}}, {}, "'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor"),
        ({"executor_id": value("")}, {}, "Executor ID is invalid: ID must not be empty"),
        ({"framework_id": value("other")}, {}, "ExecutorInfo has an invalid FrameworkID"),
        ({"resources": resources("cpus:-1")}, {}, "Executor uses invalid resources: "),
        ({"resources": resources("cpus:4")}, {}, "Total resources "),
    ],
)
def test_what_is_wrong_with_one_is_told_of_all_and_nothing_is_launched(
    executor: Json, second: Json, message: str
) -> None:
    rig, agent, framework, offer = ready()
    other = task("g-2", offer) | second
    asked = group(task("g-1", offer), other, executor=EXECUTOR | executor)
    framework.accept([offer], asked)
    told = framework.statuses()
    assert [status["state"] for status in told] == ["TASK_ERROR", "TASK_ERROR"]
    assert {status["reason"] for status in told} == {"REASON_TASK_GROUP_INVALID"}
    assert all(status["message"].startswith(message) for status in told), told
    assert not agent.of(link.RunTaskGroup)
    assert not framework.record.executors
    rig.advance(2)
    assert [one["quantities"] for one in framework.offers()] == [{"cpus": 4000, "mem": 2048_000}]


def test_an_executor_that_runs_must_be_the_same() -> None:
    _, _, framework, offer = ready()
    other = EXECUTOR | {"resources": resources("cpus:2")}
    framework.accept([offer], group(task("g-1", offer)), group(task("g-2", offer), executor=other))
    (status,) = framework.statuses()
    assert status["message"] == "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID"


def test_when_the_executor_has_ended_its_resources_are_free_and_the_scheduler_is_told() -> None:
    rig, agent, framework, offer = ready()
    framework.accept([offer], group(task("g-1", offer)))
    agent.update(framework.id, "g-1", "TASK_FINISHED")
    framework.acknowledge(framework.statuses()[-1])
    agent.send(link.ExitedExecutor(framework.id, "pod", 0))
    assert framework.first("FAILURE")["failure"]["executor_id"] == value("pod")
    rig.advance(2)
    total: dict[str, int] = {}
    for one in framework.offers():
        for name, amount in one["quantities"].items():
            total[name] = total.get(name, 0) + amount
    assert total == {"cpus": 4000, "mem": 2048_000}


def test_a_group_on_offers_that_are_gone_is_dropped() -> None:
    _, _, framework, offer = ready()
    framework.call("DECLINE", decline={"offer_ids": [offer["id"]]})
    framework.accept([offer], group(task("g-1", offer), task("g-2", offer)))
    assert [status["state"] for status in framework.statuses()] == ["TASK_DROPPED", "TASK_DROPPED"]


def test_a_group_for_a_custom_executor_may_have_tasks_without_a_command() -> None:
    _, agent, framework, offer = ready()
    custom = EXECUTOR | {"type": "CUSTOM", "command": {"value": "./executor"}}
    bare = task("g-2", offer)
    del bare["command"]
    framework.accept([offer], group(task("g-1", offer), bare, executor=custom))
    (message,) = agent.of(link.RunTaskGroup)
    assert json.loads(message.executor) == custom
    assert [json.loads(raw)["task_id"]["value"] for raw in message.tasks] == ["g-1", "g-2"]


def test_tasks_with_limits_are_launched_in_a_group_whose_tasks_share_no_cgroup() -> None:
    _, agent, framework, offer = ready()
    own = {"container": {"type": "MESOS", "linux_info": {"share_cgroups": False}}}
    limited = task("g-1", offer) | own | {"limits": {"mem": {"value": 512}}}
    framework.accept([offer], group(limited, task("g-2", offer) | own))
    assert len(agent.of(link.RunTaskGroup)) == 1


def test_only_tasks_of_a_group_may_keep_out_of_their_parent_s_cgroup() -> None:
    _, _, framework, offer = ready()
    own = {"container": {"type": "MESOS", "linux_info": {"share_cgroups": False}}}
    framework.accept([offer], launch(task("t", offer) | own))
    (status,) = framework.statuses()
    assert status["message"] == "Only tasks in a task group may have 'share_cgroups' set to 'false'"
