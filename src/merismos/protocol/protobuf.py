"""The protobuf form of messages, driven by the fields of the Structs.

Rules: this module is imported only where someone speaks protobuf, since it imports google.protobuf. The descriptors live in a
pool of their own, so that another package's Mesos descriptors don't meet ours. An enum value that is unknown is dropped.
An optional field that has its default is not written. An integer over its field's range is cut to the range.
Maps are read and written in the order of their keys, so that equal input gives equal output.
"""

from __future__ import annotations

import functools
import importlib.resources
import math
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, NamedTuple, TypeVar

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError as ProtobufDecodeError
from google.protobuf.message import Message as ProtobufMessage
from google.protobuf.message_factory import GetMessageClass

from merismos.protocol import json, thin
from merismos.protocol.errors import DecodeError, EncodeError
from merismos.protocol.schema import Field, Kind, Label, fields_of
from merismos.protocol.v1 import scheduler
from merismos.protocol.v1.message import Message

M = TypeVar("M", bound=Message)


class _FieldPlan(NamedTuple):
    """How one field of a Struct becomes one of a protobuf message, and back."""

    field: Field
    default: object  # not written when it has this value; None: always written
    numbers: dict[str, int]  # of an enum
    names: dict[int, object]  # of an enum


class _Plan(NamedTuple):
    """How a Struct becomes a protobuf message, and back."""

    message: type[Message]
    protobuf: type[ProtobufMessage]
    fields: dict[str, _FieldPlan]


def decode(message: type[M], data: bytes) -> M:
    """Return the message that `data` is the protobuf form of.

    Errors: DecodeError, which names the missing fields if that is what is wrong.
    """
    plan = _plan(message)
    parsed: Any = plan.protobuf()
    refusal = f"Failed to parse body into {message.__name__.rpartition('_')[2]} protobuf"
    try:
        parsed.ParseFromString(data)
        # FindInitializationErrors would say it too, but crashes the process on a map key that is no UTF-8.
        missing = [] if parsed.IsInitialized() else _missing(parsed, plan, "")
        decoded = None if missing else _read(parsed, plan)
    except (ProtobufDecodeError, ValueError, RecursionError) as error:
        reason = f": {error}" if isinstance(error, DecodeError) else ""
        raise DecodeError(f"{refusal}{reason}") from error
    if missing:
        raise DecodeError(f"{refusal}: Missing required fields: {', '.join(missing)}")
    assert isinstance(decoded, message)
    return decoded


def decode_call(data: bytes) -> thin.ThinCall:
    """Return the scheduler's call that `data` is the protobuf form of, its tasks as JSON, as `thin.decode_call` does.

    Errors: DecodeError, which names the missing fields if that is what is wrong.
    """
    return thin.decode_call(json.encode(decode(scheduler.Call, data)))


def encode(message: Message) -> bytes:
    """Return the protobuf form of a message.

    Errors: EncodeError for text that is not Unicode, or a message that is nested too deeply.
    """
    plan = _plan(type(message))
    made: Any = plan.protobuf()
    try:
        _write(made, message, plan)
        encoded: bytes = made.SerializeToString(deterministic=True)
    except (ValueError, RecursionError, ProtobufDecodeError) as error:
        raise EncodeError(f"the message can't be written as protobuf: {error}") from error
    return encoded


@functools.cache
def _protobuf_classes() -> dict[tuple[str, str], type[ProtobufMessage]]:
    """Return the protobuf class of each message by the module and the name of its Struct."""
    serialized = (importlib.resources.files("merismos.protocol.pb") / "descriptors.binpb").read_bytes()
    files = FileDescriptorSet.FromString(serialized)
    pool = DescriptorPool()
    for file in files.file:
        pool.Add(file)
    classes: dict[tuple[str, str], type[ProtobufMessage]] = {}

    def add(module: str, full_name: str, flat_name: str, message: DescriptorProto) -> None:
        classes[module, flat_name] = GetMessageClass(pool.FindMessageTypeByName(full_name))
        for nested in message.nested_type:
            add(module, f"{full_name}.{nested.name}", f"{flat_name}_{nested.name}", nested)

    for file in files.file:
        for message in file.message_type:
            add(PurePosixPath(file.name).stem, f"{file.package}.{message.name}", message.name, message)
    return classes


