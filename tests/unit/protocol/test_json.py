"""The JSON rules of the wire, each a sentence."""

from __future__ import annotations

import math

import msgspec
import pytest

from merismos.protocol import json
from merismos.protocol.errors import DecodeError, EncodeError
from merismos.protocol.v1 import agent, executor, master, mesos, scheduler
from merismos.protocol.v1.message import Message


def fields(text: str) -> mesos.FrameworkInfo:
    """A FrameworkInfo of these JSON members beside the required ones."""
    return json.decode(mesos.FrameworkInfo, b'{"user":"u","name":"n",%b}' % text.encode())


def refusal(message: type[Message], data: bytes) -> str:
    with pytest.raises(DecodeError) as raised:
        json.decode(message, data)
    return str(raised.value)


# output


def test_names_are_snake_case_and_enums_are_names() -> None:
    status = mesos.TaskStatus(task_id=mesos.TaskID(value="t"), state=mesos.TaskState.TASK_RUNNING, healthy=True)
    assert json.encode(status) == b'{"task_id":{"value":"t"},"state":"TASK_RUNNING","healthy":true}'


def test_bytes_are_base64() -> None:
    written = json.encode(scheduler.Event_Message(agent_id=ID, executor_id=EXECUTOR_ID, data=b"\x00\xff\xfe"))
    assert written.endswith(b'"data":"AP/+"}')


def test_int64_values_are_numbers() -> None:
    assert json.encode(mesos.TimeInfo(nanoseconds=1795428853260580096)) == b'{"nanoseconds":1795428853260580096}'


@pytest.mark.parametrize(("value", "written"), [(4.0, b"4.0"), (0.1, b"0.1"), (0.0, b"0.0"), (2048.0, b"2048.0")])
def test_doubles_are_plain_numbers(value: float, written: bytes) -> None:
    assert json.encode(mesos.Value_Scalar(value=value)) == b'{"value":%b}' % written


@pytest.mark.parametrize("value", [1e16, 1e22, 1.7976931348623157e308, 5e-324, -1e300])
def test_large_and_small_doubles_read_back_as_they_were(value: float) -> None:
    assert json.decode(mesos.Value_Scalar, json.encode(mesos.Value_Scalar(value=value))).value == value


def test_an_infinite_double_is_written_as_a_string_that_reads_back() -> None:
    message = mesos.Resource(name="null:null", type=mesos.Value_Type.SCALAR, scalar=mesos.Value_Scalar(value=math.inf))
    written = json.encode(message)
    assert written == b'{"name":"null:null","type":"SCALAR","scalar":{"value":"Infinity"}}'
    assert json.decode(mesos.Resource, written) == message


def test_an_infinite_double_inside_a_list_is_written_as_a_string_too() -> None:
    offers = scheduler.Call_Request(requests=[mesos.Request(resources=[scalar(math.inf)])])
    assert b'"value":"Infinity"' in json.encode(offers)


def test_text_that_looks_like_a_null_stays_what_it_is() -> None:
    labels = mesos.Labels(labels=[mesos.Label(key='":null', value=":null")])
    assert json.decode(mesos.Labels, json.encode(labels)) == labels


def test_unset_fields_and_empty_lists_are_left_out() -> None:
    assert json.encode(mesos.Offer(id=OFFER_ID, framework_id=FRAMEWORK_ID, agent_id=ID, hostname="h")) == (
        b'{"id":{"value":"o"},"framework_id":{"value":"f"},"agent_id":{"value":"a"},"hostname":"h"}'
    )


@pytest.mark.parametrize(
    ("message", "written"),
    [
        (mesos.CommandInfo(), b'{"shell":true}'),
        (mesos.CommandInfo_URI(value="v"), b'{"value":"v","extract":true}'),
        (mesos.NetworkInfo_IPAddress(), b'{"protocol":"IPv4"}'),
        (mesos.Filters(), b'{"refuse_seconds":5.0}'),
        (mesos.Environment_Variable(name="n"), b'{"name":"n","type":"VALUE"}'),
        (
            mesos.FrameworkInfo(user="u", name="n"),
            b'{"user":"u","name":"n","failover_timeout":0.0,"checkpoint":false}',
        ),
    ],
)
def test_a_field_with_an_explicit_default_is_always_written(message: Message, written: bytes) -> None:
    assert json.encode(message) == written


