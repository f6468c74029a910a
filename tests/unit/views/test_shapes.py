"""Our answers have the shapes of a real Mesos': the same keys, nesting and types, but for the differences that are named here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unit.views.scene import Scene
from unit.views.shapes import Shape, differences

NO_SHA = "we are not built from a commit that clients could look up"
OWN_EXECUTOR = "the recorded executor is the default one, which has no command; ours is a custom one"
AGENT_CHECKPOINT = "prints what is always true, and what the v1 schema doesn't have"

V0: dict[str, tuple[list[str], dict[str, str]]] = {
    "/state": (
        ["master_state*", "master_master_state", "state_after*", "state_unreachable*"],
        {"-git_sha": NO_SHA, "+frameworks[].executors[].command.value": OWN_EXECUTOR},
    ),
    "/state-summary": (["*state_summary*"], {}),
    "/slaves": (["*slaves*"], {}),
    "/frameworks": (["*frameworks*"], {"+frameworks[].executors[].command.value": OWN_EXECUTOR}),
    "/tasks": (["master_master_tasks*"], {}),
    "/roles": (["*roles*"], {}),
    "/weights": (["*weights*"], {}),
    "/version": (["master_version"], {"-git_sha": NO_SHA}),
    "/quota": (["master_quota"], {}),
    "/maintenance/schedule": (["master_maintenance_schedule"], {}),
    "/maintenance/status": (["master_maintenance_status"], {}),
}
OPERATOR: dict[str, dict[str, str]] = {
    "GET_HEALTH": {},
    "GET_FLAGS": {},
    "GET_VERSION": {"-get_version.version_info.git_sha": NO_SHA},
    "GET_METRICS": {},
    "GET_LOGGING_LEVEL": {},
    "GET_STATE": {
        "-get_state.get_agents.agents[].agent_info.checkpoint": AGENT_CHECKPOINT,
        "+get_state.get_executors.executors[].executor_info.command": OWN_EXECUTOR,
    },
    "GET_AGENTS": {"-get_agents.agents[].agent_info.checkpoint": AGENT_CHECKPOINT},
    "GET_FRAMEWORKS": {},
    "GET_EXECUTORS": {"+get_executors.executors[].executor_info.command": OWN_EXECUTOR},
    "GET_OPERATIONS": {},
    "GET_TASKS": {},
    "GET_ROLES": {},
    "GET_WEIGHTS": {},
    "GET_MASTER": {},
    "GET_MAINTENANCE_STATUS": {},
    "GET_MAINTENANCE_SCHEDULE": {},
    "GET_QUOTA": {},
}


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def recorded(folder: Path, patterns: list[str]) -> list[Any]:
    bodies = [
        recording["response"].get("body_json")
        for pattern in patterns
        for path in sorted(folder.glob(pattern + ".json"))
        if (recording := json.loads(path.read_text()))["response"]["status"] == 200
    ]
    return [body for body in bodies if body is not None]


def as_seen(ours: Any, theirs: list[Any], extra: list[Any], accepted: dict[str, str]) -> list[str]:  # noqa: ANN401 - JSON
    """Our answer's differences from theirs; `extra` shows more of what their parts may look like."""
    seen = Shape(theirs)
    for answer in extra:
        more = Shape([answer])
        for path, keys in more.ever.items():
            if path and path in seen.ever:
                seen.ever[path] |= keys
                seen.always[path] &= more.always[path]
    return differences(Shape([ours]), seen, accepted)


@pytest.mark.parametrize("path", V0)
def test_a_v0_answer_has_the_recorded_shape(path: str, recordings: Path, scene: Scene) -> None:
    patterns, accepted = V0[path]
    theirs = recorded(recordings / "v0", patterns)
    assert theirs
    elsewhere: list[Any] = []
    if path in {"/state", "/frameworks"}:
        elsewhere = recorded(recordings / "v0", V0["/state"][0] + V0["/frameworks"][0])
    assert as_seen(scene.get(path), theirs, elsewhere, accepted) == []


@pytest.mark.parametrize("kind", OPERATOR)
def test_an_operator_answer_has_the_recorded_shape(kind: str, recordings: Path, scene: Scene) -> None:
    theirs = [body for body in recorded(recordings / "operator", [f"[!a]*_{kind}*"]) if body["type"] == kind]
    assert theirs
    parts = {"GET_STATE": ["GET_TASKS", "GET_EXECUTORS", "GET_FRAMEWORKS", "GET_AGENTS"]}.get(kind, [])
    elsewhere = [
        {"get_state": {part.lower(): body[part.lower()]}}
        for part in parts
        for body in recorded(recordings / "operator", [f"[!a]*_{part}*"])
        if body["type"] == part
    ]
    elsewhere += _snapshots(recordings, kind)
    assert as_seen(scene.call(kind), theirs, elsewhere, OPERATOR[kind]) == []


def _snapshots(recordings: Path, kind: str) -> list[Any]:
    """What streams of a real Mesos begin with, as the answer of `kind` would be."""
    states: list[Any] = []
    for path in sorted((recordings / "operator").glob("SUBSCRIBE_*.json")):
        event = json.loads(path.read_text())["events"][0].get("event")
        if event is not None and event["type"] == "SUBSCRIBED":
            states.append(event["subscribed"]["get_state"])
    if kind == "GET_STATE":
        return [{"get_state": state} for state in states]
    field = kind.lower()
    return [{field: state[field]} for state in states if field in state]


EVENTS_ACCEPTED = {
    "+framework_added.framework.offer_constraints": "as in GET_FRAMEWORKS; the recorded events leave out what is empty",
    "-framework_added.framework.unregistered_time": "a time in 1970 for a framework that is there; we leave it out",
}


def test_an_operators_events_have_the_recorded_shapes(recordings: Path) -> None:
    theirs: dict[str, list[Any]] = {}
    for path in sorted((recordings / "operator").glob("SUBSCRIBE_*.json")):
        for entry in json.loads(path.read_text())["events"]:
            if entry.get("event") is not None:
                theirs.setdefault(entry["event"]["type"], []).append(entry["event"])
    ours = Scene(watched=True).events
    kinds = {event["type"] for event in ours} - {"SUBSCRIBED"}
    assert kinds >= {"TASK_ADDED", "TASK_UPDATED", "AGENT_ADDED", "FRAMEWORK_ADDED", "FRAMEWORK_REMOVED"}
    assert kinds <= set(theirs)
    found: list[str] = []
    for kind in sorted(kinds):
        answers = _in_events(recordings, kind)
        found += as_seen([event for event in ours if event["type"] == kind], [theirs[kind]], answers, {})
    assert [line for line in (line.replace("[].", "", 1) for line in found) if line not in EVENTS_ACCEPTED] == []


def _in_events(recordings: Path, kind: str) -> list[Any]:
    """The recorded answers' agents, frameworks and tasks, as an event of `kind` would carry them."""
    what = kind.partition("_")[0].lower()
    read = f"GET_{what.upper()}S"
    answers = recorded(recordings / "operator", [f"[!a]*_{read}*"])
    return [
        [{kind.lower(): {what: message}}]
        for body in answers
        if body["type"] == read
        for message in body[read.lower()][what + "s"]
    ]
