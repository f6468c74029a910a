"""Frameworks that use agents of scheduled machines are asked to leave."""

from __future__ import annotations

import msgspec
import pytest

from merismos.core.master import events as happened
from merismos.core.master.state import Config
from merismos.core.master.views.frameworks import framework_v1
from merismos.protocol import json, link
from unit.master.rig import Json, Rig, Scheduler, framework_info, record_of, running, value
from unit.master.test_maintenance import HERE, LATER, WHEN, next_leader, schedule, start, status_of


def asked(framework: Scheduler) -> list[Json]:
    """Inverse offers that were sent and are still valid."""
    sent = [one for event in framework.of("INVERSE_OFFERS") for one in event["inverse_offers"]["inverse_offers"]]
    return [one for one in sent if one["id"]["value"] in framework.rig.master.inverse_offers]


def answer(framework: Scheduler, kind: str, refuse_s: float | None = None) -> None:
    ids = [one["id"] for one in asked(framework)]
    filters = {} if refuse_s is None else {"filters": {"refuse_seconds": refuse_s}}
    status, _ = framework.call(
        f"{kind}_INVERSE_OFFERS", **{f"{kind.lower()}_inverse_offers": {"inverse_offer_ids": ids} | filters}
    )
    assert status == 202


def scheduled() -> tuple[Rig, Scheduler, str]:
    rig = Rig()
    framework, agent = running(rig)
    rig.operate(schedule(HERE))
    rig.advance(0.5)
    return rig, framework, agent.id


def test_a_framework_with_a_task_is_asked_once_to_leave() -> None:
    rig, framework, agent_id = scheduled()
    (one,) = asked(framework)
    url = {"scheme": "http", "address": {"hostname": "localhost", "ip": "127.0.0.1", "port": 5051}, "path": "/slave(1)"}
    assert one == {
        "id": one["id"],
        "url": url,
        "framework_id": value(framework.id),
        "agent_id": value(agent_id),
        "unavailability": WHEN,
    }
    rig.advance(20)
    assert len(framework.of("INVERSE_OFFERS")) == 1
    listed = msgspec.json.decode(json.encode(framework_v1(rig.master, framework.record)))
    assert listed["inverse_offers"] == [one]


def test_offers_are_made_anew_when_their_agents_maintenance_is_planned_changed_or_called_off() -> None:
    rig = Rig()
    rig.agent()
    framework = rig.subscribe()
    for call, planned in ((schedule(HERE), True), (schedule(HERE, when=LATER), True), (schedule(), False)):
        (before,) = framework.offers()
        rig.operate(call)
        assert framework.of("RESCIND")[-1]["rescind"]["offer_id"] == before["id"]
        rig.advance(0.5)
        (offer,) = framework.offers()
        agent = rig.master.offers[offer["id"]["value"]].agent
        assert (agent.unavailability is not None) is planned
    rescinded = len(framework.of("RESCIND"))
    rig.operate(schedule({"hostname": "another"}))
    assert len(framework.of("RESCIND")) == rescinded


def test_a_new_agent_of_a_scheduled_machine_is_offered_with_its_unavailability() -> None:
    rig = Rig()
    rig.operate(schedule(HERE))
    rig.agent()
    framework = rig.subscribe()
    rig.advance(1.1)
    (offer,) = framework.offers()
    assert rig.master.offers[offer["id"]["value"]].agent.unavailability is not None
    assert asked(framework)


@pytest.mark.parametrize(("kind", "status"), [("ACCEPT", "ACCEPT"), ("DECLINE", "DECLINE")])
def test_operators_read_what_a_framework_answered(kind: str, status: str) -> None:
    rig, framework, _ = scheduled()
    assert status_of(rig) == {"draining_machines": [{"id": HERE}]}
    answer(framework, kind)
    at = {"nanoseconds": int(rig.wall() * 1e9)}
    statuses = [{"status": status, "framework_id": value(framework.id), "timestamp": at}]
    assert status_of(rig) == {"draining_machines": [{"id": HERE, "statuses": statuses}]}


@pytest.mark.parametrize(("refuse_s", "pause_s"), [(None, 5.0), (1.0, 1.0), (60.0, 60.0), (-3.0, 5.0)])
def test_a_framework_that_answered_is_asked_again_when_its_filter_ends(refuse_s: float | None, pause_s: float) -> None:
    rig, framework, _ = scheduled()
    answer(framework, "DECLINE", refuse_s)
    rig.advance(pause_s - 0.1)
    assert asked(framework) == []
    rig.advance(1.2)
    assert len(asked(framework)) == 1


