"""Real processes through the whole stack: master, agent, supervisor, and `true` a few thousand times."""

from __future__ import annotations

import atexit
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.limits import cpu_s, pss_kb
from benchmarks.wire import HOST, line_of, master_process, process
from merismos.containers import supervisor

RESOURCES = "cpus:100000;mem:100000000;disk:1000000;ports:[31000-32000]"
READY_S_MAX = 20.0
SHUT_DOWN_S_MAX = 60.0
HIERARCHY = Path("/sys/fs/cgroup")
_kept = ExitStack()
atexit.register(_kept.close)


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
    options = {"frameworks": 4, "tasks": tasks, "final": "TASK_FINISHED", "container": container}
    with loaded(options, flags) as load:
        master, agent = (used / tasks * 1e3 for used in load.used_s)
        note = f"CPU a task: master {master:.2f} ms, agent {agent:.2f} ms"
        return {"tasks_s": tasks / load.seen["elapsed_s"], "note": note}


def accept_to_ms(tasks: int, state: str, *flags: str, container: dict[str, Any] | None = None) -> float:
    """Run `true` so many times, one after another; return the median of ACCEPT to this state."""
    options = {"frameworks": 2, "tasks": tasks, "final": state, "idle": True, "container": container}
    with loaded(options, flags) as load:
        return statistics.median(load.seen["latencies_s"]) * 1e3


def besides_each_task_kb(tasks: int, *flags: str, container: dict[str, Any] | None = None) -> float:
    """Return what so many running `sleep` need of memory besides themselves: agent, supervisor, and whatever else runs for them.

    Units: kB of proportional set size (PSS) a task, beyond what an agent has without tasks.
    """
    options = {
        "frameworks": 2,
        "tasks": tasks,
        "final": "TASK_RUNNING",
        "container": container,
        "command": "exec sleep 600",
    }
    with loaded(options, flags) as load:
        ours = [load.agent_pid, *_descendants(load.agent_pid)]
        grown = sum(pss_kb(pid) for pid in ours if _name(pid) != "sleep") - load.idle_kb
        return grown / tasks


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


class Load(NamedTuple):
    """What was seen of tasks that are where they shall be.

    Shapes: `used_s` is the CPU of master and agent; `idle_kb` the PSS of the agent and its supervisor before.
    """

    seen: dict[str, Any]
    used_s: list[float]
    agent_pid: int
    idle_kb: int


@contextmanager
def loaded(options: dict[str, Any], flags: tuple[str, ...]) -> Iterator[Load]:
    """Load a master with one agent; the agent ends with all its tasks at the end of the block."""
    with master_process() as (master_pid, port):
        argv = (
            f"--master={HOST}:{port}",
            "--ip=127.0.0.1",
            "--port=0",
            f"--work_dir={kept_folder()}",
            f"--resources={RESOURCES}",
            *flags,
        )
        with process("merismos.daemons.agent", *argv, "--logging_level=WARNING") as agent:
            wait_for_agent(port)
            idle_kb = sum(pss_kb(pid) for pid in (agent.pid, *_descendants(agent.pid)))
            before = cpu_s(master_pid), cpu_s(agent.pid)
            try:
                with process("benchmarks.load", HOST, str(port), json.dumps({**options, "limit_s": 120})) as load:
                    seen = json.loads(line_of(load))
                    used_s = [cpu_s(pid) - at for pid, at in zip((master_pid, agent.pid), before, strict=True)]
                    yield Load(seen, used_s, agent.pid, idle_kb)
            finally:
                shut_down(agent)


def kept_folder() -> str:
    """Return a directory that is removed when all is measured.

    ext4 looks at each inode that was given back within a minute before it takes a new one: a row would pay for what the one before it had removed.
    """
    return _kept.enter_context(tempfile.TemporaryDirectory())


def shut_down(agent: subprocess.Popen[str]) -> None:
    """End an agent with all that it holds, its supervisor too; one that was only stopped would leave them to the next."""
    agent.send_signal(signal.SIGUSR1)
    agent.wait(SHUT_DOWN_S_MAX)


def _descendants(pid: int) -> list[int]:
    """Return the processes below one, those of which it hears no more included."""
    return supervisor.descendants_of(pid, supervisor.read_procs())


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
