"""What a task costs the core, counted in calls of its functions: a clock would tell of the machine, this tells of the code.

A bound is what was counted when it was written and a fifth more. Who goes past one has added work to every task: find out where,
and only then write down the new count.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from unit.master.rig import Peer, Rig, Scheduler, launch, task

CORE = "/merismos/core/"
TASKS = 10
LAUNCH_MAX = 66
UPDATE_MAX = 8
ACKNOWLEDGE_MAX = 4


def calls_of(work: Callable[[], object]) -> int:
    """Return how many functions of the core are called."""
    counted = 0

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event == "call" and CORE in frame.f_code.co_filename

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return counted


def crowd(agents: int, frameworks: int) -> tuple[Scheduler, list[Peer]]:
    rig = Rig()
    peers = [rig.agent(pid=f"slave(1)@10.0.{number // 250}.{number % 250}:5051") for number in range(agents)]
    first = rig.subscribe()
    for _ in range(frameworks - 1):
        rig.subscribe()
    return first, peers


def costs(agents: int, frameworks: int) -> tuple[int, int, int]:
    """Return the calls of a launch of ten tasks, of one update and of its acknowledgement."""
    framework, peers = crowd(agents, frameworks)
    offer = framework.offers()[0]
    peer = next(one for one in peers if one.id == offer["agent_id"]["value"])
    tasks = launch(*(task(f"t-{number}", offer) for number in range(TASKS)))
    launching = calls_of(lambda: framework.accept([offer], tasks, refuse_s=5.0))
    updating = calls_of(lambda: peer.update(framework.id, "t-0", "TASK_RUNNING"))
    acknowledging = calls_of(lambda: framework.acknowledge(framework.statuses()[-1]))
    assert framework.states("t-0") == ["TASK_RUNNING"]
    return launching, updating, acknowledging


def test_a_task_costs_no_more_calls_than_it_did() -> None:
    launching, updating, acknowledging = costs(5, 1)
    assert 0 < launching <= LAUNCH_MAX
    assert 0 < updating <= UPDATE_MAX
    assert 0 < acknowledging <= ACKNOWLEDGE_MAX


@pytest.mark.parametrize(("agents", "frameworks"), [(300, 1), (5, 60)])
def test_a_task_costs_the_same_in_a_small_cluster_and_in_a_big_one(agents: int, frameworks: int) -> None:
    small, big = costs(5, 1), costs(agents, frameworks)
    assert [one <= other * 1.2 + 5 for one, other in zip(big, small, strict=True)] == [True] * 3, (small, big)
