"""What a real Mesos sent and took, decoded and encoded again with nothing lost."""

from __future__ import annotations

import base64
import json as plain_json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from merismos.protocol import json, protobuf, recordio, thin
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import agent, executor, master, mesos, scheduler
from merismos.protocol.v1.message import Message

REFUSALS = ("Failed to parse body into JSON", "Failed to convert JSON into")
# What was sent is not in the schema, so Mesos dropped it as we do.
UNKNOWN_TO_MESOS = {"drain_agent.max_grace_period.nanoseconds", "nonsense", "type"}
# GET_AGENTS prints a field that the v1 schema does not have.
BEYOND_THE_SCHEMA = "checkpoint"


class Api(NamedTuple):
    """The types of one endpoint."""

    call: type[Message]
    event: type[Message]
    response: type[Message]


SCHEDULER = Api(scheduler.Call, scheduler.Event, scheduler.Response)
EXECUTOR = Api(executor.Call, executor.Event, executor.Event)
MASTER = Api(master.Call, master.Event, master.Response)
AGENT = Api(agent.Call, agent.ProcessIO, agent.Response)


class Exchange(NamedTuple):
    """A recorded request to a v1 endpoint, with its answer or stream."""

    file: str
    api: Api
    body: bytes | None
    status: int | None
    answer: str
    events: list[dict[str, Any]]


def exchanges(folder: Path) -> Iterator[Exchange]:
    for path in sorted(folder.glob("*/*.json")):
        for recorded in _recorded_in(plain_json.loads(path.read_text(encoding="utf-8"))):
            request = recorded["request"]
            api = _api_of(request)
            if api is not None and request["method"] == "POST":
                answer = recorded.get("response") or {}
                name = f"{path.parent.name}/{path.name}"
                body = _sent(request.get("body"))
                yield Exchange(
                    name, api, body, answer.get("status"), answer.get("body") or "", recorded.get("events", [])
                )


def _recorded_in(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("request"), dict) and "method" in value["request"]:
            yield value
        for one in value.values():
            yield from _recorded_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from _recorded_in(one)


def _api_of(request: dict[str, Any]) -> Api | None:
    path = request["path"].removeprefix("/master").removeprefix("/slave(1)")
    if not path.startswith("/api/v1"):
        return None
    if path.endswith("/scheduler"):
        return SCHEDULER
    if path.endswith("/executor"):
        return EXECUTOR
    host = next(value for name, value in request["headers"] if name.lower() == "host")
    return MASTER if host.endswith(":15050") else AGENT


def _sent(body: object) -> bytes | None:
    if body is None:
        return None
    if isinstance(body, dict) and set(body) == {"base64"}:
        return base64.b64decode(body["base64"])
    return body.encode() if isinstance(body, str) else plain_json.dumps(body).encode()


