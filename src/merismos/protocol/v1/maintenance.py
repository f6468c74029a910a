"""The messages of `mesos/v1/maintenance/maintenance.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

from merismos.protocol.v1 import allocator, mesos
from merismos.protocol.v1.message import Message


class Window(Message, kw_only=True):
    """`mesos.v1.maintenance.Window`."""

    machine_ids: list[mesos.MachineID] = []
    unavailability: mesos.Unavailability


class Schedule(Message, kw_only=True):
    """The planned maintenance of machines."""

    windows: list[Window] = []


class ClusterStatus(Message, kw_only=True):
    """The machines that are draining or down."""

    draining_machines: list[ClusterStatus_DrainingMachine] = []
    down_machines: list[mesos.MachineID] = []


class ClusterStatus_DrainingMachine(Message, kw_only=True):
    """`mesos.v1.maintenance.ClusterStatus.DrainingMachine`."""

    id: mesos.MachineID
    statuses: list[allocator.InverseOfferStatus] = []
