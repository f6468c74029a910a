"""FEATURES 1F as a sceptical user would check it, on real processes.

Rules: what takes minutes by design (the agent's resending) is checked on the core itself, with a clock of the test's own.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from merismos.core.status_updates import StatusUpdates
from merismos.protocol.link import UpdateStatus
from process.sessions.cluster import Cluster
from process.sessions.scheduler import MODERN, PATH, Scheduler, amounts_of, ask, framework_info, get, operate, until
from process.sessions.streams import QUIET_S, Json, Stream

pytestmark = pytest.mark.process


def launch(scheduler: Scheduler, task_id: str, command: str = "sleep 60", **more: object) -> Json:
    """Start a task and return its last status once it runs."""
    offer = scheduler.offer()
    scheduler.launch(offer, scheduler.task(task_id, offer, command, **more))
    return scheduler.update(task_id, "TASK_RUNNING")


def _tasks(port: int, framework_id: str) -> dict[str, str]:
    return {one["id"]: one["state"] for one in get(port, "/tasks")["tasks"] if one["framework_id"] == framework_id}


# ---------------------------------------------------------------- F1


def test_f1_a_second_scheduler_takes_over_and_the_tasks_stay(cluster: Cluster) -> None:
    first = Scheduler(cluster.port, framework_info(failover_timeout=60.0))
    launch(first, "stays")
    info = first.info | {"id": {"value": first.id}}
    with Scheduler(cluster.port, info) as second:
        assert second.id == first.id
        assert first.stream.take("ERROR")["error"] == {"message": "Framework failed over"}
        first.stream.until_over()
        assert first.send({"type": "REVIVE", "framework_id": {"value": first.id}})[0] == 400
        first.close()
        second.call("RECONCILE", {"tasks": []})
        status = second.update("stays")
        assert (status["state"], status["reason"]) == ("TASK_RUNNING", "REASON_RECONCILIATION")
        second.kill("stays")
        second.update("stays", "TASK_KILLED")


def test_f1_updates_that_nobody_heard_are_told_to_the_next_scheduler(cluster: Cluster) -> None:
    first = Scheduler(cluster.port, framework_info(failover_timeout=60.0))
    offer = first.offer()
    first.launch(offer, first.task("short", offer, "exit 4"))
    unheard = first.stream.take("UPDATE")["update"]["status"]
    first.close()
    with Scheduler(cluster.port, first.info | {"id": {"value": first.id}}) as second:
        again = second.stream.take("UPDATE", within_s=5.0)["update"]["status"]
        assert (again["state"], again["uuid"]) == ("TASK_STARTING", unheard["uuid"])
        second.acknowledge(again)
        assert second.update("short", "TASK_FAILED")["message"] == "Command exited with status 4"


def test_f1_after_the_failover_timeout_all_is_torn_down(cluster: Cluster) -> None:
    scheduler = Scheduler(cluster.port, framework_info(failover_timeout=0.2))
    pid = launch(scheduler, "orphan")["container_status"]["executor_pid"]
    assert Path(f"/proc/{pid}").exists()
    scheduler.close()
    cluster.events.take("FRAMEWORK_REMOVED", lambda event: scheduler.id in json.dumps(event))
    completed = next(
        one for one in get(cluster.port, "/frameworks")["completed_frameworks"] if one["id"] == scheduler.id
    )
    assert [task["state"] for task in completed["completed_tasks"]] == ["TASK_KILLED"]
    until(cluster.agents[0].port, "/state", lambda state: not _is_among(state["frameworks"], scheduler.id))
    assert not Path(f"/proc/{pid}").exists()


def _is_among(frameworks: list[Json], framework_id: str) -> bool:
    return any(one["id"] == framework_id for one in frameworks)


# ---------------------------------------------------------------- F4


def test_f4_an_update_that_is_not_acknowledged_comes_again_with_the_same_uuid() -> None:
    streams = StatusUpdates()
    streams.connect(0.0)
    update = UpdateStatus("f", "t", "TASK_RUNNING", "TASK_RUNNING", b"0123456789abcdef", b"{}")
    assert streams.append(update, 0.0) is not None
    waits, now = [], 0.0
    for _ in range(9):
        due = streams.next_deadline()
        assert due is not None
        waits.append(due - now)
        now = due
        assert [again.uuid for again in streams.resend_due(now)] == [update.uuid]
    assert waits == [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0, 600.0, 600.0]
    assert streams.acknowledge("f", "t", b"another one's id", now) is None
    assert streams.acknowledge("f", "t", update.uuid, now) is not None
    assert streams.next_deadline() is None


def test_f4_updates_come_in_order_one_in_flight_and_a_wrong_acknowledgement_moves_nothing(cluster: Cluster) -> None:
    with Scheduler(cluster.port) as scheduler:
        offer = scheduler.offer()
        scheduler.launch(offer, scheduler.task("ordered", offer))
        starting = scheduler.stream.take("UPDATE")["update"]["status"]
        assert starting["state"] == "TASK_STARTING"
        scheduler.acknowledge(starting | {"uuid": base64.b64encode(b"0123456789abcdef").decode()})
        assert scheduler.stream.stays_without("UPDATE", QUIET_S)
        scheduler.acknowledge(starting)
        assert scheduler.update("ordered")["state"] == "TASK_RUNNING"
        scheduler.acknowledge(starting)
        assert scheduler.update("ordered")["state"] == "TASK_FINISHED"


# ---------------------------------------------------------------- F5, F6


def test_f5_reconciliation_answers_for_known_and_unknown_tasks(cluster: Cluster) -> None:
    agent_id = {"value": cluster.agents[0].id}
    with Scheduler(cluster.port) as scheduler:
        launch(scheduler, "known")
        asked = [
            {"task_id": {"value": "known"}, "agent_id": agent_id}, {"task_id": {"value": "no-agent"}},
            {"task_id": {"value": "strange"}, "agent_id": {"value": "strange-S9"}},
            {"task_id": {"value": "unknown"}, "agent_id": agent_id},
        ]  # fmt: skip
        scheduler.call("RECONCILE", {"tasks": asked})
        answers = {name: scheduler.update(name) for name in ("known", "no-agent", "strange", "unknown")}
        assert {name: status["state"] for name, status in answers.items()} == {
            "known": "TASK_RUNNING", "no-agent": "TASK_UNKNOWN", "strange": "TASK_UNKNOWN", "unknown": "TASK_GONE",
        }  # fmt: skip
        assert {status["reason"] for status in answers.values()} == {"REASON_RECONCILIATION"}
        assert not any("uuid" in status for status in answers.values())
        scheduler.call("RECONCILE", {"tasks": []})
        assert scheduler.update("known")["state"] == "TASK_RUNNING"
        assert scheduler.stream.stays_without("UPDATE", QUIET_S), "an implicit one is about known tasks only"


@pytest.mark.parametrize("knows", [True, False])
def test_f6_tasks_of_an_agent_that_is_silent_are_unreachable_and_run_again_when_it_is_back(
    impatient: Cluster, *, knows: bool
) -> None:
    agent = impatient.agents[0]
    capabilities = MODERN if knows else ("MULTI_ROLE",)
    with Scheduler(impatient.port, framework_info(capabilities=capabilities)) as scheduler:
        running = launch(scheduler, "away")
        agent.freeze()
        try:
            status = scheduler.update("away")
            assert status["state"] == ("TASK_UNREACHABLE" if knows else "TASK_LOST")
            assert (status["source"], status["reason"]) == ("SOURCE_MASTER", "REASON_AGENT_REMOVED")
            assert status["unreachable_time"]["nanoseconds"] > 0
            assert scheduler.stream.take("FAILURE")["failure"] == {"agent_id": {"value": agent.id}}
            scheduler.call("RECONCILE", {"tasks": [{"task_id": {"value": "away"}, "agent_id": {"value": agent.id}}]})
            again = scheduler.update("away")
            assert (again["state"], again["reason"]) == (status["state"], "REASON_RECONCILIATION")
        finally:
            agent.thaw()
        status = scheduler.update("away")
        assert (status["state"], status["reason"]) == ("TASK_RUNNING", "REASON_AGENT_REREGISTERED")
        pid = running["container_status"]["executor_pid"]
        assert Path(f"/proc/{pid}").exists(), "the task itself never noticed"
        assert amounts_of(scheduler.offer()["resources"])["cpus"] == 3.9


# ---------------------------------------------------------------- F7


def _invalid(scheduler: Scheduler) -> Json:
    offer = scheduler.offer()
    scheduler.launch(offer, scheduler.task("t", offer, cpus=1000))
    return scheduler.update("t")


def _stale(scheduler: Scheduler) -> Json:
    offer = scheduler.offer()
    scheduler.decline(offer, 0.0)
    scheduler.launch(offer, scheduler.task("t", offer))
    return scheduler.update("t")


def _group(scheduler: Scheduler) -> Json:
    offer = scheduler.offer()
    group = {
        "executor": {"executor_id": {"value": "e"}, "type": "DEFAULT"},
        "task_group": {"tasks": [scheduler.task("t", offer), scheduler.task("other", offer, cpus=1000)]},
    }
    scheduler.accept([offer], [{"type": "LAUNCH_GROUP", "launch_group": group}])
    return scheduler.update("t")


def _unfetched(scheduler: Scheduler) -> Json:
    offer = scheduler.offer()
    task = scheduler.task("t", offer) | {"command": {"value": "true", "uris": [{"value": "file:///no/such/file"}]}}
    scheduler.launch(offer, task)
    return scheduler.update("t")


def _too_long(scheduler: Scheduler) -> Json:
    launch(scheduler, "t", max_completion_time={"nanoseconds": 1})
    return scheduler.update("t")


def _asked(scheduler: Scheduler) -> Json:
    scheduler.call("RECONCILE", {"tasks": [{"task_id": {"value": "t"}}]})
    return scheduler.update("t")


REASONS: list[tuple[str, str, str, Callable[[Scheduler], Json]]] = [
    ("TASK_ERROR", "SOURCE_MASTER", "REASON_TASK_INVALID", _invalid),
    ("TASK_ERROR", "SOURCE_MASTER", "REASON_TASK_GROUP_INVALID", _group),
    ("TASK_DROPPED", "SOURCE_MASTER", "REASON_INVALID_OFFERS", _stale),
    ("TASK_UNKNOWN", "SOURCE_MASTER", "REASON_RECONCILIATION", _asked),
    ("TASK_FAILED", "SOURCE_AGENT", "REASON_CONTAINER_LAUNCH_FAILED", _unfetched),
    ("TASK_FAILED", "SOURCE_EXECUTOR", "REASON_MAX_COMPLETION_TIME_REACHED", _too_long),
]
"""What a scheduler can bring about by itself. REASON_AGENT_REMOVED and REASON_AGENT_REREGISTERED: F6 above. Unit tests of the
master and the agent hold REASON_TASK_KILLED_DURING_LAUNCH, REASON_AGENT_REMOVED_BY_OPERATOR and REASON_EXECUTOR_TERMINATED."""


@pytest.mark.parametrize(("state", "source", "reason", "provoke"), REASONS, ids=[row[2] for row in REASONS])
def test_f7_each_reason_is_told_with_its_state_and_source(
    cluster: Cluster, state: str, source: str, reason: str, provoke: Callable[[Scheduler], Json]
) -> None:
    with Scheduler(cluster.port) as scheduler:
        status = provoke(scheduler)
        assert (status["state"], status["source"], status["reason"]) == (state, source, reason)
        assert ("uuid" in status) is (source != "SOURCE_MASTER")
        assert status["message"]


def test_f7_a_framework_that_is_removed_says_so_of_its_tasks(cluster: Cluster) -> None:
    with Scheduler(cluster.port) as scheduler:
        launch(scheduler, "t")
        operate(cluster.port, "TEARDOWN", teardown={"framework_id": {"value": scheduler.id}})
        scheduler.stream.until_over()
        event = cluster.events.take("TASK_UPDATED", lambda event: _is_end_of(event, scheduler.id))
        status = event["task_updated"]["status"]
        assert (status["state"], status["reason"]) == ("TASK_KILLED", "REASON_FRAMEWORK_REMOVED")


def _is_end_of(event: Json, framework_id: str) -> bool:
    updated = event["task_updated"]
    return bool(updated["framework_id"]["value"] == framework_id and updated["state"] == "TASK_KILLED")


# ---------------------------------------------------------------- F8


def test_f8_a_kill_before_anything_runs_ends_the_task(cluster: Cluster) -> None:
    with Scheduler(cluster.port) as scheduler:
        offer = scheduler.offer()
        scheduler.launch(offer, scheduler.task("early", offer, "sleep 60"))
        scheduler.kill("early")
        status = scheduler.update("early", "TASK_KILLED")
        assert status["state"] == "TASK_KILLED"


def test_f8_shutdown_is_for_executors_of_ones_own_so_a_command_task_lives_on_as_in_mesos(cluster: Cluster) -> None:
    with Scheduler(cluster.port) as scheduler:
        launch(scheduler, "shut")
        scheduler.call("SHUTDOWN", {"executor_id": {"value": "shut"}, "agent_id": {"value": cluster.agents[0].id}})
        scheduler.call("RECONCILE", {"tasks": []})
        assert scheduler.update("shut")["state"] == "TASK_RUNNING"


def test_f8_a_message_is_accepted_and_a_task_without_an_executor_of_its_own_lives_on(cluster: Cluster) -> None:
    with Scheduler(cluster.port) as scheduler:
        launch(scheduler, "deaf")
        message = {"executor_id": {"value": "deaf"}, "agent_id": {"value": cluster.agents[0].id}, "data": "aGk="}
        scheduler.call("MESSAGE", message)
        scheduler.call("RECONCILE", {"tasks": []})
        assert scheduler.update("deaf")["state"] == "TASK_RUNNING"


def test_f8_teardown_ends_the_stream_and_every_task_and_the_id_is_spent(cluster: Cluster) -> None:
    scheduler = Scheduler(cluster.port)
    pid = launch(scheduler, "t")["container_status"]["executor_pid"]
    scheduler.call("TEARDOWN")
    scheduler.stream.until_over()
    assert scheduler.stream.has_ended
    assert scheduler.send({"type": "REVIVE", "framework_id": {"value": scheduler.id}}) == (
        400,
        b"Framework cannot be found",
    )
    scheduler.close()
    until(cluster.agents[0].port, "/state", lambda state: not _is_among(state["frameworks"], scheduler.id))
    assert not Path(f"/proc/{pid}").exists()
    info = scheduler.info | {"id": {"value": scheduler.id}}
    body = {"type": "SUBSCRIBE", "subscribe": {"framework_info": info}, "framework_id": info["id"]}
    stream = Stream(cluster.port, PATH, body)
    stream.until_over()
    stream.close()
    assert [event["error"]["message"] for event in stream.events] == ["Framework has been removed"]


def test_f8_each_call_answers_202_without_a_body_or_content_type(cluster: Cluster) -> None:
    with Scheduler(cluster.port) as scheduler:
        for kind in ("REVIVE", "SUPPRESS"):
            call = {"type": kind, "framework_id": {"value": scheduler.id}}
            status, headers, body = ask(cluster.port, "POST", PATH, call, Mesos_Stream_Id=scheduler.stream_id)
            assert (status, body, headers["content-length"]) == (202, b"", "0")
            assert "content-type" not in headers


# ---------------------------------------------------------------- a master that comes back


def test_a_master_that_restarts_gets_its_agents_and_tasks_back(tmp_path: Path) -> None:
    """F2 and E3 as far as one master goes: the registry is on disk, the rest is told by the agents."""
    with Cluster(tmp_path) as cluster:
        info = framework_info(failover_timeout=60.0)
        first = Scheduler(cluster.port, info)
        pid = launch(first, "survivor")["container_status"]["executor_pid"]
        agent = cluster.agents[0]
        first.close()
        cluster.restart_master()
        with Scheduler(cluster.port, info | {"id": {"value": first.id}}) as second:
            assert second.id == first.id
            until(cluster.port, "/slaves", lambda found: [one["id"] for one in found["slaves"]] == [agent.id])
            asked = [{"task_id": {"value": "survivor"}, "agent_id": {"value": agent.id}}]
            second.call("RECONCILE", {"tasks": asked})
            # An acknowledgement that died with the master lets the agent tell it once more first.
            while (status := second.update("survivor")).get("reason") != "REASON_RECONCILIATION":
                assert status["state"] in {"TASK_STARTING", "TASK_RUNNING"}
            assert status["state"] == "TASK_RUNNING"
            assert Path(f"/proc/{pid}").exists()
            assert amounts_of(second.offer()["resources"])["cpus"] == 3.9
            assert _tasks(cluster.port, first.id) == {"survivor": "TASK_RUNNING"}
            second.kill("survivor")
            second.update("survivor", "TASK_KILLED")
