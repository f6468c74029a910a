"""Machines with an agent each.

Rules: an agent that ends leaves its containers and its disk to the next one at the same address. A power cut ends the containers too
and what was not durable; a lost disk leaves a new agent with nothing. Now and then an agent is started with flags that no master
takes, and rightly the next time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from merismos.core.agent import effects, events
from merismos.core.agent.state import AgentSettings, Link
from merismos.core.kernel import Effect
from merismos.protocol import json
from merismos.protocol.v1 import mesos
from merismos.simulation.checkers import Violation
from merismos.simulation.containers import OF_CONTAINERS, Containers
from merismos.simulation.disk import Disk
from merismos.simulation.executors import OF_EXECUTORS, Executors
from merismos.simulation.links import Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from merismos.core.agent.machine import AgentMachine
    from merismos.core.kernel import Event
    from merismos.simulation.masters import MasterHost
    from merismos.simulation.world import World

    MakeAgent = Callable[[AgentSettings], AgentMachine]

MISTAKES_PERCENT = 3
WALL_OFFSET_S = 1_000_000_000.0


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
        self.life = 1
        self.boots = 1
        self._make = make
        self._total = total
        self.disk: Disk = Disk(world.agenda, world.weather, world.dice)
        self.executors: Executors = Executors(self)
        self.containers: Containers = Containers(
            world.agenda, world.dice, self.post, self.executors.start, world.settings.life_s
        )
        self.boot()

    def boot(self) -> None:
        """Start an agent with what is on the disk."""
        world = self.world
        self.run += 1
        self.down_until = None
        self.is_recovered = False
        port = 5051 + self.number
        is_mistaken = not world.weather.calm and world.dice.chance(MISTAKES_PERCENT)
        hostname = "" if is_mistaken else f"host{self.number}"
        info = mesos.AgentInfo(hostname=hostname, port=port, resources=self._total)
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
        kept = tuple(self.disk.entries().items())
        if not kept and self.run > 1:
            self.life += 1
        self.handle(events.Started(world.dice.next_u64(), WALL_OFFSET_S, (), kept, (), f"boot-{self.boots}"))
        run = self.run
        world.agenda.after(world.weather.write_s(), lambda: self._recover() if self.run == run else None)

    def _recover(self) -> None:
        """Let the agent know what became of the containers, then who leads."""
        self.is_recovered = True
        self.handle(events.ContainersRecovered(self.containers.holder, self.containers.held()))
        self.detect()

    def detect(self) -> None:
        """Let the agent know who leads."""
        if self.down_until is None and self.is_recovered and not self.world.coordination.is_down():
            leader = self.world.coordination.leader()
            self.handle(events.MasterDetected(None if leader is None else leader.address))

    def end(self, pause_s: float) -> None:
        """End the agent; another starts after a pause and finds the containers and the disk."""
        self.run += 1
        self.disk.end_writer()
        self.containers.end_fetches()
        self.executors.lose_all()
        for wire in list(self.wires.values()):
            wire.lose()
        self.wires.clear()
        self.down_until = self.world.agenda.now + pause_s
        self.world.alarms.set(self, None)
        run = self.run
        self.world.agenda.after(pause_s, lambda: self.boot() if self.run == run else None)

    def cut_power(self, pause_s: float) -> None:
        """End the agent and all its containers, and lose what wasn't durable."""
        self._end_machine(pause_s)
        self.disk.cut_power()

    def lose_disk(self, pause_s: float) -> None:
        """End the agent and all its containers, and lose all that was written."""
        self._end_machine(pause_s)
        self.disk.lose()

    def _end_machine(self, pause_s: float) -> None:
        self.life += 1
        self.boots += 1
        self.end(pause_s)
        self.containers.forget()

    def handle(self, event: Event, payload: bytes = b"") -> None:
        """Let the agent take one event, and do what it asks for."""
        world = self.world
        world.note(self.name, event, payload)
        world.checkers.before_agent(self, event)
        try:
            done = self.machine.handle(event, world.agenda.now)
        except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise Violation("handle", f"{self.name} fails on {type(event).__name__}: {error!r}") from error
        run = self.run
        self._perform(done)
        if self.run == run:
            world.alarms.set(self, None if self.down_until is not None else self.machine.next_deadline())

    def is_registered(self) -> bool:
        """Return whether the agent believes that the master knows it."""
        return self.down_until is None and self.machine.state.registration.status is Link.REGISTERED

    def post(self, event: Event) -> bool:
        """Let the agent have an event of its containers; return whether it is there to hear of it."""
        if self.down_until is not None or not self.is_recovered:
            return False
        self.handle(event)
        return True

    def write(self, effect: effects.Checkpoint) -> None:
        """Write a checkpoint."""
        run = self.run

        def done() -> None:
            if self.run == run:
                self.handle(events.Checkpointed(effect.sequence))

        self.disk.write(effect.changes, durable=effect.durable, done=done)

    def _perform(self, done: Sequence[Effect]) -> None:
        run = self.run
        for effect in done:
            perform = PERFORMED.get(type(effect))
            if perform is not None:
                perform(self, effect)
                if self.run != run:
                    return

    def send(self, effect: effects.SendMessage) -> None:
        """Send a message to the master."""
        self.world.checkers.on_agent_sends(self, effect)
        self.wires[effect.link].send_up(effect.message)

    def exit(self, effect: effects.Exit) -> None:
        """End the agent, which asks for it."""
        self.world.note(self.name, None, b"exits: " + effect.reason.encode())
        self.end(self.world.dice.uniform(0.1, 30.0))

    def clog(self, master: MasterHost, duration_s: float) -> None:
        """Hold back what goes to and from a master for a while."""
        for wire in self.wires.values():
            if wire.master is master:
                wire.clog(duration_s)

    def open(self, effect: effects.OpenLink) -> None:
        """Open a link, which may not come about."""
        world = self.world
        number, address = effect.link, effect.address
        world.next_token += 1
        wire = self.wires[number] = Wire(self, world.master_at(address), number, world.next_token)
        if not world.weather.calm and world.dice.chance(10):
            wire.lose()
        else:
            world.agenda.after(world.weather.delay_s(), wire.connect)


PERFORMED: dict[type[Effect], Callable[[AgentHost, Any], None]] = {
    effects.SendMessage: AgentHost.send,
    effects.OpenLink: AgentHost.open,
    effects.CloseLink: lambda host, effect: host.wires[effect.link].close_at_agent(),
    effects.Checkpoint: AgentHost.write,
    effects.OpenCheckpoints: lambda host, effect: host.disk.open(effect.agent_id),
    effects.ForgetAgent: lambda host, _: host.disk.lose(),
    effects.Exit: AgentHost.exit,
    **dict.fromkeys(OF_CONTAINERS, lambda host, effect: host.containers.perform(effect)),
    **dict.fromkeys(OF_EXECUTORS, lambda host, effect: host.executors.perform(effect)),
}
"""What each effect of an agent leads to; the others concern nothing that is played."""


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
