"""The master, with the shell around it played: requests, streams, links and the registry.

Rules: writes to the registry come back in order. Each request is answered once. An effect on a stream or link that the master has
closed, or was told is closed, is a violation; one that it can't know to be dead goes nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from merismos.core.master import effects, events
from merismos.core.master.state import Config
from merismos.protocol import json, link
from merismos.protocol.thin import decode_call
from merismos.protocol.v1 import master as operator
from merismos.protocol.v1 import mesos, scheduler
from merismos.simulation.checkers import Violation
from merismos.simulation.network import Pipe

if TYPE_CHECKING:
    from merismos.core.kernel import Effect, Event
    from merismos.core.master.machine import MasterMachine
    from merismos.simulation.world import World

    MakeMaster = Callable[[Config], MasterMachine]
    Changes = list[tuple[str, str, bytes]]
    Answer = Callable[[int, str], None]

MASTER_ID = "5d7a6e1c-9b3f-4c58-8a2e-1f0b6c4d9e77"
WALL_OFFSET_S = 1_000_000_000.0
_STATUS = msgspec.json.Decoder(mesos.TaskStatus)


class OfferView(msgspec.Struct):
    """An offer as a scheduler sees it."""

    id: str
    agent_id: str
    role: str
    left: dict[str, int]  # thousandths
    ports: list[tuple[int, int]]


class Stream:
    """One event stream and what each end knows of it; an operator's has no `deliver`."""

    def __init__(self, world: World, deliver: Callable[[Stream, str, Any], None] | None) -> None:
        world.next_token += 1
        self.world = world
        self.token = world.next_token
        self.stream_id = f"stream-{self.token}"
        self.master_open = False
        self.client_open = True
        self._deliver = deliver
        self.pipe: Pipe[tuple[str, Any]] = Pipe(world.agenda, world.weather, self._arrive)

    def _arrive(self, item: tuple[str, Any]) -> None:
        if self.client_open and self._deliver is not None:
            if item[0] == "CLOSED":
                self.client_open = False
            self._deliver(self, *item)

    def lose(self) -> None:
        """Break the connection; each end notices in its own time."""
        world = self.world
        self.pipe.cut()
        world.agenda.after(world.weather.notice_s(), self.closed_at_master)
        world.agenda.after(world.weather.notice_s(), lambda: self._arrive(("CLOSED", None)))

    def refused(self, status: int, text: str) -> None:
        """Take note that there will be no stream."""
        self.world.note("master", None, b"%d %s" % (status, text.encode()))
        self.world.streams.pop(self.token, None)
        self.pipe.send(("CLOSED", None))

    def closed_at_master(self) -> None:
        """Tell the master that the stream is no more."""
        if self.master_open:
            self.master_open = False
            self.world.streams.pop(self.token, None)
            self.world.master.handle(events.StreamClosed(self.token))


