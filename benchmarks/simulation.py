"""The simulation's speed: virtual seconds of a 50-agent cluster a real second, and a cluster of 10,000 agents and 1,000,000 tasks.

`python -m benchmarks.simulation` prints both; `--small` only the first.
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import time

from merismos.simulation.steady import SteadyFramework
from merismos.simulation.world import Settings, World

WINDOW_S = 100.0
WINDOWS = 10
LIFE_S = 30.0
BIG_HOSTS = 10_000
BIG_TASKS = 1_000_000
BIG_TASKS_EACH = 100


def virtual_seconds_a_second() -> list[float]:
    """Run 50 agents with one launch a virtual second, pings on, a sweep every 1,000 events; return virtual seconds a CPU second.

    Shapes: one figure a window, the best first: other work on the machine only ever makes it less.
    """
    world = World(1, Settings(hosts=50, schedulers=0, sweep_every=1000, life_s=LIFE_S, calm=True))
    framework = SteadyFramework(world)
    world.advance(WINDOW_S)
    figures = []
    for _ in range(WINDOWS):
        began_at = time.process_time()
        world.advance(WINDOW_S)
        figures.append(WINDOW_S / (time.process_time() - began_at))
    if framework.states.get("TASK_FINISHED", 0) < WINDOWS * WINDOW_S * 0.95:
        raise SystemExit(f"only {framework.states} of {WINDOWS * WINDOW_S:g} launches came home")
    return sorted(figures, reverse=True)


def big_cluster(hosts: int = BIG_HOSTS, tasks: int = BIG_TASKS) -> dict[str, float]:
    """Let every task run on the cluster at once, then finish; return seconds and GiB."""
    began_at = time.monotonic()
    launches = tasks // BIG_TASKS_EACH
    world = World(1, Settings(hosts=hosts, schedulers=0, sweep_every=sys.maxsize, life_s=600.0, calm=True))
    framework = SteadyFramework(
        world, launches_s=max(1, launches // 100), tasks_each=BIG_TASKS_EACH, launches_max=launches
    )
    gc.freeze()
    gc.disable()
    while framework.states.get("TASK_FINISHED", 0) < tasks:
        world.advance(60.0)
        world.sweeps.sweep()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
        passed_s = time.monotonic() - began_at
        sys.stderr.write(
            f"{world.agenda.now - 1000:.0f} virtual s: {framework.states}, {passed_s:.0f} s, {peak:.1f} GiB\n"
        )
    world.sweeps.check_nothing_was_lost()
    gc.enable()
    return {"seconds": time.monotonic() - began_at, "gib": peak, "virtual_s": world.agenda.now - 1000.0}


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="only the 50-agent cluster")
    parser.add_argument("--hosts", type=int, default=BIG_HOSTS)
    parser.add_argument("--tasks", type=int, default=BIG_TASKS)
    given = parser.parse_args()
    figures = virtual_seconds_a_second()
    median = figures[len(figures) // 2]
    sys.stdout.write(f"50 agents: {figures[0]:.0f} virtual s a second and core (median {median:.0f})\n")
    if not given.small:
        big = big_cluster(given.hosts, given.tasks)
        sys.stdout.write(f"{given.hosts} agents, {given.tasks} tasks: {big}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
