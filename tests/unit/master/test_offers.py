from __future__ import annotations

from merismos.core.master.state import Config
from unit.master.rig import MASTER_ID, Rig, framework_info, launch, resources, task


def test_offers_are_numbered_under_the_master() -> None:
    rig = Rig()
    rig.agent()
    framework = rig.subscribe()
    (offer,) = framework.offers()
    assert offer["id"]["value"] == f"{MASTER_ID}-O0"


def test_an_offer_that_nobody_answers_is_rescinded_and_made_again() -> None:
    rig = Rig()
    rig.agent()
    framework = rig.subscribe()
    (offer,) = framework.offers()
    rig.advance(59.9)
    assert framework.of("RESCIND") == []
    rig.advance(0.2)
    assert framework.of("RESCIND") == [{"type": "RESCIND", "rescind": {"offer_id": offer["id"]}}]
    rig.advance(2)
    (again,) = framework.offers()
    assert again["id"] != offer["id"]
    assert framework.record.decisions[-1].reason == "offer_timeout"


def test_an_offer_timeout_of_zero_means_never() -> None:
    config = Config()
    config.offer_timeout_s = 0.0
    rig = Rig(config)
    rig.agent()
    framework = rig.subscribe()
    rig.advance(1000)
    assert framework.of("RESCIND") == []


def test_offers_time_out_oldest_first_whatever_was_answered_between() -> None:
    rig = Rig()
    framework = rig.subscribe()
    for port in range(3):
        rig.agent(pid=f"slave(1)@127.0.0.1:{port}")
        rig.advance(10)
    first, second, third = framework.offers()
    framework.accept([second], launch(task("t-1", second, need="cpus:4;mem:2048")))
    rig.advance(51)
    assert [event["rescind"]["offer_id"] for event in framework.of("RESCIND")] == [
        first["id"],
        third["id"],
    ]


def test_an_agent_whose_link_is_down_takes_its_offers_along() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    (offer,) = framework.offers()
    agent.close()
    assert framework.of("RESCIND") == [{"type": "RESCIND", "rescind": {"offer_id": offer["id"]}}]
    rig.advance(10)
    assert framework.offers() == []


def test_suppress_stops_offers_and_revive_clears_filters() -> None:
    rig = Rig()
    rig.agent()
    framework = rig.subscribe()
    (offer,) = framework.offers()
    framework.call("DECLINE", decline={"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 1e9}})
    framework.call("SUPPRESS")
    rig.advance(20)
    assert framework.offers() == []
    framework.call("REVIVE")
    rig.advance(0.01)
    assert framework.offers()
    assert framework.record.suppressed == {}


def test_a_role_is_suppressed_alone() -> None:
    rig = Rig()
    rig.agent()
    rig.agent(pid="slave(1)@127.0.0.1:5052")
    framework = rig.subscribe(framework_info(roles=("a", "b")), suppressed_roles=["a"])
    rig.advance(2)
    assert {offer["role"] for offer in framework.offers()} == {"b"}
    assert list(framework.record.suppressed) == ["a"]


def test_a_changed_framework_info_is_taken_over() -> None:
    rig = Rig()
    framework = rig.subscribe()
    info = framework_info("renamed", roles=("golden", "more"), id={"value": framework.id})
    assert framework.call("UPDATE_FRAMEWORK", update_framework={"framework_info": info}) == (200, "")
    assert framework.record.info.name == "renamed"
    assert framework.record.roles == ["golden", "more"]


def test_the_user_of_a_framework_can_not_be_changed() -> None:
    rig = Rig()
    framework = rig.subscribe()
    info = framework_info("x", user="other", checkpoint=False, id={"value": framework.id})
    message = (
        "FrameworkInfo update is not valid: Updating 'FrameworkInfo.user' is unsupported; attempted to update from 'root'"
        " to 'other'"
    )
    assert framework.call("UPDATE_FRAMEWORK", update_framework={"framework_info": info}) == (400, message)
    assert framework.record.info.name == "test"


def test_an_update_that_leaves_a_role_takes_its_offers_back() -> None:
    rig = Rig()
    rig.agent()
    framework = rig.subscribe()
    assert framework.offers()
    info = framework_info(roles=("other",), id={"value": framework.id})
    framework.call("UPDATE_FRAMEWORK", update_framework={"framework_info": info})
    assert len(framework.of("RESCIND")) == 1
    rig.advance(2)
    assert {offer["role"] for offer in framework.offers()} == {"other"}


def test_offers_are_counted_by_what_became_of_them() -> None:
    rig = Rig()
    rig.agent("cpus:1;mem:64")
    framework = rig.subscribe()
    framework.call("DECLINE", decline={"offer_ids": [framework.offers()[0]["id"]], "filters": {"refuse_seconds": 0}})
    rig.advance(2)
    framework.launch("t-1", need="cpus:1;mem:64")
    counters = framework.record.counters
    assert (counters["offers/sent"], counters["offers/declined"], counters["offers/accepted"]) == (2, 1, 1)


def test_a_request_is_remembered_for_who_asks_why_it_waits() -> None:
    rig = Rig()
    framework = rig.subscribe()
    wanted = [{"agent_id": {"value": "x"}, "resources": resources("cpus:2;mem:64")}, {"resources": resources("cpus:1")}]
    assert framework.call("REQUEST", request={"requests": wanted}) == (202, "")
    assert framework.record.demand is not None
    assert framework.record.demand.quantities() == {"cpus": 3000, "mem": 64_000}
    impossible = [{"resources": resources("cpus:-2")}]
    assert framework.call("REQUEST", request={"requests": impossible}) == (202, "")
    assert framework.record.demand is None
