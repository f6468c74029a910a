"""Who asked what and who listens: performs the effects that answer requests and feed event streams.

Rules: a request is answered once; an effect for a request or stream that is gone is dropped, since its `StreamClosed` is on its
way or has come. A message that goes to many streams is encoded once an encoding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from merismos.adapters.http.offers import OfferPieces
from merismos.adapters.http.streams import EventStream
from merismos.core.master.events import StreamClosed
from merismos.protocol import json, protobuf
from merismos.protocol.v1 import master as operator
from merismos.protocol.v1 import mesos, scheduler

if TYPE_CHECKING:
    from merismos.core.kernel import Event
    from merismos.core.master import effects

UPDATE_PREFIX = b'{"type":"UPDATE","update":{"status":'
HEARTBEAT_JSON = b'{"type":"HEARTBEAT"}'


class Caller(Protocol):
    """Who waits for an answer."""

    def respond(self, status: int, body: str = "") -> None:
        """Answer."""
        ...

    def open_stream(self, token: int, stream_id: str, on_lost: Callable[[EventStream], None]) -> EventStream:
        """Answer with an event stream."""
        ...


class Exchange:
    """All waiting requests and open streams."""

    def __init__(self) -> None:
        self.post: Callable[[Event], None] = not_wired
        self.greet: Callable[[EventStream], None] = lambda stream: None  # noqa: ARG005 - sends an operator the whole state
        self._requests: dict[int, Caller] = {}
        self._streams: dict[int, EventStream] = {}
        self._next = 0
        self._offers = OfferPieces()
        self._heartbeat = protobuf.encode(scheduler.Event(type=scheduler.Event_Type.HEARTBEAT))

    def __len__(self) -> int:
        return len(self._streams)

    def next_token(self) -> int:
        """Return a number never used before."""
        self._next += 1
        return self._next

    def ask(self, caller: Caller) -> int:
        """Return the number of a new request of `caller`."""
        self._next += 1
        self._requests[self._next] = caller
        return self._next

    def close(self) -> None:
        """Break every stream off: the master stops, its clients shall come back."""
        for stream in list(self._streams.values()):
            stream.drop()
        self._streams.clear()

    # effects

    def respond(self, effect: effects.Respond) -> None:
        """Perform a Respond."""
        caller = self._requests.pop(effect.request, None)
        if caller is not None:
            caller.respond(effect.status, effect.body)

    def open_stream(self, effect: effects.OpenStream) -> None:
        """Perform an OpenStream."""
        caller = self._requests.pop(effect.request, None)
        if caller is None:
            return
        self._streams[effect.stream] = caller.open_stream(effect.stream, effect.stream_id, self._lost)

    def send_event(self, effect: effects.SendEvent) -> None:
        """Perform a SendEvent."""
        stream = self._streams.get(effect.stream)
        if stream is not None:
            stream.send(json.encode(effect.event) if stream.json else protobuf.encode(effect.event))

    def send_update(self, effect: effects.SendUpdate) -> None:
        """Perform a SendUpdate: the agent's own JSON goes out as it is."""
        stream = self._streams.get(effect.stream)
        if stream is None:
            return
        status = effect.status
        if stream.json:
            stream.send(UPDATE_PREFIX + (status if status.isascii() else json.to_ascii(status)) + b"}}")
            return
        update = scheduler.Event_Update(status=json.decode(mesos.TaskStatus, status))
        stream.send(protobuf.encode(scheduler.Event(type=scheduler.Event_Type.UPDATE, update=update)))

    def send_offers(self, effect: effects.SendOffers) -> None:
        """Perform a SendOffers."""
        stream = self._streams.get(effect.stream)
        if stream is None:
            return
        if stream.json:
            stream.send(self._offers.event(effect.offers))
            return
        offers = scheduler.Event_Offers(offers=[self._offers.message(offer) for offer in effect.offers])
        stream.send(protobuf.encode(scheduler.Event(type=scheduler.Event_Type.OFFERS, offers=offers)))

    def send_heartbeat(self, effect: effects.SendHeartbeat) -> None:
        """Perform a SendHeartbeat."""
        for token in effect.streams:
            stream = self._streams.get(token)
            if stream is not None:
                stream.send(HEARTBEAT_JSON if stream.json else self._heartbeat)

    def publish_event(self, effect: effects.PublishEvent) -> None:
        """Perform a PublishEvent; a SUBSCRIBED is sent with the whole state in it."""
        opening = effect.event.type == operator.Event_Type.SUBSCRIBED
        as_json = as_protobuf = b""
        for token in effect.streams:
            stream = self._streams.get(token)
            if stream is None:
                continue
            if opening:
                self.greet(stream)
            elif stream.json:
                as_json = as_json or json.encode(effect.event)
                stream.send(as_json)
            else:
                as_protobuf = as_protobuf or protobuf.encode(effect.event)
                stream.send(as_protobuf)

    def close_stream(self, effect: effects.CloseStream) -> None:
        """Perform a CloseStream."""
        stream = self._streams.pop(effect.stream, None)
        if stream is not None:
            stream.end()

    def _lost(self, stream: EventStream) -> None:
        if self._streams.pop(stream.token, None) is not None:
            self.post(StreamClosed(stream.token))


def not_wired(event: Event) -> None:
    """Refuse an event: the driver is set before the server opens."""
    raise AssertionError(f"{type(event).__name__} came before the driver was there")