def test_a_deprecated_field_with_an_explicit_default_is_written_only_when_set() -> None:
    resource = scalar(1.0)
    assert b"role" not in json.encode(resource)
    resource.role = "*"
    assert b'"role":"*"' in json.encode(resource)


def test_the_lists_that_clients_read_without_asking_are_written_when_empty() -> None:
    assert json.encode(master.Response_GetTasks()) == b'{"tasks":[],"unreachable_tasks":[],"completed_tasks":[]}'
    assert json.encode(agent.Response_GetExecutors()) == b'{"executors":[],"completed_executors":[]}'


def test_members_come_in_the_order_of_the_schema() -> None:
    info = mesos.FrameworkInfo(user="u", name="n", hostname="h", roles=["r"], role="x", checkpoint=True)
    assert list(msgspec.json.decode(json.encode(info))) == [
        "user", "name", "failover_timeout", "checkpoint", "role", "roles", "hostname",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Grüße", rb"Gr\u00fc\u00dfe"),
        ("μερισμός", rb"\u03bc\u03b5\u03c1\u03b9\u03c3\u03bc\u03cc\u03c2"),
        ("a😀b", rb"a\ud83d\ude00b"),
        ("line\nbreak", rb"line\nbreak"),
        ('quote"and\\', rb"quote\"and\\"),
    ],
)
def test_output_is_ascii_on_one_line(text: str, written: bytes) -> None:
    encoded = json.encode(mesos.TaskID(value=text))
    assert encoded == b'{"value":"%b"}' % written
    assert json.decode(mesos.TaskID, encoded).value == text


def test_text_that_is_not_unicode_is_an_encode_error() -> None:
    with pytest.raises(EncodeError, match="surrogates"):
        json.encode(mesos.TaskID(value="\udc80"))


def test_a_message_nested_too_deeply_is_an_encode_error() -> None:
    container_id = mesos.ContainerID(value="c")
    for _ in range(100_000):
        container_id = mesos.ContainerID(value="c", parent=container_id)
    with pytest.raises(EncodeError, match="recursion"):
        json.encode(container_id)


# input


def test_null_means_unset() -> None:
    info = fields('"id":null,"checkpoint":null,"roles":null,"labels":null,"capabilities":[null,{"type":null}]')
    assert info == mesos.FrameworkInfo(user="u", name="n", capabilities=[mesos.FrameworkInfo_Capability()])


def test_null_for_a_required_field_means_missing() -> None:
    assert refusal(mesos.TaskID, b'{"value":null}') == (
        "Failed to convert JSON into TaskID protobuf: Missing required fields: value"
    )


def test_unknown_fields_are_ignored() -> None:
    assert fields('"nonsense":{"a":[1,{}]},"more":null').name == "n"
    assert fields('"nonsense":{"a":[1,{}]},"roles":"bare"').roles == ["bare"]


def test_numeric_strings_are_numbers() -> None:
    assert fields('"failover_timeout":"60"').failover_timeout == 60.0
    assert json.decode(mesos.TimeInfo, b'{"nanoseconds":"-12"}').nanoseconds == -12
    assert json.decode(mesos.DurationInfo, b'{"nanoseconds":"1e9"}').nanoseconds == 1_000_000_000
    assert json.decode(mesos.DurationInfo, b'{"nanoseconds":1.0e9}').nanoseconds == 1_000_000_000


def test_a_fraction_for_an_integer_is_cut() -> None:
    assert json.decode(mesos.DurationInfo, b'{"nanoseconds":1.9}').nanoseconds == 1


def test_a_boolean_may_be_a_string() -> None:
    assert fields('"checkpoint":"true"').checkpoint is True
    assert fields('"checkpoint":"false","roles":"r"').checkpoint is False


