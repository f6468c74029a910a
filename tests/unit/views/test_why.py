"""Every pending thing is explained: one test for each answer that `why` has, read as `/why` and `merismos why` read it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from merismos.core.master.state import Config
from merismos.core.master.views.why import why
from unit.master.rig import ALL, Json, Peer, Rig, Scheduler, framework_info, launch, resources, task


def asked(rig: Rig, **query: str) -> Json:
    answer = why(rig.master, query, rig.now)
    assert list(answer)[:6] == ["subject", "kind", "summary", "reasons", "nearest", "decisions"]
    return answer


def of(rig: Rig, scheduler: Scheduler, wanted: str = "") -> Json:
    return asked(rig, framework=scheduler.id, resources=wanted)


def kinds(answer: Json) -> dict[str, int]:
    return {reason["reason"]: reason["count"] for reason in answer["reasons"]}


def cluster(*frameworks: str, **agent: Any) -> tuple[Rig, Peer, list[Scheduler]]:  # noqa: ANN401 - JSON
    rig = Rig(Config())
    peer = rig.agent(**agent)
    return rig, peer, [rig.subscribe(framework_info(name)) for name in frameworks]


@pytest.mark.parametrize(
    ("wanted", "name", "has"),
    [("cpus:999", "cpus", "4 of 999"), ("cpus:1;mem:4096", "mem", "2048 of 4096"), ("gpus:1", "gpus", "0 of 1")],
)
def test_too_little_of_a_resource_names_it_and_the_nearest_agent(wanted: str, name: str, has: str) -> None:
    rig, peer, (waiting,) = cluster("waiting")
    answer = of(rig, waiting, wanted)
    assert kinds(answer) == {"too_small": 1}
    assert f"short of {name} (nearest has {has})" in answer["summary"]
    assert answer["nearest"]["agent_id"] == peer.id
    assert answer["nearest"]["message"].endswith(f"{name} {has}")


def test_what_a_scheduler_requested_is_what_it_is_judged_by() -> None:
    rig, _, (waiting,) = cluster("waiting")
    waiting.call("REQUEST", request={"requests": [{"resources": resources("cpus:999")}]})
    assert kinds(of(rig, waiting)) == {"too_small": 1}


def test_a_framework_that_is_suppressed_is_told_what_to_do() -> None:
    rig, _, (waiting,) = cluster("waiting")
    waiting.call("SUPPRESS")
    answer = of(rig, waiting)
    assert kinds(answer) == {"standing": 0}
    assert "REVIVE" in answer["summary"]


def test_a_decline_says_how_long_it_still_lasts_and_stays_in_the_journal() -> None:
    rig, _, (waiting,) = cluster("waiting")
    (offer,) = waiting.offers()
    waiting.call("DECLINE", decline={"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 60.0}})
    rig.advance(10.0)
    answer = of(rig, waiting)
    assert kinds(answer) == {"filtered": 1}
    assert re.search(r"filtered for 5[01] s more", answer["summary"])
    decision = answer["decisions"][-1]
    assert (decision["reason"], decision["role"]) == ("declined", "golden")
    assert decision["until"] == pytest.approx(rig.wall() + 50.0, abs=1.0)


def test_an_offer_constraint_is_the_reason() -> None:
    rig = Rig(Config())
    rig.agent()
    attribute = {"selector": {"attribute_name": "rack"}, "predicate": {"exists": {}}}
    group = {"groups": [{"attribute_constraints": [attribute]}]}
    waiting = rig.subscribe(framework_info("waiting"), offer_constraints={"role_constraints": {"golden": group}})
    assert kinds(of(rig, waiting)) == {"constraint": 1}


def test_a_capability_that_is_missing_is_the_reason() -> None:
    rig = Rig(Config())
    rig.agent("cpus:4;mem:2048;gpus:1")
    plain = rig.subscribe(framework_info("plain"))
    answer = of(rig, plain)
    assert kinds(answer) == {"gpu": 1}
    assert "GPU_RESOURCES" in answer["summary"]
    able = rig.subscribe(framework_info("able", capabilities=(*ALL, "GPU_RESOURCES")))
    rig.advance(2.0)
    assert kinds(of(rig, able)) == {"offered": 1}


def test_an_offer_that_another_framework_holds_is_the_reason() -> None:
    rig, _, (holder, waiting) = cluster("holder", "waiting")
    assert kinds(of(rig, holder)) == {"offered": 1}
    assert kinds(of(rig, waiting, "cpus:1")) == {"held": 1}


def test_work_that_others_use_is_the_reason() -> None:
    rig, peer, (busy, waiting) = cluster("busy", "waiting")
    busy.launch("t", need="cpus:3.5;mem:32")
    for offer in [*busy.offers(), *waiting.offers()]:
        (busy if offer in busy.offers() else waiting).call("DECLINE", decline={"offer_ids": [offer["id"]]})
    answer = of(rig, waiting, "cpus:1")
    assert "short of free cpus (nearest has 0.5 of 1)" in answer["summary"]
    assert answer["nearest"]["hostname"] == peer.record.hostname


def test_a_cluster_without_agents_says_so() -> None:
    rig = Rig(Config())
    waiting = rig.subscribe(framework_info("waiting"))
    assert of(rig, waiting)["summary"] == "there are no agents"


def test_an_agent_that_an_operator_took_out_or_that_is_away_is_the_reason() -> None:
    rig, peer, (waiting,) = cluster("waiting")
    peer.close()
    assert kinds(of(rig, waiting)) == {"inactive": 1}


def test_a_scheduler_that_hung_up_is_the_reason() -> None:
    rig, _, (waiting,) = cluster("waiting")
    rig.hang_up(waiting)
    assert "not connected" in of(rig, waiting)["summary"]


def test_each_role_of_a_framework_is_explained() -> None:
    rig = Rig(Config())
    rig.agent()
    waiting = rig.subscribe(framework_info("waiting", roles=("a", "b")))
    waiting.call("SUPPRESS", suppress={"roles": ["b"]})
    answer = of(rig, waiting)
    assert "in role a: 1 agent: 1 offered" in answer["summary"]
    assert "in role b: offers are suppressed" in answer["summary"]
    assert [reason["role"] for reason in answer["reasons"]] == ["a", "b"]


def test_a_role_says_its_share_its_weight_and_why_each_framework_in_it_waits() -> None:
    rig, _, (holder, waiting) = cluster("holder", "waiting")
    answer = asked(rig, role="golden", resources="cpus:1")
    assert answer["summary"].startswith("dominant share 1.000 at weight 1; holder: 1 agent: 1 offered")
    assert {reason["framework_id"]: reason["reason"] for reason in answer["reasons"]} == {
        holder.id: "offered",
        waiting.id: "held",
    }


def test_a_role_without_frameworks_says_that_nothing_is_offered_to_it() -> None:
    rig, _, _ = cluster("waiting")
    assert "no framework is subscribed in this role" in asked(rig, role="empty")["summary"]


def test_a_task_says_what_it_waits_for_and_how_it_ended() -> None:
    rig, peer, (owner,) = cluster("owner")
    owner.launch("t")
    assert "has not started it yet" in asked(rig, task="t")["summary"]
    peer.update(owner.id, "t", "TASK_RUNNING")
    assert "it runs" in asked(rig, task="t")["summary"]
    peer.update(
        owner.id, "t", "TASK_FAILED", message="Command exited with status 3", reason="REASON_COMMAND_EXECUTOR_FAILED"
    )
    said = asked(rig, task="t")["summary"]
    assert said.startswith(
        "it is over, TASK_FAILED (REASON_COMMAND_EXECUTOR_FAILED): Command exited with status 3; on agent "
    )


def test_a_task_that_was_refused_says_why_and_is_in_its_frameworks_journal() -> None:
    rig, _, (owner,) = cluster("owner")
    (offer,) = owner.offers()
    owner.accept([offer], launch(task("big", offer, need="cpus:999")))
    decision = of(rig, owner)["decisions"][-1]
    assert (decision["reason"], decision["task_id"]) == ("task_invalid", "big")
    answer = asked(rig, task="big")
    assert answer["summary"].startswith("it was refused when it was launched: Total resources cpus")
    assert (answer["framework_id"], answer["decisions"][-1]) == (owner.id, decision)


def test_who_asks_for_nothing_or_for_nobody_is_told_so() -> None:
    rig, _, _ = cluster()
    assert "?task=ID" in asked(rig)["summary"]
    assert "can't be read" in asked(rig, framework="x", resources="cpus:")["summary"]
    assert "knows no such framework" in asked(rig, framework="x")["summary"]
    assert "ask why of the framework" in asked(rig, task="x")["summary"]


def test_a_framework_that_is_over_is_told_from_one_that_never_was() -> None:
    rig, _, (ended,) = cluster("ended")
    identity = ended.id
    ended.call("TEARDOWN")
    assert asked(rig, framework=identity)["summary"] == "it is over"
