"""What the fields of a Struct are, for the codecs that walk messages: the normaliser of JSON and the protobuf codec.

Rules: read from the annotations of the Structs once a class, on first use; the Structs are the only source.
"""

from __future__ import annotations

import enum
import functools
import types
import typing

import msgspec

from merismos.protocol.v1.message import Message


class Kind(enum.Enum):
    """What one value of a field is."""

    BOOL = enum.auto()
    BYTES = enum.auto()
    DOUBLE = enum.auto()
    ENUM = enum.auto()
    INTEGER = enum.auto()
    MESSAGE = enum.auto()
    STRING = enum.auto()


class Label(enum.Enum):
    """How many values a field has."""

    REQUIRED = enum.auto()
    OPTIONAL = enum.auto()
    REPEATED = enum.auto()
    MAP = enum.auto()  # its keys are strings


class Field(typing.NamedTuple):
    """A field of a message."""

    name: str
    label: Label
    kind: Kind
    message: type[Message] | None = None  # of MESSAGE
    enumeration: type[enum.StrEnum] | None = None  # of ENUM
    low: int = 0  # of INTEGER
    high: int = (1 << 64) - 1  # of INTEGER


_KINDS = {bool: Kind.BOOL, bytes: Kind.BYTES, float: Kind.DOUBLE, int: Kind.INTEGER, str: Kind.STRING}


@functools.cache
def fields_of(message: type[Message]) -> tuple[Field, ...]:
    """Return the fields of a message in the order of its declaration."""
    hints = typing.get_type_hints(message, include_extras=True)
    return tuple(
        _field(field.name, hints[field.name], required=field.required) for field in msgspec.structs.fields(message)
    )


def _field(name: str, hint: object, *, required: bool) -> Field:
    label = Label.REQUIRED if required else Label.OPTIONAL
    origin = typing.get_origin(hint)
    if origin is list:
        (hint,) = typing.get_args(hint)
        label = Label.REPEATED
    elif origin is dict:
        _, hint = typing.get_args(hint)
        label = Label.MAP
    elif origin in {types.UnionType, typing.Union}:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) is typing.Annotated:
        scalar, meta = typing.get_args(hint)
        if scalar is int:
            field = Field(name, label, Kind.INTEGER, low=meta.ge)
            return field if meta.le is None else field._replace(high=meta.le)
        hint = scalar
    assert isinstance(hint, type)
    if issubclass(hint, Message):
        return Field(name, label, Kind.MESSAGE, message=hint)
    if issubclass(hint, enum.StrEnum):
        return Field(name, label, Kind.ENUM, enumeration=hint)
    return Field(name, label, _KINDS[hint])
