"""Whatever the body, the endpoint gives one answer or one event."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from merismos.adapters.http.exchange import Exchange
from merismos.adapters.http.gate import Gate
from merismos.adapters.http.heads import Head, HeadError, is_below, parse, route_of, without_master
from merismos.adapters.http.negotiation import Media, acceptable, media_for
from merismos.adapters.http.scheduler import SchedulerEndpoint
from merismos.core.kernel import Event
from merismos.core.master.events import SchedulerCalled, SchedulerSubscribed
from merismos.protocol import json as protocol_json
from merismos.protocol import protobuf
from merismos.protocol.v1 import scheduler


class Outcome:
    """Notes what became of one request."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.answers: list[tuple[int, str]] = []

    def respond(self, status: int, body: str = "", headers: str = "") -> None:  # noqa: ARG002 - a caller's signature
        self.answers.append((status, body))


def outcome_of(body: bytes, media: Media = Media.JSON) -> Outcome:
    gate, found = Gate(), Outcome()
    gate.recovered = True
    endpoint = SchedulerEndpoint(gate, Exchange())
    endpoint.post = found.events.append
    head = Head("POST", "/api/v1/scheduler")
    head.content_type, head.media = media.value, media
    endpoint.serve(head, body, found)
    return found


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "framework_id", "value", "accept", "subscribe", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
CALLS = st.fixed_dictionaries(
    {"type": st.sampled_from(list(scheduler.Call_Type)) | VALUES},
    optional={name: VALUES for name in scheduler.Call.__struct_fields__ if name != "type"},
)


@given(CALLS)
@example(
    {"type": "ACCEPT", "accept": {"operations": [{"type": "LAUNCH", "launch": {"task_infos": [{"name": "\ud800"}]}}]}}
)
def test_any_json_object_is_answered_once_or_becomes_one_event(call: dict[str, object]) -> None:
    found = outcome_of(json.dumps(call).encode())
    assert len(found.events) + len(found.answers) == 1
    assert all(status in {400, 406} and text for status, text in found.answers)


@given(st.binary(max_size=200), st.sampled_from(Media))
@example(b"[" * 100_000, Media.JSON)
@example(b'{"type":' * 10_000, Media.JSON)
@example(b"\xff\xfe", Media.JSON)
def test_any_bytes_are_answered_once_or_become_one_event(body: bytes, media: Media) -> None:
    found = outcome_of(body, media)
    assert len(found.events) + len(found.answers) == 1


def test_the_same_call_in_protobuf_is_the_same_event() -> None:
    text = (
        b'{"type":"ACCEPT","framework_id":{"value":"F"},"accept":{"offer_ids":[{"value":"O"}],"operations":[{"type":"LAUNCH",'
        b'"launch":{"task_infos":[{"name":"n","task_id":{"value":"t"},"agent_id":{"value":"S"}}]}}]}}'
    )
    as_json = outcome_of(text).events[0]
    as_protobuf = outcome_of(protobuf.encode(protocol_json.decode(scheduler.Call, text)), Media.PROTOBUF).events[0]
    assert isinstance(as_json, SchedulerCalled)
    assert isinstance(as_protobuf, SchedulerCalled)
    assert as_json.call == as_protobuf.call


def test_a_subscription_gets_a_stream_id_of_its_own() -> None:
    body = b'{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n"}}}'
    first, second = outcome_of(body).events[0], outcome_of(body).events[0]
    assert isinstance(first, SchedulerSubscribed)
    assert isinstance(second, SchedulerSubscribed)
    assert first.stream_id != second.stream_id


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, Media.JSON),
        ("", Media.JSON),
        ("*/*", Media.JSON),
        ("application/*", Media.JSON),
        ("application/x-protobuf", Media.PROTOBUF),
        ("application/x-protobuf, application/json;q=0.5", Media.JSON),
        ("application/json;q=0, */*", Media.PROTOBUF),
        ("application/json;q=0", None),
        ("application/json; q=0.0, application/x-protobuf;q=0", None),
        ("text/html", None),
        ("text/html, APPLICATION/JSON", Media.JSON),
        ("application/json;q=x", None),
    ],
)
def test_accept_chooses_json_wherever_it_may(accept: str | None, media: Media | None) -> None:
    assert media_for(accept) is media


def test_a_more_exact_media_range_outweighs_a_wider_one() -> None:
    assert not acceptable("*/*;q=1, application/*;q=0", "application/json")
    assert acceptable("*/*;q=0, application/json", "application/json")


@pytest.mark.parametrize(
    ("path", "bare"),
    [("/master/state/?x", "/state"), ("/master", "/"), ("/masterly", "/masterly"), ("/", "/"), ("/a//", "/a")],
)
def test_a_path_is_known_without_its_prefix_and_slashes(path: str, bare: str) -> None:
    assert without_master(path) == bare


def test_a_prefix_ends_at_a_segment() -> None:
    assert is_below("/api/v1/scheduler/x", "/api/v1/scheduler")
    assert route_of("/api/v1/schedulers").name == "OTHER"


@given(st.binary(max_size=300))
def test_any_head_is_read_or_refused(block: bytes) -> None:
    try:
        head = parse(b"POST /api/v1/scheduler HTTP/1.1\r\n" + block + b"\r\n\r\n")
    except HeadError:
        return
    assert head.length >= -1
