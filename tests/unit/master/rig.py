"""A master's machine with everybody around it played by the test: clients, agents, the shell, the clock."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import msgspec

from merismos.core.kernel import Effect, Event, TimerFired
from merismos.core.master import effects as do
from merismos.core.master import events as happened
from merismos.core.master.machine import MasterMachine
from merismos.core.master.state import Agent, Config, Framework, Master
from merismos.protocol import json, link
from merismos.protocol.thin import decode_call
from merismos.protocol.v1 import master as operator
from merismos.protocol.v1 import scheduler

MASTER_ID = "5d7a6e1c-9b3f-4c58-8a2e-1f0b6c4d9e77"
WALL_OFFSET_S = 1_000_000_000.0
ALL = ("MULTI_ROLE", "RESERVATION_REFINEMENT", "PARTITION_AWARE")
UUID = b"0123456789abcdef"

Json = dict[str, Any]


def value(text: str) -> Json:
    return {"value": text}


def scalar(name: str, amount: float, **more: Any) -> Json:  # noqa: ANN401 - JSON
    return {"name": name, "type": "SCALAR", "scalar": {"value": amount}, **more}


def resources(text: str) -> list[Json]:
    """`cpus:0.1;mem:32` as JSON."""
    pairs = [pair.split(":") for pair in text.split(";") if pair]
    return [scalar(name, float(amount)) for name, amount in pairs]


def framework_info(name: str = "test", *, roles: tuple[str, ...] = ("golden",), **more: Any) -> Json:  # noqa: ANN401 - JSON
    capabilities = [{"type": one} for one in more.pop("capabilities", ALL)]
    info = {"user": "root", "name": name, "failover_timeout": 60.0, "checkpoint": True, "capabilities": capabilities}
    if "MULTI_ROLE" in {one["type"] for one in capabilities}:
        info["roles"] = list(roles)
    return info | more


@dataclass
class Scheduler:
    """One scheduler's stream and what came over it."""

    rig: Rig
    stream: int
    stream_id: str
    events: list[Json] = field(default_factory=list)
    is_open: bool = True
    status: int = 0
    body: str = ""

    @property
    def id(self) -> str:
        return str(self.first("SUBSCRIBED")["subscribed"]["framework_id"]["value"])

    @property
    def record(self) -> Framework:
        return self.rig.master.frameworks[self.id]

    def of(self, kind: str) -> list[Json]:
        return [event for event in self.events if event["type"] == kind]

    def first(self, kind: str) -> Json:
        return self.of(kind)[0]

    def statuses(self) -> list[Json]:
        return [event["update"]["status"] for event in self.of("UPDATE")]

    def states(self, task_id: str) -> list[str]:
        return [status["state"] for status in self.statuses() if status["task_id"] == value(task_id)]

    def offers(self) -> list[Json]:
        """Offers that were sent and are still valid."""
        sent = [offer for event in self.of("OFFERS") for offer in event["offers"]["offers"]]
        return [offer for offer in sent if offer["id"]["value"] in self.rig.master.offers]

    def call(self, kind: str, **body: Any) -> tuple[int, str]:  # noqa: ANN401 - JSON
        call = {"type": kind, "framework_id": value(self.id), **body}
        return self.rig.call(call, self.stream_id)

    def accept(self, offers: list[Json], *operations: Json, refuse_s: float = 0.0) -> tuple[int, str]:
        return self.call(
            "ACCEPT",
            accept={
                "offer_ids": [offer["id"] for offer in offers],
                "operations": list(operations),
                "filters": {"refuse_seconds": refuse_s},
            },
        )

    def launch(self, *task_ids: str, need: str = "cpus:0.1;mem:32") -> None:
        """Launch tasks on the first offer that is there."""
        offer = self.offers()[0]
        self.accept([offer], launch(*(task(task_id, offer, need=need) for task_id in task_ids)))

    def acknowledge(self, status: Json) -> tuple[int, str]:
        body = {key: status[key] for key in ("agent_id", "task_id", "uuid")}
        return self.call("ACKNOWLEDGE", acknowledge=body)


def task(task_id_: str, offer: Json, /, *, need: str = "cpus:0.1;mem:32", **more: Any) -> Json:  # noqa: ANN401 - JSON
    info = {
        "name": task_id_,
        "task_id": value(task_id_),
        "agent_id": offer["agent_id"],
        "resources": resources(need),
        "command": {"shell": True, "value": "sleep 1"},
    }
    return {key: entry for key, entry in (info | more).items() if entry is not None}


def launch(*tasks: Json) -> Json:
    return {"type": "LAUNCH", "launch": {"task_infos": list(tasks)}}


