"""Run seeds: print the hash of each transcript, or what went wrong and the one command that shows it again.

`merismos-sim replay FILE` replays what a real master or agent recorded instead.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from contextlib import ExitStack
from itertools import zip_longest
from typing import IO

from merismos.simulation import replay
from merismos.simulation.checkers import Violation
from merismos.simulation.marks import NAMES, Marks
from merismos.simulation.world import Settings, World

HASH_SEEDS = ("1", "2")
SHAPE = ("events", "agents", "frameworks", "sweep_every")


def parser_of() -> argparse.ArgumentParser:
    """Return what the command understands."""
    parser = argparse.ArgumentParser(prog="merismos-sim", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, one after the other")
    parser.add_argument("--events", type=int, default=5000, help="events of each seed before it heals")
    parser.add_argument("--agents", type=int, default=4)
    parser.add_argument("--frameworks", type=int, default=4)
    parser.add_argument("--sweep-every", type=int, default=50, help="events between two full sweeps")
    parser.add_argument("--unruly", action="store_true", help="links deliver some frames twice or out of order")
    parser.add_argument("--transcript", action="store_true", help="print all that happens, a line an event")
    parser.add_argument("--marks", action="store_true", help="say at the end which rare situations came about")
    parser.add_argument(
        "--twice",
        action="store_true",
        help="run all seeds in two processes of different PYTHONHASHSEED, and compare their transcripts",
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the seeds that the arguments name; return 1 at the first that fails."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["replay"]:
        return replay.main(arguments[1:])
    given = parser_of().parse_args(arguments)
    if given.twice:
        return _twice([one for one in arguments if one != "--twice"])
    marks = Marks()
    settings = Settings(
        hosts=given.agents, schedulers=given.frameworks, sweep_every=given.sweep_every, unruly=given.unruly
    )
    for seed in range(given.seed, given.seed + given.seeds):
        if not _run(seed, settings, given, marks):
            return 1
    if given.marks:
        for name in NAMES:
            sys.stdout.write(f"{marks.reached.get(name, 0)} times: {name}\n")
    return 0


def _run(seed: int, settings: Settings, given: argparse.Namespace, marks: Marks) -> bool:
    world = World(seed, settings)
    world.marks = marks if given.marks else None
    if given.transcript:
        world.print_transcript()
    try:
        world.run(given.events)
        world.heal()
        world.drain()
    except Violation as violation:
        shape = " ".join(f"--{name.replace('_', '-')} {getattr(given, name)}" for name in SHAPE)
        shape += " --unruly" if given.unruly else ""
        lines = [] if given.transcript else world.story()
        lines += [f"seed {seed}, step {world.steps}: {violation}", f"again: merismos-sim --seed {seed} {shape}"]
        sys.stdout.write("\n".join(lines) + "\n")
        return False
    sys.stdout.write(f"{seed} {world.steps} {world.transcript_hash()}\n")
    sys.stdout.flush()
    return True


def _twice(arguments: list[str]) -> int:
    """Run the same seeds in two processes at once; every line has to be the same."""
    with ExitStack() as running:
        children = [
            running.enter_context(
                subprocess.Popen(  # noqa: S603 - this program itself
                    [sys.executable, "-m", "merismos.simulation", *arguments],
                    stdout=subprocess.PIPE,
                    text=True,
                    env={**os.environ, "PYTHONHASHSEED": hash_seed},
                )
            )
            for hash_seed in HASH_SEEDS
        ]
        outputs: list[IO[str]] = [child.stdout for child in children if child.stdout is not None]
        for first, second in zip_longest(*outputs):
            sys.stdout.write(first or "")
            if first != second:
                sys.stdout.write(f"the same seed under another PYTHONHASHSEED says: {second or 'nothing'}\n")
                for child in children:
                    child.terminate()
                return 1
        return max(child.wait() for child in children)


if __name__ == "__main__":
    sys.exit(main())
