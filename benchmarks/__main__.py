"""`python -m benchmarks`: run every row, print the table, and write it to `benchmarks/RESULTS.md` with its conditions."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks import allocator, docker, election, failover, images, real, recovery, registry, simulation, start, wire
from benchmarks.limits import raise_file_limit

RESULTS = Path(__file__).with_name("RESULTS.md")


class Row(NamedTuple):
    """One line of the table; `value` and `reach` in `unit`, `floor` None where nothing bare compares."""

    name: str
    value: float
    unit: str
    reach: str
    floor: float | None = None
    note: str = ""

    def line(self) -> str:
        """Return the row as Markdown."""
        floor = "" if self.floor is None else f"{self.floor:.1f}"
        ratio = "" if not self.floor else f"{self.value / self.floor:.1f}"
        return f"| {self.name} | {self.value:.1f} {self.unit} | {floor} | {ratio} | {self.reach} | {self.note} |"


def _life(name: str, agents: int, mode: str, tasks: int, reach: str, **options: object) -> Row:
    seen = wire.both(agents, mode, {"frameworks": 10, "tasks": tasks, **options})
    return Row(name, seen["cpu_us"], "µs/task", reach, seen["floor_us"], f"{seen['tasks_s']:.0f} tasks/s")


def task_lives() -> list[Row]:
    """A task's life through the master, saturated, and with one call in flight."""
    return [
        _life("launch + RUNNING + acknowledged, 100 agents", 100, "running", 40000, "50"),
        _life("the same with FINISHED, both acknowledged", 100, "finished", 40000, "75"),
        _life("the same with FINISHED, 5,000 agents", 5000, "finished", 40000, "100"),
        _life("with FINISHED, one call in flight", 100, "finished", 10000, "3 x floor", one_at_a_time=True),
    ]


def latencies() -> list[Row]:
    """What one waits for when nothing else is going on."""
    with wire.master_process() as (pid, port):
        idle = wire.measure(pid, port, 1, "starting", {"frameworks": 2, "tasks": 400, "idle": True})
    with wire.master_process("--allocation_interval=1secs") as (pid, port):
        chain = wire.measure(pid, port, 1, "running", {"frameworks": 202, "tasks": 200, "chain": True})
    return [
        Row("ACCEPT to TASK_RUNNING, idle, p50", idle["p50_ms"], "ms", "1"),
        Row("ACCEPT to TASK_RUNNING, idle, p99", idle["p99_ms"], "ms", "5"),
        Row("freed to offered to another, idle, p50", chain["p50_ms"], "ms", ""),
        Row("freed to offered to another, idle, p99", chain["p99_ms"], "ms", "10"),
    ]


def memory() -> list[Row]:
    """What the master holds for a running task, and for an agent."""
    tasks, agents, crowd = 100_000, 100, 2000
    with wire.master_process() as (pid, port):
        per_task = wire.measure(pid, port, agents, "running", {"frameworks": 10, "tasks": tasks})["rss_per_task"]
    per_agent = wire.memory_per_agent(crowd, frameworks=1000)
    return [
        Row("memory per running task of 700 bytes", per_task / 1000, "kB", "1.5"),
        Row("memory per agent, 1,000 frameworks known", per_agent / 1000, "kB", "15"),
    ]


def cycles() -> list[Row]:
    """Allocation cycles inside one process."""
    return [
        Row(row["name"], row["value"], row["unit"], str(row["reach"]), row.get("floor"), row.get("note", ""))
        for row in allocator.rows()
    ]


def containers_of_images() -> list[Row]:
    """Containers of a cached image beside the runtimes alone and `docker run`; nothing where this machine runs none."""
    reason = images.why_not()
    if reason:
        sys.stderr.write(f"left out: {reason}\n")
        return []
    beside = {f"`{name} run` alone": images.runtime_alone(name, 60) for name in images.runtimes_that_work()}
    reason = docker.why_not()
    if reason:
        sys.stderr.write(f"left out: {reason}\n")
    else:
        beside["`docker run`"] = docker.docker_run(20)
    ours = images.through_the_stack(400, 60, 100)
    saturated, idle = "containers of a cached image (`true`), saturated", "the same, ACCEPT to TASK_FINISHED, idle, p50"
    rows = [Row(saturated, ours.tasks_s, "tasks/s", "50", None, ours.note)]
    rows += [
        Row(f"... beside {name}, two at a time", ours.tasks_s, "tasks/s", "", at[1]) for name, at in beside.items()
    ]
    rows.append(Row(idle, ours.idle_ms, "ms", "60"))
    rows += [Row(f"... beside {name}", ours.idle_ms, "ms", "", at[0]) for name, at in beside.items()]
    rows.append(Row("memory per running container of an image besides the task", ours.besides_kb, "kB PSS", "1000"))
    return rows


