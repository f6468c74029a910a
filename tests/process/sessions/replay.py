"""Plays a recorded scheduler session against a real master and agent, and says where the two differ.

Rules:
- The calls go out in the recorded order, each after everything that the recorded scheduler had heard by then has been heard here.
  Ids (framework, agent, offers, uuids, stream) are translated on the way.
- Every event but HEARTBEATs and re-offers is awaited and compared: kind, key order, every value except times, ports, pids and
  random ids. What is wanted to differ is named by the caller, with its reason, and has to differ in just that way.
- Of several offers the one of the recorded size is taken. Where the master cut the agent into other pieces they are declined for
  no time, so that the next one is whole again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from process.sessions.scheduler import Scheduler, amounts_of
from process.sessions.streams import Json

IGNORED = {"HEARTBEAT", "OFFERS", "SUBSCRIBED"}
VOLATILE = {"timestamp", "executor_pid", "port", "uuid", "nanoseconds"}
RANDOM_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ADDRESS = re.compile(r"127\.0\.0\.1:\d+")
# In which order a collection of resources is listed is each master's own affair.
AVAILABLE = re.compile(r"(?<=is more than available ).+")
EVENT_S_MAX = 10.0
TRIES_MAX = 60


def _sorted_parts(found: re.Match[str]) -> str:
    return "; ".join(sorted(found[0].split("; ")))


def normal(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return JSON without what no two runs have in common."""
    if isinstance(value, dict):
        return {key: "*" if key in VOLATILE else normal(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [normal(inner) for inner in value]
    if isinstance(value, str):
        return AVAILABLE.sub(_sorted_parts, ADDRESS.sub("127.0.0.1:*", RANDOM_ID.sub("*", value)))
    return value


def steps_of(recording: Json) -> list[Json]:
    """Return the events and calls of a recording in the order in which the scheduler saw and made them."""
    steps: list[tuple[float, int, Json]] = [(event["t_ms"], 0, event) for event in recording["events"]]
    steps += [(call["t_ms"] - call["response"]["elapsed_ms"], 1, call) for call in recording["calls"]]
    return _causes_first([step for _, _, step in sorted(steps, key=lambda step: step[:2])])


def _causes_first(steps: list[Json]) -> list[Json]:
    """The recorder's clock put some answers before their questions: hold what is about a task back until it was named."""
    ordered: list[Json] = []
    held: list[Json] = []
    known: set[str] = set()
    for step in steps:
        if "event" not in step:
            ordered.append(step)
            known |= set(_named_in(step["request"]["body"]))
            ordered += [event for event in held if known & set(_named_in(event["event"]))]
            held = [event for event in held if not known & set(_named_in(event["event"]))]
        elif step["event"]["type"] == "UPDATE" and not known & set(_named_in(step["event"])):
            held.append(step)
        else:
            ordered.append(step)
    return ordered + held


def _named_in(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Yield the ids of the tasks and operations that a message is about."""
    if isinstance(value, dict):
        if value.get("type") == "FAILURE":
            yield value["failure"].get("executor_id", {}).get("value", "")
        for key, inner in value.items():
            if key in {"task_id", "operation_id", "id"} and isinstance(inner, dict) and "value" in inner:
                yield inner["value"]
            else:
                yield from _named_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _named_in(inner)


class Replay:
    """One recording on its way through a real cluster.

    Shapes: `skipped` names tasks that aren't replayed; `instead` says what a task or operation is to bring in place of the
    recorded events, one after the other, matched on the keys given; `rewritten` are exchanges of text in the calls.
    """

    def __init__(
        self,
        port: int,
        recording: Json,
        *,
        skipped: Mapping[str, str] | None = None,
        instead: Mapping[str, list[Json]] | None = None,
        rewritten: Mapping[str, str] | None = None,
        translation: dict[str, str] | None = None,
    ) -> None:
        self.recording = recording
        self.skipped = skipped or {}
        self.instead = instead or {}
        self.rewritten = rewritten or {}
        self.translation = {} if translation is None else translation
        self.differences: dict[str, str] = {}
        self.recorded_offers: dict[str, Json] = {}
        self.live: dict[str, Json] = {}
        self.has_seen_offers = False
        body = self.translated(recording["request"]["body"])
        subscribe = body["subscribe"]
        info = subscribe.pop("framework_info")
        self.scheduler = Scheduler(port, info, **subscribe)
        self._learn()

    def _learn(self) -> None:
        for event in self.recording["events"]:
            message = event["event"]
            if message["type"] == "SUBSCRIBED":
                self.translation[message["subscribed"]["framework_id"]["value"]] = self.scheduler.id
                self._compare("SUBSCRIBED", message["subscribed"], self.scheduler.subscribed)
        recorded_stream = dict(self.recording["response"]["headers"])["Mesos-Stream-Id"]
        self.translation[recorded_stream] = self.scheduler.stream_id
        ours = set(self.scheduler.stream.headers)
        recorded = {name.lower() for name, _ in self.recording["response"]["headers"]}
        if ours != recorded:
            self.differences["the stream's headers"] = f"{sorted(ours)}, recorded {sorted(recorded)}"

    # ------------------------------------------------------------ words

    def translated(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """Return a recorded message in this cluster's ids."""
        text = json.dumps(value)
        for old in sorted(self.translation, key=len, reverse=True):
            text = text.replace(json.dumps(old)[1:-1], json.dumps(self.translation[old])[1:-1])
        for old, new in self.rewritten.items():
            text = text.replace(old, new)
        return json.loads(text)

    def _compare(self, what: str, recorded: Any, ours: Any) -> None:  # noqa: ANN401 - any JSON
        wanted, got = normal(self.translated(recorded)), normal(ours)
        if json.dumps(wanted) != json.dumps(got):
            order = "in the order of keys only" if wanted == got else ""
            self.differences[what] = f"{order}\n  recorded {json.dumps(wanted)}\n  ours     {json.dumps(got)}"

    # ------------------------------------------------------------ steps

    def run(self) -> dict[str, str]:
        """Play everything, tear down, and return the differences."""
        with self.scheduler:
            return self.play()

    def play(self) -> dict[str, str]:
        """Play everything; return the differences."""
        instead = {name: list(wanted) for name, wanted in self.instead.items()}
        for step in steps_of(self.recording):
            named = list(_named_in(step["event"] if "event" in step else step["request"]["body"]))
            if any(name in self.skipped for name in named):
                continue
            if "event" not in step:
                self._call(step)
                continue
            here = next((name for name in named if name in instead), None)
            if here is None:
                self._event(step["event"])
            elif instead[here]:
                self._take_instead(here, instead[here].pop(0))
        self._look_for_more()
        return self.differences

    def _event(self, event: Json) -> None:
        kind = event["type"]
        if kind == "OFFERS":
            for offer in event["offers"]["offers"]:
                self.recorded_offers[offer["id"]["value"]] = offer
            if not self.has_seen_offers:
                self._first_offers()
        elif kind == "UPDATE":
            self._update(event["update"]["status"])
        elif kind not in IGNORED:
            try:
                ours = self.scheduler.stream.take(kind, within_s=EVENT_S_MAX)
            except AssertionError as late:
                self.differences[kind] = f"{late}; recorded {json.dumps(event)}"
                return
            self._compare(kind, event, ours)

    def _update(self, recorded: Json) -> None:
        task_id = recorded["task_id"]["value"]
        what = f"UPDATE of {task_id} to {recorded['state']}"
        try:
            event = self.scheduler.stream.take("UPDATE", lambda event: self._is_of(event, task_id), EVENT_S_MAX)
        except AssertionError as late:
            self.differences[what] = str(late)
            return
        ours = event["update"]["status"]
        if "uuid" in recorded and "uuid" in ours:
            self.translation[recorded["uuid"]] = ours["uuid"]
        if "agent_id" in recorded and "agent_id" in ours and "-S" in ours["agent_id"]["value"]:
            self.translation.setdefault(recorded["agent_id"]["value"], ours["agent_id"]["value"])
        self._compare(what, recorded, ours)

    def _is_of(self, event: Json, task_id: str) -> bool:
        return bool(event["update"]["status"]["task_id"]["value"] == task_id)

    def _take_instead(self, name: str, wanted: Json) -> None:
        kind = "UPDATE_OPERATION_STATUS" if "operation_id" in wanted else "UPDATE"
        body = kind.lower()
        event = self.scheduler.stream.take(kind, lambda event: name in list(_named_in(event)), EVENT_S_MAX)
        ours = event[body]["status"]
        wrong = {key: ours.get(key) for key, value in wanted.items() if ours.get(key) != value}
        if wrong:
            self.differences[name] = f"{wrong}, expected {wanted}"

    def _call(self, step: Json) -> None:
        body = step["request"]["body"]
        kind = body["type"]
        what = f"{kind} ({step.get('note', '')})"
        if kind == "ACKNOWLEDGE_OPERATION_STATUS" and any(name in self.instead for name in _named_in(body)):
            return
        if kind == "ACKNOWLEDGE" and body["acknowledge"]["task_id"]["value"] in self.instead:
            return
        for offer_id in (body.get("accept") or body.get("decline") or {}).get("offer_ids", []):
            if offer_id["value"] not in self.translation and offer_id["value"] in self.recorded_offers:
                self._choose(offer_id["value"])
        status, text = self.scheduler.send(self.translated(body))
        recorded = step["response"]
        if status != recorded["status"]:
            self.differences[f"the status of {what}"] = f"{status} {text!r}, recorded {recorded['status']}"
        self._compare(f"the answer to {what}", recorded["body"], text.decode())

    # ------------------------------------------------------------ offers

    def _first_offers(self) -> None:
        recorded = next(iter(self.recorded_offers.values()))
        offer = self.scheduler.offer()
        self.has_seen_offers = True
        self.translation.setdefault(recorded["agent_id"]["value"], offer["agent_id"]["value"])
        self.translation[recorded["id"]["value"]] = offer["id"]["value"]
        # What is offered is compared; the order in which resources are listed is the master's own.
        for one in (recorded, offer):
            one["resources"].sort(key=lambda resource: str(resource["name"]))
        self._compare("OFFERS", {**recorded, "id": None}, {**offer, "id": None})

    def _choose(self, recorded_id: str) -> None:
        """Find the offer here that a recorded one corresponds to."""
        wanted = amounts_of(self.recorded_offers[recorded_id]["resources"])
        for _ in range(TRIES_MAX):
            same = [offer for offer in self.live.values() if amounts_of(offer["resources"]) == wanted]
            larger = [offer for offer in self.live.values() if _covers(amounts_of(offer["resources"]), wanted)]
            for offer in (same or larger)[:1]:
                self.translation[recorded_id] = offer["id"]["value"]
                del self.live[offer["id"]["value"]]
                return
            for offer in self.live.values():
                self.scheduler.decline(offer, 0.0)
            self.live.clear()
            offer = self.scheduler.offer()
            self.live[offer["id"]["value"]] = offer
        raise AssertionError(f"no offer of {wanted} comes; what was recorded: {self.recorded_offers[recorded_id]}")

    def _look_for_more(self) -> None:
        more = [event for event in self.scheduler.stream.pending if event["type"] not in IGNORED]
        if more:
            self.differences["what wasn't recorded"] = json.dumps(more)


def _covers(amounts: dict[str, float], wanted: dict[str, float]) -> bool:
    return all(amounts.get(name, 0.0) >= amount for name, amount in wanted.items())
