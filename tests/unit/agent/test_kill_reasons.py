"""A kill may say what is told of the task that it ends."""

from __future__ import annotations

import pytest

from merismos.core.agent import events
from merismos.protocol import link
from unit.agent.rig import FRAMEWORK, Rig, framework_info, task

DRAINING = "REASON_AGENT_DRAINING"
GONE = "TASK_GONE_BY_OPERATOR"


def kill(reason: str = DRAINING, state: str = "") -> link.KillTask:
    return link.KillTask(FRAMEWORK, "t", 3.0, reason, state)


def told(rig: Rig) -> list[tuple[str, str | None]]:
    """The states and reasons of the updates, each acknowledged as it came, from TASK_RUNNING on."""
    rig.acknowledge_all()
    found = [(str(one["state"]), one.get("reason")) for one in rig.updates()]
    return found[found.index(("TASK_RUNNING", None)) + 1 :]


@pytest.mark.parametrize(("state", "last"), [("", "TASK_KILLED"), (GONE, GONE)])
def test_a_kill_that_says_why_is_told_so(state: str, last: str) -> None:
    rig = Rig.registered()
    rig.run(task("t"), framework=framework_info("TASK_KILLING_STATE"))
    rig.launched("t")
    rig.receive(kill(state=state))
    rig.exited("t", 15)
    assert told(rig) == [("TASK_KILLING", DRAINING), (last, DRAINING)]


def test_a_drain_that_follows_a_kill_says_why_and_a_kill_that_follows_a_drain_takes_nothing_back() -> None:
    for kills in ((kill(reason=""), kill()), (kill(), kill(reason=""))):
        rig = Rig.registered()
        rig.run(task("t"))
        rig.launched("t")
        for one in kills:
            rig.receive(one)
        rig.exited("t", 15)
        assert told(rig) == [("TASK_KILLED", DRAINING)]


def test_a_task_that_ends_by_itself_while_it_is_drained_failed_or_finished_is_still_killed() -> None:
    rig = Rig.registered()
    rig.run(task("t"))
    rig.launched("t")
    rig.receive(kill())
    rig.exited("t", 0)
    assert told(rig) == [("TASK_KILLED", DRAINING)]


def test_what_a_kill_said_survives_the_agent() -> None:
    before = Rig.registered()
    before.run(task("t"))
    before.launched("t")
    before.receive(kill(state=GONE))
    held = events.HeldContainer(before.container("t"), 4711)
    rig = Rig.after(before, held)
    rig.exited("t", 9)
    rig.acknowledge_all()
    last = rig.updates()[-1]
    assert (last["state"], last["reason"]) == (GONE, DRAINING)


def test_a_task_that_is_still_fetched_for_is_drained_too() -> None:
    rig = Rig.registered()
    uris = [{"value": "http://somewhere/file"}]
    rig.run(task("t", command={"value": "true", "uris": uris}))
    rig.receive(kill(state=GONE))
    rig.acknowledge_all()
    last = rig.updates()[-1]
    assert (last["state"], last["reason"]) == (GONE, DRAINING)
