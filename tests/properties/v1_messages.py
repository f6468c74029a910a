"""Messages of the v1 schema, any of them."""

from __future__ import annotations

import functools
from typing import Any

from hypothesis import strategies as st

from merismos.protocol.schema import Field, Kind, Label, fields_of
from merismos.protocol.v1 import agent, executor, maintenance, master, mesos, quota, scheduler
from merismos.protocol.v1.message import Message

MESSAGES: list[type[Message]] = [
    agent.Call, agent.Response, executor.Call, executor.Event, maintenance.Schedule, master.Call, master.Response,
    mesos.ContainerInfo, mesos.FrameworkInfo, mesos.Offer, mesos.Resource, mesos.TaskInfo, mesos.TaskStatus,
    quota.QuotaStatus, scheduler.Call, scheduler.Event,
]  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SOME_BYTES = st.binary(max_size=12)
DEPTH_MAX = 4


def value_of(field: Field, depth: int) -> st.SearchStrategy[Any]:
    match field.kind:
        case Kind.BOOL:
            return st.booleans()
        case Kind.BYTES:
            return SOME_BYTES
        case Kind.DOUBLE:
            return st.floats(allow_nan=False, min_value=-1e300)
        case Kind.INTEGER:
            return st.integers(field.low, field.high)
        case Kind.STRING:
            return TEXT
        case Kind.ENUM:
            assert field.enumeration is not None
            return st.sampled_from(list(field.enumeration))
    assert field.message is not None
    return messages(field.message, depth + 1)


@functools.cache
def messages(message: type[Message], depth: int = 0) -> st.SearchStrategy[Any]:
    """Messages of a type; below `DEPTH_MAX` only their required fields."""

    @st.composite
    def build(draw: st.DrawFn) -> Message:
        values: dict[str, object] = {}
        for field in fields_of(message):
            if field.label is Label.REQUIRED:
                values[field.name] = draw(value_of(field, depth))
            elif depth < DEPTH_MAX and draw(st.integers(0, depth + 2)) == 0:
                one = value_of(field, depth)
                if field.label is Label.REPEATED:
                    one = st.lists(one, max_size=2)
                elif field.label is Label.MAP:
                    one = st.dictionaries(TEXT, one, max_size=2)
                values[field.name] = draw(one)
        return message(**values)

    return build()


def any_message() -> st.SearchStrategy[Any]:
    return st.sampled_from(MESSAGES).flatmap(messages)


@st.composite
def accepts(draw: st.DrawFn) -> scheduler.Call:
    """Calls that launch tasks, and sometimes do something else too."""
    tasks = st.lists(messages(mesos.TaskInfo, 1), max_size=3)
    launch = mesos.Offer_Operation_Launch(task_infos=draw(tasks))
    group = mesos.Offer_Operation_LaunchGroup(
        executor=draw(messages(mesos.ExecutorInfo, 1)), task_group=mesos.TaskGroupInfo(tasks=draw(tasks))
    )
    operations = [
        mesos.Offer_Operation(type=mesos.Offer_Operation_Type.LAUNCH, launch=launch),
        mesos.Offer_Operation(type=mesos.Offer_Operation_Type.LAUNCH_GROUP, launch_group=group),
        draw(messages(mesos.Offer_Operation, 1)),
    ]
    call: scheduler.Call = draw(messages(scheduler.Call))
    call.accept = scheduler.Call_Accept(
        operations=operations, offer_ids=draw(st.lists(messages(mesos.OfferID), max_size=2))
    )
    return call
