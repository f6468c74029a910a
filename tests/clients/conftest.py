"""A real cluster on this machine, and a way to run a third-party client's program against it.

Rules: one cluster serves every client of a test run; each wait has a bound; what a program or the cluster printed is part of the
failure. Which clients are installed, and why one isn't, is written by `install.py`.
"""

from __future__ import annotations

import os
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).with_name("programs")
MADE = Path(__file__).resolve().parents[2] / "var" / "clients"
PYTHON = MADE / "venv" / "bin" / "python"
READY_S_MAX = 20.0
END_S_MAX = 15.0
PROGRAM_S_MAX = 55.0
URL = re.compile(r"https?://(?P<host>[\w.\-]+):(?P<port>\d+)")


@dataclass(frozen=True)
class Cluster:
    """Where the master of a running cluster listens."""

    host: str
    port: int
    output: Path
    state_dir: Path

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


def _address_in_output(process: subprocess.Popen[bytes], output: Path) -> tuple[str, int]:
    """Copy what the process prints to `output`, until it names its URL."""
    assert process.stdout is not None
    deadline = time.monotonic() + READY_S_MAX
    text = ""
    with selectors.DefaultSelector() as ready, output.open("ab") as copy:
        ready.register(process.stdout, selectors.EVENT_READ)
        while (left_s := deadline - time.monotonic()) > 0:
            if not ready.select(left_s):
                break
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                break
            copy.write(piece)
            text += piece.decode(errors="replace")
            lines, _, _ = text.rpartition("\n")
            if found := URL.search(lines):
                return found["host"], int(found["port"])
    pytest.fail(f"`merismos up` named no URL within {READY_S_MAX} s; it printed:\n{text}{_tail(output)}")


def _tail(output: Path) -> str:
    return output.read_text(encoding="utf-8", errors="replace")[-6000:] if output.exists() else ""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master and two agents as `merismos up` starts them; gone when the tests are."""
    folder = tmp_path_factory.mktemp("cluster")
    output = folder / "stderr"
    command = [sys.executable, "-m", "merismos.cli", "up", "--agents", "2", "--master-port", "0"]
    environment = {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(folder),
        "MERISMOS_STATE_DIR": str(folder / "state"),
    }
    with output.open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, cwd=folder, env=environment, start_new_session=True,
        )  # fmt: skip
    try:
        host, port = _address_in_output(process, output)
        yield Cluster(host, port, output, folder / "state")
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=END_S_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def _installed(kind: str) -> None:
    reason = MADE / f"{kind}.reason"
    if reason.is_file():
        pytest.skip(f"the {kind} clients can't be installed here: {reason.read_text(encoding='utf-8').strip()}")
    if not (MADE / f"{kind}.stamp").is_file():
        pytest.skip(f"the {kind} clients aren't installed; `make clients` installs them")


def _run(command: list[str], cluster: Cluster, folder: Path, **environment: str) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True, text=True, cwd=folder, timeout=PROGRAM_S_MAX, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        said = [part.decode(errors="replace") for part in (late.stdout, late.stderr) if isinstance(part, bytes)]
        pytest.fail(f"no end within {PROGRAM_S_MAX} s: {''.join(said)}\n--- cluster ---\n{_tail(cluster.output)}")
    if done.returncode != 0:
        pytest.fail(
            f"{command} exited with {done.returncode}\n{done.stdout}\n{done.stderr}\n--- cluster ---\n{_tail(cluster.output)}"
        )
    return done.stdout


def _first_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        assert ready.select(READY_S_MAX), f"nothing printed within {READY_S_MAX} s"
    return process.stdout.readline().decode().strip()


@dataclass(frozen=True)
class Client:
    """Runs the programs that are written on the third-party clients."""

    cluster: Cluster
    folder: Path

    def python(self, program: str, *arguments: str) -> list[str]:
        """Run a Python program with the clients' environment and return the lines that it printed."""
        _installed("python")
        command = [str(PYTHON), str(PROGRAMS / program), self.cluster.address, *arguments]
        return _run(
            command, self.cluster, self.folder,
            PATH=f"{PYTHON.parent}:{os.environ['PATH']}", HOME=str(self.folder), MERISMOS_STATE_DIR=str(self.cluster.state_dir), TOIL_CHECK_ENV="True",
        ).splitlines()  # fmt: skip

    @contextmanager
    def running_task(self, name: str) -> Iterator[str]:
        """Run a task until the block ends, and return its id."""
        command = [
            sys.executable, "-m", "merismos.cli", "--master", self.cluster.address,
            "run", "--name", name, "--", "echo $MESOS_EXECUTOR_ID; exec sleep 600",
        ]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=self.folder) as process:
            try:
                yield _first_line(process)
            finally:
                process.send_signal(signal.SIGINT)

    def mesos_cli(self, *arguments: str, stdin: str = "", terminal: bool = False) -> subprocess.CompletedProcess[str]:
        """Run avmesos-cli, in a terminal if asked, told about the cluster by its configuration file."""
        _installed("python")
        config = self.folder / "config.toml"
        config.write_text(f'[master]\naddress = "{self.cluster.address}"\n', encoding="utf-8")
        command = [str(PYTHON), "-m", "avmesos.cli.mesos-cli", *arguments]
        return subprocess.run(
            ["script", "-qec", shlex.join(command), "/dev/null"] if terminal else command,
            input=stdin, capture_output=True, text=True, cwd=self.folder, timeout=PROGRAM_S_MAX, check=False,
            env={**os.environ, "PYTHONPATH": str(MADE / "avmesos-cli"), "MESOS_CLI_CONFIG": str(config)},
        )  # fmt: skip

    def node(self, program: str) -> list[str]:
        """Run a JavaScript program and return the lines that it printed."""
        _installed("npm")
        node = shutil.which("node") or "node"
        command = [
            node,
            "--no-deprecation",
            str(PROGRAMS / program),
            self.cluster.host,
            str(self.cluster.port),
            str(self.folder),
        ]
        return _run(command, self.cluster, self.folder, NODE_PATH=str(MADE / "js" / "node_modules")).splitlines()


@pytest.fixture
def client(cluster: Cluster, tmp_path: Path) -> Client:
    return Client(cluster, tmp_path)
