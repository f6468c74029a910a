from __future__ import annotations

import pytest

from merismos.protocol import json
from merismos.protocol.v1 import mesos
from unit.master.rig import MASTER_ID, WALL_OFFSET_S, Json, Rig, Scheduler, agent_info, framework_info, running, value

OLD_AGENT = f"{MASTER_ID}-S77"


def ask(framework: Scheduler, *tasks: Json) -> list[Json]:
    """The statuses that a reconciliation answers with."""
    before = len(framework.statuses())
    assert framework.call("RECONCILE", reconcile={"tasks": list(tasks)}) == (202, "")
    return framework.statuses()[before:]


def about(task_id: str, agent_id: str | None = None) -> Json:
    return {"task_id": value(task_id)} | ({} if agent_id is None else {"agent_id": value(agent_id)})


def legacy() -> Json:
    return framework_info(capabilities=(), role="golden")


def test_a_known_task_is_answered_with_its_latest_state() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    framework.launch("t-1")
    container = {"container_id": value("f1d64152"), "executor_pid": 29191}
    agent.update(framework.id, "t-1", "TASK_RUNNING", healthy=True, container_status=container, labels={"labels": []})
    (status,) = ask(framework, about("t-1", agent.id))
    assert status == {
        "task_id": value("t-1"),
        "state": "TASK_RUNNING",
        "message": "Reconciliation: Latest task state",
        "source": "SOURCE_MASTER",
        "reason": "REASON_RECONCILIATION",
        "agent_id": value(agent.id),
        "timestamp": rig.now + WALL_OFFSET_S,
        "healthy": True,
        "container_status": container,
    }
    assert ask(framework, about("t-1")) == [status]


def test_a_task_without_update_is_staging() -> None:
    rig = Rig()
    rig.agent()
    framework = rig.subscribe()
    framework.launch("t-1")
    (status,) = ask(framework, about("t-1"))
    assert status["state"] == "TASK_STAGING"


def test_the_answer_is_not_ahead_of_the_updates() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    framework.launch("t-1")
    agent.update(framework.id, "t-1", "TASK_STARTING", latest="TASK_RUNNING")
    (status,) = ask(framework, about("t-1"))
    assert status["state"] == "TASK_STARTING"


def test_an_empty_list_asks_for_every_task() -> None:
    rig = Rig()
    rig.agent()
    framework = rig.subscribe()
    framework.launch("t-1", "t-2")
    assert [status["task_id"]["value"] for status in ask(framework)] == ["t-1", "t-2"]


@pytest.mark.parametrize(
    ("agent", "state", "lost", "message"),
    [
        ("known", "TASK_GONE", "TASK_LOST", "Reconciliation: Task is unknown to the agent"),
        ("unreachable", "TASK_UNREACHABLE", "TASK_LOST", "Reconciliation: Task is unreachable"),
        ("gone", "TASK_GONE_BY_OPERATOR", "TASK_LOST", "Reconciliation: Task is gone"),
        ("no-such-agent", "TASK_UNKNOWN", "TASK_LOST", "Reconciliation: Task is unknown"),
        (None, "TASK_UNKNOWN", "TASK_LOST", "Reconciliation: Task is unknown"),
    ],
)
def test_an_unknown_task_is_answered_by_what_is_known_of_its_agent(
    agent: str | None, state: str, lost: str, message: str
) -> None:
    rig = Rig(registry=[("unreachable", "unreachable", b"1795429473.875"), ("gone", "gone", b"1795429473.5")])
    known = rig.agent()
    agent_id = known.id if agent == "known" else agent
    for info, expected in ((framework_info(), state), (legacy(), lost)):
        framework = rig.subscribe(info)
        (status,) = ask(framework, about("no-such-task", agent_id))
        assert status["state"] == expected
        assert status["message"] == message
        assert status["reason"] == "REASON_RECONCILIATION"
        assert status["source"] == "SOURCE_MASTER"
        assert "uuid" not in status
        assert status.get("agent_id") == (None if agent_id is None else value(agent_id))
        expected_time = {"nanoseconds": 1795429473875000000} if agent == "unreachable" else None
        assert status.get("unreachable_time") == expected_time
        framework.call("TEARDOWN")


def recovering() -> Rig:
    info = json.decode(mesos.AgentInfo, agent_info())
    info.id = mesos.AgentID(value=OLD_AGENT)
    return Rig(registry=[("agents", OLD_AGENT, json.encode(info))])


def test_nothing_is_said_of_tasks_that_an_agent_to_come_back_may_have() -> None:
    rig = recovering()
    framework = rig.subscribe()
    assert ask(framework, about("r-1", OLD_AGENT), about("r-1"), about("r-nope", OLD_AGENT)) == []
    assert [status["state"] for status in ask(framework, about("x", "no-such-agent"))] == ["TASK_UNKNOWN"]


def test_an_agent_that_did_not_come_back_is_unreachable() -> None:
    rig = recovering()
    framework = rig.subscribe()
    rig.advance(599)
    assert ask(framework, about("r-1", OLD_AGENT)) == []
    rig.advance(2)
    assert [status["state"] for status in ask(framework, about("r-1", OLD_AGENT))] == ["TASK_UNREACHABLE"]
    assert [status["state"] for status in ask(framework, about("r-1"))] == ["TASK_UNKNOWN"]
    assert ("unreachable", OLD_AGENT) in rig.registry
    assert ("agents", OLD_AGENT) not in rig.registry


def test_killing_an_unknown_task_is_answered_as_a_reconciliation() -> None:
    rig = Rig()
    framework, agent = running(rig)
    framework.call("KILL", kill={"task_id": value("no-such"), "agent_id": value(agent.id)})
    framework.call("KILL", kill={"task_id": value("no-such2")})
    assert framework.states("no-such") == ["TASK_GONE"]
    assert framework.states("no-such2") == ["TASK_UNKNOWN"]


def test_operations_asked_about_are_unknown() -> None:
    rig = Rig()
    framework, agent = running(rig)
    asked = [
        {"operation_id": value("op-1"), "agent_id": value(agent.id)},
        {"operation_id": value("nope")},
    ]
    framework.call("RECONCILE_OPERATIONS", reconcile_operations={"operations": asked})
    first, second = [event["update_operation_status"]["status"] for event in framework.of("UPDATE_OPERATION_STATUS")]
    assert first == {
        "operation_id": value("op-1"),
        "state": "OPERATION_UNKNOWN",
        "message": "Reconciliation: Operation is unknown",
        "agent_id": value(agent.id),
    }
    assert second == {
        "operation_id": value("nope"),
        "state": "OPERATION_UNKNOWN",
        "message": "Reconciliation: Operation is unknown and no 'agent_id' was provided",
    }


def test_an_acknowledged_operation_that_never_was_is_accepted() -> None:
    rig = Rig()
    framework, agent = running(rig)
    body = {"agent_id": value(agent.id), "uuid": "MDEyMzQ1Njc4OWFiY2RlZg==", "operation_id": value("op-1")}
    assert framework.call("ACKNOWLEDGE_OPERATION_STATUS", acknowledge_operation_status=body) == (202, "")
    short = body | {"uuid": "c2hvcnQ="}
    status, _ = framework.call("ACKNOWLEDGE_OPERATION_STATUS", acknowledge_operation_status=short)
    assert status == 400
