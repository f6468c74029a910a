"""Masters, with the shell around each played: requests, streams, links, the registry, the election, their supervisor.

Rules: a master that stands by takes no call and no link. One that is elected reads the registry, then leads. Before each event a
leader looks at its clock: once its lease is over it is suspended first, as `shell/lease.py` has it. A process that is stopped takes
what came meanwhile when it wakes, in order. Each request is answered once. An effect on a stream or link that the master has
closed, or was told is closed, is a violation; one that it can't know to be dead goes nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from merismos.core.election import Candidacy, Place
from merismos.core.kernel import Effect
from merismos.core.master import effects, events
from merismos.core.master.recovery import window_s
from merismos.core.master.state import Config
from merismos.core.master.views.values import master_info_of
from merismos.ports.contender import Deposed, Elected, Restored, Suspended
from merismos.protocol import json
from merismos.protocol.thin import decode_call
from merismos.protocol.v1 import master as operator
from merismos.protocol.v1 import mesos, scheduler
from merismos.simulation.checkers import Violation
from merismos.simulation.coordination import BEAT_S, BORN_AT_S, LEASE_S, Session
from merismos.simulation.network import Pipe
from merismos.simulation.streams import view_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from merismos.core.kernel import Event
    from merismos.core.master.machine import MasterMachine
    from merismos.ports.contender import Standing
    from merismos.simulation.checkers import Wishes
    from merismos.simulation.streams import Stream
    from merismos.simulation.world import World

    MakeMaster = Callable[[Config], MasterMachine]
    Changes = list[tuple[str, str, bytes]]
    Answer = Callable[[int, str], None]

READ_FAILS_PERCENT = 3
WALL_OFFSET_S = 1_000_000_000.0
BUGS = (ArithmeticError, AssertionError, LookupError, TypeError, ValueError, AttributeError)
_STATUS = msgspec.json.Decoder(mesos.TaskStatus)


class MasterHost:
    """One machine with a master; `run` counts its processes, `machine` is there from an election on."""

    def __init__(self, world: World, number: int, make: MakeMaster) -> None:
        self.world = world
        self.number = number
        self.name = f"master{number}"
        self.ip = f"10.0.0.{number + 1}"
        self.address = f"{self.ip}:5050"
        self.run = 0
        self.machine: MasterMachine | None = None
        self.armed_at: float | None = None
        self.stopped_until = 0.0
        self.cut_until = 0.0  # off from ZooKeeper
        self.is_down = False
        self.wishes: dict[str, Wishes] = {}
        self._make = make
        self.boot()

    # ------------------------------------------------------------ the process
    def boot(self) -> None:
        """Start a process that stands for election."""
        world = self.world
        self.run += 1
        self.is_down = False
        self.machine = None
        self.writes = 0
        self.epoch = 0
        self.window_s = 0.0
        self.lease_until = 0.0
        self.id = _uuid_of(world.dice.uuid_bytes())
        self.waiting: dict[int, Answer] = {}
        self.wishes = {}
        self._suspension = ""
        self._candidacy = Candidacy()
        self._session: Session | None = None
        self._storage: Pipe[tuple[int, Changes, Session]] = Pipe(world.agenda, world.weather, self._reached_storage)
        self._beat()

    def crash(self, pause_s: float, reason: str) -> None:
        """End the process; its supervisor starts another."""
        world = self.world
        world.note(self.name, None, b"ends: " + reason.encode())
        self.run += 1
        self.machine = None
        self.is_down = True
        self.stopped_until = 0.0
        world.alarms.set(self, None)
        self._storage.cut()
        for wire in [one for one in world.wires.values() if one.master is self]:
            del world.wires[wire.token]
            wire.lose()
        for stream in [one for one in world.streams.values() if one.master is self]:
            del world.streams[stream.token]
            stream.lose()
        self._later(pause_s, self.boot)

    def stop(self, duration_s: float) -> None:
        """Stop the process for a while, as SIGSTOP does."""
        self.world.note(self.name, None, b"is stopped for %.3f s" % duration_s)
        self.stopped_until = self.world.agenda.now + duration_s
        self._arm()

    def is_leading(self) -> bool:
        """Say whether it takes calls and links, rightly or not."""
        return self.machine is not None

    def is_deaf(self) -> bool:
        """Say whether nobody can connect."""
        return self.machine is None or self.is_stopped()

    def is_stopped(self) -> bool:
        """Say whether the process is stopped."""
        return self.world.agenda.now < self.stopped_until

    def still_stands(self) -> bool:
        """Say whether no other master can have been elected."""
        return self._session is not None and not self._session.is_over

    def when_awake(self, action: Callable[[], None]) -> None:
        """Do something now, or when a stopped process wakes."""
        if self.is_stopped():
            self._later(0.0, action)
        else:
            action()

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Plan `action` of this process; a stopped one does it when it wakes."""
        run = self.run

        def act() -> None:
            if self.run != run:
                return
            if self.is_stopped():
                self.world.agenda.at(self.stopped_until, act)
            else:
                action()

        self.world.agenda.after(delay_s, act)

    def _arm(self) -> None:
        at = None if self.machine is None else self.machine.next_deadline()
        self.world.alarms.set(self, None if at is None else max(at, self.stopped_until))

    # ------------------------------------------------------------ the election
    def _beat(self) -> None:
        """Ask the ensemble to keep the session, or for a new one."""
        world = self.world
        sent_at = world.agenda.now
        self._later(BEAT_S, self._beat)
        if world.coordination.is_down() or self.cut_until > sent_at:
            return
        run = self.run
        delay_s = world.weather.delay_s()
        world.agenda.after(delay_s, lambda: self._beat_arrived(sent_at) if self.run == run else None)

    def _beat_arrived(self, sent_at: float) -> None:
        coordination = self.world.coordination
        if coordination.is_down() or self._candidacy.place is Place.OVER:
            return
        if self._session is None:
            info = json.encode(master_info_of(self.id, self.ip, 5050, self.name))
            self._session = coordination.join(info)
            self._candidacy.joined(self._session.name)
        alive = coordination.beat(self._session)
        self._later(self.world.weather.delay_s(), lambda: self._beaten(sent_at, alive=alive))

    def _beaten(self, sent_at: float, *, alive: bool) -> None:
        if alive:
            self.lease_until = max(self.lease_until, sent_at + LEASE_S)
            self.look()
        else:
            self._session = None
            self._follow(self._candidacy.lost("the session expired"))

    def look(self) -> None:
        """Judge the candidates that there are, if they can be seen."""
        world = self.world
        unseen = world.coordination.is_down() or self.cut_until > world.agenda.now or self._session is None
        if not unseen and not self.is_down and not self.is_stopped() and world.agenda.now <= self.lease_until:
            self._follow(self._candidacy.seen(world.coordination.names(), BORN_AT_S))

    def _follow(self, standings: Sequence[Standing]) -> None:
        for standing in standings:
            match standing:
                case Elected(epoch):
                    self.epoch = epoch
                    self._later(self.world.weather.delay_s(), self._lead)
                case Restored():
                    self._suspension = ""
                    self.handle(events.CoordinationRestored())
                case Suspended(reason):
                    self._suspension = reason
                    self.handle(events.CoordinationSuspended(reason))
                case Deposed(reason) if self.machine is not None:
                    self.handle(events.LeadershipLost(reason))
                case Deposed(reason):
                    self.crash(self.world.dice.uniform(0.1, 5.0), reason)
                case _:
                    pass

    def _lead(self) -> None:
        """Read the registry; who can't has to leave the lead to another."""
        world = self.world
        coordination = world.coordination
        is_cut = coordination.is_down() or self.cut_until > world.agenda.now
        if is_cut or (not world.weather.calm and world.dice.chance(READ_FAILS_PERCENT)):
            self.crash(world.dice.uniform(0.1, 5.0), "it can't lead without its registry")
            return
        entries = coordination.read()
        self._later(world.weather.delay_s(), lambda: self._begin(entries))

    def _begin(self, entries: Changes) -> None:
        """Begin to decide."""
        world = self.world
        config = Config()
        config.max_completed_frameworks = 1000
        config.agent_reregister_timeout_s = 200.0
        self.machine = self._make(config)
        self.window_s = window_s(sum(1 for table, _, _ in entries if table == "agents"))
        seed = world.dice.next_u64()
        self.handle(events.Started(self.id, seed, WALL_OFFSET_S, self.epoch, self.ip, 5050, self.name, entries))
        if self._suspension:
            self.handle(events.CoordinationSuspended(self._suspension))

    # ------------------------------------------------------------ what comes in
    def handle(self, event: Event, payload: bytes = b"") -> None:
        """Let the master take one event, and do what it asks for; what it can't take any more is lost."""
        if self.machine is None:
            return
        if self.is_stopped():
            self._later(0.0, lambda: self.handle(event, payload))
            return
        self._check_lease()
        if self.machine is not None:
            self._take(event, payload)

    def _check_lease(self) -> None:
        if not self._suspension and self.world.agenda.now > self.lease_until:
            self._follow(self._candidacy.doubted("the election was not confirmed in time"))

    def _take(self, event: Event, payload: bytes) -> None:
        world = self.world
        machine = self.machine
        assert machine is not None
        world.note(self.name, event, payload)
        try:
            done = machine.handle(event, world.agenda.now)
        except BUGS as error:
            raise Violation("handle", f"{self.name} fails on {type(event).__name__}: {error!r}") from error
        run = self.run
        for effect in done:
            if self.run != run:
                return
            if world.marks is not None:
                world.marks.of_effect(effect)
            PERFORMED[type(effect)](self, effect)
        if self.run == run:
            world.checkers.after_master(self, event, done)
            self._arm()

    def _request(self, answer: Answer | None) -> int:
        self.world.next_token += 1
        self.waiting[self.world.next_token] = _ignore if answer is None else answer
        return self.world.next_token

    def call(self, body: bytes, stream_id: str | None, answer: Answer | None = None) -> None:
        """Take a scheduler's call other than SUBSCRIBE."""
        if self.is_stopped():
            self._later(0.0, lambda: self.call(body, stream_id, answer))
        elif self.machine is not None:
            request = self._request(answer)
            self.handle(events.SchedulerCalled(request, decode_call(body), stream_id), body)
            if request in self.waiting:
                raise Violation("answers", f"the call {body!r} was not answered")

    def subscribe(self, body: bytes, stream: Stream) -> None:
        """Take a scheduler's SUBSCRIBE."""
        if self.is_stopped():
            self._later(0.0, lambda: self.subscribe(body, stream))
        elif self.machine is not None and stream.client_open:
            request = self._request(stream.refused)
            call = json.decode(scheduler.Call, body)
            self.world.streams[stream.token] = stream
            self.handle(events.SchedulerSubscribed(request, call, stream.token, stream.stream_id), body)
            if request in self.waiting:
                raise Violation("answers", f"the subscription {body!r} was not answered")

    def operate(self, body: bytes, answer: Answer | None = None) -> None:
        """Take an operator's call."""
        if self.machine is not None:
            self.handle(events.OperatorCalled(self._request(answer), json.decode(operator.Call, body)), body)

    def watch(self, stream: Stream) -> None:
        """Take an operator's SUBSCRIBE."""
        if not self.is_deaf():
            self.world.streams[stream.token] = stream
            self.handle(events.OperatorSubscribed(self._request(stream.refused), stream.token))

    # ------------------------------------------------------------ the registry
    def _reached_storage(self, write: tuple[int, Changes, Session]) -> None:
        world = self.world
        coordination = world.coordination
        back_at = max(coordination.down_until, self.cut_until)
        run = self.run
        if back_at > world.agenda.now:
            world.agenda.at(back_at, lambda: self._reached_storage(write) if self.run == run else None)
            return
        sequence, changes, session = write
        failure = coordination.write(session, changes)
        self._later(0.0, lambda: self._stored(sequence, failure))

    def _stored(self, sequence: int, failure: str) -> None:
        self.writes -= 1
        self.handle(events.RegistryLost(sequence, failure) if failure else events.RegistryStored(sequence))

    # ------------------------------------------------------------ effects
    def send_to_agent(self, effect: effects.SendToAgent) -> None:
        """Send a message over a link."""
        wire = self.world.wires.get(effect.link)
        if wire is None:
            raise Violation("closed", f"{effect.message} is sent on link {effect.link}, which is closed")
        wire.send_down(effect.message)

    def close_link(self, effect: effects.CloseLink) -> None:
        """Close a link."""
        wire = self.world.wires.pop(effect.link, None)
        if wire is None:
            raise Violation("closed", f"link {effect.link} is closed twice")
        wire.close_at_master()

    def store(self, effect: effects.StoreRegistry) -> None:
        """Write to the registry."""
        self.writes += 1
        if self._session is None:
            raise Violation("writer", f"{self.name} has no session, yet it writes {effect}")
        self._storage.send((effect.sequence, effect.changes, self._session))

    def respond(self, effect: effects.Respond) -> None:
        """Answer a request."""
        answer = self.waiting.pop(effect.request, None)
        if answer is None:
            raise Violation("answers", f"request {effect.request} is answered twice, now by {effect.body!r}")
        answer(effect.status, effect.body)

    def exit(self, effect: effects.Exit) -> None:
        """End the process, which asks for it."""
        if effect.code != 75:  # noqa: PLR2004 - what a supervisor starts again
            raise Violation("handle", f"{self.name} exits: {effect.reason}")
        if self._session is not None and self.world.dice.chance(50):
            self.world.coordination.end(self._session)
        self.crash(self.world.dice.uniform(0.1, 5.0), effect.reason)

    def send_update(self, effect: effects.SendUpdate) -> None:
        """Send an update to a scheduler."""
        status = _STATUS.decode(effect.status)
        self.world.checkers.on_update_sent(self, effect.stream, status)
        self._stream(effect.stream).pipe.send(("UPDATE", status))

    def send_offers(self, effect: effects.SendOffers) -> None:
        """Send offers to a scheduler."""
        self.world.checkers.on_offers_sent(self, effect)
        views = [view_of(offer) for offer in effect.offers]
        self._stream(effect.stream).pipe.send(("OFFERS", views))

    def send_event(self, effect: effects.SendEvent) -> None:
        """Send any other event to a scheduler."""
        self._stream(effect.stream).pipe.send((str(effect.event.type), effect.event))

    def send_heartbeat(self, effect: effects.SendHeartbeat) -> None:
        """Send heartbeats."""
        for token in effect.streams:
            self._stream(token).pipe.send(("HEARTBEAT", None))

    def publish(self, effect: effects.PublishEvent) -> None:
        """Send an event to operators."""
        json.encode(effect.event)
        for token in effect.streams:
            self._stream(token)

    def open_stream(self, effect: effects.OpenStream) -> None:
        """Answer a subscription with its stream."""
        if self.waiting.pop(effect.request, None) is None:
            raise Violation("answers", f"request {effect.request} gets a stream after its answer")
        self._stream(effect.stream).master_open = True

    def close_stream(self, effect: effects.CloseStream) -> None:
        """End a stream."""
        stream = self._stream(effect.stream)
        del self.world.streams[effect.stream]
        stream.master_open = False
        stream.pipe.send(("CLOSED", None))

    def _stream(self, token: int) -> Stream:
        stream = self.world.streams.get(token)
        if stream is None:
            raise Violation("closed", f"something is sent on stream {token}, which is closed")
        return stream


PERFORMED: dict[type[Effect], Callable[[MasterHost, Any], None]] = {
    effects.SendToAgent: MasterHost.send_to_agent,
    effects.CloseLink: MasterHost.close_link,
    effects.StoreRegistry: MasterHost.store,
    effects.Respond: MasterHost.respond,
    effects.Exit: MasterHost.exit,
    effects.SendUpdate: MasterHost.send_update,
    effects.SendOffers: MasterHost.send_offers,
    effects.SendEvent: MasterHost.send_event,
    effects.SendHeartbeat: MasterHost.send_heartbeat,
    effects.PublishEvent: MasterHost.publish,
    effects.OpenStream: MasterHost.open_stream,
    effects.CloseStream: MasterHost.close_stream,
}


def _ignore(status: int, body: str) -> None:
    del status, body


def _uuid_of(raw: bytes) -> str:
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
