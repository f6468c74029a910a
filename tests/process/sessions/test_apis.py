"""FEATURES 1I, the reads that this version has, as a sceptical user would check them on real processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from process.sessions.cluster import Cluster
from process.sessions.scheduler import PATH, Scheduler, ask, framework_info, get, operate
from process.sessions.streams import Json, Stream

pytestmark = pytest.mark.process

MASTER_READS = (
    "state",
    "state-summary",
    "slaves",
    "tasks",
    "frameworks",
    "roles",
    "flags",
    "version",
    "metrics/snapshot",
)
AGENT_READS = ("state", "flags", "version", "monitor/statistics", "containers", "metrics/snapshot", "files/debug")


def test_i3_what_the_events_tell_is_what_the_state_says(cluster: Cluster) -> None:
    stream = Stream(cluster.port, "/api/v1", {"type": "SUBSCRIBE"})
    known = stream.take("SUBSCRIBED")["subscribed"]["get_state"]
    frameworks = {_id(one["framework_info"]): None for one in known.get("get_frameworks", {}).get("frameworks", [])}
    agents = {_id(one["agent_info"]): None for one in known.get("get_agents", {}).get("agents", [])}
    tasks = {one["task_id"]["value"]: one["state"] for one in known.get("get_tasks", {}).get("tasks", [])}
    with Scheduler(cluster.port) as scheduler:
        offer = scheduler.offer()
        scheduler.launch(offer, scheduler.task("ends", offer), scheduler.task("stays", offer, "sleep 60"))
        scheduler.update("ends", "TASK_FINISHED")
        scheduler.update("stays", "TASK_RUNNING")
        state = operate(cluster.port, "GET_STATE")["get_state"]
        while tasks.get("ends") != "TASK_FINISHED" or tasks.get("stays") != "TASK_RUNNING":
            _follow(stream, frameworks, tasks)
        running = {one["task_id"]["value"]: one["state"] for one in state["get_tasks"]["tasks"]}
        assert {name: tasks[name] for name in running} == running
        assert {_id(one["framework_info"]) for one in state["get_frameworks"]["frameworks"]} <= set(frameworks)
        assert {_id(one["agent_info"]) for one in state["get_agents"]["agents"]} == set(agents)
    removed = stream.take("FRAMEWORK_REMOVED", lambda event: scheduler.id in json.dumps(event))
    assert _id(removed["framework_removed"]["framework_info"]) == scheduler.id
    stream.close()


def _id(info: Json) -> str:
    return str(info["id"]["value"])


def _follow(stream: Stream, frameworks: dict[str, None], tasks: dict[str, str]) -> None:
    kinds = {"FRAMEWORK_ADDED", "TASK_ADDED", "TASK_UPDATED"}
    stream.wait(lambda: any(event["type"] in kinds for event in stream.pending), "event")
    pending, stream.pending = stream.pending, []
    for event in pending:
        body = event.get(event["type"].lower(), {})
        if event["type"] == "FRAMEWORK_ADDED":
            frameworks[_id(body["framework"]["framework_info"])] = None
        elif event["type"] == "TASK_ADDED":
            tasks[body["task"]["task_id"]["value"]] = body["task"]["state"]
        elif event["type"] == "TASK_UPDATED":
            tasks[body["status"]["task_id"]["value"]] = body["state"]


@pytest.mark.parametrize("read", MASTER_READS)
def test_i4_every_read_of_the_master_answers_under_both_of_its_names(cluster: Cluster, read: str) -> None:
    assert get(cluster.port, f"/{read}").keys() == get(cluster.port, f"/master/{read}").keys()


def test_i4_health_and_unknown_paths(cluster: Cluster) -> None:
    assert ask(cluster.port, "GET", "/health")[::2] == (200, b"")
    assert ask(cluster.port, "GET", "/nope")[0] == 404


@pytest.mark.parametrize("read", ["flags", "state", "state-summary", "tasks", "version"])
def test_i4_a_read_has_every_key_of_the_recorded_one(cluster: Cluster, recordings: Path, read: str) -> None:
    name = f"master_{read.replace('-', '_')}.json"
    path = recordings / "v0" / (name if (recordings / "v0" / name).exists() else f"master_{name}")
    recorded = json.loads(path.read_text(encoding="utf-8"))["response"]["body_json"]
    missing = set(recorded) - set(get(cluster.port, f"/{read}"))
    # How a build came about is told by who built it that way; the recorded master was started with --cluster.
    assert not {key for key in missing if not key.startswith(("git_", "build_", "cluster"))}


@pytest.mark.parametrize("read", AGENT_READS)
def test_i5_every_read_of_the_agent_answers_under_both_of_its_names(cluster: Cluster, read: str) -> None:
    port = cluster.agents[0].port
    answers = [ask(port, "GET", f"{prefix}/{read}") for prefix in ("", "/slave(1)")]
    kinds = {(status, headers["content-type"], type(json.loads(body))) for status, headers, body in answers[:1]}
    assert {status for status, _, _ in kinds} == {200}
    if not read.startswith(("files/", "metrics/")):
        assert answers[1][0] == 200


def test_i6_numbers_are_numbers_bytes_are_base64_and_strings_are_taken_for_numbers(cluster: Cluster) -> None:
    (agent,) = operate(cluster.port, "GET_AGENTS")["get_agents"]["agents"]
    assert isinstance(agent["registered_time"]["nanoseconds"], int)
    info = framework_info("i6", failover_timeout="0.5", labels={"labels": [{"key": "k", "value": "v\u00e9"}]})
    with Scheduler(cluster.port, info) as scheduler:
        body = json.dumps({"type": "GET_FRAMEWORKS"}).encode()
        raw = ask(cluster.port, "POST", "/api/v1", body)[2]
        assert raw.isascii()
        assert b"v\\u00e9" in raw
        offer = scheduler.offer()
        task = scheduler.task("text", offer)
        task["resources"][0]["scalar"]["value"] = "0.1"
        scheduler.launch(offer, task)
        assert len(scheduler.update("text", "TASK_FINISHED")["uuid"]) == 24


def test_i6_protobuf_is_spoken_where_asked_for(cluster: Cluster) -> None:
    body = {"type": "GET_HEALTH"}
    status, headers, raw = ask(cluster.port, "POST", "/api/v1", body, Accept="application/x-protobuf")
    assert (status, headers["content-type"]) == (200, "application/x-protobuf")
    assert not raw.startswith(b"{")
    assert ask(cluster.port, "POST", PATH, body, Accept="application/x-protobuf")[0] == 400
