"""A scheduler that does what its story's script says, and nothing by chance.

Rules: it accepts with the offer of one agent that it holds; it acknowledges each update at once while `acknowledges` is set.
Its calls reach the master that leads when it subscribed; what it hears and says is told by the narrator.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec

from merismos.simulation.streams import Stream
from merismos.simulation.tasks import Json, scalar, value

if TYPE_CHECKING:
    from merismos.protocol.v1 import mesos
    from merismos.simulation.masters import MasterHost
    from merismos.simulation.streams import OfferView
    from merismos.simulation.world import World
    from transcripts.narrator import Narrator

WAY_S = 0.0005


class PlayedScheduler:
    """One scheduler; another one of the same framework is another `PlayedScheduler`."""

    def __init__(self, world: World, narrator: Narrator, name: str, *, partition_aware: bool = True) -> None:
        self.world = world
        self.name = name
        self.framework_id = ""
        self.acknowledges = True
        self.offers: dict[str, OfferView] = {}
        self.stream: Stream | None = None
        self.updates: list[mesos.TaskStatus] = []
        self._narrator = narrator
        capabilities = ["MULTI_ROLE", *(["PARTITION_AWARE"] if partition_aware else [])]
        self._info: Json = {"user": "root", "name": name, "roles": ["*"], "failover_timeout": 600.0}
        self._info["capabilities"] = [{"type": one} for one in capabilities]

    # ------------------------------------------------------------ calls
    def subscribe(self, framework_id: str = "") -> None:
        """Subscribe to the master that leads, as a new framework or as one that is there already."""
        master = self.world.leader
        self.offers.clear()
        stream = self.stream = Stream(self.world, master, self._received)
        self.framework_id = framework_id
        body: Json = {"type": "SUBSCRIBE", "subscribe": {"framework_info": dict(self._info)}}
        if framework_id:
            body["framework_id"] = value(framework_id)
            body["subscribe"]["framework_info"]["id"] = value(framework_id)
        text = f"SUBSCRIBE as {framework_id}" if framework_id else "SUBSCRIBE as a new framework"
        self._later(master, text, lambda: master.subscribe(msgspec.json.encode(body), stream))

    def launch(self, agent: str, *task_ids: str) -> None:
        """Launch tasks with the offer of one agent."""
        offer = next(one for one in self.offers.values() if one.agent_id == agent)
        del self.offers[offer.id]
        infos = [
            {
                "name": task_id,
                "task_id": value(task_id),
                "agent_id": value(agent),
                "resources": [scalar("cpus", 1), scalar("mem", 64)],
                "command": {"shell": True, "value": "true"},
            }
            for task_id in task_ids
        ]
        accept: Json = {"offer_ids": [value(offer.id)], "filters": {"refuse_seconds": 3600.0}}
        accept["operations"] = [{"type": "LAUNCH", "launch": {"task_infos": infos}}]
        self.call("ACCEPT", f"{offer.id}: launch {', '.join(task_ids)}", accept=accept)

    def decline(self) -> None:
        """Decline all that is held, for an hour."""
        offer_ids = list(self.offers)
        self.offers.clear()
        if offer_ids:
            decline = {"offer_ids": [value(one) for one in offer_ids], "filters": {"refuse_seconds": 3600.0}}
            self.call("DECLINE", f"{', '.join(offer_ids)}", decline=decline)

    def kill(self, task_id: str) -> None:
        """Kill a task."""
        self.call("KILL", task_id, kill={"task_id": value(task_id)})

    def reconcile(self, agents: dict[str, str]) -> None:
        """Ask for the states of these tasks with their agents; of all where none is named."""
        tasks = [{"task_id": value(task_id), "agent_id": value(agent_id)} for task_id, agent_id in agents.items()]
        self.call("RECONCILE", ", ".join(agents) or "all tasks", reconcile={"tasks": tasks})

    def acknowledge(self, status: mesos.TaskStatus) -> None:
        """Acknowledge an update."""
        assert status.uuid is not None
        assert status.agent_id is not None
        ids = {"agent_id": value(status.agent_id.value), "task_id": value(status.task_id.value)}
        body = {**ids, "uuid": base64.b64encode(status.uuid).decode()}
        text = f"{status.task_id.value} {self._narrator.update(status.uuid)}"
        self.call("ACKNOWLEDGE", text, acknowledge=body)

    def call(self, kind: str, text: str, **fields: Any) -> None:  # noqa: ANN401 - JSON
        """Make a call; its answer is told only where it is a refusal."""
        stream = self.stream
        assert stream is not None
        master = stream.master
        body = msgspec.json.encode({"type": kind, "framework_id": value(self.framework_id), **fields})

        def answered(status: int, reason: str) -> None:
            if status >= 400:
                self._narrator.tell(master.name, self.name, f"{status} {reason}")

        self._later(master, f"{kind} {text}", lambda: master.call(body, stream.stream_id, answered))

    def _later(self, master: MasterHost, text: str, deliver: Any) -> None:  # noqa: ANN401 - a callable
        def arrive() -> None:
            self._narrator.tell(self.name, master.name, text)
            deliver()

        self.world.agenda.after(WAY_S, arrive)

    # ------------------------------------------------------------ events
    def _received(self, stream: Stream, kind: str, payload: Any) -> None:  # noqa: ANN401 - one type a kind
        text = self._on_event(kind, payload)
        if text:
            self._narrator.tell(stream.master.name, self.name, f"{kind} {text}".rstrip())
        if kind == "UPDATE" and payload.uuid and self.acknowledges:
            self.acknowledge(payload)

    def _on_event(self, kind: str, payload: Any) -> str:  # noqa: ANN401 - one type a kind
        match kind:
            case "SUBSCRIBED":
                self.framework_id = payload.subscribed.framework_id.value
                self.world.checkers.on_scheduler_known(self.framework_id)
                return f"as {self.framework_id}"
            case "OFFERS":
                self.offers.update((view.id, view) for view in payload)
                return ", ".join(
                    f"{view.id} of {view.agent_id} (cpus {view.left['cpus'] / 1000:g})" for view in payload
                )
            case "RESCIND":
                self.offers.pop(payload.rescind.offer_id.value, None)
                return str(payload.rescind.offer_id.value)
            case "UPDATE":
                self.updates.append(payload)
                self.world.checkers.on_update_seen(self.framework_id, payload)
                reason = f", {payload.reason}" if payload.reason is not None else ""
                return f"{payload.task_id.value} {payload.state} {self._narrator.update(payload.uuid)}{reason}"
            case "ERROR":
                return str(payload.error.message)
            case "HEARTBEAT":
                return ""
            case _:
                return " "
