from __future__ import annotations

import pytest

from merismos.core.master.state import Config
from merismos.protocol import link
from unit.master.rig import MASTER_ID, Rig, framework_info, launch, running, task, value


def error_of(info: dict[str, object], **more: object) -> str:
    """The one ERROR that a subscription is refused with, on a stream that then ends."""
    rig = Rig()
    refused = rig.subscribe_only(info, **more)
    assert refused.status == 200
    assert not refused.is_open
    assert rig.master.frameworks == {}
    (event,) = refused.events
    assert event["type"] == "ERROR"
    return str(event["error"]["message"])


def test_a_subscription_opens_with_the_id_the_master_and_a_heartbeat() -> None:
    rig = Rig()
    framework = rig.subscribe_only(framework_info())
    assert [event["type"] for event in framework.events] == ["SUBSCRIBED", "HEARTBEAT"]
    assert framework.events[0]["subscribed"] == {
        "framework_id": {"value": f"{MASTER_ID}-0000"},
        "heartbeat_interval_seconds": 15.0,
        "master_info": {
            "id": MASTER_ID,
            "ip": 16777343,
            "port": 5050,
            "pid": "master@127.0.0.1:5050",
            "hostname": "localhost",
            "version": "1.12.0",
            "address": {"hostname": "localhost", "ip": "127.0.0.1", "port": 5050},
            "capabilities": [{"type": "AGENT_UPDATE"}, {"type": "AGENT_DRAINING"}, {"type": "QUOTA_V2"}],
        },
    }


def test_heartbeats_follow_every_fifteen_seconds_of_each_stream() -> None:
    rig = Rig()
    first = rig.subscribe_only(framework_info())
    rig.advance(5)
    second = rig.subscribe_only(framework_info("second"))
    rig.advance(41)
    assert len(first.of("HEARTBEAT")) == 4
    assert len(second.of("HEARTBEAT")) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"roles": ["a b"]}, "'FrameworkInfo.roles' contains invalid role: Role component 'a b' is invalid because it contains backspace or whitespace"),
        ({"roles": [".."]}, "'FrameworkInfo.roles' contains invalid role: Role '..' cannot include '..' as a component"),
        ({"roles": ["/a"]}, "'FrameworkInfo.roles' contains invalid role: Role '/a' cannot start with a slash"),
        ({"role": "z"}, "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable"),
        ({"roles": ["a", "a"]}, "'FrameworkInfo.roles' contains duplicate items: { a }"),
        ({"capabilities": []}, "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"),
        ({"failover_timeout": 1e30}, "The framework failover_timeout (1e+30) is invalid"),
        ({"id": {"value": "a/b"}}, "'a/b' contains invalid characters"),
    ],
)  # fmt: skip
def test_an_invalid_framework_gets_one_error_on_a_stream_that_ends(changes: dict[str, object], message: str) -> None:
    assert error_of(framework_info() | changes) == message


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ({"golden": {"groups": [{"attribute_constraints": [{"selector": {"attribute_name": "rack"}, "predicate": {"text_matches": {"regex": "["}}}]}]}},
         "Offer constraints are not valid: A role golden has an invalid 'AttributeConstraint': Failed to construct regex from pattern '[': missing ]: ["),
        ({"golden": {"groups": [{"attribute_constraints": []}]}},
         "Offer constraints are not valid: 'OfferConstraints::RoleConstraints::groups' for role goldencontains an empty RoleConstraints::Group"),
        ({"golden": {"groups": []}},
         "Offer constraints are not valid: 'OfferConstraints::role_constraints' has an empty 'RoleConstraints::groups' for role golden"),
        ({"zzz": {"groups": [{"attribute_constraints": [{"selector": {"attribute_name": "x"}, "predicate": {"exists": {}}}]}]}},
         "Offer constraints specify `role_constraints` for a role 'zzz'not contained in the set of roles"),
    ],
)  # fmt: skip
def test_invalid_offer_constraints_are_refused_in_mesos_words(constraints: dict[str, object], message: str) -> None:
    assert error_of(framework_info(), offer_constraints={"role_constraints": constraints}) == message


def test_a_negative_failover_timeout_is_accepted_as_in_mesos() -> None:
    rig = Rig()
    framework = rig.subscribe_only(framework_info(failover_timeout=-1.0))
    assert framework.is_open


def test_ids_inside_and_outside_of_the_call_must_agree() -> None:
    rig = Rig()
    refused = rig.subscribe_only(framework_info(id=value("b")), outer_id="a")
    message = "Failed to validate scheduler::Call: 'framework_id' differs from 'subscribe.framework_info.id'"
    assert (refused.status, refused.body) == (400, message)


def test_another_principal_than_the_authenticated_one_is_a_bad_request() -> None:
    rig = Rig()
    refused = rig.subscribe_only(framework_info(principal="p"), principal="alice")
    assert refused.status == 400
    assert refused.body == (
        "Failed to validate scheduler::Call: Authenticated principal 'alice' does not match principal 'p' set in"
        " `FrameworkInfo`"
    )


def test_the_authenticated_principal_is_filled_in() -> None:
    rig = Rig()
    framework = rig.subscribe_only(framework_info(), principal="alice")
    assert framework.record.principal == "alice"


def test_a_second_scheduler_takes_over_and_the_first_hears_of_it() -> None:
    rig = Rig()
    framework, agent = running(rig)
    rig.advance(2)
    assert framework.offers()
    second = rig.subscribe_only(framework_info(id=value(framework.id)))
    assert framework.events[-1] == {"type": "ERROR", "error": {"message": "Framework failed over"}}
    assert not framework.is_open
    assert framework.offers() == []
    assert second.id == framework.id
    assert list(second.record.tasks) == ["t-1"]
    rig.advance(2)
    assert second.offers(), "what the first was offered goes to the second"
    assert agent.of(link.ShutdownFramework) == []