@dataclass
class Peer:
    """One agent's link and what came over it."""

    rig: Rig
    link: int
    messages: list[link.Message] = field(default_factory=list)
    is_open: bool = True
    id: str = ""
    is_silent: bool = False  # answers no ping

    @property
    def record(self) -> Agent:
        return self.rig.master.agents[self.id]

    def of(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]

    def send(self, message: link.Message) -> list[Effect]:
        return self.rig.handle(happened.LinkReceived(self.link, message))

    def close(self) -> None:
        self.is_open = False
        self.rig.handle(happened.LinkClosed(self.link))

    def update(
        self,
        framework_id: str,
        task_id: str,
        state: str,
        *,
        latest: str = "",
        uuid: bytes = UUID,
        **more: Any,  # noqa: ANN401 - JSON
    ) -> None:
        status = {
            "task_id": value(task_id),
            "state": state,
            "source": "SOURCE_EXECUTOR",
            "agent_id": value(self.id),
            "executor_id": value(task_id),
            "timestamp": 1795428607.7,
            **({"uuid": base64.b64encode(uuid).decode()} if uuid else {}),
            **more,
        }
        self.send(link.UpdateStatus(framework_id, task_id, state, latest or state, uuid, msgspec.json.encode(status)))


def agent_info(need: str = "cpus:4;mem:2048", hostname: str = "localhost") -> bytes:
    info = {"hostname": hostname, "port": 5051, "resources": resources(need)}
    return msgspec.json.encode(info)


