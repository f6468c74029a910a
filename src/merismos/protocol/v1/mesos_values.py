"""The messages of `mesos/v1/mesos_values.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

import enum

import msgspec

from merismos.protocol.v1.message import Double, Message, UInt64


class Value_Type(enum.StrEnum):
    """`mesos.v1.Value.Type`."""

    SCALAR = "SCALAR"
    RANGES = "RANGES"
    SET = "SET"
    TEXT = "TEXT"


class Environment_Variable_Type(enum.StrEnum):
    """`mesos.v1.Environment.Variable.Type`."""

    UNKNOWN = "UNKNOWN"
    VALUE = "VALUE"
    SECRET = "SECRET"


class Secret_Type(enum.StrEnum):
    """`mesos.v1.Secret.Type`."""

    UNKNOWN = "UNKNOWN"
    REFERENCE = "REFERENCE"
    VALUE = "VALUE"


class Value(Message, kw_only=True):
    """A value of an attribute or a resource."""

    type: Value_Type
    scalar: Value_Scalar | None = None
    ranges: Value_Ranges | None = None
    set: Value_Set | None = None
    text: Value_Text | None = None


class Value_Scalar(Message, kw_only=True):
    """`mesos.v1.Value.Scalar`."""

    value: Double


class Value_Range(Message, kw_only=True):
    """`mesos.v1.Value.Range`."""

    begin: UInt64
    end: UInt64


class Value_Ranges(Message, kw_only=True):
    """`mesos.v1.Value.Ranges`."""

    range: list[Value_Range] = []


class Value_Set(Message, kw_only=True):
    """`mesos.v1.Value.Set`."""

    item: list[str] = []


class Value_Text(Message, kw_only=True):
    """`mesos.v1.Value.Text`."""

    value: str


class Attribute(Message, kw_only=True):
    """A fact about an agent that frameworks may choose by."""

    name: str
    type: Value_Type
    scalar: Value_Scalar | None = None
    ranges: Value_Ranges | None = None
    set: Value_Set | None = None
    text: Value_Text | None = None


class OfferFilters(Message, kw_only=True):
    """Offers that a framework does not want to see."""

    min_allocatable_resources: OfferFilters_MinAllocatableResources | None = None


class OfferFilters_ResourceQuantities(Message, kw_only=True):
    """`mesos.v1.OfferFilters.ResourceQuantities`."""

    quantities: dict[str, Value_Scalar] = {}


class OfferFilters_MinAllocatableResources(Message, kw_only=True):
    """`mesos.v1.OfferFilters.MinAllocatableResources`."""

    quantities: list[OfferFilters_ResourceQuantities] = []


class Filters(Message, kw_only=True):
    """For how long the remaining resources are not offered again."""

    refuse_seconds: Double = msgspec.field(default_factory=lambda: 5.0)


class Environment(Message, kw_only=True):
    """Environment variables of a process."""

    variables: list[Environment_Variable] = []


class Environment_Variable(Message, kw_only=True):
    """`mesos.v1.Environment.Variable`."""

    name: str
    type: Environment_Variable_Type = msgspec.field(default_factory=lambda: Environment_Variable_Type.VALUE)
    value: str | None = None
    secret: Secret | None = None


class Credential(Message, kw_only=True):
    """`mesos.v1.Credential`."""

    principal: str
    secret: str | None = None


class Credentials(Message, kw_only=True):
    """`mesos.v1.Credentials`."""

    credentials: list[Credential] = []


class Secret(Message, kw_only=True):
    """`mesos.v1.Secret`."""

    type: Secret_Type | None = None
    reference: Secret_Reference | None = None
    value: Secret_Value | None = None


class Secret_Reference(Message, kw_only=True):
    """`mesos.v1.Secret.Reference`."""

    name: str
    key: str | None = None


class Secret_Value(Message, kw_only=True):
    """`mesos.v1.Secret.Value`."""

    data: bytes
