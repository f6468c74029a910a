"""Breaks a whole cluster for a while, lets it calm down, and compares what everybody says of its tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from process.chaos import audit, ensemble, network
from process.chaos.arena import PORT, Arena
from process.chaos.monkey import Monkey

OVERHEAD_S_MAX = 400.0  # to start it all, and to wait for peace


def check_that_all_agree_after(seconds: float, seed: int, folder: Path) -> dict[str, Any]:
    """Fail with what was lost or doubled; return what was broken how often, and how the tasks ended."""
    reason = network.why_not() or ensemble.why_not()
    if reason is not None:
        pytest.skip(reason)
    with Arena(folder, seed) as arena:
        monkey = Monkey(arena, seed)
        arena.pit.run(lambda: False, seconds)
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
        assert not faults, "\n".join([*faults[:20], *monkey.story, arena.said()])
        return {"seconds": seconds, "seed": seed, "broken": dict(monkey.did), "tasks": audit.summary(stories)}
