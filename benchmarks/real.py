"""Real processes through the whole stack: master, agent, supervisor, and `true` a few thousand times."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.limits import cpu_s
from benchmarks.wire import HOST, line_of, master_process, process

RESOURCES = "cpus:100000;mem:100000000;disk:1000000;ports:[31000-32000]"
READY_S_MAX = 20.0
HIERARCHY = Path("/sys/fs/cgroup")


def wait_for_agent(port: int) -> None:
    """Wait until the master counts one active agent."""
    until = time.monotonic() + READY_S_MAX
    while time.monotonic() < until:
        with urllib.request.urlopen(f"http://{HOST}:{port}/metrics/snapshot", timeout=5) as answer:
            if json.load(answer)["master/slaves_active"]:
                return
        time.sleep(0.05)
    raise SystemExit("the agent did not register")


def tasks_per_second(tasks: int, *flags: str, container: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run `true` so many times, in such a container; return the rate and where the CPU went.

    Units: CPU in ms a task; the processes of the tasks themselves not counted.
    """
    seen, used = _load({"frameworks": 4, "tasks": tasks, "final": "TASK_FINISHED", "container": container}, flags)
    note = f"CPU a task: master {used[0] / tasks * 1e3:.2f} ms, agent {used[1] / tasks * 1e3:.2f} ms"
    return {"tasks_s": tasks / seen["elapsed_s"], "note": note}


def accept_to_ms(tasks: int, state: str, *flags: str, container: dict[str, Any] | None = None) -> float:
    """Run `true` so many times, one after another; return the median of ACCEPT to this state."""
    seen, _ = _load({"frameworks": 2, "tasks": tasks, "final": state, "idle": True, "container": container}, flags)
    return statistics.median(seen["latencies_s"]) * 1e3


@contextmanager
def cgroups_flags() -> Iterator[tuple[str, ...]]:
    """Give flags of an agent that limits CPU and memory by cgroups, and remove what is left of its root."""
    root = f"merismos-bench-{os.getpid()}"
    try:
        yield "--isolation=cgroups/cpu,cgroups/mem", f"--cgroups_root={root}"
    finally:
        for folder in (*HIERARCHY.glob(f"*/{root}"), *HIERARCHY.glob(root)):
            for below in (*(path for path in folder.iterdir() if path.is_dir()), folder):
                below.rmdir()


def _load(options: dict[str, Any], flags: tuple[str, ...]) -> tuple[dict[str, Any], list[float]]:
    """Load a master with one agent; return what was seen, and the CPU seconds of both."""
    with tempfile.TemporaryDirectory() as folder, master_process() as (master_pid, port):
        argv = (
            f"--master={HOST}:{port}",
            "--ip=127.0.0.1",
            "--port=0",
            f"--work_dir={folder}",
            f"--resources={RESOURCES}",
            *flags,
        )
        with process("merismos.daemons.agent", *argv, "--logging_level=WARNING") as agent:
            wait_for_agent(port)
            before = cpu_s(master_pid), cpu_s(agent.pid)
            try:
                with process("benchmarks.load", HOST, str(port), json.dumps({**options, "limit_s": 120})) as load:
                    seen = json.loads(line_of(load))
                    used = [cpu_s(pid) - at for pid, at in zip((master_pid, agent.pid), before, strict=True)]
            finally:
                shut_down(agent)
    return seen, used


def shut_down(agent: subprocess.Popen[str]) -> None:
    """End an agent with all that it holds, its supervisor too; one that was only stopped would leave them to the next."""
    agent.send_signal(signal.SIGUSR1)
    agent.wait(READY_S_MAX)
