"""A framework uses the id of a task whose agent a new leader hasn't seen yet: which of the two it means, and what becomes of the other."""

from __future__ import annotations

import msgspec

from merismos.core.master import effects as do
from merismos.model.resources import Resources, sum_of
from merismos.protocol import link
from unit.master.rig import Peer, Rig, Scheduler, agent_info, framework_info, launch, record_of, task, value

OLD = "old-S0"
PID = "slave(1)@127.0.0.1:6000"
FIRST, LAST = b"1" * 16, b"2" * 16


def bring_back(rig: Rig, state: str = "TASK_RUNNING", framework_id: str = "old-0001") -> Peer:
    info = msgspec.json.encode(framework_info(id=value(framework_id), failover_timeout=60.0))
    peer = rig.reregister(OLD, pid=PID, tasks=[record_of(framework_id, "t", OLD, state)], frameworks=[info])
    peer.id = OLD
    return peer


def with_two(state: str = "TASK_RUNNING") -> tuple[Rig, Scheduler, Peer, Peer]:
    """A leader under which `t` runs on another agent when the old one comes back with its own `t`."""
    rig = Rig(registry=[("agents", OLD, agent_info())])
    framework = rig.subscribe(framework_info(id=value("old-0001"), failover_timeout=60.0))
    other = rig.agent()
    rig.advance(1)
    framework.launch("t")
    other.update(framework.id, "t", "TASK_RUNNING")
    framework.acknowledge(framework.statuses()[-1])
    return rig, framework, other, bring_back(rig, state)


def in_use(rig: Rig) -> Resources:
    """Return what is charged on the old agent, offers apart."""
    agent = rig.master.agents[OLD]
    free = rig.master.allocator._cluster.agents[OLD].free
    return agent.total - free - sum_of(offer.resources for offer in agent.offers.values())


def test_the_task_of_an_agent_that_comes_back_too_late_is_killed_and_stays_charged_until_its_end() -> None:
    rig, framework, other, old = with_two()
    rig.advance(0)
    assert old.of(link.KillTask) == [link.KillTask("old-0001", "t")]
    assert framework.record.tasks["t"].agent.id == other.id, "the framework means the later one"
    stray = old.record.strays["old-0001", "t"]
    assert stray.state == "TASK_RUNNING"
    before = len(framework.statuses())
    old.update("old-0001", "t", "TASK_KILLING", uuid=FIRST)
    old.update("old-0001", "t", "TASK_KILLED", uuid=LAST)
    assert len(framework.statuses()) == before, "that would be taken for the other's end"
    assert [one.uuid for one in old.of(link.AcknowledgeStatus)] == [FIRST, LAST]
    assert old.record.strays == {}
    assert framework.record.tasks["t"].state == "TASK_RUNNING"


def test_what_a_stray_uses_is_free_again_when_it_has_ended_and_not_before() -> None:
    rig, _, _, old = with_two()
    stray = old.record.strays["old-0001", "t"]
    assert in_use(rig) == stray.resources
    old.update("old-0001", "t", "TASK_RUNNING", latest="TASK_KILLED", uuid=FIRST)
    assert not in_use(rig), "it is over, though its updates queue up"
    old.update("old-0001", "t", "TASK_KILLED", uuid=LAST)
    assert not in_use(rig)


def test_a_stray_that_has_ended_is_acknowledged_and_never_charged() -> None:
    rig, framework, _, old = with_two("TASK_FINISHED")
    before = len(framework.statuses())
    old.update("old-0001", "t", "TASK_FINISHED", uuid=LAST)
    assert not in_use(rig)
    assert [one.uuid for one in old.of(link.AcknowledgeStatus)] == [LAST]
    assert len(framework.statuses()) == before
    assert rig.master.agents[OLD].strays == {}


def test_the_end_of_the_other_task_is_told_though_a_stray_has_its_id() -> None:
    rig, framework, other, old = with_two()
    other.update(framework.id, "t", "TASK_FINISHED", uuid=LAST)
    framework.acknowledge(framework.statuses()[-1])
    assert framework.states("t")[-1] == "TASK_FINISHED"
    assert "t" not in framework.record.tasks
    assert list(old.record.strays) == [("old-0001", "t")]
    rig.advance(0)
    mine = [offer for offer in framework.offers() if offer["agent_id"] == value(OLD)]
    if mine:
        framework.accept(mine[-1:], launch(task("t", mine[-1])))
        assert framework.states("t")[-1] == "TASK_ERROR", "on this agent the id is still taken"


def test_a_link_that_breaks_changes_nothing_but_the_kill_is_sent_again() -> None:
    rig, _, _, old = with_two()
    before = in_use(rig)
    old.close()
    again = bring_back(rig)
    assert in_use(rig) == before, "it is charged once"
    assert again.of(link.KillTask) == [link.KillTask("old-0001", "t")]
    assert list(again.record.strays) == [("old-0001", "t")]
    again.close()
    rig.reregister(OLD, pid=PID)
    assert rig.master.agents[OLD].strays == {}, "the agent has forgotten it"
    assert not in_use(rig)


def test_a_framework_that_is_torn_down_takes_its_strays_along() -> None:
    rig, framework, _, old = with_two()
    framework.call("TEARDOWN")
    assert old.of(link.ShutdownFramework)
    assert old.record.strays == {}
    assert not in_use(rig)


def test_an_agent_that_leaves_takes_its_strays_along() -> None:
    rig, framework, _, old = with_two()
    before = len(framework.statuses())
    old.send(link.UnregisterAgent())
    assert OLD not in rig.master.agents
    assert len(framework.statuses()) == before
    assert not [one for one in rig.exits if isinstance(one, do.Exit)]
