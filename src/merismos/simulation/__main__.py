"""Run seeds: print the hash of each transcript, or what went wrong and the one command that shows it again."""

from __future__ import annotations

import argparse
import sys

from merismos.simulation.checkers import Violation
from merismos.simulation.world import Settings, World


def main(arguments: list[str]) -> int:
    """Run the seeds that the arguments name; return 1 at the first that fails."""
    parser = argparse.ArgumentParser(prog="python -m merismos.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, one after the other")
    parser.add_argument("--events", type=int, default=5000, help="events of each seed before it heals")
    parser.add_argument("--agents", type=int, default=4)
    parser.add_argument("--frameworks", type=int, default=4)
    parser.add_argument("--sweep-every", type=int, default=20, help="events between two full sweeps")
    given = parser.parse_args(arguments)
    settings = Settings(hosts=given.agents, schedulers=given.frameworks, sweep_every=given.sweep_every)
    for seed in range(given.seed, given.seed + given.seeds):
        world = World(seed, settings)
        try:
            world.run(given.events)
            world.heal()
            world.drain()
        except Violation as violation:
            again = (
                f"python -m merismos.simulation --seed {seed} --events {given.events} --agents {given.agents}"
                f" --frameworks {given.frameworks} --sweep-every {given.sweep_every}"
            )
            lines = [*world.history, f"seed {seed}, step {world.steps}: {violation}", f"again: {again}"]
            sys.stdout.write("\n".join(lines) + "\n")
            return 1
        sys.stdout.write(f"{seed} {world.steps} {world.transcript_hash()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
