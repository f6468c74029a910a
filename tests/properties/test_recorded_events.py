"""Every event that a core knows survives its record, whatever it holds."""

from __future__ import annotations

import functools
import io
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect

from merismos.core import recording
from merismos.core.kernel import Event
from merismos.core.recording import EVENTS, Handled
from merismos.protocol import json
from merismos.protocol.thin import ThinCall, decode_call
from merismos.protocol.v1 import mesos, scheduler
from merismos.protocol.v1.message import Message
from merismos.simulation.__main__ import main
from properties.v1_messages import SOME_BYTES, TEXT, accepts, messages
from simulation.tapes import tapes_of

KINDS = [pytest.param(role, kind, id=f"{role}-{name}") for role, of in EVENTS.items() for name, kind in of.items()]
PATIENT = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
LEAVES: dict[type[inspect.Type], st.SearchStrategy[Any]] = {
    inspect.BoolType: st.booleans(),
    inspect.BytesType: SOME_BYTES,
    inspect.FloatType: st.floats(allow_nan=False),
    inspect.IntType: st.integers(-(2**63), 2**64 - 1),
    inspect.NoneType: st.none(),
    inspect.StrType: TEXT,
}


def any_of(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Values of a type."""
    match kind:
        case inspect.ListType() | inspect.VarTupleType():
            found: st.SearchStrategy[Any] = st.lists(any_of(kind.item_type), max_size=2)
            return found if isinstance(kind, inspect.ListType) else found.map(tuple)
        case inspect.TupleType():
            return st.tuples(*map(any_of, kind.item_types))
        case inspect.UnionType():
            return st.one_of(*map(any_of, kind.types))
        case inspect.StructType():
            return structs(kind.cls)
    return LEAVES[type(kind)]


@functools.cache
def structs(kind: type[Any]) -> st.SearchStrategy[Any]:
    if kind is ThinCall:
        return (accepts() | messages(scheduler.Call)).map(lambda call: decode_call(json.encode(call)))
    if issubclass(kind, Message):
        return messages(kind)
    found = inspect.type_info(kind)
    assert isinstance(found, inspect.StructType)
    return st.builds(kind, **{field.name: any_of(field.type) for field in found.fields})


def again(role: str, event: Event) -> Event:
    """The event as its record has it."""
    body, is_json = recording.pack_event(event)
    record = recording.decode(recording.encode(Handled(1.0, type(event).__name__, body, is_json))[4:])
    assert isinstance(record, Handled)
    return recording.unpack_event(role, record)


@pytest.mark.parametrize(("role", "kind"), KINDS)
@PATIENT
@given(st.data())
def test_an_event_survives_its_record(role: str, kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(structs(kind))
    assert again(role, event) == event


@functools.cache
def tape() -> bytes:
    return min(tapes_of(5, 300), key=len)


@PATIENT
@given(st.data())
def test_whatever_is_in_a_file_a_replay_ends_with_one_of_its_exit_codes(data: st.DataObject) -> None:
    damaged = bytearray(tape())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(len(recording.MAGIC), len(damaged)))
        damaged[at : at + data.draw(st.integers(0, 3))] = data.draw(SOME_BYTES)
    with (
        tempfile.NamedTemporaryFile() as file,
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()) as errors,
    ):
        file.write(damaged)
        file.flush()
        assert main(["replay", file.name]) in {0, 1, 2}
    assert "Traceback" not in errors.getvalue()


def test_a_number_that_msgpack_does_not_have_survives() -> None:
    ranges = mesos.Value_Ranges(range=[mesos.Value_Range(begin=0, end=2**70)])
    resource = mesos.Resource(name="ports", type=mesos.Value_Type.RANGES, ranges=ranges)
    call = scheduler.Call(
        type=scheduler.Call_Type.REQUEST,
        request=scheduler.Call_Request(requests=[mesos.Request(resources=[resource])]),
    )
    called = EVENTS["master"]["SchedulerCalled"]
    event = msgspec.convert({"request": 1, "call": {}, "stream_id": None}, called)
    event.call = decode_call(json.encode(call))  # type: ignore[attr-defined]
    assert recording.pack_event(event)[1], "it is JSON"
    assert again("master", event) == event
