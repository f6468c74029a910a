"""The agent's process: flags, the core machine, the link to the master, containers, fetcher, HTTP endpoints."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from logging import ERROR, INFO, WARNING
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

import merismos
from merismos.adapters.agent_http import domain_socket
from merismos.adapters.agent_http.containers import ContainersEndpoint
from merismos.adapters.agent_http.executor import ExecutorEndpoint
from merismos.adapters.agent_http.executor_tokens import VARIABLE, Claims, ExecutorTokens
from merismos.adapters.agent_http.server import AgentHttp
from merismos.adapters.agent_http.statistics import Meters
from merismos.adapters.linux import detection
from merismos.adapters.linux.cgroups import Cgroups
from merismos.adapters.storage.checkpoint_log import CheckpointLog
from merismos.containers.composing import ComposingContainerizer
from merismos.containers.fetcher import Fetcher
from merismos.containers.fetcher_cache import directory_of, open_cache
from merismos.containers.log_rotator import LogRotator
from merismos.containers.log_settings import LOGROTATE, LogSettings, settings_of
from merismos.containers.native import NativeContainerizer
from merismos.containers.probes import Prober
from merismos.containers.sandbox import Sandboxes, find_user
from merismos.containers.sessions import Sessions
from merismos.containers.transfers import Transfers, find_hadoop
from merismos.core.agent import effects, events
from merismos.core.agent.machine import AgentMachine
from merismos.core.agent.state import AgentSettings
from merismos.core.kernel import Effect, Event, Machine
from merismos.daemons import process, service
from merismos.daemons.agent_docker import docker_of
from merismos.daemons.agent_images import images_of
from merismos.daemons.agent_isolation import measure_of, open_cgroups, watches_of
from merismos.daemons.agent_link import AgentLinks
from merismos.daemons.agent_lxc import runtimes_of
from merismos.daemons.agent_networks import networks_of, traffic_of
from merismos.daemons.agent_seccomp import profiles_of
from merismos.daemons.agent_settings import EFFECTIVE, build_settings, parse_work_dir
from merismos.daemons.agent_slice import scope_of
from merismos.daemons.coordination import check_detection, detector_of
from merismos.ports.checkpoints import CheckpointError, CheckpointStore
from merismos.shell import flag_tables
from merismos.shell.driver import Driver, Performer
from merismos.shell.flags import FlagError, Flags, parse, usage
from merismos.shell.logging import configure
from merismos.shell.metrics_system import system_metrics
from merismos.shell.modules import modules_of
from merismos.shell.turn import Turn

if TYPE_CHECKING:
    from merismos.shell.recording import RecordFile

_LEVELS = {"info": INFO, "notice": INFO, "warning": WARNING, "err": ERROR}
_CLOCK_S = 60.0
# as in Mesos: a stopped agent leaves its tasks to the next one, an agent that is shut down ends them
STOPS = {signal.SIGTERM: True, signal.SIGINT: True, signal.SIGUSR1: False}
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - Mesos' default; --ip chooses one


def write_log(effect: effects.Log) -> None:
    """Write one line to the log."""
    structlog.get_logger().log(_LEVELS[effect.level], effect.text)


class AgentProcess:
    """An agent's parts, wired."""

    def __init__(self, flags: Flags, settings: AgentSettings, cgroups: Cgroups | None) -> None:
        self.settings = settings
        self.log = structlog.get_logger()
        self.flags = flags
        loop = asyncio.get_running_loop()
        turn = Turn(loop)
        self.ended: asyncio.Future[int] = loop.create_future()
        self.machine = AgentMachine(settings)
        self.sandboxes = Sandboxes(settings.work_dir)
        self.links = AgentLinks(self.post, turn)
        self.detector = detector_of(flags)
        meta = Path(settings.work_dir, "meta")
        runtime_dir = Path(flags.text("runtime_dir") or meta)
        self.images = images_of(flags, settings.work_dir, self.post)
        networks = networks_of(flags, settings.work_dir, runtime_dir)
        self.runtimes = runtimes_of(flags, self.images, runtime_dir, cgroups, networks)
        native = NativeContainerizer(
            self.post,
            self.sandboxes,
            turn,
            runtime_dir=runtime_dir,
            timeout_s=flags.seconds("recovery_timeout"),
            cgroups=cgroups,
            destroy_timeout_s=flags.seconds("cgroups_destroy_timeout"),
            runtimes=self.runtimes,
            networks=networks,
            profiles=profiles_of(flags, runtime_dir),
            scope=scope_of(flags, os.environ),
        )
        docker = docker_of(flags, settings.work_dir, runtime_dir, self.post)
        self.containers = ComposingContainerizer(native, docker)
        self.checkpoints: CheckpointStore = CheckpointLog(meta, turn, self._on_written, self._on_stalled)
        self.keeps_tasks = True
        self.fetcher = build_fetcher(flags, settings.work_dir, self.post)
        log_settings = log_settings_of(flags)
        self.log_rotator = None if log_settings is None else LogRotator(self.machine.state, log_settings)
        self.watches = watches_of(flags, self.machine.state, self.post)
        self.prober = Prober(self.post, None if networks is None else networks.namespace_of)
        self.tokens = find_tokens(flags)
        self.executors = ExecutorEndpoint(self.post, self.tokens)
        core, self.record = recorded(self.machine, flags, turn)
        self.sessions = Sessions(meta / "sessions")
        self.container_calls = ContainersEndpoint(self.post, self.machine.state, self.sessions)
        self.driver = Driver(core, self._performers(), loop, turn, on_fault=self._on_fault)
        self.http = AgentHttp(
            self.machine.state,
            flags.printed(),
            self.executors,
            self.container_calls,
            self.images,
            self._metrics,
            meters=Meters(measure_of(cgroups), traffic_of(flags, networks)),
        )

    def _metrics(self) -> dict[str, float]:
        removals = {
            "gc/path_removals_failed": float(self.sandboxes.removals_failed),
            "gc/path_removals_succeeded": float(self.sandboxes.removals_succeeded),
        }
        return {**system_metrics(), **self.fetcher.metrics(), **self.containers.metrics(), **removals}

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
            effects.PullImage: self._pull,
            effects.AbortFetch: self._abort_fetch,
            effects.LaunchContainer: self._launch,
            effects.SignalContainer: self.containers.signal,
            effects.UpdateContainer: self.containers.update,
            effects.CreateCgroup: self.containers.create_cgroup,
            effects.DestroyCgroup: self.containers.destroy_cgroup,
            effects.LeaveNetworks: self.containers.leave_networks,
            effects.CollectContainer: self.containers.collect,
            effects.KillRemains: self.containers.kill_remains,
            effects.ProbeHttp: self.prober.ask,
            effects.ProbeTcp: self.prober.connect,
            effects.AbortProbe: self.prober.abort,
            effects.RemoveSandbox: self._remove_sandbox,
            effects.OpenCheckpoints: lambda effect: self.checkpoints.open(effect.agent_id),
            effects.Checkpoint: self._checkpoint,
            effects.ForgetAgent: lambda _: self.checkpoints.forget(),
            effects.AnswerContainerCall: self.container_calls.answer,
            effects.EndStreams: self.sessions.end,
            effects.AnswerExecutor: self.executors.answer,
            effects.OpenExecutorStream: self.executors.open_stream,
            effects.SendExecutorEvent: self.executors.send,
            effects.CloseExecutorStream: self.executors.close_stream,
            effects.Exit: self._exit,
            effects.Log: write_log,
        }

    async def run(self, listener: socket.socket) -> int:
        """Serve until the core says Exit; return the exit code."""
        loop = asyncio.get_running_loop()
        watches = []
        try:
            if self.images is not None:
                await self.images.open()
            await self._recover()
            if not self.ended.done():
                path = self.settings.domain_socket
                await self.http.start(listener, domain_socket.listen(Path(path)) if path else None)
                for number, keep_tasks in STOPS.items():
                    stop = events.StopRequested(signal.Signals(number).name, keep_tasks)
                    loop.add_signal_handler(number, self.post, stop)
                service.begin(os.environ)
                self.detector.start(self.links.on_leader)
                watches = [loop.create_task(self._follow_clock()), loop.create_task(self._watch_disk())]
                watches += [loop.create_task(watch.run()) for watch in self.watches]
                if self.log_rotator is not None:
                    watches.append(loop.create_task(self.log_rotator.run()))
            return await self.ended
        finally:
            for watch in watches:
                watch.cancel()
            await self.detector.close()
            self.links.end()
            await self.containers.close(end=not self.keeps_tasks)
            await self.fetcher.close()
            await self.prober.close()
            self.sessions.close()
            if self.images is not None:
                await self.images.close()
            await self.http.close()
            self.driver.close()
            if self.record is not None:
                self.record.close()
            await self.checkpoints.close()

    async def _recover(self) -> None:
        """Take the containers over, so that no earlier agent touches them, then read what it wrote down.

        Errors: CheckpointError, OSError.
        """
        await self.containers.start()
        entries, damage = self.checkpoints.load()
        wall_offset_s = time.time() - time.monotonic()
        started = events.Started(
            secrets.randbits(64),
            wall_offset_s,
            tuple(self.sandboxes.find_old()),
            tuple(entries.items()),
            tuple(damage),
            detection.boot_id(),
        )
        self.post(started)
        self.containers.tell_held()

    def _checkpoint(self, effect: effects.Checkpoint) -> None:
        self.checkpoints.write(effect.sequence, effect.changes, durable=effect.durable)

    def _on_written(self, sequence: int) -> None:
        self.post(events.Checkpointed(sequence))

    def _on_stalled(self, why: str | None) -> None:
        if why is None:
            self.log.info("checkpoints are written again")
        else:
            what = "tasks go on, but nothing new starts and no update leaves until they can; make room on that disk"
            self.log.error("checkpoints can't be written", why=why, what=what)

    async def _follow_clock(self) -> None:
        while True:
            await asyncio.sleep(_CLOCK_S)
            self.post(events.WallClockSet(time.time() - time.monotonic()))

    async def _watch_disk(self) -> None:
        while True:
            used = await asyncio.to_thread(detection.disk_used, self.settings.work_dir)
            self.post(events.DiskMeasured(used))
            await asyncio.sleep(self.flags.seconds("disk_watch_interval"))

    def _launch(self, effect: effects.LaunchContainer) -> None:
        if self.tokens is not None and effect.executor is not None:
            framework_id, executor_id = effect.executor
            token = self.tokens.sign(Claims(framework_id, executor_id, effect.container_id))
            effect.environment.append(f"{VARIABLE}={token}")
        refusal = None if self.log_rotator is None else self.log_rotator.refusal(effect.environment)
        if refusal is None and effect.inside:
            refusal = self._enter(effect)
        if refusal is None and effect.streams is not None:
            refusal = self._open_session(effect)
        if refusal is None:
            self.containers.launch(effect)
        else:
            self.post(events.ContainerLaunchFailed(effect.container_id, refusal))

    def _enter(self, effect: effects.LaunchContainer) -> str | None:
        """Let a process begin in a container with a root of its own; return why not."""
        if self.runtimes is None:
            return "container images are off on this agent: start it with --image_providers=docker"
        try:
            self.runtimes.enter(effect)
        except (LookupError, OSError) as error:
            return str(error)
        return None

    def _open_session(self, effect: effects.LaunchContainer) -> str | None:
        """Let a session's input and output go to who is attached; return why not."""
        try:
            owner = None if effect.user is None or effect.root is not None else find_user(effect.user).pw_uid
            effect.wrapper = self.sessions.open(effect, owner)
        except (OSError, LookupError) as error:
            return str(error)
        return None

    def _pull(self, effect: effects.PullImage) -> None:
        assert self.images is not None, "a task with an image is refused where there are none"
        self.images.pull(effect)

    def _abort_fetch(self, effect: effects.AbortFetch) -> None:
        self.fetcher.abort(effect)
        if self.images is not None:
            self.images.abort(effect)

    def _remove_sandbox(self, effect: effects.RemoveSandbox) -> None:
        remove = self.sandboxes.remove_inner if effect.is_inner else self.sandboxes.remove
        asyncio.get_running_loop().run_in_executor(None, remove, effect.directory)

    def _exit(self, effect: effects.Exit) -> None:
        if not self.ended.done():
            self.keeps_tasks = effect.at_once
            self.log.info("exiting", reason=effect.reason)
            self.ended.set_result(effect.code)

    def _on_fault(self, event: Event, error: Exception) -> None:
        self.log.error("our bug; exiting", while_handling=type(event).__name__, exc_info=error)
        if not self.ended.done():
            self.ended.set_result(process.EXIT_FAULT)


