"""Recordings of a machine's life: what it was made with, each event that it handled, and marks of the effects that came of it.

A recording is `MAGIC`, then records, each behind its length in 4 bytes, big-endian: one `Made`, any number of `Handled`, and at
most one `Stopped`, all msgpack.
Rules: an event is written as it was before it was handled, since handlers take apart what they are given. An effect leaves its name
and a digest of 32 bits; what the digest sees is what the shell sees, but no object of the core's: an offer stands for its ids and resources.
Whatever class the tables of handlers name is an event of its role; nothing else has to be told.
"""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Sequence
from typing import Any, Final
from zlib import crc32

import msgspec

from merismos.core.agent import events as agent_events
from merismos.core.agent import machine as agent_machine
from merismos.core.agent.machine import AgentMachine
from merismos.core.agent.state import AgentSettings
from merismos.core.kernel import Effect, Event, Machine
from merismos.core.master import events as master_events
from merismos.core.master import machine as master_machine
from merismos.core.master.effects import SendOffers
from merismos.core.master.machine import MasterMachine
from merismos.core.master.state import Config
from merismos.model.identity import Identity
from merismos.model.sets import ItemSet
from merismos.protocol.thin import ThinCall, with_tasks, without_tasks

MAGIC: Final = b"merismos-recording/1\n"
MASTER: Final = "master"
AGENT: Final = "agent"
EVENTS: Final[dict[str, dict[str, type[Event]]]] = {
    MASTER: {kind.__name__: kind for kind in master_machine.HANDLERS},
    AGENT: {kind.__name__: kind for kind in agent_machine.HANDLERS} | {"Checkpointed": agent_events.Checkpointed},
}
LENGTH: Final = struct.Struct(">I")
_ADDRESS = re.compile(r"\b0x[0-9a-f]+")


class Record(msgspec.Struct, array_like=True, tag=True, gc=False):
    """One record of a recording; new fields are appended with a default."""


class Made(Record):
    """First in a recording: which machine, and what it was made with.

    Shapes: `settings` is the msgpack of a master's Config as a map, or of AgentSettings; `version` of Merismos.
    """

    role: str
    version: str
    settings: bytes


class Handled(Record):
    """An event, and the name and digest of each effect that came of it; `fault` is what was raised instead.

    Shapes: `body` is msgpack, or JSON where `is_json` says so.
    """

    at: float
    kind: str
    body: bytes
    is_json: bool
    effects: list[tuple[str, int]] = []
    fault: str = ""


class Stopped(Record):
    """Last in a recording that ended before its process: why nothing was recorded any more."""

    reason: str


AnyRecord = Made | Handled | Stopped
_RECORDS: msgspec.msgpack.Decoder[AnyRecord] = msgspec.msgpack.Decoder(AnyRecord)


class RecordingError(Exception):
    """A recording can't be read, or not by this version."""


class _Called(msgspec.Struct, array_like=True, gc=False):
    """A SchedulerCalled event, with the JSON of its tasks beside it."""

    request: int
    call: ThinCall
    left_out: list[list[bytes]]
    stream_id: str | None
    principal: str | None


def encode(record: Record) -> bytes:
    """Return a record with its length before it."""
    body = _PACK.encode(record)
    return LENGTH.pack(len(body)) + body


def decode(body: bytes) -> AnyRecord:
    """Return the record of which `body` is all but the length.

    Errors: RecordingError.
    """
    try:
        return _RECORDS.decode(body)
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"a record does not decode: {error}") from error


# ---------------------------------------------------------------- the machine
def made_master(config: Config, version: str) -> Made:
    """Return the first record of a master's recording."""
    return Made(MASTER, version, _PACK.encode(vars(config)))


def made_agent(settings: AgentSettings, version: str) -> Made:
    """Return the first record of an agent's recording."""
    return Made(AGENT, version, _PACK.encode(settings))


