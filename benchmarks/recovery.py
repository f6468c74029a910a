"""How long an agent with many live tasks takes from its start until the master knows it again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.real import RESOURCES, kept_folder
from benchmarks.wire import HOST, master_process, process

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_S = 120.0
_LOOK_S = 0.01


@contextmanager
def agent_process(port: int, folder: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run an agent; it is killed at the end of the block, its tasks go on."""
    flags = [
        f"--master={HOST}:{port}",
        "--ip=127.0.0.1",
        "--port=0",
        f"--work_dir={folder}",
        f"--resources={RESOURCES}",
    ]
    command = [sys.executable, "-m", "merismos.daemons.agent", *flags, "--logging_level=ERROR", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
        try:
            yield child
        finally:
            child.kill()


def ask(port: int, path: str) -> Any:  # noqa: ANN401 - whatever the endpoint answers
    """Return the JSON of an endpoint."""
    with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=10) as answer:
        return json.load(answer)


def wait_until(port: int, metric: str, least: float) -> None:
    """Wait until a metric of the master is at least this."""
    until = time.monotonic() + LIMIT_S
    while ask(port, "/metrics/snapshot")[metric] < least:
        if time.monotonic() > until:
            raise SystemExit(f"{metric} did not reach {least}")
        time.sleep(_LOOK_S)


def restart_s(tasks: int) -> float:
    """Kill an agent with so many live tasks; return the time from the next one's start to its registration.

    Units: seconds.
    """
    folder = kept_folder()
    with master_process() as (_, port):
        options = {"frameworks": 2, "tasks": tasks, "final": "TASK_RUNNING", "limit_s": LIMIT_S, "command": "sleep 600"}
        try:
            with process("benchmarks.load", HOST, str(port), json.dumps(options)):
                with agent_process(port, folder):
                    wait_until(port, "master/tasks_running", tasks)
                before = ask(port, "/metrics/snapshot")["master/slave_reregistrations"]
                started = time.monotonic()
                with agent_process(port, folder):
                    wait_until(port, "master/slave_reregistrations", before + 1)
                    return time.monotonic() - started
        finally:
            end_tasks(folder)


def end_tasks(folder: str) -> None:
    """Let the supervisor end what it holds."""
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if f"{folder}/meta/supervisor.sock".encode() in command:
            os.kill(int(entry.name), signal.SIGTERM)
            while (entry / "cwd").exists():
                time.sleep(_LOOK_S)
