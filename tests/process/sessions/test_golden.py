"""Sessions that schedulers had with a real Mesos, had again with a real master and agent of ours.

Rules: what differs on purpose is named here, with its reason; anything else that differs fails, and so does what differs no more.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import msgspec
import pytest

from merismos.protocol import protobuf
from merismos.protocol.v1 import scheduler as wire
from process.sessions.cluster import Cluster
from process.sessions.replay import Replay, normal
from process.sessions.scheduler import PATH, Scheduler, ask, get, until
from process.sessions.streams import QUIET_S, WAIT_S_MAX, Json, Stream

pytestmark = pytest.mark.process

NO_PROCESS = "a command that can't be executed never had a process of ours, so no executor_pid is told"
WHY_NOT_FETCHED = "ours says what couldn't be fetched and why, where Mesos names an exit status of its fetcher"
MORE_TOLD = "each update of a group's task names its address and pid, where Mesos does so only while it runs"
REFUSED = "only launches are carried out yet; what else an ACCEPT asks for is refused in words"
# What a task does while it only has to be running needn't take that long.
FASTER = {"sleep 5": "sleep 0.4", '"sleep 1"': '"sleep 0.4"'}


def load(recordings: Path, name: str) -> Json:
    found: Json = json.loads((recordings / "scheduler" / f"{name}.json").read_text(encoding="utf-8"))
    return found


def assert_as_recorded(differences: dict[str, str], expected: dict[str, str] | None = None) -> None:
    told = "\n".join(f"{what}: {how}" for what, how in differences.items() if what not in (expected or {}))
    assert set(differences) == set(expected or {}), told or f"these differ no more: {expected}"


def test_a_basic_session_goes_as_recorded(cluster: Cluster, recordings: Path) -> None:
    assert_as_recorded(Replay(cluster.port, load(recordings, "01_basic"), rewritten=FASTER).run())


def test_failures_of_tasks_and_calls_go_as_recorded(cluster: Cluster, recordings: Path) -> None:
    replay = Replay(cluster.port, load(recordings, "02_task_failures"), rewritten=FASTER)
    states = ("TASK_STARTING", "TASK_RUNNING", "TASK_FAILED")
    expected = {f"UPDATE of t-nosuchcmd to {state}": NO_PROCESS for state in states}
    assert_as_recorded(replay.run(), expected | {"UPDATE of t-baduri to TASK_FAILED": WHY_NOT_FETCHED})


def _refusals() -> dict[str, list[Json]]:
    instead: dict[str, list[Json]] = {}
    for name, kind in (
        ("op-reserve-1", "RESERVE"), ("op-unreserve-1", "UNRESERVE"), ("op-bad-1", "RESERVE"), ("op-bad-2", "RESERVE"),
        ("op-bad-3", "RESERVE"), ("op-bad-4", "CREATE"),
    ):  # fmt: skip
        words = f"{kind} is not supported yet; only launches are"
        instead[name] = [{"operation_id": {"value": name}, "state": "OPERATION_ERROR", "message": words}]
    for name, reason in (
        ("t-vol", "TASK_INVALID"), ("t-combo", "TASK_INVALID"),
    ):  # fmt: skip
        instead[name] = [{"state": "TASK_ERROR", "reason": f"REASON_{reason}", "source": "SOURCE_MASTER"}]
    # The reconciliation of an operation that isn't known any more goes as recorded.
    instead["op-reserve-1"].append({"operation_id": {"value": "op-reserve-1"}, "state": "OPERATION_UNKNOWN"})
    return instead


def test_operations_are_refused_in_words_and_the_rest_goes_as_recorded(cluster: Cluster, recordings: Path) -> None:
    assert REFUSED
    told = {
        f"UPDATE of {name} to {state}": MORE_TOLD
        for name in ("g-1", "g-2")
        for state in ("TASK_STARTING", "TASK_FINISHED")
    }
    assert_as_recorded(Replay(cluster.port, load(recordings, "03_operations"), instead=_refusals()).run(), told)


def test_a_legacy_session_goes_as_recorded(cluster: Cluster, recordings: Path) -> None:
    assert_as_recorded(Replay(cluster.port, load(recordings, "09_legacy_framework"), rewritten=FASTER).run())


def _ask_again(cluster: Cluster, recording: Json, replay: Replay) -> None:
    """One recorded request and its answer, outside of any stream."""
    request = replay.translated(recording["request"])
    headers = {
        name.replace("-", "_"): value
        for name, value in request["headers"]
        if name in {"Content-Type", "Mesos-Stream-Id"}
    }
    status, named, body = ask(cluster.port, "POST", request["path"], request["body"], **headers)
    recorded = recording["response"]
    assert (status, body.decode()) == (recorded["status"], replay.translated(recorded["body"]))
    assert named["content-type"] == dict(recorded["headers"])["Content-Type"]


def test_schedulers_take_over_from_each_other_as_recorded(cluster: Cluster, recordings: Path) -> None:
    ids: dict[str, str] = {}
    first_recording = load(recordings, "04a_failover_first_stream")
    # The takeover itself is what the second recording begins with.
    first_recording["events"] = [event for event in first_recording["events"] if event["event"]["type"] != "ERROR"]
    first = Replay(cluster.port, first_recording, translation=ids)
    assert_as_recorded(first.play())
    second = Replay(cluster.port, load(recordings, "04b_failover_second_stream"), translation=ids)
    assert first.scheduler.stream.take("ERROR")["error"] == {"message": "Framework failed over"}
    first.scheduler.stream.until_over()
    assert first.scheduler.stream.has_ended
    first.scheduler.close()
    assert_as_recorded(second.play())
    _ask_again(cluster, load(recordings, "04c_old_stream_id"), second)
    second.scheduler.close()
    until_disconnected(cluster.port, second.scheduler.id)
    _ask_again(cluster, load(recordings, "04d_call_while_disconnected"), second)
    third = Replay(cluster.port, load(recordings, "04e_failover_third_stream"), translation=ids)
    assert_as_recorded(third.run())
    assert _events_of(cluster, third, load(recordings, "04f_subscribe_after_teardown")) == ["ERROR"]


def until_disconnected(port: int, framework_id: str) -> None:
    def is_disconnected(found: Json) -> bool:
        return not any(one["id"] == framework_id and one["connected"] for one in found["frameworks"])

    until(port, "/frameworks", is_disconnected)


def _events_of(cluster: Cluster, replay: Replay, recording: Json) -> list[str]:
    """Open a recorded stream again that ends by itself; return the kinds of its events."""
    stream = Stream(cluster.port, PATH, replay.translated(recording["request"]["body"]))
    stream.until_over()
    stream.close()
    assert stream.has_ended
    recorded = [event["event"] for event in recording["events"]]
    assert normal(stream.events) == normal(replay.translated(recorded))
    return [event["type"] for event in stream.events]


def test_a_framework_that_was_given_up_cannot_come_back_as_recorded(cluster: Cluster, recordings: Path) -> None:
    recording = load(recordings, "14_subscribe_after_failover_timeout")
    info = recording["request"]["body"]["subscribe"]["framework_info"]
    recorded_id = info["id"]["value"]
    first = {name: value for name, value in info.items() if name != "id"} | {"failover_timeout": 0.2}
    scheduler = Scheduler(cluster.port, first)
    offer = scheduler.offer()
    scheduler.launch(offer, scheduler.task("fto-1", offer, "sleep 60"))
    scheduler.update("fto-1", "TASK_RUNNING")
    scheduler.close()
    cluster.events.take("FRAMEWORK_REMOVED", lambda event: scheduler.id in json.dumps(event))
    replay = Replay.__new__(Replay)
    replay.translation, replay.rewritten = {recorded_id: scheduler.id}, {}
    assert _events_of(cluster, replay, recording) == ["ERROR"]


def test_a_protobuf_stream_is_as_recorded(cluster: Cluster, recordings: Path) -> None:
    recording = load(recordings, "07_protobuf_stream")
    headers = dict(recording["request"]["headers"])
    stream = Stream(cluster.port, PATH, recording["request"]["body"], Accept=headers["Accept"])
    stream.wait(lambda: len(stream.records) >= len(recording["events"]), "three records")
    ours = [_read(record) for record in stream.records]
    recorded = [_read(base64.b64decode(event["base64"])) for event in recording["events"]]
    framework_id = ours[0]["subscribed"]["framework_id"]["value"]
    teardown = {"type": "TEARDOWN", "framework_id": {"value": framework_id}}
    ask(cluster.port, "POST", PATH, teardown, Mesos_Stream_Id=stream.headers["mesos-stream-id"])
    stream.close()
    assert set(stream.headers) == {name.lower() for name, _ in recording["response"]["headers"]}
    assert stream.headers["content-type"] == headers["Accept"]
    assert [_without_numbers(one) for one in ours] == [_without_numbers(one) for one in recorded]


def _read(record: bytes) -> Json:
    found: Json = json.loads(msgspec.json.encode(protobuf.decode(wire.Event, record)))
    return found


def _without_numbers(event: Json) -> Json:
    """What two clusters have in common: `O14` of one may be `O3` of the other, and each lists resources in its own order."""
    for offer in event.get("offers", {}).get("offers", []):
        offer["resources"].sort(key=lambda resource: str(resource["name"]))
    found: Json = json.loads(re.sub(r"\*-(?:O\d+|\d{4})", "*", json.dumps(normal(event))))
    return found


CONSTRAINT_CASES = (
    "equals_r1", "equals_r9", "not_equals_r1", "matches", "bad_regex", "exists", "not_exists", "hostname", "empty_group",
    "no_groups", "other_role",
)  # fmt: skip


@pytest.mark.parametrize("name", CONSTRAINT_CASES)
def test_offer_constraints_let_through_what_the_recorded_ones_did(
    cluster: Cluster, recordings: Path, name: str
) -> None:
    cases = load(recordings, "15_offer_constraints")["cases"]
    assert [case["name"] for case in cases] == list(CONSTRAINT_CASES)
    (case,) = (case for case in cases if case["name"] == name)
    recorded = [event["event"] for event in case["events"] if event["event"]["type"] != "HEARTBEAT"]
    if recorded[0]["type"] == "ERROR":
        stream = Stream(cluster.port, PATH, case["request"]["body"])
        stream.until_over()
        stream.close()
        assert stream.events == recorded
        return
    subscribe = case["request"]["body"]["subscribe"]
    with Scheduler(
        cluster.port, subscribe["framework_info"], offer_constraints=subscribe["offer_constraints"]
    ) as scheduler:
        is_offered = any(event["type"] == "OFFERS" for event in recorded)
        assert scheduler.offers_come(WAIT_S_MAX if is_offered else QUIET_S) is is_offered
        framework = next(one for one in get(cluster.port, "/frameworks")["frameworks"] if one["id"] == scheduler.id)
        assert framework["offer_constraints"] == subscribe["offer_constraints"]
