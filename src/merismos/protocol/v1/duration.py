"""The messages of `google/protobuf/duration.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

from merismos.protocol.v1.message import Int32, Int64, Message


class Duration(Message, kw_only=True):
    """`google.protobuf.Duration`."""

    seconds: Int64 = 0
    nanos: Int32 = 0
