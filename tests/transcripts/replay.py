"""Plays a recorded scheduler stream against the master's machine.

A recording holds what a scheduler called, what it was answered, and the events it got. Of the events, those that an agent or an
executor made are played in over the agent's link; those that the master made are what the machine must say by itself. Ids differ
between a recording and a replay, so they are translated on the way; offers are matched by their resources.
"""

from __future__ import annotations

import base64
import re
from typing import Any

import msgspec

from merismos.protocol import link
from unit.master.rig import Json, Peer, Rig, Scheduler

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}-[OS]?\d+")
IGNORED = {"HEARTBEAT", "OFFERS", "SUBSCRIBED", "INVERSE_OFFERS"}
AGENT = {
    "hostname": "localhost",
    "port": 15051,
    "resources": [
        {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 31999}]}},
        {"name": "cpus", "type": "SCALAR", "scalar": {"value": 4.0}},
        {"name": "mem", "type": "SCALAR", "scalar": {"value": 2048.0}},
        {"name": "disk", "type": "SCALAR", "scalar": {"value": 4096.0}},
    ],
}


def quantities_of(resources: list[Json]) -> dict[str, int]:
    """The resources of a recorded offer, in thousandths, as the rig prints its own."""
    found: dict[str, int] = {}
    for one in resources:
        if "scalar" in one:
            amount = round(one["scalar"]["value"] * 1000)
        else:
            amount = 1000 * sum(part["end"] - part["begin"] + 1 for part in one["ranges"]["range"])
        found[one["name"]] = found.get(one["name"], 0) + amount
    return found


def _batch_phase_s(recording: Json) -> float:
    """When, after the subscription, the recorded master ran its next allocation by the batch."""
    times = [event["t_ms"] / 1000 for event in recording["events"] if event["event"]["type"] == "OFFERS"]
    return next((at % 1.0 for at in times if at > 0.3), 0.0)


class Replay:
    """One recording on its way through a machine.

    Shapes: `expected` and `answered` are the master's own events, recorded and replayed, in the recording's ids.
    """

    def __init__(
        self, recording: Json, rig: Rig | None = None, agent: Peer | None = None, *, is_alone: bool = True
    ) -> None:
        self.recording = recording
        self.is_alone = is_alone  # False: other frameworks had a part of the agent, so offers differ in size
        self.rig = Rig(now=1000.0 - _batch_phase_s(recording)) if rig is None else rig
        self.agent = self._join() if agent is None else agent
        self.offers: dict[str, Json] = {}
        self.translation: dict[str, str] = {}
        self.expected: list[Json] = []
        self.started_at = self.rig.now
        self.scheduler = self._subscribe()

    def _join(self) -> Peer:
        agent = self.rig.connect()
        agent.send(link.RegisterAgent(msgspec.json.encode(AGENT), "1.12.0", "slave(1)@127.0.0.1:15051"))
        return agent

    def _subscribe(self) -> Scheduler:
        subscribe = self.recording["request"]["body"]["subscribe"]
        scheduler = self.rig.subscribe(subscribe["framework_info"])
        for event in self.recording["events"]:
            if event["event"]["type"] == "SUBSCRIBED":
                self.translation[event["event"]["subscribed"]["framework_id"]["value"]] = scheduler.id
        for event in self.recording["events"]:
            for offer in event["event"].get("offers", {}).get("offers", []):
                self.offers[offer["id"]["value"]] = offer
                self.translation[offer["agent_id"]["value"]] = self.agent.id
        return scheduler

    def run(self) -> None:
        """Play every call and every event, in the order of the recording."""
        steps = sorted([*self.recording["events"], *self.recording["calls"]], key=lambda step: float(step["t_ms"]))
        for step in steps:
            self.rig.advance(max(0.0, self.started_at + step["t_ms"] / 1000 - self.rig.now))
            if "event" in step:
                self._event(step["event"])
            else:
                self._call(step)

    def _call(self, step: Json) -> None:
        call = self._translate(step["request"]["body"])
        body = call.get("accept") or call.get("decline") or {}
        for offer_id in body.get("offer_ids", []):
            offer_id["value"] = self._offer(offer_id["value"])
        answer = self.rig.call(call, self.scheduler.stream_id)
        recorded = (step["response"]["status"], step["response"]["body"])
        assert answer == recorded, f"{call['type']} ({step.get('note')}) is answered as recorded"

    def _offer(self, recorded_id: str) -> str:
        """The id of the offer here that a recorded one corresponds to."""
        if recorded_id not in self.offers or recorded_id in self.translation:
            return self.translation.get(recorded_id, recorded_id)
        wanted = quantities_of(self.offers[recorded_id]["resources"])
        for _ in range(15):
            offers = self.scheduler.offers()
            same = [offer for offer in offers if offer["quantities"] == wanted]
            if same or (offers and self.is_alone is False):
                chosen: str = (same or offers)[0]["id"]["value"]
                self.translation[recorded_id] = chosen
                return chosen
            self.rig.advance(0.1)
        raise AssertionError(f"no offer of {wanted} comes; there are {self.scheduler.offers()}")

    def _event(self, event: Json) -> None:
        if event["type"] in IGNORED:
            return
        status = event.get("update", {}).get("status", {})
        if status.get("uuid"):
            self._play(self._translate(status))
            return
        if status.get("reason") == "REASON_AGENT_REMOVED" and self.agent.is_open:
            self.agent.is_silent = True
            self.rig.advance(95)
        elif status.get("reason") == "REASON_AGENT_REREGISTERED":
            self._return()
        self.expected.append(self._normal(event))

    def _play(self, status: Json) -> None:
        uuid = base64.b64decode(status["uuid"])
        task_id, state = status["task_id"]["value"], status["state"]
        raw = msgspec.json.encode(status)
        self.agent.send(link.UpdateStatus(self.scheduler.id, task_id, state, state, uuid, raw))

    def _return(self) -> None:
        records = [
            link.TaskRecord(self.scheduler.id, task.info, task.role, "TASK_RUNNING", task.statuses[0])
            for task in self.scheduler.record.unreachable_tasks.values()
        ]
        agent = self.rig.connect()
        info = msgspec.json.encode(AGENT)
        again = link.ReregisterAgent(self.agent.id, info, "1.12.0", "slave(1)@127.0.0.1:15051", tasks=records)
        agent.send(again)
        self.agent = agent

    def answered(self) -> list[Json]:
        """What the master said by itself here."""
        own = [event for event in self.scheduler.events if event["type"] not in IGNORED]
        return [self._normal(event) for event in own if "uuid" not in event.get("update", {}).get("status", {})]

    def _normal(self, event: Json) -> Json:
        event = self._translate(event)
        if event["type"] == "RESCIND":
            return {"type": "RESCIND"}
        status = event.get("update", {}).get("status")
        if status is not None:
            status.pop("timestamp", None)
            if "unreachable_time" in status:
                status["unreachable_time"] = {}
            # Of a container the master repeats what an agent said; recordings of this are thinned out.
            status.pop("container_status", None)
            status.pop("check_status", None)
        return event

    def _translate(self, part: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(part, dict):
            return {key: self._translate(entry) for key, entry in part.items()}
        if isinstance(part, list):
            return [self._translate(entry) for entry in part]
        if isinstance(part, str):
            return _ID.sub(lambda match: self.translation.get(match[0], match[0]), part)
        return part