def recorded(machine: AgentMachine, flags: Flags, turn: Turn) -> tuple[Machine, RecordFile | None]:
    """Return what handles events, and the file that has them where `--record` asks for one."""
    if flags.text("record") is None:
        return machine, None
    from merismos.core.recording import made_agent  # noqa: PLC0415 - it knows the master's core too, a fifth of an agent's start
    from merismos.shell.recording import RecordingMachine, open_record  # noqa: PLC0415 - the same

    record = open_record(flags, turn)
    if record is None:
        return machine, None
    made = made_agent(machine.state.settings, merismos.__version__)
    return RecordingMachine(machine, record, made), record


def build_fetcher(flags: Flags, work_dir: str, post: Callable[[Event], None]) -> Fetcher:
    """Return the fetcher that the flags describe, with its cache as an earlier agent left it."""
    transfers = Transfers(
        flags.seconds("fetcher_stall_timeout"),
        flags.text("frameworks_home") or "",
        find_hadoop(flags.text("hadoop_home"), os.environ),
    )
    parent = flags.text("fetcher_cache_dir")
    assert parent is not None, "the flag has a default"
    return Fetcher(post, transfers, open_cache(directory_of(parent, work_dir), flags.whole("fetcher_cache_size")))


def log_settings_of(flags: Flags) -> LogSettings | None:
    """Return how the output of containers is rotated, None where it isn't.

    Errors: FlagError.
    """
    modules, logger = modules_of(flags), flags.text("container_logger")
    if logger is None:
        return None
    if logger != LOGROTATE:
        raise FlagError(f"--container_logger={logger} is not known; give {LOGROTATE}, or leave it out")
    try:
        return settings_of(modules.get(LOGROTATE, {}))
    except ValueError as error:
        raise FlagError(f"--modules: {error}") from error