def machine_of(made: Made) -> Machine:
    """Return a new machine like the one that was recorded.

    Errors: RecordingError where this version doesn't know its role or settings.
    """
    if made.role not in EVENTS:
        raise RecordingError(f"it is of a {made.role!r}, which is neither {MASTER} nor {AGENT}")
    try:
        if made.role == AGENT:
            return AgentMachine(msgspec.msgpack.decode(made.settings, type=AgentSettings))
        return MasterMachine(_config_of(msgspec.msgpack.decode(made.settings, type=dict[str, Any])))
    except (ValueError, RecursionError) as error:
        raise RecordingError(
            f"its {made.role} was made with settings that this version does not take: {error}"
        ) from error


def _config_of(values: dict[str, Any]) -> Config:
    config = Config()
    for name, value in values.items():
        if name not in vars(config):
            raise ValueError(f"{name} is unknown")
        setattr(config, name, value)
    return config


# ---------------------------------------------------------------- events
def pack_event(event: Event) -> tuple[bytes, bool]:
    """Return an event's body, and whether it is JSON.

    Errors: ValueError, TypeError, OverflowError, RecursionError for an event that no codec takes.
    """
    if event.__class__ is master_events.SchedulerCalled:
        called: Any = event
        call, left_out = without_tasks(called.call)
        return _pack(_Called(called.request, call, left_out, called.stream_id, called.principal))
    return _pack(event)


def unpack_event(role: str, record: Handled) -> Event:
    """Return the event of a record.

    Errors: RecordingError.
    """
    kind = EVENTS[role].get(record.kind)
    if kind is None:
        raise RecordingError(f"this version's {role} knows no event {record.kind}")
    try:
        if kind is master_events.SchedulerCalled:
            called: _Called = _decoder(_Called, record.is_json).decode(record.body)
            call = with_tasks(called.call, called.left_out)
            return master_events.SchedulerCalled(called.request, call, called.stream_id, called.principal)
        event: Event = _decoder(kind, record.is_json).decode(record.body)
    except (ValueError, RecursionError, StopIteration) as error:
        raise RecordingError(f"an event {record.kind} does not decode: {error}") from error
    return event


@functools.cache
def _decoder(kind: type[Any], is_json: bool) -> Any:  # noqa: ANN401, FBT001 - of either codec; a key of the cache
    return msgspec.json.Decoder(kind) if is_json else msgspec.msgpack.Decoder(kind)


# ---------------------------------------------------------------- effects
def marks_of(effects: Sequence[Effect]) -> list[tuple[str, int]]:
    """Return each effect's name and digest, which tells apart what differs by accident, and nothing more.

    Errors: ValueError, TypeError, OverflowError, RecursionError for an effect that no codec takes.
    """
    return [(effect.__class__.__name__, crc32(_pack(as_seen(effect))[0])) for effect in effects]


def fault_of(error: Exception) -> str:
    """Return what an exception says, without the addresses of objects, which are others each time."""
    return _ADDRESS.sub("0x", repr(error))


def as_seen(effect: Effect) -> object:
    """Return what a digest sees of an effect."""
    if effect.__class__ is not SendOffers:
        return effect
    send: Any = effect
    return (
        send.stream,
        [
            (one.id, one.framework.id, one.agent.id, one.role, list(one.resources.amounts.items()))
            for one in send.offers
        ],
    )


def stand_in(value: object) -> object:
    """Return what a codec writes for a value that it doesn't know.

    Errors: TypeError for one that nobody expects in an effect.
    """
    if isinstance(value, Identity):
        return value.key, value.details
    if isinstance(value, ItemSet):
        return list(value)
    raise TypeError(f"a {type(value).__name__} can't be written")


_PACK = msgspec.msgpack.Encoder(enc_hook=stand_in)
_JSON = msgspec.json.Encoder(enc_hook=stand_in)


def _pack(value: object) -> tuple[bytes, bool]:
    """Return a value's msgpack; its JSON where it holds a number of more than 64 bits, which msgpack doesn't have."""
    try:
        return _PACK.encode(value), False
    except OverflowError:
        return _JSON.encode(value), True
