"""The messages of `mesos/v1/allocator/allocator.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

import enum

from merismos.protocol.v1 import mesos_ids
from merismos.protocol.v1.message import Message


class InverseOfferStatus_Status(enum.StrEnum):
    """`mesos.v1.allocator.InverseOfferStatus.Status`."""

    UNKNOWN = "UNKNOWN"
    ACCEPT = "ACCEPT"
    DECLINE = "DECLINE"


class InverseOfferStatus(Message, kw_only=True):
    """What a framework answered to an inverse offer."""

    status: InverseOfferStatus_Status
    framework_id: mesos_ids.FrameworkID
    timestamp: mesos_ids.TimeInfo