def test_a_bare_value_for_a_repeated_field_is_its_one_element() -> None:
    info = fields('"roles":"a","capabilities":{"type":"MULTI_ROLE"}')
    assert info.roles == ["a"]
    assert info.capabilities == [mesos.FrameworkInfo_Capability(type=mesos.FrameworkInfo_Capability_Type.MULTI_ROLE)]


def test_an_unknown_value_of_an_optional_enum_is_dropped() -> None:
    info = fields('"capabilities":[{"type":"NEWER"},{"type":"MULTI_ROLE"}]')
    assert [capability.type for capability in info.capabilities] == [None, "MULTI_ROLE"]


def test_an_unknown_or_lower_case_call_type_counts_as_unset() -> None:
    assert json.decode(scheduler.Call, b'{"type":"NO_SUCH"}').type is None
    assert json.decode(scheduler.Call, b'{"type":"subscribe"}').type is None
    assert json.decode(scheduler.Call, b'{"type":"UNKNOWN"}').type is scheduler.Call_Type.UNKNOWN


def test_an_unknown_value_of_a_required_enum_counts_as_missing() -> None:
    data = b'{"type":"UPDATE","executor_id":{"value":"e"},"framework_id":{"value":"f"},"update":{"status":{%b}}}'
    assert refusal(executor.Call, data % b'"task_id":{"value":"t"},"state":"TASK_DANCING"') == (
        "Failed to convert JSON into Call protobuf: Missing required fields: update.status.state"
    )


def test_bytes_are_read_as_base64() -> None:
    assert json.decode(mesos.UUID, b'{"value":"AP/+"}').value == b"\x00\xff\xfe"
    assert "base64" in refusal(mesos.UUID, b'{"value":"*"}')


@pytest.mark.parametrize("text", ['"Infinity"', '"inf"'])
def test_infinity_is_a_scalar(text: str) -> None:
    assert json.decode(mesos.Value_Scalar, b'{"value":%b}' % text.encode()).value == math.inf
    assert json.decode(mesos.Resource, b'{"name":"n","type":"X","type":"SCALAR","scalar":{"value":"Infinity"}}').scalar


def test_infinity_survives_the_normaliser() -> None:
    resource = json.decode(
        mesos.Resource, b'{"name":"n","type":"SCALAR","disk":null,"reservations":null,"scalar":{"value":"Infinity"}}'
    )
    assert resource.scalar == mesos.Value_Scalar(value=math.inf)


@pytest.mark.parametrize("text", ['"NaN"', '"-Infinity"', '"1e999"', "1e999", "9" * 500, '"0x10"', '"1_000"', '""'])
def test_what_is_no_amount_is_refused(text: str) -> None:
    refusal(mesos.Value_Scalar, b'{"value":%b}' % text.encode())


@pytest.mark.parametrize("text", ["-1", "4294967296", '"-1"', "1e300", "true", '"Infinity"', "99999999999999999999999"])
def test_a_number_out_of_its_fields_range_is_refused(text: str) -> None:
    refusal(mesos.HealthCheck, b'{"consecutive_failures":%b}' % text.encode())


def test_maps_are_objects() -> None:
    limits = json.decode(
        mesos.TaskInfo, TASK % b'"limits":{"cpus":{"value":1},"mem":{"value":"Infinity"},"gpus":null}'
    ).limits
    assert limits == {"cpus": mesos.Value_Scalar(value=1.0), "mem": mesos.Value_Scalar(value=math.inf)}
    assert "Not expecting a JSON array for field 'limits'" in refusal(mesos.TaskInfo, TASK % b'"limits":[]')
    assert refusal(mesos.TaskInfo, TASK % b'"limits":{"cpus":{}}').endswith(
        "Missing required fields: limits[cpus].value"
    )


def test_of_a_name_given_twice_the_last_counts() -> None:
    assert json.decode(mesos.TaskID, b'{"value":"a","value":"b"}').value == "b"


def test_a_buffer_of_any_kind_is_read() -> None:
    for data in (b'{"value":"a"}', bytearray(b'{"value":"a"}'), memoryview(b'{"value":"a"}')):
        assert json.decode(mesos.TaskID, data).value == "a"


