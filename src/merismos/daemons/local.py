"""A whole cluster on this machine: masters, their ZooKeeper and agents as processes, watched, and taken away again.

Rules: one cluster a user, by a lock. Everything it writes lies in one temporary folder, which goes when the cluster does. Each agent
offers all CPUs of the machine (they are shared in time) and its part of memory, disk and ports (they are not). A process that
ends by itself is started again, up to `RESTARTS_MAX` times in `RESTARTS_WINDOW_S`; then the cluster ends, and says why. A master
that leads no more, and whatever somebody kills, is started again however often that happens.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from merismos.adapters.linux import detection
from merismos.containers.lxc_programs import obstacle_of_lxc
from merismos.containers.oci_runtimes import can_run_images
from merismos.daemons import local_remnants, local_text, local_zookeeper
from merismos.daemons.local_child import IP, Child, StartError
from merismos.daemons.local_zookeeper import SESSION_S, LocalZooKeeper
from merismos.daemons.process import EXIT_AGAIN
from merismos.sdk import address, local_cluster
from merismos.sdk.connection import Connection
from merismos.sdk.http import BrokenAnswerError
from merismos.sdk.local_cluster import LocalCluster

RESTARTS_MAX: Final = 5
RESTARTS_WINDOW_S: Final = 60.0
READY_S_MAX: Final = 20.0
READY_WITH_ZOOKEEPER_S_MAX: Final = 60.0
MASTERS_WITH_ZOOKEEPER: Final = 3
READY: Final = b"\0"
_POLL_S: Final = 0.02
_AGENT_STOP_S_MAX: Final = 5.0
_MASTER_STOP_S_MAX: Final = 3.0
_ZOOKEEPER_STOP_S_MAX: Final = 3.0
_RESTART_S: Final = 0.2
_UNCOUNTED: Final = (EXIT_AGAIN, -signal.SIGKILL)
_RETRY_MS: Final = 50  # an agent may be there before its master
_EXECUTORS_BACK_S: Final = 15  # as long as pymesos waits at most before it tries an agent again
_PORTS_FROM, _PORTS_TO = 31000, 32000


class ClusterError(Exception):
    """The cluster can't start or can't go on; the text says why and what to do."""


class Wanted(NamedTuple):
    """What a cluster is to be made of.

    Shapes: `resources` is what each agent offers, in the notation of --resources; None for its share of the machine. Port 0 is any
    that is free; several masters beside the first take such ones anyway.
    """

    agents: int
    masters: int
    zookeeper: bool
    master_port: int
    resources: str | None


class LocalMachines:
    """The processes of one local cluster.

    Shapes: `leader` is the master that led when all was ready.
    """

    def __init__(self, wanted: Wanted, work_dir: Path) -> None:
        self.wanted = wanted
        self.work_dir = work_dir
        self.stopping = asyncio.Event()
        self.zookeeper: LocalZooKeeper | None = None
        self.masters: list[Child] = []
        self.agents: list[Child] = []
        self._master_port = wanted.master_port
        self._leader = 0

    @property
    def leader(self) -> Child:
        """The master that led when all was ready."""
        return self.masters[self._leader]

    @property
    def zk(self) -> str:
        """Where masters meet; empty for a single one."""
        return "" if self.zookeeper is None else self.zookeeper.url

    @property
    def _children(self) -> list[Child]:
        return [*filter(None, [self.zookeeper]), *self.masters, *self.agents]

    async def start(self) -> None:
        """Start all processes; return once every agent is registered.

        Errors: ClusterError.
        """
        (self.work_dir / "logs").mkdir()
        limit_s = READY_WITH_ZOOKEEPER_S_MAX if self.wanted.zookeeper else READY_S_MAX
        try:
            async with asyncio.timeout(limit_s):
                self._make()
                await asyncio.gather(*(child.start() for child in self._children))
                await self._all_registered()
        except StartError as error:
            raise ClusterError(self._explained(str(error))) from error
        except TimeoutError as error:
            words = "\n".join(f"{child.name}:\n{child.last_words()}" for child in self._children)
            raise ClusterError(f"not ready after {limit_s:g} s. The last words of each process:\n{words}") from error
        self.note()

    async def run(self) -> None:
        """Watch the processes until somebody stops the cluster.

        Errors: ClusterError when one of them won't stay up.
        """
        stopping = asyncio.create_task(self.stopping.wait())
        watching = [asyncio.create_task(self._watch(child)) for child in self._children]
        try:
            done, _ = await asyncio.wait({stopping, *watching}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (stopping, *watching):
                task.cancel()
            await asyncio.gather(stopping, *watching, return_exceptions=True)

    async def close(self) -> None:
        """End every process, the agents first."""
        # SIGTERM would leave an agent's tasks to its next start
        await asyncio.gather(*(agent.stop(_AGENT_STOP_S_MAX, signal.SIGUSR1) for agent in self.agents))
        await asyncio.gather(*(master.stop(_MASTER_STOP_S_MAX) for master in self.masters))
        if self.zookeeper is not None:
            await self.zookeeper.stop(_ZOOKEEPER_STOP_S_MAX)

    def note(self) -> None:
        """Write down what runs, for clients and for `merismos down`."""
        pids = {child.name: child.pid for child in self._children if not child.has_ended}
        addresses = {child.name: child.address for child in (*self.masters, *self.agents)}
        local_cluster.write_record(
            LocalCluster(os.getpid(), self.leader.address, str(self.work_dir), time.time(), pids, addresses, self.zk)
        )

    def _make(self) -> None:
        self._master_port = self._master_port or free_port()
        if self.wanted.zookeeper:
            folder = self.work_dir / "zookeeper"
            folder.mkdir()
            self.zookeeper = LocalZooKeeper(folder, self.work_dir / "logs" / "zookeeper.log", free_port())
        coordinated = [f"--zk={self.zk}", f"--zk_session_timeout={SESSION_S}secs"] if self.zk else []
        for number in range(1, self.wanted.masters + 1):
            name = "master" if self.wanted.masters == 1 else f"master-{number}"
            port = self._master_port if number == 1 else free_port()
            self.masters.append(self._child(name, f"--port={port}", *coordinated))
        for number in range(1, self.wanted.agents + 1):
            self.agents.append(self._agent(number))

    def _child(self, name: str, *flags: str) -> Child:
        folder = self.work_dir / name
        folder.mkdir()
        module = f"merismos.daemons.{name.partition('-')[0]}"
        argv = [sys.executable, "-m", module, f"--ip={IP}", f"--work_dir={folder}", *flags]
        return Child(name, argv, folder, self.work_dir / "logs" / f"{name}.log")

    def _agent(self, number: int) -> Child:
        resources = self.wanted.resources or share_of_machine(number, self.wanted.agents, str(self.work_dir))
        coordinated = [f"--zk_session_timeout={SESSION_S}secs"] if self.zk else []
        return self._child(
            f"agent-{number}",
            "--port=0",
            f"--master={self.zk or f'{IP}:{self._master_port}'}",
            *coordinated,
            *self._images(),
            *self._lxc(),
            f"--resources={resources}",
            f"--attributes=rack:r{number}",
            f"--registration_backoff_factor={_RETRY_MS}ms",
            f"--executor_reregistration_timeout={_EXECUTORS_BACK_S}secs",
            f"--fetcher_cache_dir={self.work_dir}/fetch",
        )

    def _images(self) -> list[str]:
        """Return the flags with which agents share images, where this machine can run any."""
        can = can_run_images()
        return ["--image_providers=docker", f"--docker_store_dir={self.work_dir / 'images'}"] if can else []

    @staticmethod
    def _lxc() -> list[str]:
        """Return the flags with which agents run containers of LXC, where this machine can run any."""
        return ["--containerizers=mesos,lxc"] if obstacle_of_lxc() is None else []

    async def _all_registered(self) -> None:
        connections = [Connection(address.parse(master.address)) for master in self.masters]
        try:
            while True:
                counts = await asyncio.gather(*map(_count_registered, connections))
                if max(counts) >= self.wanted.agents:
                    self._leader = counts.index(max(counts))
                    return
                for child in self._children:
                    if child.has_ended and child.exit_code != EXIT_AGAIN:
                        raise StartError(f"{child.name} ended before it was registered:\n{child.last_words()}")
                    if child.has_ended:
                        await child.start()
                await asyncio.sleep(_POLL_S)
        finally:
            await asyncio.gather(*(connection.close() for connection in connections))

    async def _watch(self, child: Child) -> None:
        restarts: list[float] = []
        while True:
            code = await child.ended()
            now = time.monotonic()
            restarts = [at for at in restarts if now - at < RESTARTS_WINDOW_S]
            counted = code not in _UNCOUNTED
            if counted and len(restarts) >= RESTARTS_MAX:
                raise ClusterError(
                    f"{child.name} ended {RESTARTS_MAX + 1} times within {RESTARTS_WINDOW_S:g} s, the last time with code "
                    f"{code}. Its last words:\n{child.last_words()}"
                )
            local_text.say(f"{child.name} {local_text.said_end(code)}; starting it again")
            restarts += [now] if counted else []
            await asyncio.sleep(_RESTART_S * max(len(restarts), 1))
            with contextlib.suppress(StartError):
                await child.start()
                self.note()
                local_text.say(f"{child.name} runs again")

    def _explained(self, text: str) -> str:
        if "address already in use" in text.lower():
            return (
                f"port {self._master_port} of {IP} is taken by another program. "
                "Choose another one: merismos up --master-port PORT (0: any that is free)"
            )
        return text


async def _count_registered(connection: Connection) -> int:
    try:
        answer = await connection.ask("GET", "/slaves")
        return sum(1 for agent in json.loads(answer.body)["slaves"] if agent["active"])
    except (OSError, BrokenAnswerError, ValueError, KeyError):
        return 0


def share_of_machine(number: int, agents: int, folder: str) -> str:
    """Return the resources of one of several agents on this machine, in the notation of --resources."""
    width = (_PORTS_TO - _PORTS_FROM) // agents
    first = _PORTS_FROM + (number - 1) * width
    mem, disk = detection.detect_mem_mb() // agents, detection.detect_disk_mb(folder) // agents
    return f"cpus:{detection.detect_cpus()};mem:{mem};disk:{disk};ports:[{first}-{first + width - 1}]"


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.create_server((IP, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def take_lock() -> int:
    """Take the lock of this user's cluster; return its handle, to be kept open.

    Errors: ClusterError, naming the cluster that has it; OSError where there is no place for the lock.
    """
    while True:
        local_cluster.folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            handle = os.open(local_cluster.lock_path(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # whoever had the lock removed the folder just now
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            other = local_cluster.read_record()
            which = f" at http://{other.master} (process {other.pid})" if other else ", just starting or ending"
            raise ClusterError(
                f"a cluster of yours runs already{which}. Use it, or end it first: merismos down"
            ) from error
        if _is_at(handle, local_cluster.lock_path()):
            return handle
        os.close(handle)  # whoever had it removed the file between our opening and our locking


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def release_lock(handle: int) -> None:
    """Give the lock back, and leave no file of it."""
    local_remnants.remove_lock()
    os.close(handle)


async def serve(machines: LocalMachines, on_ready: Callable[[LocalMachines], None]) -> None:
    """Run a cluster until a signal.

    Errors: ClusterError.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, machines.stopping.set)
    starting = asyncio.create_task(machines.start())
    stopping = asyncio.create_task(machines.stopping.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            on_ready(machines)
            await machines.run()
    finally:
        for task in (starting, stopping):
            task.cancel()
        await asyncio.gather(starting, stopping, return_exceptions=True)
        local_text.say("ending the tasks, the agents and the rest")
        await machines.close()


def run(arguments: argparse.Namespace, on_ready: Callable[[LocalMachines], None]) -> int:
    """Run a cluster under the lock, from an empty folder to none; return the exit code."""
    try:
        lock = take_lock()
    except (ClusterError, OSError) as error:
        local_text.say(str(error))
        return 1
    stale = local_cluster.read_record()
    if stale is not None:
        local_remnants.remove(stale)
    work_dir = Path(tempfile.mkdtemp(prefix="merismos-"))
    code = 0
    try:
        asyncio.run(_serve(arguments, work_dir, on_ready))
    except ClusterError as error:
        local_text.say(str(error))
        code = 1
    finally:
        local_remnants.remove(LocalCluster(os.getpid(), "", str(work_dir), 0.0, {}, {}, ""))
        release_lock(lock)
    return code


async def _serve(arguments: argparse.Namespace, work_dir: Path, on_ready: Callable[[LocalMachines], None]) -> None:
    wanted = Wanted(
        arguments.agents,
        arguments.masters or (MASTERS_WITH_ZOOKEEPER if arguments.zk else 1),
        arguments.zk,
        arguments.master_port,
        arguments.resources,
    )
    await serve(LocalMachines(wanted, work_dir), on_ready)


def run_detached(arguments: argparse.Namespace) -> int:
    """Run a cluster in the background; return as soon as it is ready, or failed.

    Rules: the background process says everything over a pipe, and a zero byte last once it is ready.
    """
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read()
        ready = said.endswith(READY)
        stream = sys.stdout if ready else sys.stderr
        stream.write(said.removesuffix(READY).decode())
        return 0 if ready else 1
    os.close(reading)
    os.setsid()
    for number in (sys.stdout.fileno(), sys.stderr.fileno()):
        os.dup2(writing, number)
    os.close(writing)

    def let_go(machines: LocalMachines) -> None:
        announce(arguments, machines)
        os.write(sys.stdout.fileno(), READY)
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (sys.stdin.fileno(), sys.stdout.fileno(), sys.stderr.fileno()):
            os.dup2(nothing, number)

    return run(arguments, let_go)


def complaint_about(arguments: argparse.Namespace) -> str | None:
    """Return why such a cluster can't be, and what to do about it."""
    if arguments.zk:
        return local_zookeeper.why_not()
    if arguments.masters > 1:
        return f"{arguments.masters} masters need a ZooKeeper to choose one of them: merismos up --masters {arguments.masters} --zk"
    return None


def announce(arguments: argparse.Namespace, machines: LocalMachines) -> None:
    """Say on standard output that the cluster is ready, where it is, and what to try."""
    leader, work_dir = machines.leader, str(machines.work_dir)
    if arguments.output == "json":
        said = {
            "master": leader.address,
            "url": f"http://{leader.address}",
            "agents": len(machines.agents),
            "pid": os.getpid(),
            "work_dir": work_dir,
            "masters": {master.name: master.address for master in machines.masters},
            "zk": machines.zk,
        }
        text = json.dumps(said)
    else:
        offered = machines.wanted.resources or share_of_machine(1, len(machines.agents), work_dir)
        text = local_text.welcome(
            {master.name: master.address for master in machines.masters},
            leader.name,
            len(machines.agents),
            offered,
            work_dir,
            machines.zk,
            detached=arguments.detach,
        )
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def remove_remnants() -> int:
    """Take away what a cluster left that was killed; return the exit code."""
    try:
        lock = take_lock()
    except (ClusterError, OSError) as error:
        local_text.say(str(error))
        return 1
    stale = local_cluster.read_record()
    if stale is not None:
        local_remnants.remove(stale)
    release_lock(lock)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the process of `merismos up`; return its exit code."""
    parser = argparse.ArgumentParser(prog="merismos up", allow_abbrev=False)
    parser.add_argument("--agents", type=int, default=2)
    parser.add_argument("--master-port", type=int, default=address.MASTER_PORT)
    parser.add_argument("--masters", type=int, default=0)
    parser.add_argument("--zk", action="store_true")
    parser.add_argument("--resources")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    parser.add_argument("--detach", action="store_true")
    parser.add_argument("--remove-remnants", action="store_true")
    arguments = parser.parse_args(argv)
    if arguments.remove_remnants:
        return remove_remnants()
    complaint = complaint_about(arguments)
    if complaint is not None:
        local_text.say(complaint)
        return 1
    if arguments.detach:
        return run_detached(arguments)
    return run(arguments, lambda machines: announce(arguments, machines))


if __name__ == "__main__":
    sys.exit(main())
