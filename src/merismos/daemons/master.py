"""The master's process: flags, machine, registry, HTTP server and links, wired together.

Rules: the port is open before the registry is read (503 meanwhile) and the machine sees no event before `Started`. Where there is
an election, a standby sends callers to the leader, and the registry is read once elected. A master that leads alone has an epoch
that grows with every start, whatever the clock does, as long as the registry is kept.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import structlog

import merismos
from merismos.adapters.http.agent_proxy import AgentProxy
from merismos.adapters.http.exchange import Exchange
from merismos.adapters.http.files import Files
from merismos.adapters.http.gate import Gate
from merismos.adapters.http.master_endpoints import MasterEndpoints
from merismos.adapters.http.operator import OperatorEndpoint
from merismos.adapters.http.scheduler import SchedulerEndpoint
from merismos.adapters.http.server import HttpServer
from merismos.adapters.http.slow import Router, application
from merismos.adapters.link.server import LinkServer
from merismos.core.kernel import Effect, Event, Machine
from merismos.core.master import effects, events
from merismos.core.master.machine import MasterMachine
from merismos.core.master.recovery import window_s
from merismos.core.master.views.v0 import Reads
from merismos.core.master.views.values import master_info_of
from merismos.core.recording import made_master
from merismos.daemons import process, service
from merismos.daemons.coordination import Coordination, coordination_of, warnings_of
from merismos.daemons.master_flags import EFFECTIVE, config_of
from merismos.ports.contender import Contender, Deposed, Elected, Restored, Standing, Suspended
from merismos.ports.detector import Leader
from merismos.ports.registry import RegistryError
from merismos.protocol import json
from merismos.protocol.link import Hello
from merismos.shell import logging
from merismos.shell.driver import Driver, Performer
from merismos.shell.flag_tables import MASTER
from merismos.shell.flags import FlagError, Flags, parse, usage
from merismos.shell.lease import LAPSED, LeasedMachine
from merismos.shell.metrics_system import system_metrics
from merismos.shell.recording import RecordingMachine, open_record
from merismos.shell.timings import TimedMachine, Timings
from merismos.shell.turn import Turn
from merismos.shell.wheel import Wheel

if TYPE_CHECKING:
    from collections.abc import Mapping

log = structlog.get_logger()

CLOCK_CHECK_S = 10.0
CLOCK_DRIFT_S_MAX = 0.05
EPOCH = ("master", "epoch")


class Place(NamedTuple):
    """Where this master is, for others."""

    listen_ip: str
    ip: str
    hostname: str
    port: int = 0


class MasterDaemon:
    """One master and all that it is made of."""

    def __init__(self, flags: Flags, coordination: Coordination, log_file: Path | None = None) -> None:
        loop = asyncio.get_running_loop()
        self._flags = flags
        self._registry = coordination.registry
        self._contender = coordination.contender
        self._detector = coordination.detector
        self._place = Place("", "", "")
        self._master_id = str(uuid.uuid4())
        self._leading: asyncio.Task[None] | None = None
        self._suspension = ""
        self._stopped: asyncio.Future[int] = loop.create_future()
        config = config_of(flags)
        self.machine = MasterMachine(config)
        turn = Turn(loop)
        self._record = open_record(flags, turn)
        core: Machine = self.machine
        if self._record is not None:
            core = RecordingMachine(core, self._record, made_master(config, merismos.__version__))
        self._wheel = Wheel(loop)
        self._gate = Gate()
        self._exchange = Exchange()
        self._links = LinkServer(self.post, turn)
        self._links.on_closed = lambda peer, reason: log.info("a link closed", peer=peer, reason=reason)
        schedulers = SchedulerEndpoint(self._gate, self._exchange)
        reads = Reads(self.machine.master, flags.printed())
        self._stores = Timings("registrar/state_store_ms")
        allocations = Timings("allocator/mesos/allocation_run_ms")
        reads.timings = lambda: {**allocations.metrics(), **self._stores.metrics()}
        timed: Machine = TimedMachine(core, lambda: self.machine.master.allocator.runs, allocations)
        if self._contender is not None:
            timed = LeasedMachine(timed, self._contender.may_decide, lambda: self._suspend(LAPSED))
        files = Files()
        if log_file is not None:
            files.attach("/master/log", log_file)
        operators = OperatorEndpoint(self._gate, self._exchange, reads, files, self._set_logging_level)
        pages = Path(merismos.__file__).parent / "web" / "static"
        self._proxy = AgentProxy(self._gate, self.machine.master.agents)
        endpoints = MasterEndpoints(self._gate, reads, operators, schedulers, files, pages, system_metrics, self._proxy)
        self._server = HttpServer(application(Router(endpoints.table(), "/master")), schedulers, turn, self._wheel)
        self._performers = self._table()
        self._driver = Driver(timed, self._performers, loop, turn, on_fault=self._fault)
        for endpoint in (self._exchange, schedulers, operators):
            endpoint.post = self._driver.post
        self.wall_offset_s = 0.0
        self._clock_timer: asyncio.TimerHandle | None = None

    async def start(self) -> int:
        """Listen; lead, or stand for election; return the port.

        Errors: OSError for the port, RegistryError for the registry of a master that leads alone.
        """
        flags = self._flags
        place = await _place_of(flags)
        port = await self._server.listen(place.listen_ip, flags.whole("port"))
        self._place = place._replace(port=flags.whole("advertise_port") if flags.given("advertise_port") else port)
        if self._contender is None:
            await self._lead(0)
        else:
            self._stand(self._contender)
        process.announce("master", place.ip, port, flags.text("port_file"))
        service.begin(os.environ)
        return port

    def _stand(self, contender: Contender) -> None:
        """Take part in the election, and send callers to who leads."""
        self._gate.leads = False
        place = self._place
        candidate = json.encode(master_info_of(self._master_id, place.ip, place.port, place.hostname))
        if self._detector is not None:
            self._detector.start(self._on_leader)
        contender.contend(candidate, self._on_standing)

    def _on_leader(self, leader: Leader | None) -> None:
        itself = leader is not None and leader.master_id == self._master_id
        # an earlier master at this very place: its node outlives it, and a redirect there would come back here
        before = leader is not None and (leader.ip, leader.port) == (self._place.ip, self._place.port)
        self._gate.leader = "" if leader is None or itself or before else leader.place
        if not itself:
            log.info("the leader changed", leader="nobody" if leader is None else leader.place)

    def _on_standing(self, standing: Standing) -> None:
        match standing:
            case Elected(epoch):
                self._leading = asyncio.get_running_loop().create_task(self._lead_or_stop(epoch))
            case Suspended(reason):
                log.warning("suspended: nothing is decided until it is known who leads", reason=reason)
                self._suspend(reason)
                if self._gate.recovered:
                    self.post(events.CoordinationSuspended(reason))
            case Restored():
                log.info("restored: this master led all the while")
                self._suspend("")
                if self._gate.recovered:
                    self.post(events.CoordinationRestored())
            case Deposed(reason):
                if self._gate.recovered:
                    self.post(events.LeadershipLost(reason))
                else:
                    log.error("the master exits: it leads no more", reason=reason)
                    self.stop(process.EXIT_AGAIN)

    def _suspend(self, reason: str) -> None:
        self._suspension = reason
        self._gate.suspended = bool(reason)

    async def _lead_or_stop(self, epoch: int) -> None:
        try:
            await self._lead(epoch)
        except RegistryError as error:
            log.error("the master exits: it can't lead without its registry", reason=str(error))  # noqa: TRY400 - no bug
            self.stop(process.EXIT_AGAIN)

    async def _lead(self, epoch: int) -> None:
        """Read the registry and begin to decide; an epoch of 0 means that only the registry counts the leaders.

        Errors: RegistryError.
        """
        place, began_at = self._place, time.monotonic()
        self._gate.leads = True
        entries = await self._registry.load()
        epoch = epoch or await self._new_epoch(entries)
        self.wall_offset_s = _wall_offset_s()
        found = Counter(table for table, _, _ in entries)
        self._links.hello = Hello(epoch=epoch, master_id=self._master_id, window_s=window_s(found["agents"]))
        self._gate.recovered = True
        self.post(
            events.Started(
                self._master_id,
                secrets.randbits(64),
                self.wall_offset_s,
                epoch,
                place.ip,
                place.port,
                place.hostname,
                [entry for entry in entries if entry[:2] != EPOCH],
            )
        )
        if self._suspension:
            self.post(events.CoordinationSuspended(self._suspension))
        self._server.links = self._links.accept
        self._clock_timer = asyncio.get_running_loop().call_later(CLOCK_CHECK_S, self.check_clock)
        log.info(
            "leading",
            url=f"http://{place.ip}:{place.port}",
            master_id=self._master_id,
            epoch=epoch,
            registry=", ".join(f"{count} {table}" for table, count in sorted(found.items())) or "empty",
            unreadable_entries=self.machine.master.metrics.get("registrar/entries_invalid", 0),
            registry_ms=round((time.monotonic() - began_at) * 1000),
        )

    async def stopped(self) -> int:
        """Wait until somebody stops the master; return the exit code."""
        return await self._stopped

    def stop(self, code: int) -> None:
        """Stop with this exit code; the first one counts."""
        if not self._stopped.done():
            self._stopped.set_result(code)

    async def close(self) -> None:
        """Take no more events, close every connection and the registry."""
        self._gate.recovered = False
        if self._clock_timer is not None:
            self._clock_timer.cancel()
        self._driver.close()
        if self._record is not None:
            self._record.close()
        self._links.close()
        self._exchange.close()
        await self._server.close()
        await self._proxy.close()
        self._wheel.close()
        if self._leading is not None:
            self._leading.cancel()
        await self._registry.close()
        if self._contender is not None:
            await self._contender.close()
        if self._detector is not None:
            await self._detector.close()

    def _table(self) -> Mapping[type[Effect], Performer]:
        exchange = self._exchange
        return {
            effects.Respond: exchange.respond,
            effects.OpenStream: exchange.open_stream,
            effects.SendEvent: exchange.send_event,
            effects.SendUpdate: exchange.send_update,
            effects.SendOffers: exchange.send_offers,
            effects.SendHeartbeat: exchange.send_heartbeat,
            effects.CloseStream: exchange.close_stream,
            effects.PublishEvent: exchange.publish_event,
            effects.SendToAgent: self._links.send,
            effects.CloseLink: self._links.close_link,
            effects.StoreRegistry: self._store,
            effects.Exit: self._exit,
        }

    def perform(self, effect: Effect) -> None:
        """Perform an effect, as if the machine had asked for it."""
        self._performers[type(effect)](effect)

    def post(self, event: Event) -> None:
        """Let the machine handle an event."""
        self._driver.post(event)

    def _store(self, effect: effects.StoreRegistry) -> None:
        sequence, began_at = effect.sequence, time.monotonic()

        def done(error: RegistryError | None) -> None:
            self._stores.add(time.monotonic() - began_at)
            self.post(events.RegistryStored(sequence) if error is None else events.RegistryLost(sequence, str(error)))

        self._registry.store(effect.changes, done)

    def _exit(self, effect: effects.Exit) -> None:
        log.error("the master exits", reason=effect.reason, code=effect.code)
        self.stop(effect.code)

    def _fault(self, event: Event, error: Exception) -> None:
        log.critical(
            "a bug in the master stops it: please report it with this line", during=repr(event)[:8192], exc_info=error
        )
        self.stop(process.EXIT_FAULT)

    async def _new_epoch(self, entries: list[tuple[str, str, bytes]]) -> int:
        before = next((int(value) for table, key, value in entries if (table, key) == EPOCH), 0)
        epoch = max(before + 1, int(time.time()))
        stored: asyncio.Future[RegistryError | None] = asyncio.get_running_loop().create_future()
        self._registry.store([(*EPOCH, b"%d" % epoch)], stored.set_result)
        error = await stored
        if error is not None:
            raise error
        return epoch

    def check_clock(self) -> None:
        """Tell the core when the wall clock was moved."""
        offset_s = _wall_offset_s()
        if abs(offset_s - self.wall_offset_s) > CLOCK_DRIFT_S_MAX:
            self.wall_offset_s = offset_s
            self.post(events.WallClockSet(offset_s))
        self._clock_timer = asyncio.get_running_loop().call_later(CLOCK_CHECK_S, self.check_clock)

    def _set_logging_level(self, verbosity: int, duration_s: float) -> None:
        usual = logging.LEVELS[self._flags.text("logging_level") or "INFO"]
        logging.set_level(logging.LEVELS["DEBUG"] if verbosity else usual)
        asyncio.get_running_loop().call_later(duration_s, logging.set_level, usual)


def _wall_offset_s() -> float:
    return time.time() - time.monotonic()


async def _place_of(flags: Flags) -> Place:
    listen_ip = flags.text("ip") or "0.0.0.0"  # noqa: S104 - a master serves its cluster; --ip narrows it
    ip = flags.text("advertise_ip") or (process.outward_ip() if listen_ip in {"0.0.0.0", "::"} else listen_ip)  # noqa: S104 - compared, not bound
    hostname = flags.text("hostname")
    if hostname is None:
        hostname = await process.hostname_of(ip) if flags.on("hostname_lookup") else ip
    return Place(listen_ip, ip, hostname)


async def run_master(
    flags: Flags, *, log_file: Path | None = None, started: Callable[[MasterDaemon, int], None] | None = None
) -> int:
    """Run a master until it is stopped; return the exit code.

    Errors: FlagError, OSError, RegistryError where it can't start.
    """
    daemon = MasterDaemon(flags, coordination_of(flags), log_file)
    try:
        process.on_signals(daemon.stop)
        port = await daemon.start()
        process.tune_collector()
        if started is not None:
            started(daemon, port)
        return await daemon.stopped()
    finally:
        await daemon.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the `mesos-master` command; return its exit code."""
    process.refuse_optimisation()
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        flags = parse(MASTER, arguments, os.environ, effective=EFFECTIVE)
        if flags.on("help"):
            sys.stdout.write(usage("mesos-master", MASTER))
            return 0
        if flags.on("version"):
            sys.stdout.write(f"merismos {merismos.__version__}\n")
            return 0
        config_of(flags)  # complains before anything is touched
        log_file = _log_file(flags)
        logging.configure(flags.text("logging_level") or "INFO", os.environ, quiet=flags.on("quiet"), file=log_file)
        for warning in (*flags.warnings, *warnings_of(flags)):
            log.warning(warning)
        process.raise_file_limit()
        external = flags.text("external_log_file")
        return process.run(run_master(flags, log_file=log_file or (Path(external) if external else None)))
    except (FlagError, RegistryError, OSError) as error:
        sys.stderr.write(f"mesos-master: {error}\n")
        return process.EXIT_USAGE if isinstance(error, FlagError) else 1


def _log_file(flags: Flags) -> Path | None:
    log_dir = flags.text("log_dir")
    if log_dir is None:
        return None
    Path(log_dir).mkdir(parents=True, exist_ok=True)
    return Path(log_dir) / "merismos-master.log"


if __name__ == "__main__":
    sys.exit(main())
