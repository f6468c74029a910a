"""Operators drain, deactivate and reactivate agents."""

from __future__ import annotations

import pytest

from merismos.core.master import events as happened
from merismos.core.master.state import Config
from merismos.core.master.views.agents import agent_summary_v0, agent_v1
from merismos.protocol import link
from merismos.protocol.v1 import mesos
from unit.master.rig import Json, Rig, framework_info, launch, record_of, running, task, value
from unit.master.test_maintenance import HERE, next_leader, schedule

REASON = "REASON_AGENT_DRAINING"


def drain(agent_id: str, **more: object) -> Json:
    return {"type": "DRAIN_AGENT", "drain_agent": {"agent_id": value(agent_id), **more}}


def deactivate(agent_id: str) -> Json:
    return {"type": "DEACTIVATE_AGENT", "deactivate_agent": {"agent_id": value(agent_id)}}


def reactivate(agent_id: str) -> Json:
    return {"type": "REACTIVATE_AGENT", "reactivate_agent": {"agent_id": value(agent_id)}}


def state_of(rig: Rig, agent_id: str) -> str:
    info = agent_v1(rig.master, rig.master.agents[agent_id]).drain_info
    return "" if info is None else str(info.state)


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (drain("zz"), "Unknown agent"),
        (deactivate("zz"), "Unknown agent"),
        (reactivate("zz"), "Agent is not deactivated"),
    ],
)
def test_agents_that_nobody_knows_are_refused_as_recorded(call: Json, answer: str) -> None:
    rig = Rig()
    assert rig.operate(call) == (400, answer)
    assert rig.registry == {}


def test_a_deactivated_agent_is_offered_nothing_of_until_it_is_reactivated_and_its_task_goes_on() -> None:
    rig = Rig()
    framework, agent = running(rig)
    assert rig.operate(deactivate(agent.id)) == (200, "")
    rig.advance(5)
    assert framework.offers() == []
    shown = agent_v1(rig.master, rig.master.agents[agent.id])
    assert (shown.active, shown.deactivated, shown.drain_info) == (False, True, None)
    assert agent.of(link.KillTask) == []
    assert rig.operate(reactivate(agent.id)) == (200, "")
    rig.advance(1)
    assert len(framework.offers()) == 1
    shown = agent_v1(rig.master, rig.master.agents[agent.id])
    assert (shown.active, shown.deactivated) == (True, False)
    assert rig.operate(reactivate(agent.id)) == (400, "Agent is not deactivated")


def test_an_agent_that_is_back_hears_of_its_drain_anew_and_an_older_one_never() -> None:
    for capabilities, told in ((["AGENT_DRAINING"], 1), ([], 0)):
        rig = Rig()
        framework, agent = running(rig)
        rig.operate(drain(agent.id))
        agent.close()
        back = rig.reregister(agent.id, capabilities=capabilities, tasks=[record_of(framework.id, "t-1", agent.id)])
        assert len(back.of(link.DrainAgent)) == told
        assert [kill.task_id for kill in back.of(link.KillTask)], "it is drained all the same"


def test_draining_kills_what_runs_and_is_over_once_the_last_update_is_acknowledged() -> None:
    rig = Rig()
    framework, agent = running(rig)
    assert rig.operate(drain(agent.id)) == (200, "")
    assert agent.of(link.KillTask) == [link.KillTask(framework.id, "t-1", None, REASON)]
    assert state_of(rig, agent.id) == "DRAINING"
    (told,) = agent.of(link.DrainAgent)
    shown = agent_v1(rig.master, rig.master.agents[agent.id])
    assert shown.estimated_drain_start_time == mesos.TimeInfo(nanoseconds=told.started_ns)
    assert told.started_ns % 1_000_000_000 == 0, "whole seconds, as recorded"
    assert rig.operate(reactivate(agent.id)) == (400, "Agent is still in the DRAINING state")
    agent.update(framework.id, "t-1", "TASK_KILLED")
    rig.advance(1)
    assert state_of(rig, agent.id) == "DRAINING"
    framework.acknowledge(framework.statuses()[-1])
    rig.advance(0.01)
    assert state_of(rig, agent.id) == "DRAINED"
    assert agent.of(link.DrainAgent)[1:] == [link.DrainAgent()], "the agent hears that it is over"
    assert framework.offers() == []
    assert rig.operate(reactivate(agent.id)) == (200, "")
    rig.advance(1)
    assert len(framework.offers()) == 1
    assert not any(table == "drains" for table, _ in rig.registry)


