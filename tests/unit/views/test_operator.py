from __future__ import annotations

import pytest

from merismos.core.master.views import operator, v0
from merismos.core.master.views.operator import READS
from merismos.protocol import json, protobuf
from merismos.protocol.v1 import master as wire
from unit.master.rig import ALL, Rig
from unit.views.scene import AGENT_CAPABILITIES, FLAGS, LABELS, Scene, joined, read_operator, uuid_of


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def test_every_read_of_the_schema_is_answered() -> None:
    reads = {str(kind) for kind in wire.Call_Type if kind.startswith("GET_")}
    assert set(READS) == reads


def test_a_call_that_changes_something_is_no_read(scene: Scene) -> None:
    for kind in wire.Call_Type:
        answer = operator.answer(scene.reads, wire.Call(type=kind), scene.rig.now)
        assert (answer is None) == (not kind.startswith("GET_"))


@pytest.mark.parametrize("kind", READS)
def test_an_answer_is_a_response_and_survives_protobuf(kind: str, scene: Scene) -> None:
    answer = operator.answer(scene.reads, wire.Call(type=wire.Call_Type(kind)), scene.rig.now)
    assert answer is not None
    body = b"".join(answer)
    response = json.decode(wire.Response, body)
    assert str(response.type) == kind
    assert protobuf.decode(wire.Response, protobuf.encode(response)) == response
    assert without_empty(json.parse(json.encode(response))) == without_empty(json.parse(body))


@pytest.mark.parametrize("kind", READS)
def test_an_empty_cluster_answers_too(kind: str) -> None:
    rig = Rig()
    answer = operator.answer(v0.Reads(rig.master, FLAGS), wire.Call(type=wire.Call_Type(kind)), rig.now)
    assert answer is not None
    assert str(json.decode(wire.Response, b"".join(answer)).type) == kind


def without_empty(value: object) -> object:
    """The same without empty lists, which a message can't tell from no list."""
    if isinstance(value, dict):
        return {key: without_empty(one) for key, one in value.items() if one != []}
    if isinstance(value, list):
        return [without_empty(one) for one in value]
    return value


def test_the_event_that_opens_a_stream_carries_the_state(scene: Scene) -> None:
    body = b"".join(operator.subscribed(scene.reads))
    event = json.decode(wire.Event, body)
    assert event.type is wire.Event_Type.SUBSCRIBED
    assert joined(iter([body]))["subscribed"]["get_state"] == scene.call("GET_STATE")["get_state"]
    assert event.subscribed is not None
    assert event.subscribed.heartbeat_interval_seconds == 15.0


def test_a_task_shows_all_its_statuses_and_the_latest_acknowledged_one(scene: Scene) -> None:
    tasks = {task["task_id"]["value"]: task for task in scene.call("GET_TASKS")["get_tasks"]["tasks"]}
    task = tasks["live-1"]
    assert [status["state"] for status in task["statuses"]] == ["TASK_STARTING", "TASK_RUNNING"]
    assert task["status_update_state"] == "TASK_RUNNING"
    assert task["status_update_uuid"] == task["statuses"][-1]["uuid"]
    assert task["labels"] == LABELS
    assert task["resources"][0] == {
        "name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}, "allocation_info": {"role": "golden"},
    }  # fmt: skip
    assert tasks["in-ex"]["executor_id"] == {"value": "ex"}
    assert "executor_id" not in task


def test_an_unreachable_task_keeps_the_state_of_its_last_real_update(scene: Scene) -> None:
    (task,) = scene.call("GET_TASKS")["get_tasks"]["unreachable_tasks"]
    assert (task["state"], task["status_update_state"]) == ("TASK_UNREACHABLE", "TASK_RUNNING")
    assert task["statuses"][-1]["unreachable_time"]["nanoseconds"] > 0
    assert "uuid" not in task["statuses"][-1]
    assert task["status_update_uuid"] != uuid_of(0)


def test_tasks_of_frameworks_that_are_over_are_listed_as_completed(scene: Scene) -> None:
    completed = scene.call("GET_TASKS")["get_tasks"]["completed_tasks"]
    states = {task["task_id"]["value"]: task["state"] for task in completed}
    assert states == {"done-before": "TASK_FINISHED", "cut-off": "TASK_KILLED", "live-done": "TASK_FINISHED"}


def test_an_agent_shows_itself(scene: Scene) -> None:
    (agent,) = scene.call("GET_AGENTS")["get_agents"]["agents"]
    assert agent["pid"] == "slave(1)@127.0.0.1:5051"
    assert agent["agent_info"]["id"] == {"value": scene.agent.id}
    assert "role" not in agent["agent_info"]["resources"][0]
    assert agent["total_resources"][0]["role"] == "*"
    assert agent["allocated_resources"][0]["allocation_info"] == {"role": "golden"}
    assert [capability["type"] for capability in agent["capabilities"]] == AGENT_CAPABILITIES
    assert agent["active"] is True


def test_a_framework_shows_its_offers_with_their_url(scene: Scene) -> None:
    (live, legacy) = scene.call("GET_FRAMEWORKS")["get_frameworks"]["frameworks"]
    (offer,) = live["offers"]
    assert offer["url"] == {
        "scheme": "http",
        "address": {"hostname": "first", "ip": "127.0.0.1", "port": 5051},
        "path": "/slave(1)",
    }
    assert offer["executor_ids"] == [{"value": "ex"}]
    assert [capability["type"] for capability in live["framework_info"]["capabilities"]] == list(ALL)
    assert "offers" not in legacy
    assert legacy["offer_constraints"] == {}
    (ended,) = scene.call("GET_FRAMEWORKS")["get_frameworks"]["completed_frameworks"]
    assert ended["unregistered_time"]["nanoseconds"] > ended["registered_time"]["nanoseconds"]


def test_flags_level_and_weights_are_shown() -> None:
    rig = Rig()
    reads = v0.Reads(rig.master, {"port": "1"})
    reads.logging_level = 2
    assert read_operator(reads, "GET_FLAGS", 0.0)["get_flags"] == {"flags": [{"name": "port", "value": "1"}]}
    assert read_operator(reads, "GET_LOGGING_LEVEL", 0.0)["get_logging_level"] == {"level": 2}
    assert read_operator(reads, "GET_WEIGHTS", 0.0) == {"type": "GET_WEIGHTS"}
    rig.operate({"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": [{"role": "b", "weight": 2.5}]}})
    assert read_operator(reads, "GET_WEIGHTS", 0.0)["get_weights"] == {"weight_infos": [{"weight": 2.5, "role": "b"}]}
