"""The messages of `mesos/v1/mesos_ids.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

from merismos.protocol.v1.message import Int32, Int64, Message


class FrameworkID(Message, kw_only=True):
    """The id of a framework, given by the master."""

    value: str


class OfferID(Message, kw_only=True):
    """The id of an offer, unique for ever."""

    value: str


class AgentID(Message, kw_only=True):
    """The id of an agent, given by the master when it is first admitted."""

    value: str


class TaskID(Message, kw_only=True):
    """The id of a task, chosen by its framework and unique within it."""

    value: str


class ExecutorID(Message, kw_only=True):
    """The id of an executor, chosen by its framework."""

    value: str


class ContainerID(Message, kw_only=True):
    """The id of a container; a nested one names its parent."""

    value: str
    parent: ContainerID | None = None


class ResourceProviderID(Message, kw_only=True):
    """`mesos.v1.ResourceProviderID`."""

    value: str


class OperationID(Message, kw_only=True):
    """`mesos.v1.OperationID`."""

    value: str


class TimeInfo(Message, kw_only=True):
    """`mesos.v1.TimeInfo`."""

    nanoseconds: Int64


class DurationInfo(Message, kw_only=True):
    """`mesos.v1.DurationInfo`."""

    nanoseconds: Int64


class Address(Message, kw_only=True):
    """`mesos.v1.Address`."""

    hostname: str | None = None
    ip: str | None = None
    port: Int32


class URL(Message, kw_only=True):
    """`mesos.v1.URL`."""

    scheme: str
    address: Address
    path: str | None = None
    query: list[Parameter] = []
    fragment: str | None = None


class Unavailability(Message, kw_only=True):
    """`mesos.v1.Unavailability`."""

    start: TimeInfo
    duration: DurationInfo | None = None


class MachineID(Message, kw_only=True):
    """`mesos.v1.MachineID`."""

    hostname: str | None = None
    ip: str | None = None


class UUID(Message, kw_only=True):
    """`mesos.v1.UUID`."""

    value: bytes


class Parameter(Message, kw_only=True):
    """`mesos.v1.Parameter`."""

    key: str
    value: str


class Parameters(Message, kw_only=True):
    """`mesos.v1.Parameters`."""

    parameter: list[Parameter] = []


class Labels(Message, kw_only=True):
    """Free key-value pairs; keys may repeat."""

    labels: list[Label] = []


class Label(Message, kw_only=True):
    """`mesos.v1.Label`."""

    key: str
    value: str | None = None
