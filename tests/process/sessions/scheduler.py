"""A scheduler for tests: plain calls and one stream, nothing remembered but what the stream brought."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from process.sessions.streams import WAIT_S_MAX, Json, Stream

PATH = "/api/v1/scheduler"
TERMINAL = {"TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_LOST", "TASK_DROPPED", "TASK_GONE"}
MODERN = ("MULTI_ROLE", "RESERVATION_REFINEMENT", "PARTITION_AWARE")


def framework_info(*roles: str, name: str = "test", capabilities: Sequence[str] = MODERN, **more: Any) -> Json:  # noqa: ANN401 - JSON
    info: Json = {
        "user": "root", "name": name, "capabilities": [{"type": kind} for kind in capabilities],
    }  # fmt: skip
    if "MULTI_ROLE" in capabilities:
        info["roles"] = list(roles) or ["test"]
    elif roles:
        info["role"] = roles[0]
    return info | more


def scalars(**amounts: float) -> list[Json]:
    return [{"name": name, "type": "SCALAR", "scalar": {"value": amount}} for name, amount in amounts.items()]


def amounts_of(resources: list[Json]) -> dict[str, float]:
    found: dict[str, float] = {}
    for resource in resources:
        if "scalar" in resource:
            found[resource["name"]] = round(found.get(resource["name"], 0.0) + resource["scalar"]["value"], 6)
    return found


def ask(
    port: int, method: str, path: str, body: Json | bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Make one request over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S_MAX)
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    named = {"Content-Type": "application/json"} if data is not None else {}
    try:
        connection.request(
            method, path, data, named | {name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def get(port: int, path: str) -> Json:
    """Return what a v0 endpoint says."""
    status, _, body = ask(port, "GET", path)
    assert status == http.HTTPStatus.OK, f"{path}: {status} {body[:300]!r}"
    found: Json = json.loads(body)
    return found


def until(port: int, path: str, is_true: Callable[[Json], bool], within_s: float = WAIT_S_MAX) -> Json:
    """Ask a v0 endpoint again and again until its answer is as wanted; return that answer."""
    deadline = time.monotonic() + within_s
    while not is_true(found := get(port, path)):
        assert time.monotonic() < deadline, f"{path} says after {within_s} s: {json.dumps(found)[:3000]}"
    return found


def operate(port: int, kind: str, **body: Any) -> Json:  # noqa: ANN401 - JSON
    """Make an operator call."""
    status, _, answer = ask(port, "POST", "/api/v1", {"type": kind, **body})
    assert status == http.HTTPStatus.OK, f"{kind}: {status} {answer[:300]!r}"
    found: Json = json.loads(answer) if answer else {}
    return found


class Scheduler:
    """A subscribed scheduler."""

    def __init__(self, port: int, info: Json | None = None, **subscribe: Any) -> None:  # noqa: ANN401 - JSON
        info = framework_info() if info is None else info
        body: Json = {"type": "SUBSCRIBE", "subscribe": {"framework_info": info, **subscribe}}
        if "id" in info:
            body["framework_id"] = info["id"]
        self.port = port
        self.info = info
        self.stream = Stream(port, PATH, body)
        self.stream_id = self.stream.headers.get("mesos-stream-id", "")
        self._calls = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S_MAX)
        assert self.stream.status == http.HTTPStatus.OK, (self.stream.status, self.stream.body)
        self.subscribed = self.stream.take("SUBSCRIBED")["subscribed"]
        self.id: str = self.subscribed["framework_id"]["value"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(OSError, http.client.HTTPException):
            self.send({"type": "TEARDOWN", "framework_id": {"value": self.id}})
        self.close()

    def close(self) -> None:
        self.stream.close()
        self._calls.close()

    def send(self, body: Json) -> tuple[int, bytes]:
        """Send a call as it is, with the stream's id; return the answer."""
        self.begin(body)
        return self.answer()

    def begin(self, body: Json) -> None:
        """Send a call, and don't wait for its answer; a stopped master's machine takes it for later."""
        headers = {"Content-Type": "application/json", "Mesos-Stream-Id": self.stream_id}
        self._calls.request("POST", PATH, json.dumps(body).encode(), headers)

    def answer(self) -> tuple[int, bytes]:
        """Wait for the answer to the call that was begun."""
        answer = self._calls.getresponse()
        return answer.status, answer.read()

    def call(self, kind: str, body: Json | None = None, status: int = 202) -> bytes:
        """Make a call; its body goes under the call's name."""
        message: Json = {"type": kind, "framework_id": {"value": self.id}}
        if body is not None:
            message[kind.lower()] = body
        answered, text = self.send(message)
        assert answered == status, f"{kind}: {answered} {text!r}"
        return text

    # ------------------------------------------------------------ offers

    def offer(self, is_wanted: Callable[[Json], bool] = lambda _: True, within_s: float = WAIT_S_MAX) -> Json:
        """Return the next offer that is wanted; the others stay pending."""
        found: list[Json] = []

        def look() -> bool:
            for event in self.stream.pending:
                for offer in event["offers"]["offers"] if event["type"] == "OFFERS" else []:
                    if is_wanted(offer):
                        found.append(offer)
                        event["offers"]["offers"].remove(offer)
                        return True
            return False

        self.stream.wait(look, "offer", within_s)
        return found[0]

    def offers_come(self, within_s: float, is_wanted: Callable[[Json], bool] = lambda _: True) -> bool:
        """Say whether an offer that is wanted comes in the given time; it stays pending."""

        def is_there() -> bool:
            events = [event for event in self.stream.pending if event["type"] == "OFFERS"]
            return any(is_wanted(offer) for event in events for offer in event["offers"]["offers"])

        try:
            self.stream.wait(is_there, "offer", within_s)
        except AssertionError:
            return False
        return True

    def task(
        self,
        task_id: str,
        offer: Json,
        command: str = "true",
        cpus: float = 0.1,
        mem: float = 32,
        **more: Any,  # noqa: ANN401 - JSON
    ) -> Json:
        return {
            "name": task_id, "task_id": {"value": task_id}, "agent_id": offer["agent_id"],
            "resources": scalars(cpus=cpus, mem=mem), "command": {"value": command}, **more,
        }  # fmt: skip

    def accept(self, offers: list[Json], operations: list[Json], refuse_s: float = 0.0) -> None:
        ids = [offer["id"] for offer in offers]
        self.call("ACCEPT", {"offer_ids": ids, "operations": operations, "filters": {"refuse_seconds": refuse_s}})

    def launch(self, offer: Json, *tasks: Json, refuse_s: float = 0.0) -> None:
        self.accept([offer], [{"type": "LAUNCH", "launch": {"task_infos": list(tasks)}}], refuse_s)

    def decline(self, offer: Json, refuse_s: float | None = None) -> None:
        filters = {} if refuse_s is None else {"filters": {"refuse_seconds": refuse_s}}
        self.call("DECLINE", {"offer_ids": [offer["id"]], **filters})

    # ------------------------------------------------------------ tasks

    def update(self, task_id: str, *states: str, within_s: float = WAIT_S_MAX) -> Json:
        """Return the next status of a task, acknowledged; with `states`, the first in one of these."""
        while True:
            event = self.stream.take(
                "UPDATE", lambda event: event["update"]["status"]["task_id"]["value"] == task_id, within_s
            )
            status: Json = event["update"]["status"]
            self.acknowledge(status)
            if not states or status["state"] in states:
                return status
            assert status["state"] not in TERMINAL, status

    def acknowledge(self, status: Json) -> None:
        if "uuid" in status:
            named = {"agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"]}
            self.call("ACKNOWLEDGE", named)

    def kill(self, task_id: str, **more: Any) -> None:  # noqa: ANN401 - JSON
        self.call("KILL", {"task_id": {"value": task_id}, **more})