def test_ids_that_are_no_longer_valid_or_anothers_are_passed_over() -> None:
    rig, framework, _ = scheduled()
    other = rig.subscribe(framework_info("other"))
    body = {"inverse_offer_ids": [one["id"] for one in asked(framework)] + [value("unknown")]}
    assert other.call("ACCEPT_INVERSE_OFFERS", accept_inverse_offers=body) == (202, "")
    assert len(asked(framework)) == 1
    assert status_of(rig) == {"draining_machines": [{"id": HERE}]}


@pytest.mark.parametrize("call", [schedule(), schedule(HERE, when=LATER), start(HERE)])
def test_an_inverse_offer_is_rescinded_when_the_plan_changes(call: Json) -> None:
    rig, framework, _ = scheduled()
    (one,) = asked(framework)
    rig.operate(call)
    (rescinded,) = framework.of("RESCIND_INVERSE_OFFER")
    assert rescinded["rescind_inverse_offer"] == {"inverse_offer_id": one["id"]}


def test_what_was_answered_to_another_plan_counts_no_more() -> None:
    rig, framework, _ = scheduled()
    answer(framework, "ACCEPT", 1000.0)
    rig.operate(schedule(HERE, when=LATER))
    rig.advance(0.5)
    assert status_of(rig) == {"draining_machines": [{"id": HERE}]}
    (one,) = asked(framework)
    assert one["unavailability"] == LATER


def test_an_unanswered_inverse_offer_times_out_as_offers_do_and_comes_again() -> None:
    config = Config()
    config.offer_timeout_s = 10.0
    rig = Rig(config)
    framework, _ = running(rig)
    rig.operate(schedule(HERE))
    rig.advance(0.1)
    (first,) = asked(framework)
    rig.advance(12)
    (second,) = asked(framework)
    assert first["id"] != second["id"]
    assert len(framework.of("RESCIND_INVERSE_OFFER")) == 1


def test_an_agent_whose_link_is_down_asks_nobody_until_it_is_back() -> None:
    rig = Rig()
    framework, agent = running(rig)
    rig.operate(schedule(HERE))
    rig.advance(0.5)
    rig.handle(happened.LinkClosed(agent.link))
    assert asked(framework) == []
    rig.advance(5)
    assert asked(framework) == []
    rig.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id)])
    rig.advance(1.5)
    assert len(asked(framework)) == 1


def test_a_framework_whose_scheduler_is_away_is_asked_when_it_is_back() -> None:
    rig, framework, _ = scheduled()
    rig.hang_up(framework)
    assert not rig.master.inverse_offers
    rig.advance(5)
    info = framework_info(id=value(framework.id))
    back = rig.subscribe(info)
    rig.advance(1.5)
    assert len(asked(back)) == 1


def test_a_framework_that_ends_takes_its_inverse_offers_and_answers_with_it() -> None:
    rig, framework, _ = scheduled()
    answer(framework, "ACCEPT", 0.0)
    rig.advance(1.5)
    assert len(asked(framework)) == 1
    framework.call("TEARDOWN")
    assert not rig.master.inverse_offers
    assert status_of(rig) == {"draining_machines": [{"id": HERE}]}


def test_a_new_leader_asks_again_and_keeps_no_answers() -> None:
    rig, framework, agent_id = scheduled()
    answer(framework, "ACCEPT", 1000.0)
    leader = next_leader(rig)
    again = leader.reregister(agent_id)
    assert again.of(link.AgentRegistered)
    assert status_of(leader) == {"draining_machines": [{"id": HERE}]}
    back = leader.subscribe(framework_info(id=value(framework.id)))
    leader.advance(1.5)
    assert len(asked(back)) == 1


def test_nobody_is_asked_where_nothing_is_planned() -> None:
    rig = Rig()
    framework, _ = running(rig)
    rig.advance(30)
    assert framework.of("INVERSE_OFFERS") == []
    rig.operate(schedule(HERE))
    rig.operate(schedule())
    rig.advance(30)
    assert ("inverse_offers", "") not in rig.master.deadlines
