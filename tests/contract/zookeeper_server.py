"""A real ZooKeeper on loopback, alone or in an ensemble, that tests may kill, stop and rob of its data.

Rules: nothing outlives its `with`; what the server logged is part of a failure.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

JAR = Path("/usr/share/java/zookeeper.jar")
CLASSES = f"{JAR}:/usr/share/java/*"
READY_S_MAX = 40.0
ASK_S = 0.05
TICK_MS = 500


def why_not() -> str:
    """Return why no ZooKeeper can be started here; empty where one can."""
    if not JAR.is_file():
        return f"{JAR} is missing: apt-get install zookeeper"
    if shutil.which("java") is None:
        return "there is no java: apt-get install zookeeper default-jre-headless"
    return ""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class ZooKeeperServer:
    """One server; it listens at the same port after a restart."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.data = folder / "data"
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.data.mkdir(parents=True, exist_ok=True)
        (folder / "zoo.cfg").write_text(
            f"dataDir={self.data}\nclientPort={self.port}\nclientPortAddress=127.0.0.1\ntickTime={TICK_MS}\n"
            "minSessionTimeout=1000\nadmin.enableServer=false\n4lw.commands.whitelist=*\nmaxClientCnxns=0\n" + settings,
            encoding="utf-8",
        )

    def url(self, path: str) -> str:
        return f"zk://{self.host}{path}"

    def start(self) -> None:
        """Start it and return at once; `ready` waits."""
        command = [
            "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
            "-cp", CLASSES,
            "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(self.folder / "zoo.cfg"),
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder)

    def ready(self) -> None:
        """Wait until it serves."""
        deadline = time.monotonic() + READY_S_MAX
        while "Mode:" not in self.ask("srvr"):
            assert self.process is not None
            with contextlib.suppress(subprocess.TimeoutExpired):
                raise AssertionError(f"ZooKeeper ended with {self.process.wait(ASK_S)}: {self.said()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"ZooKeeper does not serve: {self.said()}")

    def ask(self, word: str) -> str:
        """Return the answer to a four-letter word; nothing where nobody answers."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
                connection.sendall(word.encode())
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        except OSError:
            return ""

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def lose_data(self) -> None:
        shutil.rmtree(self.data / "version-2", ignore_errors=True)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:] if self.log.exists() else ""

    def __enter__(self) -> Self:
        self.start()
        try:
            self.ready()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()
