"""Agents drained with a real master and agent, compared with what a real Mesos answered and sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from process.sessions.cluster import STOP_S_MAX, Cluster
from process.sessions.replay import normal
from process.sessions.scheduler import Scheduler, ask, framework_info, get, operate, until
from process.sessions.streams import Json

pytestmark = pytest.mark.process


@pytest.fixture
def drained(cluster: Cluster) -> Iterator[Cluster]:
    """The shared cluster, whose agent is active again afterwards."""
    yield cluster
    (agent,) = get(cluster.port, "/slaves")["slaves"]
    if agent["deactivated"]:
        until(cluster.port, "/slaves", lambda found: _state(found) != "DRAINING")
        operate(cluster.port, "REACTIVATE_AGENT", reactivate_agent={"agent_id": {"value": agent["id"]}})


def _state(slaves: Json) -> str:
    state: str = slaves["slaves"][0].get("drain_info", {}).get("state", "")
    return state


def _recorded(recordings: Path, name: str) -> Json:
    found: Json = json.loads((recordings / "operator" / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _agent_of(answer: Json, port: int | None = None) -> Json:
    """What an answer to GET_AGENTS says of the state of its only, or named, agent."""
    (agent,) = (one for one in answer["get_agents"]["agents"] if port in {None, one["agent_info"]["port"]})
    return {name: agent.get(name) for name in ("active", "deactivated", "drain_info", "estimated_drain_start_time")}


def test_an_agent_is_drained_and_reactivated_as_recorded(drained: Cluster, recordings: Path) -> None:
    session = json.loads((recordings / "scheduler" / "06_agent_drain_gone.json").read_text(encoding="utf-8"))
    updates = [event["event"]["update"]["status"] for event in session["events"] if event["event"]["type"] == "UPDATE"]
    (killed,) = (status for status in updates if status["state"] == "TASK_KILLED")
    with Scheduler(drained.port, framework_info("golden")) as scheduler:
        offer = scheduler.offer()
        agent_id = offer["agent_id"]
        scheduler.launch(offer, scheduler.task("gone-1", offer, "sleep 600"))
        scheduler.update("gone-1", "TASK_RUNNING")
        asked = _recorded(recordings, "g_DRAIN_AGENT")["request"]["body"]
        asked["drain_agent"]["agent_id"] = agent_id
        status, _, body = ask(drained.port, "POST", "/api/v1", asked)
        assert (status, body) == (200, b"")
        ours = scheduler.update("gone-1", "TASK_KILLED")
        same = ("state", "message", "source", "reason")
        assert {name: ours[name] for name in same} == {name: killed[name] for name in same}
        until(drained.port, "/slaves", lambda found: _state(found) == "DRAINED")
        theirs = json.loads(_recorded(recordings, "g_GET_AGENTS_drained")["response"]["body"])
        assert normal(_agent_of(operate(drained.port, "GET_AGENTS"))) == normal(_agent_of(theirs, 15052))
        (shown,) = get(drained.port, "/slaves")["slaves"]
        assert shown["drain_info"]["config"] == {"max_grace_period": {"nanoseconds": 0}, "mark_gone": False}
        assert shown["estimated_drain_start_time_seconds"] > 0
        assert not scheduler.offers_come(0.4)
        operate(drained.port, "REACTIVATE_AGENT", reactivate_agent={"agent_id": agent_id})
        assert scheduler.offer()["agent_id"] == agent_id


def test_a_deactivated_agent_and_unknown_ones_are_answered_as_recorded(drained: Cluster, recordings: Path) -> None:
    (agent,) = get(drained.port, "/slaves")["slaves"]
    operate(drained.port, "DEACTIVATE_AGENT", deactivate_agent={"agent_id": {"value": agent["id"]}})
    theirs = json.loads(_recorded(recordings, "g_GET_AGENTS_deactivated")["response"]["body"])
    assert _agent_of(operate(drained.port, "GET_AGENTS")) == _agent_of(theirs, 15052)
    recorded = _recorded(recordings, "g_DEACTIVATE_unknown")
    status, _, body = ask(drained.port, "POST", "/api/v1", recorded["request"]["body"])
    assert (status, body.decode()) == (recorded["response"]["status"], recorded["response"]["body"])


def test_an_agent_that_shall_be_gone_after_its_drain_is(tmp_path: Path) -> None:
    with Cluster(tmp_path) as running, Scheduler(running.port, framework_info("golden")) as scheduler:
        offer = scheduler.offer()
        scheduler.launch(offer, scheduler.task("t-1", offer, "sleep 600"))
        scheduler.update("t-1", "TASK_RUNNING")
        asked = {"agent_id": offer["agent_id"], "mark_gone": True, "max_grace_period": {"seconds": 2}}
        operate(running.port, "DRAIN_AGENT", drain_agent=asked)
        told = scheduler.update("t-1", "TASK_GONE_BY_OPERATOR")
        assert (told["reason"], told["source"]) == ("REASON_AGENT_DRAINING", "SOURCE_EXECUTOR")
        until(running.port, "/slaves", lambda found: not found["slaves"])
        assert scheduler.stream.take("FAILURE")["failure"] == {"agent_id": offer["agent_id"]}
        assert running.agents[0].process.wait(STOP_S_MAX) == 0, "an agent that is gone ends by itself"
