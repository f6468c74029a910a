"""Real masters that a real ZooKeeper coordinates, with agents that find them there.

Rules: nothing outlives its `with`; each has a path of its own in the ZooKeeper; what everybody logged is part of a failure.
"""

from __future__ import annotations

import http.client
import json
import select
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from contract.zookeeper_server import ZooKeeperServer
from process.sessions.cluster import ATTRIBUTES, RESOURCES, Daemon

WAIT_S_MAX = 30.0
GIVE_WAY_S = 0.02
SESSION_S = 2


class Standing(Daemon):
    """A master that stands for election."""

    def __init__(self, work_dir: Path, url: str, *flags: str) -> None:
        timeout = f"--zk_session_timeout={SESSION_S}secs"
        given = {flag.partition("=")[0] for flag in flags}
        mine = [timeout] if "--zk_session_timeout" not in given else []
        super().__init__("master", work_dir, [f"--zk={url}", "--allocation_interval=50ms", *mine, *flags])

    @property
    def port(self) -> int:
        return int(self.port_file.read_text(encoding="utf-8")) if self.port_file.exists() else 0

    def get(self, path: str, method: str = "GET") -> tuple[int, str, bytes]:
        """Return status, Location and body; status 0 where nobody answers."""
        if self.port == 0 or self.process.poll() is not None:
            return 0, "", b""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Location", ""), answer.read()
        except OSError:
            return 0, "", b""
        finally:
            connection.close()

    def leads(self) -> bool:
        return self.get("/state")[0] == 200

    def agents(self) -> list[str]:
        status, _, body = self.get("/slaves")
        return sorted(one["id"] for one in json.loads(body)["slaves"] if one["active"]) if status == 200 else []


class Following(Daemon):
    """An agent that finds its master in ZooKeeper; its tasks end with it."""

    ends_by = signal.SIGUSR1


def until(true: Callable[[], bool], what: str, said: Callable[[], str]) -> None:
    """Wait until it is so, giving the machine to the processes in between."""
    deadline = time.monotonic() + WAIT_S_MAX
    while not true():
        assert time.monotonic() < deadline, f"not within {WAIT_S_MAX} s: {what}\n{said()}"
        select.select([], [], [], GIVE_WAY_S)


class Masters:
    """Masters, their agents, and the ZooKeeper path where they meet."""

    def __init__(self, folder: Path, zookeeper: ZooKeeperServer, *flags: str) -> None:
        self.folder = folder
        self.flags = flags
        self.url = zookeeper.url(f"/test/{uuid.uuid4().hex}")
        self.masters: list[Standing] = []
        self.agents: list[Following] = []

    def start_master(self, *flags: str) -> Standing:
        master = Standing(self.folder / f"master{len(self.masters)}", self.url, *self.flags, *flags)
        self.masters.append(master)
        return master

    def start_agent(self, *flags: str) -> Following:
        agent = Following(
            "agent",
            self.folder / f"agent{len(self.agents)}",
            [f"--master={self.url}", RESOURCES, ATTRIBUTES, "--registration_backoff_factor=20ms",
             f"--zk_session_timeout={SESSION_S}secs", *flags],
        )  # fmt: skip
        self.agents.append(agent)
        return agent

    def start_pair_and_agent(self) -> tuple[Standing, Standing, list[str]]:
        """Start a leader, a standby and an agent; return the two, and the agents that the leader has."""
        first = self.start_master()
        assert self.leader() is first
        second = self.start_master()
        self.start_agent()
        self.until(lambda: len(first.agents()) == 1, "the agent registers")
        return first, second, first.agents()

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait until it is so."""
        until(true, what, self.said)

    def pid_in(self, path: Path) -> int:
        """Wait until a task has written its process id there; return it."""
        self.until(lambda: path.exists() and path.read_text(encoding="ascii").endswith("\n"), f"{path} is written")
        return int(path.read_text(encoding="ascii"))

    def leader(self) -> Standing:
        """Wait for the one master that leads, and return it."""
        self.until(lambda: sum(master.leads() for master in self.masters) == 1, "one master leads")
        return next(master for master in self.masters if master.leads())

    def said(self) -> str:
        return "\n".join(f"--- {one.work_dir.name}\n{one.said()}" for one in [*self.masters, *self.agents])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None:
            error.add_note(self.said())
        for one in [*self.agents, *self.masters]:
            one.begin_to_stop()
        for one in [*self.agents, *self.masters]:
            one.stop(signal.SIGTERM)
