"""Three masters, a ZooKeeper ensemble of three, ten agents and a scheduler with a ledger: each a process on a machine of its own.

Rules: the test has a cable of its own to the switch, so a machine that is cut off doesn't answer it either. Sessions and pings are
short, so that a minute sees many failovers.
"""

from __future__ import annotations

import http.client
import json
import signal
import sys
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import psutil

from process.chaos import ensemble
from process.chaos.network import Machine, Network
from process.chaos.supervised import Pit, Supervised

MASTERS = 3
AGENTS = 10
PORT = 5050
AGENT_PORT = 5051
START_S_MAX = 60.0
CALM_S_MAX = 120.0
LOOK_S = 0.5
PROGRAM = Path(__file__).with_name("ledger_scheduler.py")
ASK_S_MAX = 2.0


class Arena:
    """The whole cluster; nothing of it outlives its `with`."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.ledger = folder / "ledger"
        (self.ledger / "marks").mkdir(parents=True)
        self.pit = Pit()
        self.network = Network()
        self._began_at = time.monotonic()
        self.peers: list[Supervised] = []
        self.masters: list[Supervised] = []
        self.agents: list[Supervised] = []
        try:
            self._build(seed)
        except BaseException:
            self.close()
            raise

    def age_s(self) -> float:
        return time.monotonic() - self._began_at

    def _build(self, seed: int) -> None:
        network = self.network
        coordinators = [network.machine(f"zookeeper{number}") for number in range(1, 4)]
        self.zk = "zk://" + ",".join(f"{one.ip}:{ensemble.CLIENT_PORT}" for one in coordinators) + "/merismos"
        self.peers = [self.pit.add(peer) for peer in ensemble.peers_on(coordinators, self.folder)]
        for number in range(1, MASTERS + 1):
            self.masters.append(self._master(network.machine(f"master{number}")))
        for number in range(1, AGENTS + 1):
            self.agents.append(self._agent(network.machine(f"agent{number}"), number))
        self._patiently(lambda: len(self.active_agents()) == AGENTS, START_S_MAX, "not every agent registered")
        machine = network.machine("scheduler")
        command = [sys.executable, str(PROGRAM), self.zk, str(self.ledger), str(seed)]
        self.scheduler = self.pit.add(Supervised("scheduler", machine, self.folder / "scheduler", command))

    def _daemon(self, module: str, machine: Machine, port: int, *flags: str) -> Supervised:
        folder = self.folder / machine.name
        command = [
            sys.executable, "-m", f"merismos.daemons.{module}", f"--ip={machine.ip}", f"--port={port}",
            f"--hostname={machine.ip}", f"--work_dir={folder / 'work'}", *flags,
        ]  # fmt: skip
        return self.pit.add(Supervised(machine.name, machine, folder, command))

    def _master(self, machine: Machine) -> Supervised:
        return self._daemon(
            "master", machine, PORT, f"--zk={self.zk}", "--zk_session_timeout=2secs", "--allocation_interval=200ms",
            "--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=4", "--offer_timeout=10secs",
        )  # fmt: skip

    def _agent(self, machine: Machine, number: int) -> Supervised:
        return self._daemon(
            "agent", machine, AGENT_PORT, f"--master={self.zk}", "--resources=cpus:2;mem:1024;disk:1024",
            f"--attributes=rack:r{number}", "--registration_backoff_factor=100ms",
        )  # fmt: skip

    # ------------------------------------------------------------ questions
    def ask(self, process: Supervised, port: int, path: str) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON at a path of a daemon; None where it doesn't answer."""
        asking = http.client.HTTPConnection(process.machine.ip, port, timeout=ASK_S_MAX)
        try:
            asking.request("GET", path)
            answer = asking.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            asking.close()
        return json.loads(body) if answer.status == HTTPStatus.OK else None

    def leader(self) -> Supervised | None:
        """Return the master that leads by its own word; None where none says so, or two do."""
        leading = [
            master
            for master in self.masters
            if master.is_running
            and not master.is_frozen
            and master.machine.connected
            and (self.ask(master, PORT, "/metrics/snapshot") or {}).get("master/elected") == 1
        ]
        return leading[0] if len(leading) == 1 else None

    def active_agents(self) -> list[dict[str, Any]]:
        """Return the agents that the leader has a link to."""
        leader = self.leader()
        found = None if leader is None else self.ask(leader, PORT, "/slaves")
        return [agent for agent in found["slaves"] if agent["active"]] if found else []

    # ------------------------------------------------------------ time
    def _patiently(self, true: Any, within_s: float, complaint: str) -> None:  # noqa: ANN401 - a question
        def look() -> None:
            if not met:
                met.extend([True] if true() else [])
                self.pit.after(LOOK_S, look)

        met: list[bool] = []
        look()
        assert self.pit.run(lambda: bool(met), within_s), f"{complaint} within {within_s:g} s\n{self.said()}"

    def calm_down(self) -> None:
        """Mend everything; return once the scheduler says that all its tasks are over, and the agents are all there."""
        for machine in self.network.machines:
            machine.mend()
        for process in self.pit.processes:
            process.send(signal.SIGCONT)
            process.restart_s = 0.3
        self.scheduler.restart_s = -1.0
        (self.ledger / "calm").touch()
        if not self.scheduler.is_running:
            self.scheduler.start()
        assert self.pit.run(lambda: not self.scheduler.is_running, CALM_S_MAX), (
            f"the scheduler still waits for tasks after {CALM_S_MAX:g} s of peace\n{self.said()}"
        )
        assert self.scheduler.exits[-1] == 0, f"the scheduler failed:\n{self.scheduler.said()}"
        self._patiently(lambda: len(self.active_agents()) == AGENTS, START_S_MAX, "not every agent came back")

    def said(self) -> str:
        """Return the last words of every process."""
        return "\n".join(
            f"---- {process.name} exits {process.exits}\n{process.said()}" for process in self.pit.processes
        )

    def close(self) -> None:
        """End everything, tasks included."""
        self.pit.close()
        for supervisor in _processes_with(str(self.folder)):
            supervisor.kill()
        self.network.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _processes_with(text: str) -> list[psutil.Process]:
    """Return the processes whose command line or directory names this folder: supervisors and tasks."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != psutil.Process().pid and (
                any(text in word for word in process.cmdline()) or process.cwd().startswith(text)
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found
