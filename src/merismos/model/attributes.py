"""The notation of `--attributes`: `rack:r1;level:10;keys:[1000-1500];tags:{a,b}`.

A value reads as in `--resources`; what isn't a number, ranges or a set is text. A value may contain colons.
"""

from __future__ import annotations

import re

from merismos.model.ranges import Ranges
from merismos.model.rejection import Rejection
from merismos.model.sets import ItemSet
from merismos.model.value_notation import parse_value
from merismos.protocol.v1 import mesos

_split = re.compile(r"[;\n]").split


def parse_attributes(text: str) -> list[mesos.Attribute] | Rejection:
    """Return the attributes that `text` notes, in their order.

    Errors: Rejection `attributes_invalid` that quotes the part in question.
    """
    attributes: list[mesos.Attribute] = []
    for token in _split(text):
        if not token:
            continue
        name, _, value = token.partition(":")
        if not name or not value:
            return Rejection("attributes_invalid", f"Invalid attribute key:value pair '{token}'")
        try:
            attributes.append(_attribute(name, value))
        except ValueError as error:
            return Rejection("attributes_invalid", f"Failed to parse attribute {name} text {value} error {error}")
    return attributes


def _attribute(name: str, text: str) -> mesos.Attribute:
    value = parse_value(text)
    if isinstance(value, float):
        return mesos.Attribute(name=name, type=mesos.Value_Type.SCALAR, scalar=mesos.Value_Scalar(value=value))
    if isinstance(value, Ranges):
        ranges = [mesos.Value_Range(begin=begin, end=end) for begin, end in value]
        return mesos.Attribute(name=name, type=mesos.Value_Type.RANGES, ranges=mesos.Value_Ranges(range=ranges))
    if isinstance(value, ItemSet):
        return mesos.Attribute(name=name, type=mesos.Value_Type.SET, set=mesos.Value_Set(item=list(value)))
    return mesos.Attribute(name=name, type=mesos.Value_Type.TEXT, text=mesos.Value_Text(value=value))


def attributes_to_v0(attributes: list[mesos.Attribute]) -> dict[str, float | str]:
    """Return the object that the v0 endpoints print: `{"rack":"r1","level":10.0,"keys":"[1000-1500]"}`."""
    return {attribute.name: _v0_value(attribute) for attribute in attributes}


def _v0_value(attribute: mesos.Attribute) -> float | str:
    if attribute.scalar is not None:
        return attribute.scalar.value
    if attribute.ranges is not None:
        return "[" + ", ".join(f"{one.begin}-{one.end}" for one in attribute.ranges.range) + "]"
    if attribute.set is not None:
        return "{" + ", ".join(attribute.set.item) + "}"
    return "" if attribute.text is None else attribute.text.value