# refusals, in Mesos' words


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "Failed to parse body into JSON: syntax error at line 1 near: "),
        (b'{"type": "SUBSCRIBE", ', "Failed to parse body into JSON: syntax error at line 1 near: "),
        (b"\n\n  zzz\nmore", "Failed to parse body into JSON: syntax error at line 3 near: zzz"),
        (
            b'{"type":"TEARDOWN"} x',
            "Failed to parse body into JSON: Parsed JSON included non-whitespace trailing characters:  x",
        ),
        (b"[]", "Failed to convert JSON into Call protobuf: Expecting a JSON object"),
        (b'"x"', "Failed to convert JSON into Call protobuf: Expecting a JSON object"),
        (b"null", "Failed to convert JSON into Call protobuf: Expecting a JSON object"),
        (b'{"type":1}', "Failed to convert JSON into Call protobuf: Not expecting a JSON number for field 'type'"),
        (
            b'{"framework_id":"abc"}',
            "Failed to convert JSON into Call protobuf: Not expecting a JSON string for field 'framework_id'",
        ),
        (
            b'{"framework_id":[]}',
            "Failed to convert JSON into Call protobuf: Not expecting a JSON array for field 'framework_id'",
        ),
        (
            b'{"framework_id":{"value":true}}',
            "Failed to convert JSON into Call protobuf: Not expecting a JSON boolean for field 'value'",
        ),
        (
            b'{"framework_id":{"value":{}}}',
            "Failed to convert JSON into Call protobuf: Not expecting a JSON object for field 'value'",
        ),
        (
            b'{"subscribe":{"framework_info":{"user":"u","name":"n","failover_timeout":"abc"}}}',
            ("Failed to convert JSON into Call protobuf: Failed to parse 'abc' as a JSON number for field "
            "'failover_timeout': syntax error at line 1 near: abc"),
        ),
        (
            b'{"subscribe":{"framework_info":{}},"kill":{}}',
            ("Failed to convert JSON into Call protobuf: Missing required fields: "
            "subscribe.framework_info.user, subscribe.framework_info.name, kill.task_id"),
        ),
        (
            b'{"accept":{"operations":[{"type":"LAUNCH","launch":{"task_infos":[{"name":"n"}]}}]}}',
            ("Failed to convert JSON into Call protobuf: Missing required fields: "
            "accept.operations[0].launch.task_infos[0].task_id, accept.operations[0].launch.task_infos[0].agent_id"),
        ),
    ],
)  # fmt: skip
def test_a_refusal_has_the_words_of_mesos(data: bytes, expected: str) -> None:
    assert refusal(scheduler.Call, data) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"value":"c","parent":' * 5_000 + b'{"value":"c"}' + b"}" * 5_000,
        b'{"value":"\\ud800"}',
        b'{"value":"\xff"}',
        b'{"value":"a\x00b"}',
        b'\xef\xbb\xbf{"value":"a"}',
        b"9" * 10_000,
        b"\x00",
        b'{"value":"' + b"a" * 1000,
    ],
)
def test_hostile_input_is_a_decode_error(data: bytes) -> None:
    assert len(refusal(mesos.ContainerID, data)) < 1000


def test_an_answer_quotes_only_a_little_of_the_input() -> None:
    assert len(refusal(mesos.TaskID, b"z" * 1_000_000)) < 300
    assert len(refusal(mesos.Value_Scalar, b'{"value":"%b"}' % (b"z" * 1_000_000))) < 600


def scalar(value: float) -> mesos.Resource:
    return mesos.Resource(name="cpus", type=mesos.Value_Type.SCALAR, scalar=mesos.Value_Scalar(value=value))


ID = mesos.AgentID(value="a")
EXECUTOR_ID = mesos.ExecutorID(value="e")
FRAMEWORK_ID = mesos.FrameworkID(value="f")
OFFER_ID = mesos.OfferID(value="o")
TASK = b'{"name":"n","task_id":{"value":"t"},"agent_id":{"value":"a"},%b}'
