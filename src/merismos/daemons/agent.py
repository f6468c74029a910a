"""The agent's process: flags, the core machine, the link to the master, containers, fetcher, HTTP endpoints."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from logging import ERROR, INFO, WARNING
from pathlib import Path

import structlog
import uvloop

from merismos.adapters.agent_http.server import AgentHttp
from merismos.adapters.linux import detection
from merismos.containers.fetcher import Fetcher
from merismos.containers.native import NativeContainerizer
from merismos.containers.sandbox import Sandboxes, replace_file
from merismos.core.agent import effects, events
from merismos.core.agent.machine import AgentMachine
from merismos.core.agent.state import AgentSettings
from merismos.core.kernel import Effect, Event
from merismos.core.master.views.values import WIRE_VERSION
from merismos.daemons.agent_link import AgentLinks
from merismos.daemons.agent_settings import EFFECTIVE, build_settings, parse_master, parse_work_dir
from merismos.shell import flag_tables
from merismos.shell.driver import Driver, Performer
from merismos.shell.flags import FlagError, Flags, parse, usage
from merismos.shell.logging import configure
from merismos.shell.turn import Turn

_LEVELS = {"info": INFO, "notice": INFO, "warning": WARNING, "err": ERROR}
_CLOCK_S = 60.0
USAGE_ERROR = 1
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - Mesos' default; --ip chooses one


def write_log(effect: effects.Log) -> None:
    """Write one line to the log."""
    structlog.get_logger().log(_LEVELS[effect.level], effect.text)


class AgentProcess:
    """An agent's parts, wired."""

    def __init__(self, flags: Flags, settings: AgentSettings) -> None:
        self.settings = settings
        self.log = structlog.get_logger()
        self.flags = flags
        loop = asyncio.get_running_loop()
        turn = Turn(loop)
        self.ended: asyncio.Future[int] = loop.create_future()
        self.machine = AgentMachine(settings)
        self.sandboxes = Sandboxes(settings.work_dir)
        self.links = AgentLinks(self.post, turn, parse_master(flags))
        self.containers = NativeContainerizer(self.post, self.sandboxes, turn)
        self.fetcher = Fetcher(
            self.post,
            stall_timeout_s=flags.seconds("fetcher_stall_timeout"),
            frameworks_home=flags.text("frameworks_home") or "",
        )
        self.driver = Driver(self.machine, self._performers(), loop, turn, on_fault=self._on_fault)
        self.http = AgentHttp(self.machine.state, flags.printed())

    def post(self, event: Event) -> None:
        """Let the core handle an event."""
        self.driver.post(event)

    def _performers(self) -> Mapping[type[Effect], Performer]:
        return {
            effects.OpenLink: self.links.open,
            effects.CloseLink: self.links.close,
            effects.SendMessage: self.links.send,
            effects.CreateSandbox: self.containers.create_sandbox,
            effects.FetchUris: self.fetcher.fetch,
            effects.AbortFetch: self.fetcher.abort,
            effects.LaunchContainer: self.containers.launch,
            effects.SignalContainer: self.containers.signal,
            effects.RemoveSandbox: self._remove_sandbox,
            effects.CheckpointAgent: self._checkpoint_agent,
            effects.Exit: self._exit,
            effects.Log: write_log,
        }

    async def run(self, listener: socket.socket) -> int:
        """Serve until the core says Exit; return the exit code."""
        loop = asyncio.get_running_loop()
        await self.containers.start()
        await self.http.start(listener)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.post, events.StopRequested(signal.Signals(number).name))
        self.post(
            events.Started(secrets.randbits(64), time.time() - time.monotonic(), tuple(self.sandboxes.find_old()))
        )
        self.post(events.MasterDetected(parse_master(self.flags)))
        clock = loop.create_task(self._follow_clock())
        try:
            return await self.ended
        finally:
            clock.cancel()
            self.links.end()
            await self.containers.close()
            await self.fetcher.close()
            await self.http.close()
            self.driver.close()

    async def _follow_clock(self) -> None:
        while True:
            await asyncio.sleep(_CLOCK_S)
            self.post(events.WallClockSet(time.time() - time.monotonic()))

    def _remove_sandbox(self, effect: effects.RemoveSandbox) -> None:
        asyncio.get_running_loop().run_in_executor(None, self.sandboxes.remove, effect.directory)

    def _checkpoint_agent(self, effect: effects.CheckpointAgent) -> None:
        self.sandboxes.checkpoint_agent(effect.agent_id, effect.info)

    def _exit(self, effect: effects.Exit) -> None:
        if not self.ended.done():
            self.log.info("exiting", reason=effect.reason)
            self.ended.set_result(effect.code)

    def _on_fault(self, event: Event, error: Exception) -> None:
        self.log.error("our bug; exiting", while_handling=type(event).__name__, exc_info=error)
        if not self.ended.done():
            self.ended.set_exception(error)


