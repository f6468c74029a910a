"""A whole cluster under one seed: what happens when, what goes wrong, and the way back to peace.

Rules: chance comes from the seed alone and time from the agenda, so one seed is one story; its transcript's hash says so. While there
is trouble every checker of a step runs at each step, the sweeps at every so many. Then it heals, and all sides have to agree;
then every task is killed, and everything has to be free. `make_master` and `make_agent` let a test put in a faulty machine.
"""

from __future__ import annotations

import hashlib
import struct
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from merismos.core.agent.machine import AgentMachine
from merismos.core.kernel import TimerFired
from merismos.core.master.machine import MasterMachine
from merismos.simulation.checkers import Checkers, Violation, records_of
from merismos.simulation.coordination import Coordination
from merismos.simulation.hosts import AgentHost, resources_of_host
from merismos.simulation.links import Wire
from merismos.simulation.masters import MasterHost
from merismos.simulation.network import Agenda, Alarms, Dice, Partitions, Weather
from merismos.simulation.scheduler import OVER, Scheduler
from merismos.simulation.sweeps import Sweeps
from merismos.simulation.trouble import Trouble
from merismos.simulation.upkeep import Upkeep

if TYPE_CHECKING:
    from collections.abc import Callable

    from merismos.core.kernel import Event
    from merismos.core.master.state import Master
    from merismos.simulation.hosts import MakeAgent
    from merismos.simulation.marks import Marks
    from merismos.simulation.masters import MakeMaster
    from merismos.simulation.network import Parted
    from merismos.simulation.streams import Stream

    Listener = Callable[[str, Event | None, bytes], None]  # who, what came to it, and the bytes that it came in

TIMERS_IN_ONE_INSTANT_MAX = 1000
HEALING_S_MAX = 1500.0
LOOK_S = 5.0
_INSTANT = struct.Struct(">d").pack
ASK_AGAIN_S = 60.0


class Settings(msgspec.Struct, kw_only=True):
    """How big a world is, and how often everything is swept."""

    masters: int = 3
    hosts: int = 4
    schedulers: int = 4
    sweep_every: int = 20
    life_s: float | None = None  # of every container; None leaves it to chance
    calm: bool = False
    unruly: bool = False  # links deliver some frames twice or out of order