def processes() -> list[Row]:
    """Real processes through master, agent and supervisor."""
    seen = real.tasks_per_second(3000)
    with real.cgroups_flags() as flags:
        limited = real.tasks_per_second(3000, *flags)
        starts_ms = real.accept_to_ms(300, "TASK_RUNNING", *flags)
        besides_kb = real.besides_each_task_kb(500, *flags)
    rate, note = limited["tasks_s"], limited["note"]
    return [
        Row("real processes in cgroups (cpu, mem), saturated", rate, "tasks/s", "400", seen["tasks_s"], note),
        Row("real processes in cgroups (cpu, mem), ACCEPT to TASK_RUNNING, idle, p50", starts_ms, "ms", "10"),
        Row("memory per running command task besides the task", besides_kb, "kB PSS", "1000"),
        Row("real processes (`true`) through the whole stack", seen["tasks_s"], "tasks/s", "500", None, seen["note"]),
        Row("agent recovery with 1,000 live tasks", recovery.restart_s(1000), "s", "2"),
    ]


def failovers() -> list[Row]:
    """A new leader whose agents all come back at once."""
    seen = failover.rebuild()
    return [
        Row("rebuild after failover, 10,000 agents, 100,000 tasks", seen["rebuilt_s"], "s", "4"),
        Row("a scheduler's call during it, the slowest", seen["max_ms"], "ms", "100"),
    ]


def elections() -> list[Row]:
    """What a dead leader costs, ZooKeeper's part included."""
    seen = election.run()
    if not seen:
        return []
    parts = f"the next leads after {seen['leading_s']:.2f} s, the slowest of {seen['kills']:.0f} offers after {seen['slowest_s']:.2f} s"
    return [
        Row(
            "kill -9 of the leader to the next one's first OFFERS, 2 s session", seen["offers_s"], "s", "3", None, parts
        )
    ]


def registries() -> list[Row]:
    """The registry in ZooKeeper."""
    seen = registry.run()
    if not seen:
        return []
    entries = f"{seen['entries']:.0f} agents at the end"
    return [
        Row("ZooKeeper registry, agents admitted", seen["admitted_per_s"], "agents/s", "2000", None, entries),
        Row("ZooKeeper registry, all read", seen["load_s"], "s", "5", None, entries),
    ]


def simulations() -> list[Row]:
    """How fast the simulation is; `make sim-big` has the big one."""
    figures = simulation.virtual_seconds_a_second()
    note = f"median {figures[len(figures) // 2]:.0f}; a second of CPU, sweeps included"
    return [Row("simulation, 50 agents, a launch a virtual second", figures[0], "virtual s/s", "1000", None, note)]


def starts() -> list[Row]:
    """What a person waits for."""
    floor = start.floor_ms()
    commands = {"ps": ["ps"], "run": ["run", "--", "true"]}
    rows = [
        Row(f"CLI start, `{name}`", start.command_ms(words), "ms", "200", floor) for name, words in commands.items()
    ]
    return [*rows, Row("`merismos up`, 2 agents ready", start.up_s(2), "s", "3")]


SECTIONS: dict[str, Callable[[], list[Row]]] = {
    "life": task_lives,
    "latency": latencies,
    "memory": memory,
    "allocation": cycles,
    "processes": processes,
    "images": containers_of_images,
    "failover": failovers,
    "election": elections,
    "registry": registries,
    "simulation": simulations,
    "start": starts,
}


def conditions(load_before: float) -> str:
    """Return when and on what the figures were measured."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "?",
    )
    git = ["git", "-C", str(RESULTS.parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    place = tempfile.gettempdir()
    kind = subprocess.run(["stat", "-f", "-c", "%T", place], capture_output=True, text=True, check=False).stdout.strip()
    today = dt.datetime.now(tz=dt.UTC).date()
    return (
        f"{today}, commit {commit}, load average before it {load_before:.1f}; CPython {platform.python_version()}, {os.cpu_count()} cores of {model}, Linux {platform.release()}; master, load and "
        f"simulated agents are separate processes on one machine, their directories on {kind or 'an unknown file system'}; CPU is the master's own (schedstat), setup included."
    )


def main() -> None:
    """Run the sections named (all without one), print each row as it comes, write RESULTS.md when all were run."""
    parser = argparse.ArgumentParser(description="measure Merismos")
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []])
    parser.add_argument("--json", action="store_true", help="print rows as JSON")
    options = parser.parse_args()
    raise_file_limit()
    load_before = os.getloadavg()[0]
    head = ["| row | measured | floor | ratio | reach | note |", "|---|---|---|---|---|---|"]
    lines: list[str] = []
    for name in options.sections or SECTIONS:
        for row in SECTIONS[name]():
            sys.stdout.write((json.dumps(row._asdict()) if options.json else row.line()) + "\n")
            sys.stdout.flush()
            lines.append(row.line())
    if not options.sections:
        text = f"# Results\n\nConditions: {conditions(load_before)}\n\n" + "\n".join(head + lines) + "\n\n"
        notes = RESULTS.read_text().partition("## Notes")[2] if RESULTS.exists() else "\n"
        RESULTS.write_text(text + "## Notes" + notes)


if __name__ == "__main__":
    main()
