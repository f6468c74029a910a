"""What every generated Struct is made of.

Rules: unset is None; an unset field and an empty list are left out of the output; a field with an explicit default is always
written. A message holds no reference to itself, so the garbage collector does not track it. No number is NaN.
"""

from __future__ import annotations

from typing import Annotated

import msgspec


class Message(msgspec.Struct, kw_only=True, gc=False, omit_defaults=True):
    """A message of the v1 schema."""


Double = Annotated[float, msgspec.Meta(ge=-1.7976931348623157e308)]
Int32 = Annotated[int, msgspec.Meta(ge=-(1 << 31), le=(1 << 31) - 1)]
Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
UInt32 = Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 1)]
# msgspec takes no bound over 2**63 - 1; what is over 2**64 - 1 is cut where it is written as protobuf.
UInt64 = Annotated[int, msgspec.Meta(ge=0)]
