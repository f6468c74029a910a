"""The protobuf form of messages."""

from __future__ import annotations

import math
import struct

import pytest

from merismos.protocol import protobuf
from merismos.protocol.errors import DecodeError, EncodeError
from merismos.protocol.v1 import agent, master, mesos, quota, scheduler
from merismos.protocol.v1.message import Message

# A scheduler's SUBSCRIBED, HEARTBEAT and a small offer, written out by hand from the field numbers.
HEARTBEAT = b"\x08\x08"
SUBSCRIBED = b"\x08\x01\x12\x0e" + b"\x0a\x03\x0a\x01f" + b"\x11" + struct.pack("<d", 15.0)
OFFERS = b"\x08\x02\x1a\x13\x0a\x11" + b"\x0a\x03\x0a\x01o" + b"\x12\x03\x0a\x01f" + b"\x1a\x03\x0a\x01a" + b"\x22\x00"


def refusal(message: type[Message], data: bytes) -> str:
    with pytest.raises(DecodeError) as raised:
        protobuf.decode(message, data)
    return str(raised.value)


@pytest.mark.parametrize(
    ("data", "event"),
    [
        (HEARTBEAT, scheduler.Event(type=scheduler.Event_Type.HEARTBEAT)),
        (
            SUBSCRIBED,
            scheduler.Event(
                type=scheduler.Event_Type.SUBSCRIBED,
                subscribed=scheduler.Event_Subscribed(
                    framework_id=mesos.FrameworkID(value="f"), heartbeat_interval_seconds=15.0
                ),
            ),
        ),
        (
            OFFERS,
            scheduler.Event(
                type=scheduler.Event_Type.OFFERS,
                offers=scheduler.Event_Offers(
                    offers=[
                        mesos.Offer(
                            id=mesos.OfferID(value="o"),
                            framework_id=mesos.FrameworkID(value="f"),
                            agent_id=mesos.AgentID(value="a"),
                            hostname="",
                        )
                    ]
                ),
            ),
        ),
    ],
)
def test_events_have_the_bytes_of_mesos(data: bytes, event: scheduler.Event) -> None:
    assert protobuf.decode(scheduler.Event, data) == event
    assert protobuf.encode(event) == data


def test_a_missing_required_field_is_named_with_its_path() -> None:
    assert refusal(scheduler.Call, b"\x10\x01\x1a\x04\x0a\x02\x12\x00") == (
        "Failed to parse body into Call protobuf: Missing required fields: subscribe.framework_info.user"
    )


def test_a_wrong_wire_type_is_refused() -> None:
    assert refusal(scheduler.Call, b"\xff\xff\xff") == "Failed to parse body into Call protobuf"


def test_an_unknown_field_and_an_unknown_enum_value_are_dropped() -> None:
    assert protobuf.decode(scheduler.Event, b"\x08\x63\xf8\x7f\x01") == scheduler.Event()
    assert protobuf.decode(scheduler.Event, b"\xf8\x7f\x01\x08\x08").type is scheduler.Event_Type.HEARTBEAT


def test_an_unknown_value_of_a_required_enum_counts_as_missing() -> None:
    status = protobuf.encode(mesos.TaskStatus(task_id=mesos.TaskID(value="t"), state=mesos.TaskState.TASK_RUNNING))
    assert status.endswith(b"\x10\x01")
    assert refusal(mesos.TaskStatus, status[:-1] + b"\x63") == (
        "Failed to parse body into TaskStatus protobuf: Missing required fields: state"
    )


def test_text_that_is_not_utf8_is_refused() -> None:
    assert refusal(mesos.TaskID, b"\x0a\x01\xff") == (
        "Failed to parse body into TaskID protobuf: Not expecting text that is no UTF-8 for field 'value'"
    )
    assert "field 'limits'" in refusal(quota.QuotaConfig, b"\x0a\x01r\x1a\x03\x0a\x01\xff\x1a\x03\x0a\x01a")


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_what_is_no_amount_is_refused(value: float) -> None:
    assert "for field 'value'" in refusal(mesos.Value_Scalar, b"\x09" + struct.pack("<d", value))


def test_an_infinite_amount_is_taken() -> None:
    scalar = mesos.Value_Scalar(value=math.inf)
    assert protobuf.decode(mesos.Value_Scalar, protobuf.encode(scalar)) == scalar


