"""Rows measured over real sockets: a task's life through the master, beside the floor, in one run.

Rules: master (or floor), load and simulated agents are separate processes; CPU is the master process' own, from schedstat.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.limits import cpu_s, raise_file_limit, rss_bytes

HOST = "127.0.0.1"
FINAL = {"running": "TASK_RUNNING", "finished": "TASK_FINISHED", "starting": "TASK_RUNNING", "whole": "TASK_FINISHED"}


@contextmanager
def process(*argv: str) -> Iterator[subprocess.Popen[str]]:
    """Run a Python module as a process of its own, ended at the end of the block."""
    command = [sys.executable, "-m", *argv]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.terminate()


def line_of(child: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints; its end is an error."""
    assert child.stdout is not None
    line = child.stdout.readline()
    if not line:
        raise SystemExit(f"{child.args} ended early with {child.wait()}")
    return line.strip()


@contextmanager
def master_process(*flags: str) -> Iterator[tuple[int, int]]:
    """Start a master; yield its pid and port."""
    with tempfile.TemporaryDirectory() as folder:
        port_file = Path(folder) / "port"
        argv = (
            "merismos.daemons.master",
            "--ip=127.0.0.1",
            "--port=0",
            f"--work_dir={folder}",
            f"--port_file={port_file}",
        )
        with process(
            *argv, "--registry=in_memory", "--logging_level=WARNING", *(flags or ("--allocation_interval=50ms",))
        ) as child:
            while not (port_file.exists() and port_file.read_text().strip()):
                if child.poll() is not None:
                    raise SystemExit("the master ended early")
            yield child.pid, int(port_file.read_text())


@contextmanager
def floor_process() -> Iterator[tuple[int, int]]:
    """Start the floor; yield its pid and port."""
    with process("benchmarks.floor_master") as child:
        yield child.pid, int(line_of(child))


def measure(pid: int, port: int, agents: int, mode: str, options: dict[str, Any]) -> dict[str, Any]:
    """Launch tasks through one master and return CPU per task, rate, memory and latencies."""
    options = options | {"final": FINAL[mode]}
    with process("benchmarks.simulated_agents", HOST, str(port), str(agents), mode) as crowd:
        line_of(crowd)
        before_cpu, before_rss = cpu_s(pid), rss_bytes(pid)
        with process("benchmarks.load", HOST, str(port), json.dumps(options)) as load:
            seen = json.loads(line_of(load))
            used = cpu_s(pid) - before_cpu
            grown = rss_bytes(pid) - before_rss
    tasks = options["tasks"]
    result = {"cpu_us": used / tasks * 1e6, "tasks_s": tasks / seen["elapsed_s"], "rss_per_task": grown / tasks}
    if seen["latencies_s"]:
        latencies = sorted(seen["latencies_s"])
        result["p50_ms"] = statistics.median(latencies) * 1e3
        result["p99_ms"] = latencies[int(len(latencies) * 0.99)] * 1e3
    return result


def both(agents: int, mode: str, options: dict[str, Any]) -> dict[str, Any]:
    """Measure the floor and the master with the same load."""
    with floor_process() as (pid, port):
        floor = measure(pid, port, agents, mode, options)
    with master_process() as (pid, port):
        ours = measure(pid, port, agents, mode, options)
    return ours | {"floor_us": floor["cpu_us"], "ratio": ours["cpu_us"] / floor["cpu_us"]}


def memory_per_agent(agents: int, frameworks: int) -> float:
    """Return how much the master grows for each agent that joins when many frameworks are known.

    Units: bytes.
    """
    options = {"frameworks": frameworks, "tasks": 1, "chain": True, "limit_s": 600, "quiet": True}
    with master_process() as (pid, port), process("benchmarks.load", HOST, str(port), json.dumps(options)) as load:
        line_of(load)
        before = rss_bytes(pid)
        with process("benchmarks.simulated_agents", HOST, str(port), str(agents), "running") as crowd:
            line_of(crowd)
            return (rss_bytes(pid) - before) / agents


if __name__ == "__main__":
    raise_file_limit()
    crowd_size, how = int(sys.argv[1]), sys.argv[2]
    print(json.dumps(both(crowd_size, how, json.loads(sys.argv[3])), indent=1))