def configure_log(flags: Flags) -> structlog.typing.FilteringBoundLogger:
    """Set up the log as the flags say.

    Errors: FlagError for a level or file that can't be had.
    """
    file = flags.text("log_dir")
    try:
        if file is not None:
            Path(file).mkdir(parents=True, exist_ok=True)
        configure(
            flags.text("logging_level") or "INFO",
            os.environ,
            quiet=flags.on("quiet"),
            file=None if file is None else Path(file, "mesos-agent.log"),
        )
    except (OSError, ValueError) as error:
        raise FlagError(f"--logging_level or --log_dir: {error}") from error
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return log


def listen(flags: Flags) -> tuple[socket.socket, str]:
    """Return a socket that listens, and the address by which others reach it.

    Errors: FlagError where the address can't be had.
    """
    given = flags.text("ip")
    port = flags.whole("port")
    try:
        listener = socket.create_server((given or EVERY_ADDRESS, port))
    except OSError as error:
        raise FlagError(f"cannot listen on {given or EVERY_ADDRESS}:{port}: {error}; choose another --port") from error
    return listener, detection.detect_ip() if given in {None, EVERY_ADDRESS} else str(given)


def prepare(flags: Flags, ip: str, port: int) -> AgentSettings:
    """Return the settings, with the work directory made and the port written down.

    Errors: FlagError where a directory or file can't be had.
    """
    settings = build_settings(flags, ip, port)
    port_file = flags.text("port_file")
    try:
        Path(settings.work_dir).mkdir(parents=True, exist_ok=True)
        if port_file is not None:
            replace_file(Path(port_file), f"{port}\n".encode())
    except OSError as error:
        raise FlagError(f"--work_dir or --port_file: {error}") from error
    return settings


async def serve(flags: Flags) -> int:
    """Run an agent with these flags; return its exit code.

    Errors: FlagError for flags that can't be met.
    """
    log = configure_log(flags)
    for warning in flags.warnings:
        log.warning(warning)
    listener, ip = listen(flags)
    port = listener.getsockname()[1]
    settings = prepare(flags, ip, port)
    log.info("listening", ip=ip, port=port, work_dir=settings.work_dir)
    return await AgentProcess(flags, settings).run(listener)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run an agent from the command line; return the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        flags = parse(flag_tables.AGENT, given, os.environ, effective=EFFECTIVE)
        if flags.on("help"):
            sys.stdout.write(usage("mesos-agent", flag_tables.AGENT))
            return 0
        if flags.on("version"):
            sys.stdout.write(f"merismos agent, speaking Mesos {WIRE_VERSION}\n")
            return 0
        parse_master(flags)
        parse_work_dir(flags)
        return uvloop.run(serve(flags))
    except FlagError as error:
        sys.stderr.write(f"mesos-agent: {error}\n")
        return USAGE_ERROR


if __name__ == "__main__":
    sys.exit(main())