class World:
    """A master, its agents, frameworks and operators, and what is between them."""

    def __init__(
        self,
        seed: int,
        settings: Settings | None = None,
        *,
        make_master: MakeMaster = MasterMachine,
        make_agent: MakeAgent = AgentMachine,
    ) -> None:
        settings = Settings() if settings is None else settings
        self.seed = seed
        self.settings = settings
        self.dice = Dice(seed)
        self.agenda = Agenda(1000.0)
        self.weather = Weather(self.dice)
        self.weather.calm = settings.calm
        self.partitions = Partitions()
        self.steps = 0
        self.next_token = 0
        self.wires: dict[int, Wire] = {}
        self.streams: dict[int, Stream] = {}
        self.history: deque[tuple[float, str, str, bytes]] = deque(maxlen=60)
        self.alarms: Alarms[MasterHost | AgentHost] = Alarms()
        self.marks: Marks | None = None
        self._listener: Listener | None = None
        self._labels: dict[tuple[str, type], bytes] = {}
        self._digest = hashlib.blake2b(digest_size=16)
        self._sweep_every = settings.sweep_every
        self._timers = 0
        self._swept = 0
        self.hosts: list[AgentHost] = []
        self.schedulers: list[Scheduler] = []
        self.checkers = Checkers(self)
        self.sweeps = Sweeps(self)
        self.coordination = Coordination(self)
        self.masters: list[MasterHost] = []
        self._addresses: dict[str, MasterHost] = {}
        for number in range(settings.masters):
            master = MasterHost(self, number, make_master)
            self.masters.append(master)
            self._addresses[master.address] = master
            self.coordination.watch(master.look)
        while self.elected is None:
            self.step()
        for number in range(settings.hosts):
            host = AgentHost(self, number, resources_of_host(number), make_agent)
            self.hosts.append(host)
            self.coordination.watch(host.detect)
        for number in range(settings.schedulers):
            scheduler = Scheduler(self, number)
            self.schedulers.append(scheduler)
            self.coordination.watch(scheduler.detect)
            scheduler.subscribe()
        self.upkeep = Upkeep(self)
        self.trouble = Trouble(self)
        if not settings.calm:
            self.trouble.begin()

    # ------------------------------------------------------------ who leads
    @property
    def elected(self) -> MasterHost | None:
        """The master that leads and has begun to; None while there is none."""
        at = self.coordination.leader()
        if at is None:
            return None
        master = self.master_at(at.address)
        return master if master.machine is not None and master.still_stands() else None

    @property
    def leader(self) -> MasterHost:
        """The master that leads, where there has to be one."""
        leader = self.elected
        assert leader is not None, "nobody leads"
        return leader

    @property
    def records(self) -> Master:
        """The records of the master that leads."""
        return records_of(self.leader)

    def master_at(self, address: str) -> MasterHost:
        """Return the master with this address."""
        return self._addresses[address]

    # ------------------------------------------------------------ the transcript
    def note(self, who: str, what: Event | None, payload: bytes) -> None:
        """Write one line of the transcript."""
        self.steps += 1
        now = self.agenda.now
        if self.marks is not None and what is not None:
            self.marks.of_event(what)
        label = self._labels.get((who, type(what)))
        if label is None:
            label = self._labels[who, type(what)] = f" {who} {type(what).__name__} ".encode()
        self._digest.update(_INSTANT(now) + label + payload)
        self.history.append((now, who, type(what).__name__, payload))
        if self._listener is not None:
            self._listener(who, what, payload)

    def listen(self, listener: Listener) -> None:
        """Let `listener` have all that the transcript has, before it happens."""
        self._listener = listener

    def print_transcript(self) -> None:
        """Print each line of the transcript, readable."""
        self.listen(lambda *_: print(_readable(self.history[-1])))  # noqa: T201 - what it is for

    def story(self) -> list[str]:
        """Return the end of the transcript, readable."""
        return [_readable(line) for line in self.history]

    def transcript_hash(self) -> str:
        """Return the hash of all that happened."""
        return self._digest.hexdigest()

    # ------------------------------------------------------------ the network
    def part(self, one: Parted[MasterHost], master: MasterHost, duration_s: float) -> None:
        """Part an agent or a scheduler from a master: nothing new comes about, and what is sent meanwhile comes late."""
        self.note(one.name, None, b"is parted from %b for %.3f s" % (master.name.encode(), duration_s))
        self.partitions.part(one.name, master.name, self.agenda.now + duration_s)
        one.clog(master, duration_s)

    # ------------------------------------------------------------ time
    def step(self) -> None:
        """Let the next thing happen."""
        planned = self.agenda.next()
        alarm = self.alarms.next()
        if alarm is not None and (planned is None or alarm[0] <= planned):
            at, _, owner = alarm
            if at > self.agenda.now:
                self._timers = 0
                self.agenda.now = at
            self._timers += 1
            if self._timers > TIMERS_IN_ONE_INSTANT_MAX:
                raise Violation("handle", f"a timer of {owner} fires at {at} again and again")
            owner.armed_at = None
            owner.handle(TimerFired())
        elif planned is not None:
            self.agenda.now = max(self.agenda.now, planned)
            self.agenda.go()
        else:
            raise Violation("handle", "nothing is left to happen")

    def run(self, events: int) -> None:
        """Let so many events happen, in trouble."""
        while self.steps < events:
            self.step()
            if self.steps - self._swept >= self._sweep_every:
                self._sweep()
        self._sweep()

    def advance(self, duration_s: float) -> None:
        """Let time pass, swept at every so many events."""
        until = self.agenda.now + duration_s
        passed: list[None] = []
        self.agenda.at(until, lambda: passed.append(None))
        while not passed:
            self.step()
            if self.steps - self._swept >= self._sweep_every:
                self._sweep()

    def _sweep(self) -> None:
        self._swept = self.steps
        self.sweeps.sweep()

    # ------------------------------------------------------------ peace
    def heal(self) -> None:
        """End all trouble; in time, all machines have to agree, and nobody may have missed anything."""
        self.trouble.is_over = True
        self.weather.calm = True
        self.trouble.mend()
        self._wait_for(lambda: "nobody leads" if self.elected is None else None, "convergence")
        for scheduler in self.schedulers:
            scheduler.calm = True
            scheduler.interrupt_if_away()
        self._wait_for(self.sweeps.disagreement, "convergence", self._tidy)
        self.sweeps.check_nothing_was_lost()

    def drain(self) -> None:
        """Kill every task; in time all are over, their schedulers know, and everything is free."""
        for scheduler in self.schedulers:
            scheduler.kill_all()
        self._kill_strays()
        self._wait_for(self.sweeps.still_alive, "lost", self._tidy)
        self._wait_for(self.sweeps.still_doubtful, "convergence", self._reconcile)
        self._wait_for(self.sweeps.disagreement, "convergence", self._tidy)
        self.sweeps.check_nothing_was_lost()
        self._wait_for(self.sweeps.still_in_use, "convergence")

    def _kill_strays(self) -> None:
        """Kill what the master knows of and its scheduler doesn't."""
        for scheduler in self.schedulers:
            for task in self.records.frameworks[scheduler.id].tasks.values():
                scheduler.kill(task.id, task.agent.id)

    def _tidy(self) -> None:
        self.upkeep.finish()
        self._tear_down_orphans()

    def _tear_down_orphans(self) -> None:
        """End the frameworks whose schedulers ended them in vain: the master that heard of it leads no more."""
        own = [scheduler.id for scheduler in self.schedulers]
        if self.elected is not None:
            for framework_id in list(self.records.frameworks):
                if framework_id not in own:
                    call = {"type": "TEARDOWN", "teardown": {"framework_id": {"value": framework_id}}}
                    self.leader.operate(msgspec.json.encode(call))

    def _reconcile(self) -> None:
        for scheduler in self.schedulers:
            doubtful = [task for task in scheduler.tasks.values() if task.interrupted and task.state not in OVER]
            if doubtful:
                scheduler.reconcile(doubtful)

    def _wait_for(
        self, complaint: Callable[[], str | None], checker: str, meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        until = self.agenda.now + HEALING_S_MAX
        asked_at = 0.0
        while (fault := complaint()) is not None:
            if self.agenda.now - asked_at >= ASK_AGAIN_S:
                asked_at = self.agenda.now
                meanwhile()
            if self.agenda.now >= until:
                raise Violation(checker, f"after {HEALING_S_MAX:g} s of peace {fault}")
            self.advance(LOOK_S)
            self.sweeps.sweep()


def _readable(line: tuple[float, str, str, bytes]) -> str:
    at, who, name, payload = line
    return f"{at:.4f} {who} {name} {payload[:300]!r}"


def simulate(
    seed: int,
    events: int,
    settings: Settings | None = None,
    *,
    make_master: MakeMaster = MasterMachine,
    make_agent: MakeAgent = AgentMachine,
) -> World:
    """Live through one seed from the first event to the last task's end; return the world as it is then.

    Errors: Violation, whatever goes wrong.
    """
    world = World(seed, settings, make_master=make_master, make_agent=make_agent)
    world.run(events)
    world.heal()
    world.drain()
    return world
