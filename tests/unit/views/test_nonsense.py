"""What one client writes into its tasks never spoils an answer about everybody's."""

from __future__ import annotations

from typing import Any

import pytest

from merismos.core.master.views import v0
from unit.master.rig import Rig, framework_info, launch, task
from unit.views.scene import EXECUTOR, FLAGS, connect_agent, joined, read_operator

NONSENSE: list[dict[str, Any]] = [
    {"labels": 7},
    {"discovery": "x"},
    {"command": {"value": {"not": "text"}}},
    {"container": {"type": "MESOS", "volumes": 3}},
    {"data": "not base64!"},
]


@pytest.mark.parametrize("more", [*NONSENSE, {"executor": {**EXECUTOR, "labels": 7}, "command": None}])
def test_a_task_that_does_not_decode_is_shown_by_what_is_known_of_it(more: dict[str, Any]) -> None:
    rig = Rig()
    peer = connect_agent(rig, "first", 1)
    framework = rig.subscribe(framework_info("odd"))
    events = rig.watch()
    offer = framework.offers()[0]
    framework.accept([offer], launch(task("odd-1", offer, **more)))
    assert "odd-1" in framework.record.tasks
    reads = v0.Reads(rig.master, FLAGS)
    (shown,) = joined(v0.ROUTES["/tasks"](reads, {}, rig.now))["tasks"]
    assert (shown["id"], shown["name"], shown["state"]) == ("odd-1", "odd-1", "TASK_STAGING")
    joined(v0.ROUTES["/state"](reads, {}, rig.now))
    (shown,) = read_operator(reads, "GET_STATE", rig.now)["get_state"]["get_tasks"]["tasks"]
    assert shown["task_id"] == {"value": "odd-1"}
    assert shown["agent_id"] == {"value": peer.id}
    assert [event["type"] for event in events][-1] == "TASK_ADDED"


def test_a_status_that_does_not_decode_is_left_out() -> None:
    rig = Rig()
    peer = connect_agent(rig, "first", 1)
    framework = rig.subscribe(framework_info("odd"))
    framework.launch("t-1")
    peer.update(framework.id, "t-1", "TASK_STARTING")
    peer.update(framework.id, "t-1", "TASK_RUNNING", labels=7)
    reads = v0.Reads(rig.master, FLAGS)
    (shown,) = joined(v0.ROUTES["/tasks"](reads, {}, rig.now))["tasks"]
    assert shown["state"] == "TASK_RUNNING"
    assert [status["state"] for status in shown["statuses"]] == ["TASK_STARTING"]