def test_an_agent_without_tasks_is_drained_at_once() -> None:
    rig = Rig()
    agent = rig.agent()
    rig.operate(drain(agent.id, max_grace_period={"seconds": 3}))
    assert state_of(rig, agent.id) == "DRAINED"
    fields = agent_summary_v0(rig.master, rig.master.agents[agent.id])
    config = mesos.DrainConfig(max_grace_period=mesos.DurationInfo(nanoseconds=3_000_000_000), mark_gone=False)
    assert fields["drain_info"] == mesos.DrainInfo(state=mesos.DrainState.DRAINED, config=config)
    assert fields["estimated_drain_start_time_seconds"] == pytest.approx(rig.wall())
    assert (fields["active"], fields["deactivated"]) == (False, True)


@pytest.mark.parametrize(
    ("own_s", "greatest", "grace_s"),
    [(None, None, None), (None, 4, 4.0), (9, 4, 4.0), (2, 4, None), (9, None, None), (None, -4, 0.0)],
)
def test_tasks_are_killed_within_the_greatest_grace(
    own_s: int | None, greatest: int | None, grace_s: float | None
) -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    (offer,) = framework.offers()
    policy = {} if own_s is None else {"kill_policy": {"grace_period": {"nanoseconds": own_s * 1_000_000_000}}}
    framework.accept([offer], launch(task("t-1", offer, **policy)))
    more = {} if greatest is None else {"max_grace_period": {"seconds": greatest}}
    rig.operate(drain(agent.id, **more))
    assert agent.of(link.KillTask) == [link.KillTask(framework.id, "t-1", grace_s, REASON)]


def test_an_agent_that_shall_be_gone_is_marked_so_when_its_tasks_are_over_and_those_who_know_it_hear_that() -> None:
    rig = Rig()
    agent = rig.agent()
    aware = rig.subscribe()
    aware.launch("t-1", need="cpus:1;mem:32")
    rig.advance(1)
    old = rig.subscribe(framework_info("old", capabilities=["MULTI_ROLE"]))
    aware.call("SUPPRESS")
    for offer in aware.offers():
        aware.call("DECLINE", decline={"offer_ids": [offer["id"]]})
    rig.advance(2)
    old.launch("t-2", need="cpus:1;mem:32")
    rig.operate(drain(agent.id, mark_gone=True))
    assert [(kill.task_id, kill.state) for kill in agent.of(link.KillTask)] == [
        ("t-1", "TASK_GONE_BY_OPERATOR"),
        ("t-2", ""),
    ]
    agent.update(aware.id, "t-1", "TASK_GONE_BY_OPERATOR", uuid=b"1" * 16)
    agent.update(old.id, "t-2", "TASK_KILLED", uuid=b"2" * 16)
    aware.acknowledge(aware.statuses()[-1])
    rig.advance(0.1)
    assert agent.id in rig.master.agents
    old.acknowledge(old.statuses()[-1])
    rig.advance(0.1)
    assert agent.of(link.ShutdownAgent)
    assert list(rig.master.gone_agents) == [agent.id]
    assert [table for table, _ in rig.registry] == ["gone"]
    assert not rig.master.drains


def test_offers_and_inverse_offers_of_a_deactivated_agent_are_rescinded() -> None:
    rig = Rig()
    framework, agent = running(rig)
    rig.advance(1)
    (offer,) = framework.offers()
    rig.operate(schedule(HERE))
    rig.advance(1)
    rig.operate(deactivate(agent.id))
    assert offer["id"] in [event["rescind"]["offer_id"] for event in framework.of("RESCIND")]
    assert framework.of("RESCIND_INVERSE_OFFER")
    assert not rig.master.inverse_offers
    rig.advance(5)
    assert not rig.master.inverse_offers