def find_tokens(flags: Flags) -> ExecutorTokens | None:
    """Return what signs executors' tokens, None where they needn't say who they are.

    Errors: FlagError where the key is missing; OSError where it can't be read.
    """
    if not flags.on("authenticate_http_executors"):
        return None
    path = flags.text("jwt_secret_key")
    if path is None:
        raise FlagError("--authenticate_http_executors needs --jwt_secret_key=FILE, the key that signs their tokens")
    return ExecutorTokens(Path(path).read_bytes())


def configure_log(flags: Flags) -> None:
    """Set up the log as the flags say, and tell what they lack.

    Errors: FlagError for a level that isn't known; OSError where the file can't be had.
    """
    directory = flags.text("log_dir")
    if directory is not None:
        Path(directory).mkdir(parents=True, exist_ok=True)
    file = None if directory is None else Path(directory, "merismos-agent.log")
    try:
        configure(flags.text("logging_level") or "INFO", os.environ, quiet=flags.on("quiet"), file=file)
    except ValueError as error:
        raise FlagError(f"--logging_level: {error}") from error
    for warning in flags.warnings:
        structlog.get_logger().warning(warning)


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
    return listener, process.outward_ip() if given in {None, EVERY_ADDRESS} else str(given)


async def serve(flags: Flags) -> int:
    """Run an agent with these flags; return its exit code.

    Errors: FlagError for flags that can't be met; OSError where a directory or file can't be had.
    """
    listener, ip = listen(flags)
    port = listener.getsockname()[1]
    hostname = flags.text("hostname") or (await process.hostname_of(ip) if flags.on("hostname_lookup") else ip)
    settings = build_settings(flags, hostname, ip, port)
    Path(settings.work_dir).mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - once, before anybody is served
    cgroups = open_cgroups(flags, settings)
    agent = AgentProcess(flags, settings, cgroups)
    process.tune_collector()
    process.announce("agent", ip, port, flags.text("port_file"))
    structlog.get_logger().info("listening", ip=ip, port=port, work_dir=settings.work_dir)
    return await agent.run(listener)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the `mesos-agent` command; return its exit code."""
    process.refuse_optimisation()
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        flags = parse(flag_tables.AGENT, given, os.environ, effective=EFFECTIVE)
        if flags.on("help"):
            sys.stdout.write(usage("mesos-agent", flag_tables.AGENT))
            return 0
        if flags.on("version"):
            sys.stdout.write(f"merismos {merismos.__version__}\n")
            return 0
        check_detection(flags)
        parse_work_dir(flags)
        log_settings_of(flags)
        configure_log(flags)
        return process.run(serve(flags))
    except (FlagError, CheckpointError, OSError) as error:
        sys.stderr.write(f"mesos-agent: {error}\n")
        return process.EXIT_USAGE if isinstance(error, FlagError) else 1


if __name__ == "__main__":
    sys.exit(main())
