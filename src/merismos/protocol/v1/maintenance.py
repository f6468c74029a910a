"""The messages of `mesos/v1/maintenance/maintenance.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

from merismos.protocol.v1 import allocator, mesos_ids
from merismos.protocol.v1.message import Message


class Window(Message, kw_only=True):
    """`mesos.v1.maintenance.Window`."""

    machine_ids: list[mesos_ids.MachineID] = []
    unavailability: mesos_ids.Unavailability


class Schedule(Message, kw_only=True):
    """The planned maintenance of machines."""

    windows: list[Window] = []


class ClusterStatus(Message, kw_only=True):
    """The machines that are draining or down."""

    draining_machines: list[ClusterStatus_DrainingMachine] = []
    down_machines: list[mesos_ids.MachineID] = []


class ClusterStatus_DrainingMachine(Message, kw_only=True):
    """`mesos.v1.maintenance.ClusterStatus.DrainingMachine`."""

    id: mesos_ids.MachineID
    statuses: list[allocator.InverseOfferStatus] = []
