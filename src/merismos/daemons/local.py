"""A whole cluster on this machine: a master and agents as processes, watched, and taken away again.

Rules: one cluster a user, by a lock. Everything it writes lies in one temporary folder, which goes when the cluster does. Each agent
offers all CPUs of the machine (they are shared in time) and its part of memory, disk and ports (they are not). A process that
ends by itself is started again, up to `RESTARTS_MAX` times in `RESTARTS_WINDOW_S`; then the cluster ends, and says why.
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
from typing import Final

from merismos.adapters.linux import detection
from merismos.daemons import local_remnants, local_text
from merismos.daemons.local_child import Child, StartError
from merismos.sdk import address, local_cluster
from merismos.sdk.connection import Connection
from merismos.sdk.http import BrokenAnswerError
from merismos.sdk.local_cluster import LocalCluster

IP: Final = "127.0.0.1"
RESTARTS_MAX: Final = 5
RESTARTS_WINDOW_S: Final = 60.0
READY_S_MAX: Final = 20.0
READY: Final = b"\0"
_POLL_S: Final = 0.02
_AGENT_STOP_S_MAX: Final = 5.0
_MASTER_STOP_S_MAX: Final = 3.0
_RESTART_S: Final = 0.2
_RETRY_MS: Final = 50  # an agent may be there before its master
_PORTS_FROM, _PORTS_TO = 31000, 32000


class ClusterError(Exception):
    """The cluster can't start or can't go on; the text says why and what to do."""


class LocalMachines:
    """The processes of one local cluster.

    Shapes: `resources` is what each agent offers, in the notation of --resources; None for its share of the machine.
    """

    def __init__(self, agents: int, master_port: int, resources: str | None, work_dir: Path) -> None:
        self.agents = agents
        self.work_dir = work_dir
        self.stopping = asyncio.Event()
        self.resources = resources
        self._master_port = master_port
        self._children: list[Child] = []

    @property
    def master(self) -> str:
        """HOST:PORT of the master."""
        return f"{IP}:{self._master_port}"

    async def start(self) -> None:
        """Start all processes; return once every agent is registered.

        Errors: ClusterError.
        """
        (self.work_dir / "logs").mkdir()
        try:
            async with asyncio.timeout(READY_S_MAX):
                self._master_port = self._master_port or free_port()
                self._child("master", f"--port={self._master_port}")
                for number in range(1, self.agents + 1):
                    self._agent(number)
                await asyncio.gather(*(child.start() for child in self._children))
                await self._all_registered()
        except StartError as error:
            raise ClusterError(self._explained(str(error))) from error
        except TimeoutError as error:
            words = "\n".join(f"{child.name}:\n{child.last_words()}" for child in self._children)
            raise ClusterError(
                f"not ready after {READY_S_MAX:g} s. The last words of each process:\n{words}"
            ) from error
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
        await asyncio.gather(*(child.stop(_AGENT_STOP_S_MAX, signal.SIGUSR1) for child in self._children[1:]))
        for master in self._children[:1]:
            await master.stop(_MASTER_STOP_S_MAX)

    def note(self) -> None:
        """Write down what runs, for clients and for `merismos down`."""
        pids = {child.name: child.pid for child in self._children if not child.has_ended}
        local_cluster.write_record(LocalCluster(os.getpid(), self.master, str(self.work_dir), time.time(), pids))

    def _child(self, name: str, *flags: str) -> Child:
        folder = self.work_dir / name
        folder.mkdir()
        module = f"merismos.daemons.{name.partition('-')[0]}"
        argv = [sys.executable, "-m", module, f"--ip={IP}", f"--work_dir={folder}", *flags]
        child = Child(name, argv, folder, self.work_dir / "logs" / f"{name}.log")
        self._children.append(child)
        return child

    def _agent(self, number: int) -> Child:
        resources = self.resources or share_of_machine(number, self.agents, str(self.work_dir))
        return self._child(
            f"agent-{number}",
            "--port=0",
            f"--master={self.master}",
            f"--resources={resources}",
            f"--attributes=rack:r{number}",
            f"--registration_backoff_factor={_RETRY_MS}ms",
        )

    async def _all_registered(self) -> None:
        connection = Connection(address.parse(self.master))
        try:
            while await _count_registered(connection) < self.agents:
                ended = next((child for child in self._children if child.has_ended), None)
                if ended is not None:
                    raise StartError(f"{ended.name} ended before it was registered:\n{ended.last_words()}")
                await asyncio.sleep(_POLL_S)
        finally:
            await connection.close()

    async def _watch(self, child: Child) -> None:
        restarts: list[float] = []
        while True:
            code = await child.ended()
            now = time.monotonic()
            restarts = [at for at in restarts if now - at < RESTARTS_WINDOW_S]
            if len(restarts) >= RESTARTS_MAX:
                raise ClusterError(
                    f"{child.name} ended {RESTARTS_MAX + 1} times within {RESTARTS_WINDOW_S:g} s, the last time with code "
                    f"{code}. Its last words:\n{child.last_words()}"
                )
            local_text.say(f"{child.name} ended with code {code}; starting it again")
            restarts.append(now)
            await asyncio.sleep(_RESTART_S * len(restarts))
            with contextlib.suppress(StartError):
                await child.start()
                self.note()

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
        local_remnants.remove(LocalCluster(os.getpid(), "", str(work_dir), 0.0, {}))
        release_lock(lock)
    return code


async def _serve(arguments: argparse.Namespace, work_dir: Path, on_ready: Callable[[LocalMachines], None]) -> None:
    await serve(LocalMachines(arguments.agents, arguments.master_port, arguments.resources, work_dir), on_ready)


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


def announce(arguments: argparse.Namespace, machines: LocalMachines) -> None:
    """Say on standard output that the cluster is ready, where it is, and what to try."""
    if arguments.output == "json":
        said = {
            "master": machines.master,
            "url": f"http://{machines.master}",
            "agents": machines.agents,
            "pid": os.getpid(),
            "work_dir": str(machines.work_dir),
        }
        text = json.dumps(said)
    else:
        offered = machines.resources or share_of_machine(1, machines.agents, str(machines.work_dir))
        text = local_text.welcome(
            machines.master, machines.agents, offered, str(machines.work_dir), detached=arguments.detach
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
    parser.add_argument("--resources")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    parser.add_argument("--detach", action="store_true")
    parser.add_argument("--remove-remnants", action="store_true")
    arguments = parser.parse_args(argv)
    if arguments.remove_remnants:
        return remove_remnants()
    if arguments.detach:
        return run_detached(arguments)
    return run(arguments, lambda machines: announce(arguments, machines))


if __name__ == "__main__":
    sys.exit(main())
