"""Maintenance of machines with a real master and agent, compared with what a real Mesos answered and sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from process.sessions.cluster import STOP_S_MAX, Agent, Cluster
from process.sessions.replay import normal
from process.sessions.scheduler import Scheduler, ask, framework_info, get, operate, until
from process.sessions.streams import Json

pytestmark = pytest.mark.process

HERE = {"hostname": "localhost", "ip": "127.0.0.1"}
WHEN = {"start": {"nanoseconds": 1900000000000000000}, "duration": {"nanoseconds": 3600000000000}}
BY_CALLS = (
    "m_UPDATE_MAINTENANCE_SCHEDULE", "m_GET_MAINTENANCE_SCHEDULE", "m_UPDATE_SCHEDULE_dup", "m_UPDATE_SCHEDULE_nounavail",
    "m_GET_MAINTENANCE_STATUS_draining", "m_START_MAINTENANCE_unknown", "m_START_MAINTENANCE",
    "m_GET_MAINTENANCE_STATUS_down", "m_UPDATE_SCHEDULE_removing_down", "m_STOP_MAINTENANCE", "m_STOP_MAINTENANCE_again",
    "m_GET_MAINTENANCE_SCHEDULE_end", "master_GET_MAINTENANCE_STATUS",
)  # fmt: skip
BY_ENDPOINTS = (
    "maintenance_schedule_post", "maintenance_schedule_set", "machine_down", "maintenance_status_down", "machine_up",
    "machine_up_again", "master_maintenance_schedule", "master_maintenance_status", "master_master_maintenance_schedule",
)  # fmt: skip


def schedule(cluster: Cluster, *machines: Json) -> None:
    windows = [{"machine_ids": list(machines), "unavailability": WHEN}] if machines else []
    operate(cluster.port, "UPDATE_MAINTENANCE_SCHEDULE", update_maintenance_schedule={"schedule": {"windows": windows}})


@pytest.fixture
def planned(cluster: Cluster) -> Iterator[Cluster]:
    """The shared cluster, of whose maintenance nothing is left behind."""
    yield cluster
    down = get(cluster.port, "/maintenance/status").get("down_machines", [])
    if down:
        operate(cluster.port, "STOP_MAINTENANCE", stop_maintenance={"machines": down})
    schedule(cluster)


@pytest.mark.parametrize(("folder", "names"), [("operator", BY_CALLS), ("v0", BY_ENDPOINTS)])
def test_maintenance_is_answered_as_recorded(
    planned: Cluster, recordings: Path, folder: str, names: tuple[str, ...]
) -> None:
    for name in names:
        recorded = json.loads((recordings / folder / f"{name}.json").read_text(encoding="utf-8"))
        request, response = recorded["request"], recorded["response"]
        status, headers, body = ask(planned.port, request["method"], request["path"], request["body"] or None)
        assert status == response["status"], (name, body)
        if response["body"].startswith("{"):
            assert json.loads(body) == json.loads(response["body"]), name
        else:
            assert body.decode() == response["body"], name
        assert headers.get("content-type") == dict(response["headers"]).get("Content-Type"), name


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("/maintenance/schedule", b"[]", "Expecting the body to be a JSON object"),
        (
            "/maintenance/schedule",
            b'{"windows":[{"machine_ids":[{"ip":"1.2.3.4"}]}]}',
            "Missing required fields: windows[0].unavailability",
        ),
        ("/machine/down", b"{}", "Expecting the body to be a JSON array of machines"),
        ("/machine/up", b"[]", "List of machines is empty"),
    ],
)
def test_what_no_endpoint_understands_is_refused_in_words(
    cluster: Cluster, path: str, body: bytes, answer: str
) -> None:
    status, _, said = ask(cluster.port, "POST", path, body)
    assert (status, said.decode()) == (400, answer)


def test_a_framework_is_asked_to_leave_a_machine_as_recorded(planned: Cluster, recordings: Path) -> None:
    recording = json.loads((recordings / "scheduler" / "05_inverse_offers.json").read_text(encoding="utf-8"))
    recorded = [event["event"] for event in recording["events"]]
    asked = [one for event in recorded for one in event.get("inverse_offers", {}).get("inverse_offers", [])]
    with Scheduler(planned.port, framework_info("golden")) as scheduler:
        offer = scheduler.offer()
        scheduler.launch(offer, scheduler.task("inv-1", offer, "sleep 600"))
        scheduler.update("inv-1", "TASK_RUNNING")
        schedule(planned, HERE)
        (first,) = scheduler.stream.take("INVERSE_OFFERS")["inverse_offers"]["inverse_offers"]
        assert _told(first) == _told(asked[0])
        again = scheduler.offer(lambda one: "unavailability" in one)
        assert list(again)[-2:] == ["unavailability", "allocation_info"]
        assert again["unavailability"] == WHEN
        filters = {"refuse_seconds": 0.2}
        scheduler.call("DECLINE_INVERSE_OFFERS", {"inverse_offer_ids": [first["id"]], "filters": filters})
        (second,) = scheduler.stream.take("INVERSE_OFFERS")["inverse_offers"]["inverse_offers"]
        scheduler.call("ACCEPT_INVERSE_OFFERS", {"inverse_offer_ids": [second["id"]]})
        (draining,) = get(planned.port, "/maintenance/status")["draining_machines"]
        theirs = json.loads((recordings / "operator" / "inv_GET_MAINTENANCE_STATUS.json").read_text(encoding="utf-8"))
        (recorded_machine,) = json.loads(theirs["response"]["body"])["get_maintenance_status"]["status"][
            "draining_machines"
        ]
        assert draining["statuses"][0].pop("framework_id") == {"value": scheduler.id}
        recorded_machine["statuses"][0].pop("framework_id")
        assert normal(draining) == normal(recorded_machine)
        schedule(planned)
        scheduler.offer(lambda one: "unavailability" not in one)
        assert not any(event["type"] == "RESCIND_INVERSE_OFFER" for event in scheduler.stream.events)


def _told(inverse_offer: Json) -> Json:
    ids = dict.fromkeys(("id", "framework_id", "agent_id"), "*")
    told: Json = normal(inverse_offer | ids)
    assert inverse_offer["unavailability"] == WHEN
    return told


def test_an_agent_is_refused_while_its_machine_is_down_and_admitted_again_when_it_is_up(tmp_path: Path) -> None:
    with Cluster(tmp_path) as running, Scheduler(running.port, framework_info("golden")) as scheduler:
        offer = scheduler.offer()
        scheduler.launch(offer, scheduler.task("t-1", offer, "sleep 600"))
        scheduler.update("t-1", "TASK_RUNNING")
        schedule(running, HERE)
        operate(running.port, "START_MAINTENANCE", start_maintenance={"machines": [HERE]})
        status = scheduler.update("t-1", "TASK_GONE")
        assert status["message"] == "Agent localhost removed: Operator initiated 'Machine DOWN'"
        until(running.port, "/slaves", lambda found: not found["slaves"])
        (agent,) = running.agents
        assert agent.process.wait(STOP_S_MAX) == 0
        other = Agent(tmp_path / "other", running.master)
        running.agents.append(other)
        refused = "the machine is down for maintenance"
        assert until(running.port, "/slaves", lambda _: refused in other.said())["slaves"] == []
        operate(running.port, "STOP_MAINTENANCE", stop_maintenance={"machines": [HERE]})
        (back,) = until(running.port, "/slaves", lambda found: len(found["slaves"]) == 1)["slaves"]
        assert back["id"] != offer["agent_id"]["value"]
