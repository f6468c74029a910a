"""Machines with an agent each, and the links from them to the master.

Rules: a host that is restarted has a new agent at the old address, without memory. Both ends of a broken link learn of it, each in
its own time; what an end sends over a link that it has closed, or was told is closed, is a violation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.core.agent import effects, events
from merismos.core.agent.state import AgentSettings, Link
from merismos.core.master import events as master_events
from merismos.protocol import json, link
from merismos.protocol.v1 import mesos
from merismos.simulation.checkers import Violation
from merismos.simulation.containers import Containers
from merismos.simulation.network import Pipe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from merismos.core.agent.machine import AgentMachine
    from merismos.core.kernel import Effect, Event
    from merismos.simulation.masters import MasterHost
    from merismos.simulation.world import World

    MakeAgent = Callable[[AgentSettings], AgentMachine]

WALL_OFFSET_S = 1_000_000_000.0
CLOSED = b"closed"
HELLO = b"hello"


class Wire:
    """One link: two pipes and what each end knows of it."""

    def __init__(self, host: AgentHost, master: MasterHost, number: int, token: int) -> None:
        world = host.world
        self.master = master
        self.master_run = master.run
        self.host = host
        self.run = host.run
        self.number = number
        self.token = token
        self.agent_open = True
        self.master_open = False
        self.broken = False
        self.hello = (0, "", 0.0)
        self.up: Pipe[bytes] = Pipe(world.agenda, world.weather, self._at_master)
        self.down: Pipe[bytes] = Pipe(world.agenda, world.weather, self._at_agent)

    def connect(self) -> None:
        """Let the connection come about, if both ends still want it."""
        if not self.agent_open or self.broken:
            return
        if self.master.is_deaf() or self.master.run != self.master_run:
            self.lose()
            return
        self.master_open = True
        self.host.world.wires[self.token] = self
        self.hello = (self.master.epoch, self.master.id, self.master.window_s)
        self.down.send(HELLO)
        self.master.handle(master_events.LinkOpened(self.token, "10.0.1.1"))

    def close_at_agent(self) -> None:
        """The agent closes the link, after what it sent."""
        self.agent_open = False
        self.down.cut()
        self.up.send(CLOSED)

    def close_at_master(self) -> None:
        """The master closes the link, after what it sent."""
        self.up.cut()
        self.down.send(CLOSED)
        self.host.world.agenda.after(0.0, self._closed_at_master)

    def lose(self) -> None:
        """Break the connection; each end notices in its own time."""
        if self.broken:
            return
        self.broken = True
        self.up.cut()
        self.down.cut()
        world = self.host.world
        world.agenda.after(world.weather.notice_s(), self._closed_at_master)
        world.agenda.after(world.weather.notice_s(), self._closed_at_agent)

    def _at_master(self, frame: bytes) -> None:
        if frame is CLOSED:
            self._closed_at_master()
            return
        if self.master_open and self.master.run == self.master_run:
            for message in link.FrameDecoder().feed(frame):
                self.master.handle(master_events.LinkReceived(self.token, message), frame)

    def _at_agent(self, frame: bytes) -> None:
        if self.host.run != self.run or not self.agent_open:
            return
        if frame is CLOSED:
            self._closed_at_agent()
        elif frame is HELLO:
            self.host.world.checkers.on_hello(self.host, self.hello[0])
            self.host.handle(events.LinkOpened(self.number, *self.hello))
        else:
            for message in link.FrameDecoder().feed(frame):
                self.host.handle(events.LinkReceived(self.number, message), frame)

    def _closed_at_master(self) -> None:
        self.master.when_awake(self._closed_for_good)

    def _closed_for_good(self) -> None:
        if self.master_open:
            self.master_open = False
            self.up.cut()
            self.host.world.wires.pop(self.token, None)
            if self.master.run == self.master_run:
                self.master.handle(master_events.LinkClosed(self.token))

    def _closed_at_agent(self) -> None:
        if self.agent_open and self.host.run == self.run:
            self.agent_open = False
            self.host.handle(events.LinkClosed(self.number, "the connection broke"))


class AgentHost:
    """One machine; `run` counts its agents."""

    def __init__(self, world: World, number: int, total: list[mesos.Resource], make: MakeAgent) -> None:
        self.world = world
        self.number = number
        self.name = f"agent{number}"
        self.run = 0
        self.wires: dict[int, Wire] = {}
        self.down_until: float | None = None
        self.armed_at: float | None = None
        self._make = make
        self._total = total
        self.boot()

    def boot(self) -> None:
        """Start an agent that knows nothing of the last one."""
        world = self.world
        self.run += 1
        self.down_until = None
        port = 5051 + self.number
        info = mesos.AgentInfo(hostname=f"host{self.number}", port=port, resources=self._total)
        self.machine = self._make(
            AgentSettings(
                info=info,
                ip="10.0.0.2",
                port=port,
                pid=f"slave(1)@10.0.0.2:{port}",
                version="1.12.0",
                work_dir="/w",
                gc_delay_s=600.0,
            )
        )
        run = self.run
        self.containers = Containers(
            world.agenda, world.dice, lambda event: self._post(run, event), world.settings.life_s
        )
        self.handle(events.Started(world.dice.next_u64(), WALL_OFFSET_S))
        self.handle(events.ContainersRecovered("holder"))
        self.detect()

    def detect(self) -> None:
        """Let the agent know who leads."""
        if self.down_until is None and not self.world.coordination.is_down():
            leader = self.world.coordination.leader()
            self.handle(events.MasterDetected(None if leader is None else leader.address))

    def crash(self, pause_s: float) -> None:
        """End the agent and all its containers; another starts after a pause."""
        self.run += 1
        self.containers.forget()
        for wire in list(self.wires.values()):
            wire.lose()
        self.wires.clear()
        self.down_until = self.world.agenda.now + pause_s
        self.world.alarms.set(self, None)
        run = self.run
        self.world.agenda.after(pause_s, lambda: self.boot() if self.run == run else None)

    def handle(self, event: Event, payload: bytes = b"") -> None:
        """Let the agent take one event, and do what it asks for."""
        world = self.world
        world.note(self.name, event, payload)
        world.checkers.before_agent(self, event)
        try:
            done = self.machine.handle(event, world.agenda.now)
        except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise Violation("handle", f"{self.name} fails on {type(event).__name__}: {error!r}") from error
        self._perform(done)
        world.alarms.set(self, None if self.down_until is not None else self.machine.next_deadline())

    def is_registered(self) -> bool:
        """Return whether the agent believes that the master knows it."""
        return self.down_until is None and self.machine.state.registration.status is Link.REGISTERED

    def _post(self, run: int, event: Event) -> None:
        if run == self.run:
            self.handle(event)

    def _perform(self, done: Sequence[Effect]) -> None:
        for effect in done:
            match effect:
                case effects.SendMessage():
                    self.world.checkers.on_agent_sends(self, effect)
                    self.wires[effect.link].up.send(link.encode_frame([effect.message]))
                case effects.OpenLink():
                    self._open(effect.link, effect.address)
                case effects.CloseLink():
                    self.wires[effect.link].close_at_agent()
                case effects.Checkpoint():
                    self.handle(events.Checkpointed(effect.sequence))
                case effects.Exit():
                    self.world.note(self.name, effect, effect.reason.encode())
                    self.crash(self.world.dice.uniform(0.1, 30.0))
                    return
                case _:
                    self.containers.perform(effect)

    def _open(self, number: int, address: str) -> None:
        world = self.world
        world.next_token += 1
        wire = self.wires[number] = Wire(self, world.master_at(address), number, world.next_token)
        if not world.weather.calm and world.dice.chance(10):
            wire.lose()
        else:
            world.agenda.after(world.weather.delay_s(), wire.connect)


def resources_of_host(number: int) -> list[mesos.Resource]:
    """Return what a host has: scalars, and ports, no two of which are alike."""
    wire: list[dict[str, object]] = [
        {"name": "cpus", "type": "SCALAR", "scalar": {"value": 4 + number % 3}},
        {"name": "mem", "type": "SCALAR", "scalar": {"value": 1024}},
        {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 31099}]}},
    ]
    if number % 3 == 1:
        wire.append(
            {
                "name": "cpus",
                "type": "SCALAR",
                "scalar": {"value": 2},
                "reservations": [{"type": "STATIC", "role": "b"}],
            }
        )
    body = msgspec.json.encode({"hostname": "h", "resources": wire})
    return json.decode(mesos.AgentInfo, body).resources