class Rig:
    """The machine, its clock, and all that its effects did."""

    def __init__(
        self,
        config: Config | None = None,
        *,
        registry: list[tuple[str, str, bytes]] | None = None,
        now: float = 1000.0,
    ) -> None:
        self.machine = MasterMachine(config)
        self.now = now
        self.registry: dict[tuple[str, str], bytes] = {}
        self.held_writes: list[int] | None = None
        self.schedulers: dict[int, Scheduler] = {}
        self.peers: dict[int, Peer] = {}
        self.answers: dict[int, tuple[int, str]] = {}
        self.published: dict[int, list[Json]] = {}
        self.exits: list[do.Exit] = []
        self._token = 0
        started = happened.Started(MASTER_ID, 1, WALL_OFFSET_S, 1, "127.0.0.1", 5050, "localhost", registry or [])
        self.handle(started)

    @property
    def master(self) -> Master:
        return self.machine.master

    def token(self) -> int:
        self._token += 1
        return self._token

    def handle(self, event: Event) -> list[Effect]:
        effects = self.machine.handle(event, self.now)
        writes: list[int] = []
        pongs: list[Event] = []
        for effect in effects:
            self._perform(effect, writes, pongs)
        for pong in pongs:
            self.handle(pong)
        if self.held_writes is not None:
            self.held_writes += writes
        else:
            for sequence in writes:
                self.handle(happened.RegistryStored(sequence))
        return effects

    def _perform(self, effect: Effect, writes: list[int], pongs: list[Event]) -> None:
        match effect:
            case do.Respond():
                assert effect.request not in self.answers, "a request is answered once"
                self.answers[effect.request] = (effect.status, effect.body)
            case do.OpenStream():
                self.answers[effect.request] = (200, "")
                self.published.setdefault(effect.stream, [])
            case do.StoreRegistry():
                writes.append(effect.sequence)
                self._store(effect.changes)
            case do.SendToAgent():
                self._deliver(self.peers[effect.link], effect.message, pongs)
            case do.CloseLink():
                self.peers[effect.link].is_open = False
            case do.PublishEvent():
                for stream in effect.streams:
                    self.published[stream].append(msgspec.json.decode(json.encode(effect.event)))
            case do.Exit():
                self.exits.append(effect)
            case do.SendHeartbeat():
                for stream in effect.streams:
                    self.schedulers[stream].events.append({"type": "HEARTBEAT"})
            case _:
                self._stream(effect)

    def _store(self, changes: list[tuple[str, str, bytes]]) -> None:
        for table, key, content in changes:
            self.registry[table, key] = content
            if not content:
                del self.registry[table, key]

    def _deliver(self, peer: Peer, message: link.Message, pongs: list[Event]) -> None:
        peer.messages.append(message)
        if isinstance(message, link.AgentRegistered):
            peer.id = message.agent_id
        elif isinstance(message, link.Ping) and not peer.is_silent:
            pongs.append(happened.LinkReceived(peer.link, link.Pong(message.sequence)))

    def _stream(self, effect: Effect) -> None:
        match effect:
            case do.CloseStream():
                self.schedulers[effect.stream].is_open = False
            case do.SendEvent():
                event: Json = msgspec.json.decode(json.encode(effect.event))
                self.schedulers[effect.stream].events.append(event)
            case do.SendUpdate():
                status = msgspec.json.decode(effect.status)
                self.schedulers[effect.stream].events.append({"type": "UPDATE", "update": {"status": status}})
            case do.SendOffers():
                offers = [
                    {
                        "id": value(offer.id),
                        "agent_id": value(offer.agent.id),
                        "role": offer.role,
                        "quantities": dict(offer.resources.quantities()),
                    }
                    for offer in effect.offers
                ]
                self.schedulers[effect.stream].events.append({"type": "OFFERS", "offers": {"offers": offers}})
            case _:
                raise AssertionError(f"the rig doesn't know {effect}")

    def advance(self, seconds: float) -> None:
        """Let time pass, and fire the timers on the way, each at its instant."""
        end = self.now + seconds
        while (at := self.machine.next_deadline()) is not None and at <= end:
            self.now = max(self.now, at)
            self.handle(TimerFired())
        self.now = end

    def subscribe(self, info: Json | None = None, *, principal: str | None = None, **more: Any) -> Scheduler:  # noqa: ANN401 - JSON
        """Subscribe a scheduler; offers that can be made are made."""
        info = framework_info() if info is None else info
        scheduler_ = self.subscribe_only(info, principal=principal, **more)
        self.advance(0.01)
        return scheduler_

    def subscribe_only(
        self,
        info: Json,
        *,
        principal: str | None = None,
        outer_id: str | None = None,
        **more: Any,  # noqa: ANN401 - JSON
    ) -> Scheduler:
        call: Json = {"type": "SUBSCRIBE", "subscribe": {"framework_info": info, **more}}
        inner = info.get("id", {}).get("value")
        if (outer_id or inner) is not None:
            call["framework_id"] = value(outer_id or inner)
        stream, request = self.token(), self.token()
        made = Scheduler(self, stream, f"stream-{stream}")
        self.schedulers[stream] = made
        decoded = json.decode(scheduler.Call, msgspec.json.encode(call))
        self.handle(happened.SchedulerSubscribed(request, decoded, stream, made.stream_id, principal))
        made.status, made.body = self.answers[request]
        return made

    def call(self, call: Json, stream_id: str | None, principal: str | None = None) -> tuple[int, str]:
        request = self.token()
        decoded = decode_call(msgspec.json.encode(call))
        self.handle(happened.SchedulerCalled(request, decoded, stream_id, principal))
        return self.answers[request]

    def operate(self, call: Json) -> tuple[int, str]:
        return self.answers[self.operate_only(call)]

    def operate_only(self, call: Json) -> int:
        """Make an operator's call that may be answered later."""
        request = self.token()
        decoded = json.decode(operator.Call, msgspec.json.encode(call))
        self.handle(happened.OperatorCalled(request, decoded))
        return request

    def watch(self) -> list[Json]:
        """Open an operator's stream; the list grows."""
        stream = self.token()
        self.handle(happened.OperatorSubscribed(self.token(), stream))
        return self.published[stream]

    def connect(self) -> Peer:
        peer = Peer(self, self.token())
        self.peers[peer.link] = peer
        self.handle(happened.LinkOpened(peer.link, "127.0.0.1"))
        return peer

    def agent(self, need: str = "cpus:4;mem:2048", *, pid: str = "slave(1)@127.0.0.1:5051") -> Peer:
        """Register an agent."""
        peer = self.connect()
        peer.send(link.RegisterAgent(agent_info(need), "1.12.0", pid, ["AGENT_DRAINING"]))
        return peer

    def reregister(
        self,
        agent_id: str,
        *,
        pid: str = "slave(1)@127.0.0.1:5051",
        need: str = "cpus:4;mem:2048",
        **more: Any,  # noqa: ANN401 - JSON
    ) -> Peer:
        """Let an agent come back over a new link."""
        peer = self.connect()
        peer.send(link.ReregisterAgent(agent_id, agent_info(need), "1.12.0", pid, **more))
        return peer

    def hang_up(self, scheduler_: Scheduler) -> None:
        """Let a scheduler's connection end."""
        self.handle(happened.StreamClosed(scheduler_.stream))
        scheduler_.is_open = False

    def wall(self) -> float:
        return self.now + WALL_OFFSET_S


def running(rig: Rig, task_id: str = "t-1") -> tuple[Scheduler, Peer]:
    """A framework and an agent that runs one task of it, acknowledged."""
    agent = rig.agent()
    framework = rig.subscribe()
    framework.launch(task_id)
    agent.update(framework.id, task_id, "TASK_RUNNING")
    framework.acknowledge(framework.statuses()[-1])
    return framework, agent


def record_of(framework_id: str, task_id: str, agent_id: str, state: str = "TASK_RUNNING") -> link.TaskRecord:
    """What an agent that comes back says of a task."""
    info = task(task_id, {"agent_id": value(agent_id)})
    status = {"task_id": value(task_id), "state": state, "agent_id": value(agent_id), "source": "SOURCE_EXECUTOR"}
    return link.TaskRecord(framework_id, msgspec.json.encode(info), "golden", state, msgspec.json.encode(status))