@functools.cache
def _plan(message: type[Message]) -> _Plan:
    protobuf = _protobuf_classes()[message.__module__.rpartition(".")[2], message.__name__]
    fields: dict[str, _FieldPlan] = {}
    for field in fields_of(message):
        descriptor = protobuf.DESCRIPTOR.fields_by_name[field.name]
        enum: Any = descriptor.enum_type
        numbers = {value.name: value.number for value in enum.values} if enum else {}
        names: dict[int, object] = {}
        if enum and field.enumeration:
            names = {number: field.enumeration(value.name) for number, value in enum.values_by_number.items()}
        default: object = None
        # An unset field with a default is, in the Struct, that default; but None if it is deprecated.
        if field.label is Label.OPTIONAL and descriptor.has_default_value and not descriptor.GetOptions().deprecated:
            default = names[descriptor.default_value] if enum else descriptor.default_value
        fields[field.name] = _FieldPlan(field, default, numbers, names)
    return _Plan(message, protobuf, fields)


def _write(made: Any, message: Message, plan: _Plan) -> None:  # noqa: ANN401 - made at run time, untyped
    for name, field_plan in plan.fields.items():
        value = getattr(message, name)
        if value is None or value == field_plan.default:
            continue
        field = field_plan.field
        match field.label:
            case Label.REPEATED if field.message is not None:
                nested = _plan(field.message)
                repeated = getattr(made, name)
                for element in value:
                    _write(repeated.add(), element, nested)
            case Label.REPEATED:
                getattr(made, name).extend([_writable(field_plan, element) for element in value])
            case Label.MAP:
                mapping = getattr(made, name)
                for key, element in value.items():
                    if field.message is None:
                        mapping[key] = _writable(field_plan, element)
                    else:
                        _write(mapping[key], element, _plan(field.message))
            case _ if field.message is not None:
                nested_made = getattr(made, name)
                nested_made.SetInParent()
                _write(nested_made, value, _plan(field.message))
            case _:
                setattr(made, name, _writable(field_plan, value))


def _writable(plan: _FieldPlan, value: Any) -> object:  # noqa: ANN401 - of the field's kind
    field = plan.field
    if field.kind is Kind.ENUM:
        return plan.numbers[value]
    if field.kind is Kind.INTEGER:
        return min(max(value, field.low), field.high)
    return value


def _read(parsed: Any, plan: _Plan) -> Message:  # noqa: ANN401 - made at run time, untyped
    values: dict[str, object] = {}
    for descriptor, value in parsed.ListFields():
        field_plan = plan.fields[descriptor.name]
        read = _reader(field_plan)
        match field_plan.field.label:
            case Label.REPEATED:
                values[descriptor.name] = [read(element) for element in value]
            case Label.MAP:
                keys = sorted(_text(field_plan.field, key) for key in value)
                values[descriptor.name] = {key: read(value[key]) for key in keys}
            case _:
                values[descriptor.name] = read(value)
    return plan.message(**values)


def _missing(parsed: Any, plan: _Plan, prefix: str) -> list[str]:  # noqa: ANN401 - made at run time, untyped
    """Return the paths of the required fields that are not there, those of the message itself first."""
    required = [name for name, field_plan in plan.fields.items() if field_plan.field.label is Label.REQUIRED]
    paths = [f"{prefix}{name}" for name in required if not parsed.HasField(name)]
    for descriptor, value in parsed.ListFields():
        field = plan.fields[descriptor.name].field
        if field.message is None:
            continue
        nested = _plan(field.message)
        path = f"{prefix}{field.name}"
        match field.label:
            case Label.REPEATED:
                elements = [(f"{path}[{index}].", element) for index, element in enumerate(value)]
            case Label.MAP:
                elements = [(f"{path}[{key}].", value[key]) for key in sorted(_text(field, key) for key in value)]
            case _:
                elements = [(f"{path}.", value)]
        for element_prefix, element in elements:
            paths += _missing(element, nested, element_prefix)
    return paths


def _reader(plan: _FieldPlan) -> Callable[[Any], object]:
    field = plan.field
    if field.message is not None:
        nested = _plan(field.message)
        return lambda value: _read(value, nested)
    match field.kind:
        case Kind.ENUM:
            return plan.names.__getitem__
        case Kind.DOUBLE:
            return functools.partial(_number, field)
        case Kind.STRING:
            return functools.partial(_text, field)
    return _as_is


def _as_is(value: object) -> object:
    return value


def _text(field: Field, value: object) -> str:
    if not isinstance(value, str):  # bytes, where they are no UTF-8
        raise DecodeError(f"Not expecting text that is no UTF-8 for field '{field.name}'")
    return value


def _number(field: Field, value: float) -> float:
    if math.isnan(value) or value == -math.inf:
        raise DecodeError(f"Not expecting {value} for field '{field.name}'")
    return value
