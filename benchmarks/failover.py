"""Rebuild after a failover: agents that a registry knows come back to a new leader, over real sockets, with their tasks.

`python -m benchmarks.failover [AGENTS] [TASKS_AN_AGENT]` prints one JSON line. Rules: the agents are ready before the master
leads, and behave as real ones: a random part of the first backoff to connect, a random part of the window that the leader's
Hello names to introduce themselves. A scheduler calls all the while, one call after another, and times each. The agents live in
two processes; each socket needs a descriptor on both sides, so that 10,000 agents need a hard limit of at least 11,000.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import cast

from benchmarks.limits import cpu_s, raise_file_limit, uvloop_runner
from benchmarks.load import LABEL
from benchmarks.simulated_agents import agent_info
from benchmarks.wire import HOST, line_of
from merismos.adapters.storage.sqlite import SqliteRegistry
from merismos.daemons.coordination import REGISTRY_FILE
from merismos.protocol import link

FRAMEWORK_ID = "bench-0000"
FRAMEWORK = json.dumps(
    {"user": "root", "name": "bench", "id": {"value": FRAMEWORK_ID}, "roles": ["bench"], "failover_timeout": 3600.0}
    | {"capabilities": [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}]}
).encode()
CROWDS = 2
BACKOFF_S = (0.1, 1.0)
PROBE_PAUSE_S = 0.005


def agent_id_of(number: int) -> str:
    """Return the id that an earlier leader gave."""
    return f"bench-S{number}"


def introduction(number: int, tasks: int) -> link.ReregisterAgent:
    """Return what an agent with running tasks says to a new leader."""
    records = []
    for index in range(tasks):
        task_id, agent_id = f"t-{number}-{index}", agent_id_of(number)
        common = {"task_id": {"value": task_id}, "agent_id": {"value": agent_id}}
        resources = [
            {"name": name, "type": "SCALAR", "scalar": {"value": amount}}
            for name, amount in (("cpus", 0.1), ("mem", 32.0))
        ]
        labels = {"labels": [{"key": "filler", "value": LABEL}]}
        task = {"name": task_id, **common, "resources": resources, "command": {"value": "sleep 1"}, "labels": labels}
        status = {**common, "state": "TASK_RUNNING", "source": "SOURCE_EXECUTOR", "timestamp": 1.0}
        raw = json.dumps(task).encode()
        records.append(link.TaskRecord(FRAMEWORK_ID, raw, "bench", "TASK_RUNNING", json.dumps(status).encode()))
    pid = f"slave(1)@127.0.0.{1 + number // 50000}:{10000 + number % 50000}"
    info = agent_info(f"agent{number}.local")
    return link.ReregisterAgent(agent_id_of(number), info, "1.12.0", pid, [], records, [FRAMEWORK])


class ReturningAgent(asyncio.Protocol):
    """One agent that was with another leader before."""

    def __init__(self, message: link.Message, on_registered: asyncio.Event, left: list[int]) -> None:
        self._done = on_registered
        self._left = left
        self._decoder = link.FrameDecoder()
        self._encoder = link.FrameEncoder()
        self._hello = self._encoder.encode([link.Hello()])
        self._frame = self._encoder.encode([message])
        self._head: bytes | None = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the link."""
        self._transport = cast("asyncio.Transport", transport)
        upgrade = b"GET /link HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: merismos-link/1\r\n\r\n"
        self._transport.write(upgrade + self._hello)

    def data_received(self, data: bytes) -> None:
        """Follow the protocol."""
        if self._head is not None:
            self._head += data
            head, separator, data = self._head.partition(b"\r\n\r\n")
            if not separator:
                return
            if b" 101 " not in head.split(b"\r\n")[0]:
                sys.exit(f"no link: {head[:200]!r}")
            self._head = None
        for message in self._decoder.feed(data):
            if isinstance(message, link.Hello):
                wait_s = random.uniform(0.0, message.window_s)
                asyncio.get_running_loop().call_later(wait_s, self._transport.write, self._frame)
            elif isinstance(message, link.Ping):
                self._transport.write(self._encoder.encode([link.Pong(message.sequence)]))
            elif isinstance(message, link.AgentRegistered):
                self._left[0] -= 1
                if not self._left[0]:
                    self._done.set()
            elif isinstance(message, link.RefuseAgent):
                sys.exit(f"refused: {message.reason}")


async def crowd(first: int, count: int, tasks: int) -> None:
    """Be `count` agents: wait for the leader's port on standard input, return to it, say when all are back."""
    introductions = [introduction(number, tasks) for number in range(first, first + count)]
    loop = asyncio.get_running_loop()
    done, left = asyncio.Event(), [count]
    sys.stdout.write("prepared\n")
    sys.stdout.flush()
    port = int(sys.stdin.readline())

    async def come_back(message: link.Message) -> None:
        await asyncio.sleep(random.uniform(*BACKOFF_S))
        await loop.create_connection(lambda: ReturningAgent(message, done, left), HOST, port)

    await asyncio.gather(*map(come_back, introductions))
    await done.wait()
    sys.stdout.write(f"{time.monotonic()}\n")
    sys.stdout.flush()
    sys.stdin.readline()


