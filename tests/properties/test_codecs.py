"""Every message survives every codec; whatever bytes come in, the only error is DecodeError."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merismos.protocol import json, protobuf, recordio, thin
from merismos.protocol.errors import DecodeError
from merismos.protocol.schema import Label, fields_of
from merismos.protocol.v1 import mesos, scheduler
from merismos.protocol.v1.message import Message
from properties.v1_messages import DEPTH_MAX, MESSAGES, SOME_BYTES, TEXT, accepts, any_message

PATIENT = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)  # a busy machine is no defect


def only_decode_errors(decode: Callable[[], object]) -> None:
    try:
        decode()
    except DecodeError as error:
        assert str(error)  # noqa: PT017 - an error with nothing to say would be a defect


@PATIENT
@given(any_message())
def test_a_message_survives_json(message: Message) -> None:
    encoded = json.encode(message)
    assert encoded.isascii()
    assert b"\n" not in encoded
    assert json.decode(type(message), encoded) == message


@PATIENT
@given(any_message())
def test_a_message_survives_the_normaliser(message: Message) -> None:
    encoded = json.encode(message)
    assert msgspec.json.decode(json.normalised(type(message), encoded), type=type(message), strict=False) == message


@PATIENT
@given(any_message())
def test_a_message_survives_protobuf(message: Message) -> None:
    encoded = protobuf.encode(message)
    decoded = protobuf.decode(type(message), encoded)
    assert decoded == message
    assert protobuf.encode(decoded) == encoded


@PATIENT
@given(accepts())
def test_a_thin_call_says_what_the_full_call_says(call: scheduler.Call) -> None:
    thin_call = thin.decode_call(json.encode(call))
    for name in set(thin.ThinCall.__struct_fields__) - {"accept"}:
        assert getattr(thin_call, name) == getattr(call, name)
    assert thin_call.accept is not None
    assert call.accept is not None
    assert thin_call.accept.offer_ids == call.accept.offer_ids
    for thin_operation, operation in zip(thin_call.accept.operations, call.accept.operations, strict=True):
        for name in set(thin.ThinOperation.__struct_fields__) - {"launch", "launch_group"}:
            assert getattr(thin_operation, name) == getattr(operation, name)
        views = thin_operation.launch.tasks if thin_operation.launch else []
        tasks = operation.launch.task_infos if operation.launch else []
        if thin_operation.launch_group and operation.launch_group:
            views = views + thin_operation.launch_group.task_group.views
            tasks = tasks + operation.launch_group.task_group.tasks
            assert json.decode(mesos.ExecutorInfo, bytes(thin_operation.launch_group.executor)) == (
                operation.launch_group.executor
            )
        for view, task in zip(views, tasks, strict=True):
            assert json.decode(mesos.TaskInfo, view.json) == task
            assert thin.decode_resources(view.resources) == task.resources
            assert (view.command is None) == (task.command is None)
            for name in ("name", "task_id", "agent_id", "health_check", "check", "kill_policy", "limits"):
                assert getattr(view, name) == getattr(task, name)


@PATIENT
@given(accepts())
def test_a_protobuf_call_is_the_same_thin_call_as_its_json(call: scheduler.Call) -> None:
    in_order = protobuf.decode(scheduler.Call, protobuf.encode(call))  # protobuf orders the keys of maps
    assert protobuf.decode_call(protobuf.encode(call)) == thin.decode_call(json.encode(in_order))


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = (
    st.none()
    | st.booleans()
    | NUMBERS
    | TEXT
    | st.sampled_from(["Infinity", "12", "1e3", "true", "AAA=", "TASK_RUNNING"])
)


@functools.cache
def loose(message: type[Message], depth: int = 0) -> st.SearchStrategy[Any]:
    """JSON that has the names of a message and often, but not always, what belongs under them."""

    @st.composite
    def build(draw: st.DrawFn) -> dict[str, object]:
        members: dict[str, object] = {}
        for field in fields_of(message):
            likely = field.label is Label.REQUIRED
            if draw(st.integers(0, depth + 2)) != 0 and not (likely and draw(st.integers(0, 9))):
                continue
            right: st.SearchStrategy[Any] = LEAVES
            if field.message is not None and depth < DEPTH_MAX:
                right = loose(field.message, depth + 1)
            if field.enumeration is not None:
                right = st.sampled_from([*field.enumeration, "NEWER"])
            wrong = LEAVES | st.dictionaries(TEXT, LEAVES, max_size=1)
            shape = draw(st.integers(0, 9))
            members[field.name] = draw(wrong if shape == 0 else st.lists(right, max_size=2) if shape <= 4 else right)
        return members

    return build()


@PATIENT
@given(st.sampled_from(MESSAGES).flatmap(lambda message: st.tuples(st.just(message), loose(message) | LEAVES)))
def test_json_of_any_shape_is_a_message_or_a_decode_error(case: tuple[type[Message], object]) -> None:
    message, value = case
    data = msgspec.json.encode(value)

    def decode() -> None:
        decoded = json.decode(message, data)
        assert json.decode(message, json.encode(decoded)) == decoded

    only_decode_errors(decode)


@PATIENT
@given(loose(scheduler.Call) | LEAVES)
def test_a_call_of_any_shape_decodes_thin_where_it_decodes_in_full(value: object) -> None:
    data = msgspec.json.encode(value)
    only_decode_errors(lambda: thin.decode_call(data))
    try:
        json.decode(scheduler.Call, data)
    except DecodeError:
        return
    thin.decode_call(data)


@PATIENT
@given(st.sampled_from(MESSAGES), st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_decode_error(message: type[Message], data: bytes) -> None:
    only_decode_errors(lambda: json.decode(message, data))
    only_decode_errors(lambda: protobuf.decode(message, data))
    only_decode_errors(lambda: thin.decode_call(data))
    only_decode_errors(lambda: protobuf.decode_call(data))


@PATIENT
@given(any_message(), st.data())
def test_a_damaged_message_is_a_message_or_a_decode_error(message: Message, data: st.DataObject) -> None:
    for encode, decode in ((json.encode, json.decode), (protobuf.encode, protobuf.decode)):
        encoded = bytearray(encode(message))
        for _ in range(data.draw(st.integers(1, 4))):
            if not encoded:
                break
            at = data.draw(st.integers(0, len(encoded) - 1))
            match data.draw(st.sampled_from(["cut", "change", "insert", "remove"])):
                case "cut":
                    del encoded[at:]
                case "change":
                    encoded[at] = data.draw(st.integers(0, 255))
                case "insert":
                    encoded[at:at] = data.draw(SOME_BYTES)
                case _:
                    del encoded[at : at + data.draw(st.integers(1, 8))]
        only_decode_errors(functools.partial(decode, type(message), bytes(encoded)))


@PATIENT
@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(0, 20), max_size=60))
def test_records_survive_pieces_of_any_size(records: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(recordio.encode(record) for record in records)
    decoder = recordio.Decoder()
    received: list[bytes] = []
    for size in sizes:
        received += decoder.feed(stream[:size])
        stream = stream[size:]
    received += decoder.feed(stream)
    decoder.end()
    assert received == records


@PATIENT
@given(st.lists(st.binary(max_size=30) | st.sampled_from([b"3\nabc", b"1", b"\n", b"999999999\n"]), max_size=8))
def test_any_bytes_are_records_or_a_decode_error(pieces: list[bytes]) -> None:
    decoder = recordio.Decoder(bytes_max=100)
    for piece in pieces:
        try:
            records = decoder.feed(piece)
        except DecodeError:
            break
        assert all(len(record) <= 100 for record in records)
    only_decode_errors(decoder.end)


@PATIENT
@given(st.text(max_size=20))
def test_ascii_json_says_the_same(text: str) -> None:
    data = msgspec.json.encode(text.encode(errors="replace").decode())
    escaped = json.to_ascii(data)
    assert escaped.isascii()
    assert msgspec.json.decode(escaped) == msgspec.json.decode(data)


@PATIENT
@given(st.floats(allow_nan=False))
def test_every_double_but_minus_infinity_survives_json(value: float) -> None:
    written = json.encode(mesos.Value_Scalar(value=value))
    if value == -math.inf:
        only_decode_errors(lambda: json.decode(mesos.Value_Scalar, written))
    else:
        assert json.decode(mesos.Value_Scalar, written).value == value
