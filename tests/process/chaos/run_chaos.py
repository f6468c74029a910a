"""A real cluster under kill -9, SIGSTOP, cut links and dying ZooKeepers: afterwards the ledger and the cluster agree.

Run by `make chaos`, not by `make test`; `CHAOS_S` is for how long things break, `CHAOS_SEED` which.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from process.chaos import audit, ensemble, network
from process.chaos.arena import PORT, Arena
from process.chaos.monkey import Monkey

CHAOS_S = float(os.environ.get("CHAOS_S", "600"))
SEED = int(os.environ.get("CHAOS_SEED", "7"))

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(CHAOS_S + 400)]


def test_nothing_is_lost_or_run_twice_whatever_is_killed_stopped_or_cut_off(tmp_path: Path) -> None:
    reason = network.why_not() or ensemble.why_not()
    if reason is not None:
        pytest.skip(reason)
    with Arena(tmp_path, SEED) as arena:
        monkey = Monkey(arena, SEED)
        arena.pit.run(lambda: False, CHAOS_S)
        monkey.rest()
        arena.calm_down()
        leader = arena.leader()
        assert leader is not None, arena.said()
        stories = audit.stories_of(arena.ledger)
        known = arena.ask(leader, PORT, "/tasks?limit=100000")["tasks"]
        faults = [fault for story in stories.values() for fault in story.faults()]
        faults += audit.faults_of_cluster(known, stories)
        busy = [
            agent for agent in arena.active_agents() if any(agent["used_resources"][kind] for kind in ("cpus", "mem"))
        ]
        faults += [f"{agent['hostname']} still has {agent['used_resources']} in use" for agent in busy]
        report = {"seconds": CHAOS_S, "seed": SEED, "broken": dict(monkey.did), "tasks": audit.summary(stories)}
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
        assert not faults, "\n".join([*faults[:20], *monkey.story, arena.said()])
        assert stories, "nothing was ever launched"
