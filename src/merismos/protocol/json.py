"""The JSON form of messages: decoded strictly first, leniently where that fails; written compactly, in ASCII only.

Rules: an answer fits on one line and counts as many bytes as characters, since clients count characters. An infinite number
is written as "Infinity". Whatever the input, the only error is DecodeError.
"""

from __future__ import annotations

import functools
import math
import re
from typing import TypeVar

import msgspec

from merismos.protocol.errors import DecodeError, EncodeError
from merismos.protocol.normalise import normalise
from merismos.protocol.v1.message import Message

M = TypeVar("M", bound=Message)

_ENCODER = msgspec.json.Encoder()
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_BYTE = re.compile(r"\(byte (\d+)\)$")
_NEAR_CHARACTERS_MAX = 200
# RecursionError for what is nested too deeply; ValueError covers msgspec's errors and UnicodeDecodeError.
UNDECODABLE = (ValueError, RecursionError)


def decode(message: type[M], data: bytes | bytearray | memoryview) -> M:
    """Return the message that `data` is the JSON of, with Mesos' leniency.

    Errors: DecodeError; its text is what Mesos answers.
    """
    decoder: msgspec.json.Decoder[M] = _decoder(message)
    try:
        return decoder.decode(data)
    except UNDECODABLE:
        normal = normalised(message, bytes(data))
    try:
        return decoder.decode(normal)
    except UNDECODABLE as error:
        raise _unconvertible(message, error) from error


def normalised(message: type[Message], data: bytes) -> bytes:
    """Return the JSON that the strict decoder of `message` takes, for `data` that it refused.

    Errors: DecodeError; its text is what Mesos answers.
    """
    value = parse(data)
    try:
        return _ENCODER.encode(normalise(message, value))
    except UNDECODABLE as error:
        raise _unconvertible(message, error) from error


def parse(data: bytes) -> object:
    """Return what `data` is the JSON of, as plain Python values.

    Errors: DecodeError; its text is what Mesos answers.
    """
    try:
        return msgspec.json.decode(data)
    except RecursionError as error:
        raise DecodeError("Failed to parse body into JSON: it is nested too deeply") from error
    except ValueError as error:
        raise DecodeError(f"Failed to parse body into JSON: {_syntax_error(data, error)}") from error


def encode(message: Message) -> bytes:
    """Return the JSON of a message: compact, ASCII only.

    Errors: EncodeError for a message that is nested too deeply, or text that is not Unicode.
    """
    try:
        data = _ENCODER.encode(message)
    except UNDECODABLE as error:
        raise EncodeError(f"the message can't be written as JSON: {error}") from error
    if b":null" in data:
        data = _ENCODER.encode(_without_infinity(msgspec.to_builtins(message)))
    return data if data.isascii() else to_ascii(data)


def to_ascii(data: bytes) -> bytes:
    r"""Return the same JSON with `\uXXXX` for every character that is not ASCII."""
    return _NOT_ASCII.sub(_escape, data.decode()).encode()


@functools.cache
def _decoder(message: type[M]) -> msgspec.json.Decoder[M]:
    return msgspec.json.Decoder(message, strict=False)


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def _without_infinity(value: object) -> object:
    match value:
        case float() if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        case dict():
            return {key: _without_infinity(one) for key, one in value.items()}
        case list():
            return [_without_infinity(one) for one in value]
    return value


def _unconvertible(message: type[Message], error: Exception) -> DecodeError:
    reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return DecodeError(f"Failed to convert JSON into {message.__name__.rpartition('_')[2]} protobuf: {reason}")


def _syntax_error(data: bytes, error: ValueError) -> str:
    """Return where and why in Mesos' words: the line, and what is left of it from the place on."""
    reason = str(error)
    place = _BYTE.search(reason)
    at = int(place[1]) if place else len(data)
    if "trailing characters" in reason:
        at = len(data[: at - 1].rstrip(b" \t\r\n"))  # msgspec names the place after the first of them
        return f"Parsed JSON included non-whitespace trailing characters: {_near(data[at:])}"
    if isinstance(error, UnicodeDecodeError) or "out of range" in reason:
        return f"{reason} at line 1"
    line = data[:at].count(b"\n") + 1
    return f"syntax error at line {line} near: {_near(data[at:])}"


def _near(rest: bytes) -> str:
    return rest[: _NEAR_CHARACTERS_MAX * 4].split(b"\n")[0].decode(errors="replace")[:_NEAR_CHARACTERS_MAX]
