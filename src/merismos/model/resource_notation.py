"""The notation of `--resources`: `cpus:2.5;ports:[31000-31010];mem(eng):512`, or a JSON array of Resource messages.

It names what a machine has, so it can't name what only comes to be at run time: dynamic reservations, persistent volumes and
revocable resources. One name has one type.
"""

from __future__ import annotations

from merismos.model.identity import IdentityKey, Reservation, Value, ValueType, identity_of
from merismos.model.ranges import Ranges
from merismos.model.rejection import Rejection
from merismos.model.resource_json import decode_messages
from merismos.model.resource_protocol import from_protocol
from merismos.model.resources import Resources, resources_of
from merismos.model.roles import DEFAULT_ROLE, validate_role
from merismos.model.scalars import format_milli
from merismos.model.value_notation import noted_milli, parse_value, split_pair


def parse_resources(text: str, default_role: str = DEFAULT_ROLE) -> Resources | Rejection:
    """Return the resources that `text` notes; entries that name no role are reserved to `default_role`.

    Errors: Rejection `resources_invalid` that quotes the part in question.
    """
    parsed = _parse_json(text, default_role) if text.lstrip().startswith("[") else _parse_pairs(text, default_role)
    if isinstance(parsed, Rejection):
        return parsed
    return _fault_of_machine(parsed) or parsed


def _parse_json(text: str, default_role: str) -> Resources | Rejection:
    messages = decode_messages(text.encode("utf-8", "surrogatepass"))
    if isinstance(messages, Rejection):
        return Rejection(messages.reason, f"Some JSON resources were not formatted properly: {messages.message}")
    for message in messages:
        if message.role is None and not message.reservations:
            message.role = default_role
    return from_protocol(messages)


def _parse_pairs(text: str, default_role: str) -> Resources | Rejection:
    entries = []
    for token in text.split(";"):
        if not token.strip():
            continue
        entry = _parse_pair(token, default_role)
        if isinstance(entry, Rejection):
            return entry
        entries.append(entry)
    return resources_of((identity_of(key), value) for key, value in entries)


def _parse_pair(token: str, default_role: str) -> tuple[IdentityKey, Value] | Rejection:
    pair = split_pair(token)
    if pair is None:
        return _rejection(f"Bad value for resources, missing or extra ':' in {token}")
    name, opening, rest = pair[0].partition("(")
    name = name.strip()
    role, closing, _ = rest.partition(")") if opening else (default_role, ")", "")
    role = role.strip()
    if not closing:
        return _rejection(f"Bad value for resources, mismatched parentheses in {token}")
    if not name:
        return _rejection(f"Empty resource name in {token}")
    refused = validate_role(role)
    if refused is not None:
        return _rejection(refused.message)
    try:
        noted = parse_value(pair[1])
        value = noted_milli(noted) if isinstance(noted, float) else noted
    except ValueError as error:
        return _rejection(f"Failed to parse resource {name} value {pair[1]} error {error}")
    if isinstance(value, str):
        return _rejection(f"Bad type for resource {name} value {pair[1]} type TEXT")
    kind: ValueType = "SCALAR" if isinstance(value, int) else "RANGES" if isinstance(value, Ranges) else "SET"
    reservations = () if role == DEFAULT_ROLE else (Reservation("STATIC", role),)
    return IdentityKey(name, kind, reservations), value


def _fault_of_machine(resources: Resources) -> Rejection | None:
    types: dict[str, ValueType] = {}
    for entry in resources:
        identity = entry.identity
        if identity.is_persistent_volume:
            return _rejection("Persistent volumes cannot be specified at the command line")
        if identity.revocable:
            return _rejection(
                "Revocable resources cannot be specified at the command line; do not include a 'revocable' key in the"
                " resources JSON"
            )
        if identity.is_dynamically_reserved:
            return _rejection(
                "Dynamic reservations cannot be specified at the command line; do not include a reservation with DYNAMIC"
                " type in the resources JSON"
            )
        if types.setdefault(identity.name, identity.type) != identity.type:
            return _rejection(
                f"Resources with the same name ('{identity.name}') but different types are not allowed",
            )
    return None


def _rejection(message: str) -> Rejection:
    return Rejection("resources_invalid", message)


def format_notation(resources: Resources) -> str:
    """Return the notation that `parse_resources` reads back, for resources without disks, providers and dynamic reservations."""
    return ";".join(_pair(entry.identity.name, entry.identity.reservation_role, entry.value) for entry in resources)


def _pair(name: str, role: str | None, value: Value) -> str:
    owner = "" if role is None else f"({role})"
    if isinstance(value, int):
        return f"{name}{owner}:{format_milli(value)}"
    return f"{name}{owner}:{str(value).replace(' ', '')}"