def test_nesting_without_end_is_refused() -> None:
    data = b"\x0a\x01c"
    for _ in range(1000):
        length = len(data)
        size = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
        data = b"\x0a\x01c\x12" + size + data
        if len(data) > 16_000:
            break
    refusal(mesos.ContainerID, data)


def test_a_message_nested_too_deeply_is_an_encode_error() -> None:
    container_id = mesos.ContainerID(value="c")
    for _ in range(10_000):
        container_id = mesos.ContainerID(value="c", parent=container_id)
    with pytest.raises(EncodeError):
        protobuf.encode(container_id)


def test_an_optional_field_that_has_its_default_is_not_written_and_read_back_as_it() -> None:
    command = mesos.CommandInfo(value="true")
    assert protobuf.encode(command) == b"\x1a\x04true"
    assert protobuf.decode(mesos.CommandInfo, b"\x1a\x04true") == command
    command.shell = False
    assert protobuf.decode(mesos.CommandInfo, protobuf.encode(command)).shell is False


def test_a_required_field_that_has_its_default_is_written() -> None:
    info = mesos.MasterInfo(id="m", ip=1, port=5050)
    assert protobuf.decode(mesos.MasterInfo, protobuf.encode(info)) == info


def test_a_deprecated_role_is_kept_apart_from_none() -> None:
    resource = mesos.Resource(name="n", type=mesos.Value_Type.SCALAR)
    assert protobuf.decode(mesos.Resource, protobuf.encode(resource)).role is None
    resource.role = "*"
    assert protobuf.decode(mesos.Resource, protobuf.encode(resource)).role == "*"


def test_a_message_without_fields_is_still_there() -> None:
    resource = mesos.Resource(name="n", type=mesos.Value_Type.SCALAR, shared=mesos.Resource_SharedInfo())
    assert protobuf.decode(mesos.Resource, protobuf.encode(resource)).shared == mesos.Resource_SharedInfo()


def test_maps_come_in_the_order_of_their_keys() -> None:
    one = {key: mesos.Value_Scalar(value=1.0) for key in ("mem", "cpus", "disk")}
    other = dict(sorted(one.items()))
    first, second = quota.QuotaConfig(role="r", limits=one), quota.QuotaConfig(role="r", limits=other)
    assert protobuf.encode(first) == protobuf.encode(second)
    assert list(protobuf.decode(quota.QuotaConfig, protobuf.encode(first)).limits) == ["cpus", "disk", "mem"]


def test_an_integer_over_the_range_of_its_field_is_cut() -> None:
    over = mesos.Value_Range(begin=0, end=1 << 70)
    assert protobuf.decode(mesos.Value_Range, protobuf.encode(over)).end == (1 << 64) - 1


def test_messages_of_every_file_have_a_protobuf_form() -> None:
    call = agent.Call(type=agent.Call_Type.WAIT_CONTAINER, wait_container=agent.Call_WaitContainer(container_id=NESTED))
    assert protobuf.decode(agent.Call, protobuf.encode(call)) == call
    response = master.Response(type=master.Response_Type.GET_HEALTH, get_health=master.Response_GetHealth(healthy=True))
    assert protobuf.encode(response) == b"\x08\x01\x12\x02\x08\x01"


def test_a_call_of_a_protobuf_scheduler_carries_its_tasks_as_json() -> None:
    task = mesos.TaskInfo(name="n", task_id=mesos.TaskID(value="t"), agent_id=mesos.AgentID(value="a"), data=b"\x00")
    operation = mesos.Offer_Operation(
        type=mesos.Offer_Operation_Type.LAUNCH, launch=mesos.Offer_Operation_Launch(task_infos=[task])
    )
    accept = scheduler.Call_Accept(offer_ids=[mesos.OfferID(value="o")], operations=[operation])
    call = scheduler.Call(type=scheduler.Call_Type.ACCEPT, framework_id=mesos.FrameworkID(value="f"), accept=accept)
    thin_call = protobuf.decode_call(protobuf.encode(call))
    assert thin_call.type == "ACCEPT"
    assert thin_call.accept is not None
    (thin_operation,) = thin_call.accept.operations
    assert thin_operation.launch is not None
    (view,) = thin_operation.launch.tasks
    assert view.task_id == task.task_id
    assert view.json == b'{"name":"n","task_id":{"value":"t"},"agent_id":{"value":"a"},"data":"AA=="}'


NESTED = mesos.ContainerID(value="c", parent=mesos.ContainerID(value="p"))
