from __future__ import annotations

import pytest

from unit.master.rig import Rig, value

INVALID = "Failed to validate scheduler::Call: "


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ({}, (400, INVALID + "Expecting 'type' to be present")),
        ({"type": "TEARDOWN"}, (400, INVALID + "Expecting 'framework_id' to be present")),
        ({"type": "UNKNOWN"}, (400, INVALID + "Expecting 'framework_id' to be present")),
        ({"type": "ACCEPT", "framework_id": value("x")}, (400, INVALID + "Expecting 'accept' to be present")),
        ({"type": "ACKNOWLEDGE", "framework_id": value("x")}, (400, INVALID + "Expecting 'acknowledge' to be present")),
        ({"type": "REVIVE", "framework_id": value("x")}, (400, "Framework cannot be found")),
        ({"type": "UNKNOWN", "framework_id": value("x")}, (501, "501 Not Implemented.")),
    ],
)
def test_a_call_that_is_not_one_is_turned_away(call: dict[str, object], answer: tuple[int, str]) -> None:
    assert Rig().call(call, "some-stream") == answer


def test_a_call_without_stream_id_is_a_bad_request() -> None:
    rig = Rig()
    framework = rig.subscribe()
    answer = rig.call({"type": "REVIVE", "framework_id": value(framework.id)}, None)
    assert answer == (400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header")


def test_a_call_with_a_foreign_stream_id_is_a_bad_request() -> None:
    rig = Rig()
    framework = rig.subscribe()
    message = (
        "The stream ID 'zzz' included in this request didn't match the stream ID currently associated with framework ID"
    )
    answer = rig.call({"type": "REVIVE", "framework_id": value(framework.id)}, "zzz")
    assert answer == (400, f"{message} {framework.id}")


def test_a_call_of_a_framework_without_stream_is_forbidden() -> None:
    rig = Rig()
    framework = rig.subscribe()
    rig.hang_up(framework)
    assert framework.call("REVIVE") == (403, "Framework is not subscribed")


def test_a_call_under_another_principal_is_a_bad_request() -> None:
    rig = Rig()
    framework = rig.subscribe(principal="alice")
    call = {"type": "REVIVE", "framework_id": value(framework.id)}
    status, body = rig.call(call, framework.stream_id, principal="bob")
    assert status == 400
    assert body == "Authenticated principal 'bob' does not match principal 'alice' set in `FrameworkInfo`"
    assert rig.call(call, framework.stream_id, principal="alice") == (202, "")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("SUPPRESS", {}),
        ("REVIVE", {}),
        ("SUPPRESS", {"suppress": {"roles": ["nope"]}}),
        ("REQUEST", {"request": {"requests": [{"resources": []}]}}),
        ("DECLINE", {"decline": {"offer_ids": [{"value": "no-such-offer"}]}}),
        ("DECLINE", {"decline": {}}),
        ("ACCEPT", {"accept": {"offer_ids": [], "operations": []}}),
        ("MESSAGE", {"message": {"agent_id": {"value": "x"}, "executor_id": {"value": "none"}, "data": "aGk="}}),
        ("SHUTDOWN", {"shutdown": {"executor_id": {"value": "none"}, "agent_id": {"value": "x"}}}),
        ("ACCEPT_INVERSE_OFFERS", {"accept_inverse_offers": {"inverse_offer_ids": [{"value": "x"}]}}),
        ("DECLINE_INVERSE_OFFERS", {"decline_inverse_offers": {"inverse_offer_ids": [{"value": "x"}]}}),
        ("RECONCILE", {"reconcile": {"tasks": []}}),
        ("RECONCILE_OPERATIONS", {"reconcile_operations": {"operations": []}}),
    ],
)
def test_calls_that_change_little_are_accepted(kind: str, body: dict[str, object]) -> None:
    rig = Rig()
    framework = rig.subscribe()
    assert framework.call(kind, **body) == (202, "")


def test_calls_are_counted_by_their_type() -> None:
    rig = Rig()
    framework = rig.subscribe()
    framework.call("REVIVE")
    framework.call("REVIVE")
    assert framework.record.counters["calls/revive"] == 2
    assert framework.record.counters["calls/subscribe"] == 1