def fill_registry(folder: Path, agents: int) -> None:
    """Write what an earlier leader would have left: its agents."""

    async def fill() -> None:
        registry = SqliteRegistry(folder / REGISTRY_FILE)
        await registry.load()
        stored: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        entries = []
        for number in range(agents):
            info = json.loads(agent_info(f"agent{number}.local")) | {"id": {"value": agent_id_of(number)}}
            entries.append(("agents", agent_id_of(number), json.dumps(info).encode()))
        registry.store(entries, stored.set_result)
        assert await stored is None
        await registry.close()

    asyncio.run(fill())


class Probe:
    """A scheduler that calls the whole time."""

    def __init__(self, port: int) -> None:
        self._stream = http.client.HTTPConnection(HOST, port)
        body = b'{"type":"SUBSCRIBE","framework_id":{"value":"%s"},"subscribe":{"framework_info":%s}}'
        self._stream.request(
            "POST", "/api/v1/scheduler", body % (FRAMEWORK_ID.encode(), FRAMEWORK), {"Content-Type": "application/json"}
        )
        answer = self._stream.getresponse()
        assert answer.status == http.client.OK, answer.read()
        self._stream_id = answer.headers["Mesos-Stream-Id"]
        self._calls = http.client.HTTPConnection(HOST, port)
        self.latencies_s: list[float] = []

    def call(self) -> None:
        """Ask for the reconciliation of one task, and time the answer."""
        body = {"type": "RECONCILE", "framework_id": {"value": FRAMEWORK_ID}}
        body["reconcile"] = {"tasks": [{"task_id": {"value": "nobody"}, "agent_id": {"value": "nobody"}}]}  # type: ignore[dict-item]
        headers = {"Content-Type": "application/json", "Mesos-Stream-Id": self._stream_id}
        began_at = time.perf_counter()
        self._calls.request("POST", "/api/v1/scheduler", json.dumps(body), headers)
        answer = self._calls.getresponse()
        answer.read()
        self.latencies_s.append(time.perf_counter() - began_at)
        assert answer.status == http.client.ACCEPTED, answer.status


def rebuild(agents: int = 10_000, tasks_an_agent: int = 10) -> dict[str, float]:
    """Let a master lead and all its agents return; return the seconds that took and how long a call waited."""
    share = agents // CROWDS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill_registry(folder, agents)
        command = [sys.executable, "-m", "benchmarks.failover", "crowd"]
        crowds = [
            subprocess.Popen(
                [*command, str(index * share), str(share), str(tasks_an_agent)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for index in range(CROWDS)
        ]
        port_file = folder / "port"
        flags = [
            "--ip=127.0.0.1",
            "--port=0",
            f"--work_dir={folder}",
            f"--port_file={port_file}",
            "--logging_level=WARNING",
        ]
        try:
            for one in crowds:
                line_of(one)
            with subprocess.Popen([sys.executable, "-m", "merismos.daemons.master", *flags]) as master:
                try:
                    while not (port_file.exists() and port_file.read_text().strip()):
                        assert master.poll() is None, "the master ended early"
                        time.sleep(0.001)
                    return _storm(crowds, master.pid, int(port_file.read_text())) | {
                        "agents": agents,
                        "tasks": agents * tasks_an_agent,
                    }
                finally:
                    master.terminate()
        finally:
            for one in crowds:
                one.kill()
                one.wait()


def _storm(crowds: list[subprocess.Popen[str]], pid: int, port: int) -> dict[str, float]:
    elected_at, used_s = time.monotonic(), cpu_s(pid)
    for one in crowds:
        assert one.stdin is not None
        one.stdin.write(f"{port}\n")
        one.stdin.flush()
    probe = Probe(port)
    back_at: list[float] = []
    waiting = list(crowds)
    while waiting:
        probe.call()
        ready, _, _ = select.select([one.stdout for one in waiting], [], [], PROBE_PAUSE_S)
        for one in [one for one in waiting if one.stdout in ready]:
            back_at.append(float(line_of(one)))
            waiting.remove(one)
    latencies = sorted(probe.latencies_s)
    return {
        "rebuilt_s": max(back_at) - elected_at,
        "cpu_s": cpu_s(pid) - used_s,
        "calls": len(latencies),
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1e3,
        "max_ms": latencies[-1] * 1e3,
    }


if __name__ == "__main__":
    raise_file_limit()
    if sys.argv[1:2] == ["crowd"]:
        uvloop_runner(crowd(*map(int, sys.argv[2:5])))
    else:
        sys.stdout.write(json.dumps(rebuild(*map(int, sys.argv[1:]))) + "\n")