def lost(before: object, after: object, path: str = "") -> list[str]:
    """Return the paths of what was there before and is not, or is different, after; an empty list is nothing."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            one
            for name, value in before.items()
            if value not in ([], None)
            for one in (lost(value, after[name], f"{path}.{name}") if name in after else [f"{path}.{name}"])
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [one for first, second in zip(before, after, strict=True) for one in lost(first, second, f"{path}[]")]
    return [] if before == after else [path]


def test_every_request_that_mesos_took_decodes_with_nothing_lost(recordings: Path) -> None:
    seen = 0
    for exchange in exchanges(recordings):
        if exchange.body is None or exchange.answer.startswith(REFUSALS) or exchange.status in {405, 415}:
            continue
        body = exchange.body
        if exchange.file == "bad/agent_attach_input_no_message_ct.json":
            (body,) = recordio.Decoder().feed(body)
        written = json.encode(json.decode(exchange.api.call, body))
        missing = {path.lstrip(".") for path in lost(plain_json.loads(body), plain_json.loads(written))}
        assert missing <= UNKNOWN_TO_MESOS, exchange.file
        if "type" in missing:
            assert "Expecting 'type' to be present" in exchange.answer, exchange.file
        seen += 1
    assert seen > 400


def test_every_body_that_mesos_refused_is_refused_in_its_words(recordings: Path) -> None:
    seen = 0
    for exchange in exchanges(recordings):
        if exchange.body is None or not exchange.answer.startswith(REFUSALS):
            continue
        with pytest.raises(DecodeError) as raised:
            json.decode(exchange.api.call, exchange.body)
        assert str(raised.value) == exchange.answer, exchange.file
        if exchange.api is SCHEDULER:
            with pytest.raises(DecodeError) as raised:
                thin.decode_call(exchange.body)
            assert str(raised.value) == exchange.answer, exchange.file
        seen += 1
    assert seen >= 15


def test_every_scheduler_call_decodes_thin(recordings: Path) -> None:
    tasks = 0
    for exchange in exchanges(recordings):
        if exchange.api is not SCHEDULER or exchange.body is None or exchange.answer.startswith(REFUSALS):
            continue
        full = json.decode(scheduler.Call, exchange.body)
        call = thin.decode_call(exchange.body)
        assert (call.type, call.framework_id) == (full.type, full.framework_id)
        if call.accept is None or full.accept is None:
            continue
        for operation, full_operation in zip(call.accept.operations, full.accept.operations, strict=True):
            if operation.launch is None or full_operation.launch is None:
                continue
            for view, task in zip(operation.launch.tasks, full_operation.launch.task_infos, strict=True):
                assert json.decode(mesos.TaskInfo, view.json) == task, exchange.file
                tasks += 1
    assert tasks > 30


def test_every_answer_and_event_is_written_as_mesos_wrote_it(recordings: Path) -> None:
    seen: dict[type[Message], int] = {}
    for exchange in exchanges(recordings):
        texts = [(exchange.api.event, event["raw"]) for event in exchange.events if event.get("raw")]
        if exchange.status == 200 and exchange.answer.startswith("{"):
            texts.append((exchange.api.response, exchange.answer))
        for message, text in texts:
            if not text.startswith("{"):
                continue  # a heartbeat of another encoding
            written = json.encode(json.decode(message, text.encode()))
            # Compared in the order of members; a double may be spelled in two ways.
            assert _lines(written) == _lines(text.encode()), exchange.file
            seen[message] = seen.get(message, 0) + 1
    assert seen[scheduler.Event] > 250
    assert seen[master.Response] > 40
    assert seen[agent.Response] > 20
    assert seen[executor.Event] > 10
    assert seen[master.Event] > 40
    assert seen[agent.ProcessIO] > 1


def _lines(data: bytes) -> list[str]:
    return plain_json.dumps(_without_what_is_beyond_the_schema(plain_json.loads(data)), indent=1).splitlines()


def _without_what_is_beyond_the_schema(value: object) -> object:
    if isinstance(value, list):
        return [_without_what_is_beyond_the_schema(one) for one in value]
    if not isinstance(value, dict):
        return value
    beyond = {BEYOND_THE_SCHEMA} if {"hostname", "resources", "attributes"} <= set(value) else set()
    return {name: _without_what_is_beyond_the_schema(one) for name, one in value.items() if name not in beyond}


def test_every_protobuf_record_decodes_and_encodes_to_the_same_message(recordings: Path) -> None:
    seen = identical = 0
    for exchange in exchanges(recordings):
        for event in exchange.events:
            if "base64" not in event:
                continue
            record = base64.b64decode(event["base64"])
            message = protobuf.decode(exchange.api.event, record)
            written = protobuf.encode(message)
            assert protobuf.decode(exchange.api.event, written) == message
            assert json.decode(exchange.api.event, json.encode(message)) == message
            seen += 1
            identical += written == record
    assert seen == 5
    assert identical >= 4  # one says checkpoint:false, which is the default, in so many bytes


def test_every_answer_and_event_survives_protobuf(recordings: Path) -> None:
    for exchange in exchanges(recordings):
        texts = [(exchange.api.event, event["raw"]) for event in exchange.events if event.get("raw")]
        for message, text in texts:
            decoded = json.decode(message, text.encode())
            assert protobuf.decode(message, protobuf.encode(decoded)) == decoded, exchange.file