class Leader:
    """The one master of a world."""

    def __init__(self, world: World, make: MakeMaster, config: Config) -> None:
        self.world = world
        self.machine = make(config)
        self.registry: dict[tuple[str, str], bytes] = {}
        self.writes = 0
        self.armed_at: float | None = None
        self.waiting: dict[int, Answer] = {}
        self._storage: Pipe[tuple[int, Changes]] = Pipe(world.agenda, world.weather, self._stored)

    def start(self, seed: int) -> None:
        """Lead."""
        self.handle(events.Started(MASTER_ID, seed, WALL_OFFSET_S, 1, "10.0.0.1", 5050, "master", []))

    def handle(self, event: Event, payload: bytes = b"") -> None:
        """Let the master take one event, and do what it asks for."""
        world = self.world
        world.note("master", event, payload)
        try:
            done = self.machine.handle(event, world.agenda.now)
        except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise Violation("handle", f"the master fails on {type(event).__name__}: {error!r}") from error
        for effect in done:
            self._perform(effect)
        world.checkers.after_master(event, done)
        world.alarms.set(self, self.machine.next_deadline())

    def _request(self, answer: Answer | None) -> int:
        self.world.next_token += 1
        self.waiting[self.world.next_token] = answer if answer is not None else lambda status, body: None  # noqa: ARG005 - the signature is given
        return self.world.next_token

    def call(self, body: bytes, stream_id: str | None, answer: Answer | None = None) -> None:
        """Take a scheduler's call other than SUBSCRIBE."""
        request = self._request(answer)
        self.handle(events.SchedulerCalled(request, decode_call(body), stream_id), body)
        if request in self.waiting:
            raise Violation("answers", f"the call {body!r} was not answered")

    def subscribe(self, body: bytes, stream: Stream) -> None:
        """Take a scheduler's SUBSCRIBE."""
        request = self._request(stream.refused)
        call = json.decode(scheduler.Call, body)
        self.world.streams[stream.token] = stream
        self.handle(events.SchedulerSubscribed(request, call, stream.token, stream.stream_id), body)
        if request in self.waiting:
            raise Violation("answers", f"the subscription {body!r} was not answered")

    def operate(self, body: bytes, answer: Answer | None = None) -> None:
        """Take an operator's call."""
        request = self._request(answer)
        self.handle(events.OperatorCalled(request, json.decode(operator.Call, body)), body)

    def watch(self, stream: Stream) -> None:
        """Take an operator's SUBSCRIBE."""
        self.world.streams[stream.token] = stream
        self.handle(events.OperatorSubscribed(self._request(None), stream.token))

    def _stored(self, write: tuple[int, Changes]) -> None:
        sequence, changes = write
        for table, key, content in changes:
            if content:
                self.registry[table, key] = content
            else:
                self.registry.pop((table, key), None)
        self.writes -= 1
        self.handle(events.RegistryStored(sequence))

    def _perform(self, effect: Effect) -> None:
        match effect:
            case effects.SendToAgent():
                wire = self.world.wires.get(effect.link)
                if wire is None:
                    raise Violation("closed", f"{effect.message} is sent on link {effect.link}, which is closed")
                wire.down.send(link.encode_frame([effect.message]))
            case effects.CloseLink():
                wire = self.world.wires.pop(effect.link, None)
                if wire is None:
                    raise Violation("closed", f"link {effect.link} is closed twice")
                wire.close_at_master()
            case effects.StoreRegistry():
                self.writes += 1
                self._storage.send((effect.sequence, effect.changes))
            case effects.Respond():
                answer = self.waiting.pop(effect.request, None)
                if answer is None:
                    raise Violation("answers", f"request {effect.request} is answered twice, now by {effect.body!r}")
                answer(effect.status, effect.body)
            case effects.Exit():
                raise Violation("handle", f"the master exits: {effect.reason}")
            case _:
                self._perform_on_stream(effect)

    def _perform_on_stream(self, effect: Effect) -> None:
        checkers = self.world.checkers
        match effect:
            case effects.SendUpdate():
                status = _STATUS.decode(effect.status)
                checkers.on_update_sent(effect.stream, status)
                self._stream(effect.stream).pipe.send(("UPDATE", status))
            case effects.SendOffers():
                checkers.on_offers_sent(effect)
                views = [view_of(offer) for offer in effect.offers]
                self._stream(effect.stream).pipe.send(("OFFERS", views))
            case effects.SendEvent():
                kind = str(effect.event.type)
                self._stream(effect.stream).pipe.send((kind, effect.event))
            case effects.SendHeartbeat():
                for token in effect.streams:
                    self._stream(token).pipe.send(("HEARTBEAT", None))
            case effects.PublishEvent():
                json.encode(effect.event)
                for token in effect.streams:
                    self._stream(token)
            case effects.OpenStream():
                if self.waiting.pop(effect.request, None) is None:
                    raise Violation("answers", f"request {effect.request} gets a stream after its answer")
                self._stream(effect.stream).master_open = True
            case effects.CloseStream():
                stream = self._stream(effect.stream)
                del self.world.streams[effect.stream]
                stream.master_open = False
                stream.pipe.send(("CLOSED", None))
            case _:
                raise Violation("handle", f"the master's shell doesn't know {effect}")

    def _stream(self, token: int) -> Stream:
        stream = self.world.streams.get(token)
        if stream is None:
            raise Violation("closed", f"something is sent on stream {token}, which is closed")
        return stream


def view_of(offer: Any) -> OfferView:  # noqa: ANN401 - the core's Offer; the checker sees the record, a scheduler this
    """Return what a scheduler learns of an offer."""
    unreserved = offer.resources.unreserved()
    return OfferView(offer.id, offer.agent.id, offer.role, dict(unreserved.quantities()), list(unreserved.ports))
