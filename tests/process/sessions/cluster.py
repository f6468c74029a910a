"""Real masters and agents for tests, each a process of its own on ports of its own.

Rules: nothing outlives its `with`; what a daemon logged is part of the failure. Batches are 50 ms apart unless a test says
otherwise, so that what waits for the next batch doesn't wait for long.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from process.sessions.streams import Json, Stream

START_S_MAX = 20.0
STOP_S_MAX = 10.0
RESOURCES = "--resources=cpus:4;mem:2048;disk:4096;ports:[31000-31999]"
ATTRIBUTES = "--attributes=rack:r1;zone:z1"


def _left_out(flags: Sequence[str], defaults: Sequence[str]) -> list[str]:
    given = {flag.partition("=")[0] for flag in flags}
    return [default for default in defaults if default.partition("=")[0] not in given]


class Daemon:
    """One process of ours; `ends_by` lets it end all that it runs."""

    ends_by = signal.SIGTERM

    def __init__(self, module: str, work_dir: Path, flags: Sequence[str]) -> None:
        work_dir.mkdir(parents=True, exist_ok=True)
        self.work_dir = work_dir
        self.flags = list(flags)
        self.is_stopping = False
        self.port_file = work_dir / "port"
        self.log = work_dir / "log"
        command = [
            sys.executable, "-m", f"merismos.daemons.{module}", "--ip=127.0.0.1", "--hostname=localhost",
            f"--work_dir={work_dir}", f"--port_file={self.port_file}", *_left_out(flags, ["--port=0"]), *flags,
        ]  # fmt: skip
        if any(flag.startswith("--hostname=") for flag in flags):
            command.remove("--hostname=localhost")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, cwd=work_dir
            )

    def freeze(self) -> None:
        """Stop the process where it is, links open."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def begin_to_stop(self, number: signal.Signals | None = None) -> None:
        if self.process.poll() is None and not self.is_stopping:
            self.is_stopping = True
            self.thaw()
            self.process.send_signal(number or self.ends_by)

    def stop(self, number: signal.Signals | None = None) -> int:
        """End the process; return its exit code."""
        self.begin_to_stop(number)
        try:
            return self.process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self} did not end in {STOP_S_MAX} s:\n{self.said()}") from None
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-4000:]


class Master(Daemon):
    """A master that leads."""

    def __init__(self, work_dir: Path, *flags: str) -> None:
        super().__init__("master", work_dir, [*_left_out(flags, ["--allocation_interval=50ms"]), *flags])
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], START_S_MAX)[0]:
            self.process.kill()
            raise AssertionError(f"the master said nothing:\n{self.said()}")
        line = os.read(self.process.stdout.fileno(), 65536)
        assert line, f"the master ended:\n{self.said()}"
        self.port = int(json.loads(line)["port"])


class Agent(Daemon):
    """An agent that looks for its master."""

    ends_by = signal.SIGUSR1

    def __init__(self, work_dir: Path, master: Master, *flags: str) -> None:
        defaults = [RESOURCES, ATTRIBUTES, "--registration_backoff_factor=20ms"]
        super().__init__("agent", work_dir, [f"--master=127.0.0.1:{master.port}", *_left_out(flags, defaults), *flags])
        self.id = ""

    @property
    def port(self) -> int:
        return int(self.port_file.read_text(encoding="utf-8"))

    def has_port(self, port: int) -> bool:
        return self.port_file.exists() and self.port == port


class Cluster:
    """A master, its agents, and the operator's stream that tells what happens."""

    def __init__(self, folder: Path, *flags: str, agents: Sequence[Sequence[str]] = ((),)) -> None:
        self.folder = folder
        self.flags = flags
        self.agents: list[Agent] = []
        self.master = Master(folder / "master", *flags)
        self.events = Stream(self.master.port, "/api/v1", {"type": "SUBSCRIBE"})
        try:
            self.start_agents(*agents)
        except BaseException:
            self.stop()
            raise

    @property
    def port(self) -> int:
        return self.master.port

    def start_agents(self, *agents: Sequence[str]) -> list[Agent]:
        """Start agents all at once, one for each list of flags, and wait until the master has them."""
        started = [
            Agent(self.folder / f"agent{number}", self.master, *flags)
            for number, flags in enumerate(agents, len(self.agents))
        ]
        self.agents += started
        for _ in started:
            try:
                added: Json = self.events.take("AGENT_ADDED", within_s=START_S_MAX)["agent_added"]["agent"]
            except AssertionError as late:
                said = [agent.said() for agent in started]
                raise AssertionError(f"{late}\nagents: {said}\nmaster: {self.master.said()}") from late
            port = int(added["pid"].rpartition(":")[2])
            (agent,) = (agent for agent in started if agent.has_port(port))
            agent.id = added["agent_info"]["id"]["value"]
        return started

    def restart_master(self) -> None:
        """Kill the master, start it anew at the same port and work_dir."""
        self.events.close()
        port, work_dir = self.master.port, self.master.work_dir
        self.master.stop(signal.SIGKILL)
        self.master = Master(work_dir, *self.flags, f"--port={port}")
        self.events = Stream(self.master.port, "/api/v1", {"type": "SUBSCRIBE"})

    def agent_of(self, hostname: str) -> Agent:
        """Return the agent that was started with this --hostname."""
        return next(agent for agent in self.agents if f"--hostname={hostname}" in agent.flags)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        codes = self.stop()
        if error is not None:
            error.add_note(f"master: {self.master.said()}\nagents: {[agent.said() for agent in self.agents]}")
        elif any(codes):
            raise AssertionError(f"exit codes {codes}\n{self.master.said()}\n{[agent.said() for agent in self.agents]}")

    def stop(self) -> list[int]:
        """End everything; return the exit codes."""
        self.events.close()
        for agent in self.agents:
            agent.begin_to_stop()
        codes = [agent.stop() for agent in self.agents]
        return [*codes, self.master.stop()]
