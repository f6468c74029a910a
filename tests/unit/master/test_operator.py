from __future__ import annotations

import pytest

from merismos.core.master import events as happened
from merismos.core.master.state import Config
from merismos.protocol import link
from unit.master.rig import Json, Rig, framework_info, launch, running, task, value

WEIGHTS = "Failed to validate update weights request JSON"


def test_an_operator_tears_a_framework_down() -> None:
    rig = Rig()
    framework, agent = running(rig)
    call = {"type": "TEARDOWN", "teardown": {"framework_id": value(framework.id)}}
    assert rig.operate(call) == (200, "")
    assert not framework.is_open
    assert agent.of(link.ShutdownFramework) == [link.ShutdownFramework(framework.id)]
    assert rig.operate(call) == (400, "No framework found with specified ID")


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ({}, (400, "Failed to validate master::Call: Expecting 'type' to be present")),
        ({"type": "TEARDOWN"}, (400, "Failed to validate master::Call: Expecting 'teardown' to be present")),
        ({"type": "UNKNOWN"}, (501, "501 Not Implemented.")),
        ({"type": "UPDATE_QUOTA"}, (400, "Failed to validate master::Call: Expecting 'update_quota' to be present")),
        ({"type": "DRAIN_AGENT"}, (400, "Failed to validate master::Call: Expecting 'drain_agent' to be present")),
        ({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": {"value": "zz"}}}, (404, "Agent 'zz' not found")),
        ({"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": []}}, (200, "")),
        (
            {"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": [{"role": "a b", "weight": 1}]}},
            (400, WEIGHTS + ": Invalid role 'a b': Role component 'a b' is invalid because it contains backspace or whitespace"),
        ),
        (
            {"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": [{"role": "w1", "weight": -1}]}},
            (400, WEIGHTS + " for role 'w1': Invalid weight '-1': Weights must be positive"),
        ),
    ],
)  # fmt: skip
def test_operator_calls_are_answered_as_recorded(call: Json, answer: tuple[int, str]) -> None:
    assert Rig().operate(call) == answer


def test_weights_count_once_they_are_durable_and_survive() -> None:
    rig = Rig()
    infos = [{"role": "w1", "weight": 2.5}, {"role": "w1", "weight": 3}]
    assert rig.operate({"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": infos}}) == (200, "")
    assert rig.master.weights == {"w1": 3.0}
    next_leader = Rig(registry=[(table, key, content) for (table, key), content in rig.registry.items()])
    assert next_leader.master.weights == {"w1": 3.0}


def test_an_operator_sees_what_changes_as_it_changes() -> None:
    rig = Rig()
    events = rig.watch()
    assert [event["type"] for event in events] == ["SUBSCRIBED", "HEARTBEAT"]
    assert events[0]["subscribed"] == {"heartbeat_interval_seconds": 15.0}
    framework, agent = running(rig)
    agent.update(framework.id, "t-1", "TASK_FINISHED", uuid=b"")
    framework.call("TEARDOWN")
    assert [event["type"] for event in events[2:]] == [
        "AGENT_ADDED",
        "FRAMEWORK_ADDED",
        "TASK_ADDED",
        "TASK_UPDATED",
        "TASK_UPDATED",
        "FRAMEWORK_REMOVED",
    ]
    assert events[4]["task_added"]["task"]["state"] == "TASK_STAGING"
    assert events[5]["task_updated"]["state"] == "TASK_RUNNING"
    assert events[5]["task_updated"]["framework_id"] == value(framework.id)
    assert events[6]["task_updated"]["status"]["state"] == "TASK_FINISHED"
    assert events[7]["framework_removed"]["framework_info"]["id"] == value(framework.id)


def test_an_operator_is_told_that_a_removed_frameworks_tasks_were_killed() -> None:
    rig = Rig()
    framework, _ = running(rig)
    events = rig.watch()
    framework.call("TEARDOWN")
    updated, removed = events[2:]
    status = updated["task_updated"]["status"]
    assert status["state"] == "TASK_KILLED"
    assert status["message"] == f"Framework {framework.id} removed"
    assert status["reason"] == "REASON_FRAMEWORK_REMOVED"
    assert removed["type"] == "FRAMEWORK_REMOVED"
    assert framework.states("t-1") == ["TASK_RUNNING"]


def test_an_agent_that_becomes_unreachable_makes_no_agent_removed_and_one_that_leaves_does() -> None:
    rig = Rig()
    _, agent = running(rig)
    other = rig.agent(pid="slave(1)@127.0.0.1:5052")
    events = rig.watch()
    agent.is_silent = True
    rig.advance(95)
    other.send(link.UnregisterAgent())
    kinds = [event["type"] for event in events if event["type"] != "HEARTBEAT"]
    assert kinds == ["SUBSCRIBED", "TASK_UPDATED", "AGENT_REMOVED"]
    assert events[-1]["agent_removed"] == {"agent_id": value(other.id)}


def test_operators_get_heartbeats_too() -> None:
    rig = Rig()
    events = rig.watch()
    rig.advance(31)
    assert [event["type"] for event in events] == ["SUBSCRIBED", "HEARTBEAT", "HEARTBEAT", "HEARTBEAT"]


def test_a_stream_that_closed_gets_nothing_more() -> None:
    rig = Rig()
    events = rig.watch()
    (stream,) = rig.master.operator_streams
    rig.handle(happened.StreamClosed(stream))
    rig.subscribe(framework_info())
    rig.advance(60)
    assert [event["type"] for event in events] == ["SUBSCRIBED", "HEARTBEAT"]


def test_there_is_a_bound_on_operator_streams() -> None:
    config = Config()
    config.max_operator_streams = 1
    rig = Rig(config)
    rig.watch()
    request = rig.token()
    rig.handle(happened.OperatorSubscribed(request, rig.token()))
    assert rig.answers[request][0] == 503


def test_without_an_operator_no_event_is_built() -> None:
    rig = Rig()
    rig.agent()
    framework = rig.subscribe()
    (offer,) = framework.offers()
    framework.accept([offer], launch(task("t-1", offer)))
    assert rig.published == {stream: [] for stream in rig.published}
