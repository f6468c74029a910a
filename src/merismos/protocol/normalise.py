"""Mesos' leniency towards JSON, for what the strict decoder refused.

Rules: null means unset; unknown fields are ignored; a numeric string is a number; a bare value for a repeated field is its
one element, and nulls in a list are dropped; an unknown value of an enum counts as unset; a number for an enum is an error;
a fraction for an integer is cut. The first wrong field is the error; only when there is none, all missing required fields are.
"""

from __future__ import annotations

import base64
import binascii
import math

from merismos.protocol.errors import DecodeError
from merismos.protocol.schema import Field, Kind, Label, fields_of
from merismos.protocol.v1.message import Message

_UNSET = object()
_NUMBER_CHARACTERS_MAX = 400
_QUOTED_CHARACTERS_MAX = 200


def normalise(message: type[Message], value: object) -> dict[str, object]:
    """Return `value`, decoded from JSON, as the plain form that the strict decoder of `message` takes.

    Errors: DecodeError, without what was to be converted into what.
    """
    if not isinstance(value, dict):
        raise DecodeError("Expecting a JSON object")
    normal = _message(message, value)
    if missing := list(_missing(message, normal, "")):
        raise DecodeError(f"Missing required fields: {', '.join(missing)}")
    return normal


def _message(message: type[Message], value: dict[str, object]) -> dict[str, object]:
    normal: dict[str, object] = {}
    for field in fields_of(message):
        given = value.get(field.name)
        if given is None:
            continue
        one = _values(field, given)
        if one is not _UNSET:
            normal[field.name] = one
    return normal


def _values(field: Field, given: object) -> object:
    if field.label is Label.REPEATED:
        elements = given if isinstance(given, list) else [given]
        values = [_value(field, element) for element in elements if element is not None]
        return [value for value in values if value is not _UNSET]
    if field.label is Label.MAP:
        if not isinstance(given, dict):
            raise _unexpected(given, field)
        pairs = {key: _value(field, value) for key, value in given.items() if value is not None}
        return {key: value for key, value in pairs.items() if value is not _UNSET}
    return _value(field, given)


def _value(field: Field, given: object) -> object:
    kind = field.kind
    if field.message is not None and isinstance(given, dict):
        return _message(field.message, given)
    if isinstance(given, str):
        return _from_string(field, given)
    if kind is Kind.BOOL and isinstance(given, bool):
        return given
    if kind in {Kind.INTEGER, Kind.DOUBLE} and isinstance(given, int | float) and not isinstance(given, bool):
        return _number(field, given)
    raise _unexpected(given, field)


def _from_string(field: Field, given: str) -> object:
    kind = field.kind
    if kind is Kind.STRING:
        return given
    if kind is Kind.ENUM:
        assert field.enumeration is not None
        return given if given in field.enumeration.__members__ else _UNSET
    if kind is Kind.BYTES:
        try:
            return base64.b64encode(base64.b64decode(given, validate=True)).decode()
        except (binascii.Error, ValueError) as error:
            raise DecodeError(f"Failed to base64 decode bytes field '{field.name}': {error}") from error
    if kind is Kind.BOOL and given in {"true", "false"}:
        return given == "true"
    if kind in {Kind.INTEGER, Kind.DOUBLE}:
        return _number(field, _parse_number(field, given))
    raise _unexpected(given, field)


def _parse_number(field: Field, given: str) -> int | float:
    text = given.strip()
    if len(text) <= _NUMBER_CHARACTERS_MAX and text.isascii() and "_" not in text:
        try:
            return int(text)
        except ValueError:
            pass
        try:
            number = float(text)
        except ValueError:
            pass
        else:
            if math.isfinite(number) or text.strip("+-").lower() in {"infinity", "inf", "nan"}:
                return number
    quoted = given[:_QUOTED_CHARACTERS_MAX]
    reason = f"syntax error at line 1 near: {quoted}"
    raise DecodeError(f"Failed to parse '{quoted}' as a JSON number for field '{field.name}': {reason}")


def _number(field: Field, given: float) -> object:
    if field.kind is Kind.DOUBLE:
        try:
            number = float(given)
        except OverflowError as error:
            raise DecodeError(f"The number for field '{field.name}' is out of range") from error
        if math.isnan(number) or number == -math.inf:
            raise DecodeError(f"Not expecting {number} for field '{field.name}'")
        return "Infinity" if number == math.inf else number
    if not math.isfinite(given):
        raise DecodeError(f"Not expecting {given} for field '{field.name}'")
    whole = int(given)
    if not field.low <= whole <= field.high:
        raise DecodeError(f"The number for field '{field.name}' is out of range: {field.low} to {field.high}")
    return whole


def _unexpected(given: object, field: Field) -> DecodeError:
    return DecodeError(f"Not expecting a JSON {_json_type(given)} for field '{field.name}'")


def _json_type(given: object) -> str:
    match given:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _missing(message: type[Message], normal: dict[str, object], prefix: str) -> list[str]:
    """Return the paths of the required fields that are not there, those of the message itself first."""
    fields = fields_of(message)
    paths = [f"{prefix}{field.name}" for field in fields if field.label is Label.REQUIRED and field.name not in normal]
    for field in fields:
        value = normal.get(field.name)
        if value is None or field.message is None:
            continue
        path = f"{prefix}{field.name}"
        match value:
            case list():
                for index, element in enumerate(value):
                    paths += _missing(field.message, element, f"{path}[{index}].")
            case dict() if field.label is Label.MAP:
                for key, element in value.items():
                    paths += _missing(field.message, element, f"{path}[{key}].")
            case dict():
                paths += _missing(field.message, value, f"{path}.")
    return paths
