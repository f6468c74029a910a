"""A real Docker Engine of the tests' own, in a network namespace of its own, and an agent that uses it.

Rules: it has one image, `shell`, made here; nothing outlives its `with`, containers included; what it logged is part of a failure.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from linux.image_builder import BUSYBOX, busybox_layer
from linux.registry_server import RegistryServer
from merismos.adapters.linux.mounts import mounts_below
from process.agent_process import AgentUnderTest, agent_under_test
from process.link_master import task

READY_S_MAX = 60.0
STOP_S_MAX = 30.0
POLL_S = 0.05
IMAGE = "shell:1"
NETWORK = "own"
_START = 'ip link set lo up; exec dockerd "$@"'


def why_not() -> str:
    """Return why no Docker Engine can be started here; empty where one can."""
    if os.geteuid() != 0:
        return "dockerd needs root"
    missing = [name for name in ("dockerd", "containerd", "runc", "ip", "unshare") if shutil.which(name) is None]
    if missing:
        return f"there is no {missing[0]}: apt-get install docker.io iproute2"
    return "" if BUSYBOX.is_file() else f"there is no {BUSYBOX}: apt-get install busybox-static"


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=30.0)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class DockerDaemon:
    """One Engine; its folder has a short name, since sockets are below it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mdk"))
        self.socket = str(self.folder / "s")
        self.log = self.folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
            self.ask("POST", "/images/create?fromSrc=-&repo=shell&tag=1", busybox_layer())
            self.ask("POST", "/networks/create", json.dumps({"Name": NETWORK}).encode())
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def start(self) -> None:
        arguments = [
            f"--data-root={self.folder}/data", f"--exec-root={self.folder}/exec", f"--host=unix://{self.socket}",
            f"--pidfile={self.folder}/pid", "--default-address-pool=base=10.219.0.0/16,size=24", "--bip=10.218.0.1/24",
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--net", "sh", "-c", _START, "sh", *arguments], stdout=log, stderr=log
            )
        self.until(self._answers, "dockerd does not answer")

    def until(self, true: Callable[[], bool], otherwise: str) -> None:
        assert self.process is not None
        deadline = time.monotonic() + READY_S_MAX
        while not true():
            with contextlib.suppress(subprocess.TimeoutExpired):
                raise AssertionError(f"dockerd ended with {self.process.wait(POLL_S)}: {self.said()}")
            assert time.monotonic() < deadline, f"{otherwise}: {self.said()}"

    def _answers(self) -> bool:
        try:
            return self.ask("GET", "/_ping") is not None
        except (OSError, http.client.HTTPException):
            return False

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:  # noqa: ANN401 - JSON
        connection = _Connection(self.socket)
        try:
            kind = "application/json" if body is not None and body[:1] == b"{" else "application/x-tar"
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {"Content-Type": kind, **given})
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        assert answer.status < 400, f"{method} {path}: {answer.status} {raw[:500]!r}"
        return json.loads(raw) if raw[:1] in {b"{", b"["} and raw.count(b"\n") < 2 else raw

    def containers(self, work_dir: Path) -> dict[str, str]:
        """Return the states of an agent's containers by name."""
        rows = self.ask("GET", "/containers/json?all=1")
        label = "org.merismos.work_dir"
        return {row["Names"][0]: row["State"] for row in rows if row["Labels"].get(label) == str(work_dir)}

    def inspect(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/containers/{name}/json")
        return found

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """End it, and its containers with it."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(STOP_S_MAX)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGCONT)
            if self._answers():
                for row in self.ask("GET", "/containers/json?all=1"):
                    self.ask("DELETE", f"/containers/{row['Id']}?force=1")
            self.process.terminate()
            try:
                self.process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(STOP_S_MAX)
        for path in mounts_below(self.folder):
            subprocess.run(["umount", "--lazy", path], check=True, timeout=STOP_S_MAX)
        shutil.rmtree(self.folder)


class RegistryBeside(RegistryServer):
    """A registry in the network namespace of an Engine."""

    def __init__(self, folder: Path, settings: str, daemon: DockerDaemon) -> None:
        super().__init__(folder, settings)
        assert daemon.process is not None
        self.prefix = ["nsenter", f"--net=/proc/{daemon.process.pid}/ns/net"]

    def _answers(self) -> bool:
        connect = f"import socket; socket.create_connection(('127.0.0.1', {self.port}))"
        command = [*self.prefix, sys.executable, "-c", connect]
        return subprocess.run(command, stderr=subprocess.DEVNULL, check=False, timeout=READY_S_MAX).returncode == 0


class DockerAgent:
    """An agent, and the tasks of type DOCKER that a test gives it."""

    def __init__(self, agent: AgentUnderTest, daemon: DockerDaemon) -> None:
        self.agent = agent
        self.master = agent.master
        self.daemon = daemon

    def run(self, task_id: str, command: object, *, docker: dict[str, Any] | None = None, **fields: Any) -> None:  # noqa: ANN401 - fields of TaskInfo
        container = {
            "type": "DOCKER",
            "docker": {"image": IMAGE, "network": "NONE", **(docker or {})},
            **fields.pop("container", {}),
        }
        resources = fields.pop("resources", amounts(0.1, 64))
        self.master.run(task(task_id, command, container=container, resources=resources, **fields))

    async def runs(self, task_id: str) -> dict[str, Any]:
        await self.master.until(lambda: "TASK_RUNNING" in self.master.states(task_id))
        return next(one for one in self.master.statuses(task_id) if one["state"] == "TASK_RUNNING")

    async def end_of(self, task_id: str) -> dict[str, Any]:
        return await self.master.end_of(task_id)

    def name(self, task_id: str) -> str:
        status = self.master.statuses(task_id)[0]
        return f"mesos-{status['container_status']['container_id']['value']}"

    def sandbox(self, task_id: str) -> Path:
        return self.agent.work_dir / f"slaves/S0/frameworks/F/executors/{task_id}/runs/latest"

    def output(self, task_id: str, stream: str = "stdout") -> str:
        return (self.sandbox(task_id) / stream).read_text()


def amounts(cpus: float, mem: float, ports: str = "") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"name": name, "type": "SCALAR", "scalar": {"value": value}} for name, value in (("cpus", cpus), ("mem", mem))
    ]
    if ports:
        begin, end = map(int, ports.split("-"))
        rows.append({"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": begin, "end": end}]}})
    return rows


@asynccontextmanager
async def docker_agent(work_dir: Path, daemon: DockerDaemon, *flags: str) -> AsyncIterator[DockerAgent]:
    given = ("--containerizers=mesos,docker", f"--docker_socket={daemon.socket}", *flags)
    async with agent_under_test(work_dir, *given) as agent:
        yield DockerAgent(agent, daemon)