def test_an_agent_of_a_scheduled_machine_is_not_drained() -> None:
    rig = Rig()
    agent = rig.agent()
    rig.operate(schedule(HERE))
    text = f"Agent {agent.id} is part of a maintenance schedule under Machine localhost (127.0.0.1)"
    assert rig.operate(drain(agent.id)) == (400, text)


def test_a_drain_survives_the_agents_link_and_the_leader() -> None:
    rig = Rig()
    framework, agent = running(rig)
    rig.operate(drain(agent.id, max_grace_period={"seconds": 4}))
    rig.handle(happened.LinkClosed(agent.link))
    again = rig.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id)])
    kill = link.KillTask(framework.id, "t-1", 4.0, REASON)
    assert kill in again.of(link.KillTask)
    leader = next_leader(rig)
    info = framework.record.info_json
    back = leader.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id)], frameworks=[info])
    assert back.of(link.KillTask) == [kill]
    assert state_of(leader, agent.id) == "DRAINING"
    leader.subscribe(framework_info(id=value(framework.id)))
    leader.advance(5)
    assert not leader.master.offers


def test_an_agent_that_is_away_is_drained_when_it_comes_back() -> None:
    config = Config()
    rig = Rig(config)
    framework, agent = running(rig)
    agent.is_silent = True
    rig.advance(100)
    assert agent.id in rig.master.unreachable_agents
    assert rig.operate(drain(agent.id)) == (200, "")
    assert rig.operate(reactivate(agent.id)) == (400, "Agent is still in the DRAINING state")
    again = rig.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id)])
    assert [kill.task_id for kill in again.of(link.KillTask)] == ["t-1"]
    other = next_leader(rig)
    assert other.operate(deactivate(agent.id)) == (200, "")
    assert other.master.drains[agent.id].is_draining()


def test_what_was_said_of_an_agent_goes_with_it() -> None:
    for end in ({"type": "MARK_AGENT_GONE", "mark_agent_gone": {}}, None):
        rig = Rig()
        agent = rig.agent()
        rig.operate(deactivate(agent.id))
        assert ("drains", agent.id) in rig.registry
        if end is None:
            agent.send(link.UnregisterAgent())
        else:
            rig.operate(end | {"mark_agent_gone": {"agent_id": value(agent.id)}})
        assert ("drains", agent.id) not in rig.registry
        assert not rig.master.drains


def test_a_drain_that_is_written_after_its_agent_left_is_taken_back() -> None:
    rig = Rig()
    agent = rig.agent()
    rig.held_writes = []
    agent.send(link.UnregisterAgent())
    request = rig.operate_only(deactivate(agent.id))
    first, second = rig.held_writes
    rig.held_writes = None
    rig.handle(happened.RegistryStored(first))
    rig.handle(happened.RegistryStored(second))
    assert rig.answers[request] == (200, "")
    assert rig.registry == {}
    assert not rig.master.drains


def test_a_schedulers_kill_of_a_task_that_is_drained_keeps_the_reason() -> None:
    rig = Rig()
    framework, agent = running(rig)
    rig.operate(drain(agent.id))
    framework.call("KILL", kill={"task_id": value("t-1")})
    assert agent.of(link.KillTask)[-1] == link.KillTask(framework.id, "t-1", None, REASON)


def test_reactivating_an_agent_that_is_away_answers_that_it_was_removed() -> None:
    rig = Rig()
    _, agent = running(rig)
    rig.operate(deactivate(agent.id))
    agent.is_silent = True
    rig.advance(100)
    assert rig.operate(reactivate(agent.id)) == (409, "Agent removed while processing the call")
    assert not rig.master.drains


def test_an_agent_that_leaves_while_its_drain_is_written_leaves_nothing_behind() -> None:
    rig = Rig()
    agent = rig.agent()
    rig.held_writes = []
    rig.operate_only(deactivate(agent.id))
    agent.send(link.UnregisterAgent())
    first, second = rig.held_writes
    rig.held_writes = None
    rig.handle(happened.RegistryStored(first))
    rig.handle(happened.RegistryStored(second))
    assert rig.registry == {}
    assert not rig.master.drains