def test_the_stream_id_of_a_replaced_scheduler_is_worth_nothing() -> None:
    rig = Rig()
    framework = rig.subscribe()
    framework_id = framework.id
    rig.subscribe(framework_info(id=value(framework_id)))
    status, body = framework.call("REVIVE")
    assert status == 400
    assert body == (
        f"The stream ID '{framework.stream_id}' included in this request didn't match the stream ID currently associated"
        f" with framework ID {framework_id}"
    )


def test_closing_the_replaced_stream_does_not_disconnect_its_successor() -> None:
    rig = Rig()
    framework = rig.subscribe()
    second = rig.subscribe(framework_info(id=value(framework.id)))
    rig.hang_up(framework)
    assert second.record.stream == second.stream


def test_a_new_scheduler_may_not_change_the_principal() -> None:
    rig = Rig()
    framework = rig.subscribe(framework_info(principal="a"))
    refused = rig.subscribe_only(framework_info(id=value(framework.id), principal="b"))
    message = "Updating 'FrameworkInfo.principal' is unsupported; attempted to update from 'a' to 'b'"
    assert refused.events == [{"type": "ERROR", "error": {"message": message}}]
    assert framework.is_open


def test_a_framework_without_scheduler_keeps_its_tasks_for_its_failover_timeout() -> None:
    rig = Rig()
    framework, agent = running(rig)
    rig.hang_up(framework)
    rig.advance(59.9)
    assert list(rig.master.frameworks) == [framework.id]
    assert agent.of(link.ShutdownFramework) == []
    rig.advance(0.2)
    assert list(rig.master.frameworks) == []
    (shutdown,) = agent.of(link.ShutdownFramework)
    assert shutdown.framework_id == framework.id
    completed = rig.master.completed_frameworks[framework.id]
    assert completed.completed_tasks["t-1"].state == "TASK_KILLED"


def test_a_framework_that_came_back_in_time_is_not_removed() -> None:
    rig = Rig()
    framework, _ = running(rig)
    rig.hang_up(framework)
    rig.advance(30)
    again = rig.subscribe(framework_info(id=value(framework.id)))
    rig.advance(120)
    assert again.is_open
    assert list(again.record.tasks) == ["t-1"]


def test_the_id_of_a_removed_framework_can_not_come_back() -> None:
    rig = Rig()
    framework = rig.subscribe()
    assert framework.call("TEARDOWN") == (202, "")
    refused = rig.subscribe_only(framework_info(id=value(framework.id)))
    assert refused.events == [{"type": "ERROR", "error": {"message": "Framework has been removed"}}]


def test_an_id_from_before_a_master_failover_is_taken_up() -> None:
    rig = Rig()
    framework = rig.subscribe(framework_info(id=value("old-master-0007")))
    assert framework.id == "old-master-0007"


def test_nothing_is_offered_to_a_framework_without_scheduler() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    rig.hang_up(framework)
    rig.advance(10)
    assert rig.master.offers == {}
    assert agent.record.offers == {}


def test_a_teardown_kills_everywhere_closes_the_stream_and_frees_all() -> None:
    rig = Rig()
    agent = rig.agent("cpus:1;mem:64")
    framework = rig.subscribe()
    framework.launch("t-1", need="cpus:1;mem:64")
    framework.call("TEARDOWN")
    assert not framework.is_open
    (shutdown,) = agent.of(link.ShutdownFramework)
    assert shutdown.framework_id == framework.id
    other = rig.subscribe(framework_info("other"))
    rig.advance(2)
    assert [offer["quantities"] for offer in other.offers()] == [{"cpus": 1000, "mem": 64_000}]


def test_only_so_many_completed_frameworks_are_remembered() -> None:
    config = Config()
    config.max_completed_frameworks = 1
    rig = Rig(config)
    first, second = rig.subscribe(), rig.subscribe()
    first.call("TEARDOWN")
    second.call("TEARDOWN")
    assert list(rig.master.completed_frameworks) == [second.id]


def test_an_offer_to_a_disconnected_framework_goes_to_others_at_once() -> None:
    rig = Rig()
    rig.agent()
    first = rig.subscribe()
    assert first.offers()
    second = rig.subscribe(framework_info("second", roles=("other",)))
    assert second.offers() == []
    rig.hang_up(first)
    rig.advance(0.01)
    assert second.offers()


def test_an_unsubscribed_role_can_not_be_suppressed() -> None:
    message = "Suppressed role 'zzz' is not contained in the list of roles"
    assert error_of(framework_info(), suppressed_roles=["zzz"]) == message


def test_a_framework_that_subscribes_suppressed_is_offered_nothing_until_it_revives() -> None:
    rig = Rig()
    rig.agent()
    framework = rig.subscribe(suppressed_roles=["golden"])
    rig.advance(5)
    assert framework.offers() == []
    framework.call("REVIVE")
    rig.advance(0.01)
    assert framework.offers()


def test_a_launch_and_its_teardown_leave_no_record_behind() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    (offer,) = framework.offers()
    framework.accept([offer], launch(task("t-1", offer)))
    framework.call("TEARDOWN")
    assert agent.record.tasks == {}
    assert agent.record.offers == {}
    assert rig.master.offers == {}
    assert rig.master.streams == {}
