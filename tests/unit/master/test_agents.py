from __future__ import annotations

import msgspec

from merismos.core.kernel import TimerFired
from merismos.core.master import events as happened
from merismos.protocol import link
from unit.master.rig import (
    MASTER_ID,
    Rig,
    agent_info,
    framework_info,
    record_of,
    resources,
    running,
    value,
)


def silence(rig: Rig, seconds: float = 95.0) -> None:
    for peer in rig.peers.values():
        peer.is_silent = True
    rig.advance(seconds)


def test_an_agent_is_admitted_once_the_registry_has_it() -> None:
    rig = Rig()
    rig.held_writes = []
    agent = rig.agent()
    assert rig.master.agents == {}
    assert agent.messages == []
    (sequence,) = rig.held_writes
    rig.handle(happened.RegistryStored(sequence))
    assert agent.of(link.AgentRegistered) == [link.AgentRegistered(f"{MASTER_ID}-S0", 15.0, 5)]
    stored = msgspec.json.decode(rig.registry["agents", agent.id])
    assert stored["id"] == value(agent.id)


def test_a_registration_that_is_sent_twice_gives_one_agent() -> None:
    rig = Rig()
    rig.held_writes = []
    agent = rig.agent()
    agent.send(link.RegisterAgent(agent_info(), "1.12.0", "slave(1)@127.0.0.1:5051"))
    assert len(rig.held_writes) == 1


def test_an_agent_that_left_before_it_was_admitted_is_forgotten() -> None:
    rig = Rig()
    rig.held_writes = []
    agent = rig.agent()
    agent.close()
    (sequence,) = rig.held_writes
    rig.held_writes = None
    rig.handle(happened.RegistryStored(sequence))
    assert rig.master.agents == {}
    assert rig.registry == {}


def test_an_agent_with_impossible_resources_is_turned_away() -> None:
    rig = Rig()
    peer = rig.connect()
    peer.send(link.RegisterAgent(agent_info("cpus:-1"), "1.12.0", "slave(1)@h:1"))
    (refusal,) = peer.of(link.RefuseAgent)
    assert refusal.shutdown
    assert "cpus:-1" in refusal.reason
    assert not peer.is_open


def test_an_agent_whose_info_does_not_decode_is_turned_away() -> None:
    rig = Rig()
    peer = rig.connect()
    peer.send(link.RegisterAgent(b"{", "1.12.0", "slave(1)@h:1"))
    assert peer.of(link.RefuseAgent)
    assert rig.master.agents == {}


def test_pings_follow_every_fifteen_seconds() -> None:
    rig = Rig()
    agent = rig.agent()
    rig.advance(46)
    assert agent.of(link.Ping) == [link.Ping(1), link.Ping(2), link.Ping(3)]


def test_five_unanswered_pings_make_an_agent_unreachable() -> None:
    rig = Rig()
    framework, agent = running(rig)
    rig.subscribe(framework_info(capabilities=(), role="other"))
    agent.is_silent = True
    rig.advance(89)
    assert framework.states("t-1") == ["TASK_RUNNING"]
    rig.advance(2)
    status = framework.statuses()[-1]
    assert status["state"] == "TASK_UNREACHABLE"
    assert status["message"] == "health check timed out"
    assert status["reason"] == "REASON_AGENT_REMOVED"
    assert status["source"] == "SOURCE_MASTER"
    assert status["unreachable_time"]["nanoseconds"] > 0
    assert framework.of("FAILURE") == [{"type": "FAILURE", "failure": {"agent_id": value(agent.id)}}]
    assert list(rig.master.agents) == []
    assert list(rig.master.unreachable_agents) == [agent.id]
    assert list(framework.record.unreachable_tasks) == ["t-1"]
    assert ("unreachable", agent.id) in rig.registry
    assert ("agents", agent.id) not in rig.registry
    assert not agent.is_open


def test_without_partition_awareness_unreachable_reads_lost() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe(framework_info(capabilities=(), role="golden"))
    framework.launch("u-2")
    agent.update(framework.id, "u-2", "TASK_RUNNING")
    rig.advance(2)
    assert framework.offers()
    silence(rig)
    assert framework.states("u-2")[-1] == "TASK_LOST"
    assert framework.of("RESCIND")
    assert framework.of("FAILURE")


def test_an_agent_whose_link_stays_down_becomes_unreachable() -> None:
    rig = Rig()
    framework, agent = running(rig)
    agent.close()
    rig.advance(74)
    assert framework.states("t-1") == ["TASK_RUNNING"]
    rig.advance(2)
    assert framework.states("t-1") == ["TASK_RUNNING", "TASK_UNREACHABLE"]


def test_a_task_runs_again_when_its_agent_returns() -> None:
    rig = Rig()
    framework, agent = running(rig)
    silence(rig)
    again = rig.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id)])
    status = framework.statuses()[-1]
    assert status["state"] == "TASK_RUNNING"
    assert status["message"] == "Unreachable agent re-reregistered"
    assert status["reason"] == "REASON_AGENT_REREGISTERED"
    assert again.id == agent.id
    assert list(framework.record.tasks) == ["t-1"]
    assert framework.record.unreachable_tasks == {}
    assert rig.master.unreachable_agents == {}
    assert list(rig.registry) == [("agents", agent.id)]
    rig.advance(2)
    assert [offer["quantities"] for offer in framework.offers()] == [{"cpus": 3900, "mem": 2016_000}]


def test_a_task_that_its_returning_agent_does_not_know_is_gone() -> None:
    rig = Rig()
    framework, agent = running(rig)
    silence(rig)
    rig.reregister(agent.id)
    assert framework.states("t-1") == ["TASK_RUNNING", "TASK_UNREACHABLE", "TASK_GONE"]
    assert framework.record.unreachable_tasks == {}


def test_a_framework_that_ended_meanwhile_is_ended_on_the_agent_that_returns() -> None:
    rig = Rig()
    framework, agent = running(rig)
    framework_id = framework.id
    silence(rig)
    framework.call("TEARDOWN")
    again = rig.reregister(agent.id, tasks=[record_of(framework_id, "t-1", agent.id)])
    assert again.of(link.ShutdownFramework) == [link.ShutdownFramework(framework_id)]
    assert again.record.tasks == {}


def test_an_agent_comes_back_over_a_new_link_with_its_tasks() -> None:
    rig = Rig()
    framework, agent = running(rig)
    agent.close()
    rig.advance(10)
    again = rig.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id)])
    assert framework.states("t-1") == ["TASK_RUNNING"]
    assert again.record.link == again.link
    rig.advance(200)
    assert list(rig.master.agents) == [agent.id]
    assert framework.offers()


def test_a_launch_that_was_lost_with_the_link_is_dropped() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    framework.launch("t-1")
    agent.close()
    rig.reregister(agent.id)
    assert framework.states("t-1") == ["TASK_DROPPED"]
    rig.advance(2)
    assert [offer["quantities"] for offer in framework.offers()] == [{"cpus": 4000, "mem": 2048_000}]


def test_a_task_that_ended_while_the_link_was_down_frees_its_resources() -> None:
    rig = Rig()
    framework, agent = running(rig)
    agent.close()
    again = rig.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id, "TASK_FINISHED")])
    rig.advance(2)
    assert [offer["quantities"] for offer in framework.offers()] == [{"cpus": 4000, "mem": 2048_000}]
    again.update(framework.id, "t-1", "TASK_FINISHED")
    assert framework.states("t-1")[-1] == "TASK_FINISHED"


def test_a_second_agent_with_the_same_id_is_turned_away() -> None:
    rig = Rig()
    _, agent = running(rig)
    second = rig.reregister(agent.id, pid="slave(1)@127.0.0.1:9999")
    (refusal,) = second.of(link.RefuseAgent)
    assert not refusal.shutdown
    assert "slave(1)@127.0.0.1:5051" in refusal.reason
    assert not second.is_open
    assert agent.is_open
    assert agent.record.link == agent.link


def test_the_same_agent_over_a_new_link_replaces_a_link_that_is_half_dead() -> None:
    rig = Rig()
    framework, agent = running(rig)
    again = rig.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id)])
    assert not agent.is_open
    assert again.record.link == again.link
    agent.close()
    assert again.record.link == again.link
    agent.update(framework.id, "t-1", "TASK_FAILED")
    assert framework.states("t-1") == ["TASK_RUNNING"], "the old link is deaf"


def test_what_an_agent_said_over_a_link_that_it_has_given_up_changes_nothing() -> None:
    rig = Rig()
    framework, agent = running(rig)
    agent.close()
    slow = rig.connect()  # its first words are still on their way
    again = rig.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id)])
    slow.send(link.ReregisterAgent(agent.id, agent_info("cpus:4;mem:2048"), "1.12.0", "slave(1)@127.0.0.1:5051"))
    assert not slow.is_open
    assert again.record.link == again.link
    assert list(framework.record.tasks) == ["t-1"]
    assert framework.states("t-1") == ["TASK_RUNNING"]


def test_an_agent_that_lost_its_memory_takes_the_place_of_its_predecessor() -> None:
    rig = Rig()
    framework, agent = running(rig)
    agent.close()
    again = rig.agent()
    assert again.id != agent.id
    assert framework.states("t-1") == ["TASK_RUNNING", "TASK_GONE"]
    assert list(rig.master.agents) == [again.id]


def test_an_agent_that_lost_its_memory_is_recognised_before_its_old_link_is_down() -> None:
    rig = Rig()
    framework, agent = running(rig)
    again = rig.agent()
    assert framework.states("t-1") == ["TASK_RUNNING"]
    agent.close()
    assert framework.states("t-1") == ["TASK_RUNNING", "TASK_GONE"]
    assert list(rig.master.agents) == [again.id]
    assert list(rig.master.addresses.values()) == [again.record]


def test_an_agent_that_unregisters_leaves_at_once() -> None:
    rig = Rig()
    framework, agent = running(rig)
    agent.send(link.UnregisterAgent("going down"))
    assert rig.master.agents == {}
    assert framework.states("t-1") == ["TASK_RUNNING", "TASK_GONE"]
    assert rig.registry == {}
    assert rig.master.metrics["master/slave_removals/reason_unregistered"] == 1


def test_an_agent_that_is_marked_gone_is_shut_down_and_never_comes_back() -> None:
    rig = Rig()
    framework, agent = running(rig)
    call = {"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": value(agent.id)}}
    assert rig.operate(call) == (200, "")
    status = framework.statuses()[-1]
    assert status["state"] == "TASK_GONE_BY_OPERATOR"
    assert status["message"] == "Agent has been marked gone"
    assert status["reason"] == "REASON_AGENT_REMOVED_BY_OPERATOR"
    assert framework.of("FAILURE") == [{"type": "FAILURE", "failure": {"agent_id": value(agent.id)}}]
    assert agent.of(link.ShutdownAgent)
    assert list(rig.registry) == [("gone", agent.id)]
    assert rig.operate(call) == (200, "")
    again = rig.reregister(agent.id)
    assert again.of(link.ShutdownAgent)
    assert not again.is_open
    assert rig.master.agents == {}


def test_an_unreachable_agent_can_be_marked_gone() -> None:
    rig = Rig()
    _, agent = running(rig)
    silence(rig)
    call = {"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": value(agent.id)}}
    assert rig.operate(call) == (200, "")
    assert rig.master.unreachable_agents == {}
    assert list(rig.master.gone_agents) == [agent.id]


def test_an_id_that_no_registry_knows_is_admitted_with_its_tasks() -> None:
    rig = Rig()
    info = msgspec.json.encode(framework_info(id=value("old-0001")))
    agent = rig.reregister("old-S7", tasks=[record_of("old-0001", "t-1", "old-S7")], frameworks=[info])
    assert list(rig.master.agents) == ["old-S7"]
    assert agent.of(link.ShutdownAgent) == []
    assert ("agents", "old-S7") in rig.registry
    framework = rig.master.frameworks["old-0001"]
    assert framework.recovered
    assert list(framework.tasks) == ["t-1"]


def test_a_framework_known_from_its_agents_has_its_failover_timeout_to_come_back() -> None:
    rig = Rig()
    info = msgspec.json.encode(framework_info(id=value("old-0001")))
    agent = rig.reregister("old-S7", tasks=[record_of("old-0001", "t-1", "old-S7")], frameworks=[info])
    rig.advance(30)
    framework = rig.subscribe(framework_info(id=value("old-0001")))
    assert not framework.record.recovered
    rig.advance(200)
    assert list(framework.record.tasks) == ["t-1"]
    rig.hang_up(framework)
    rig.advance(61)
    assert agent.of(link.ShutdownFramework) == [link.ShutdownFramework("old-0001")]


def test_executors_come_back_with_their_agent_and_are_charged() -> None:
    rig = Rig()
    info = msgspec.json.encode(framework_info(id=value("old-0001")))
    executor = {"executor_id": value("e"), "command": {"value": "x"}, "resources": resources("cpus:1;mem:64")}
    record = link.ExecutorRecord("old-0001", msgspec.json.encode(executor))
    rig.reregister("old-S7", frameworks=[info], executors=[record])
    framework = rig.subscribe(framework_info(id=value("old-0001")))
    assert [offer["quantities"] for offer in framework.offers()] == [{"cpus": 3000, "mem": 1984_000}]


def test_an_agent_that_comes_back_with_more_is_offered_with_more() -> None:
    rig = Rig()
    framework, agent = running(rig)
    agent.close()
    rig.reregister(agent.id, need="cpus:8;mem:2048", tasks=[record_of(framework.id, "t-1", agent.id)])
    rig.advance(2)
    assert [offer["quantities"] for offer in framework.offers()] == [{"cpus": 7900, "mem": 2016_000}]


def test_a_registry_that_can_not_be_written_stops_the_master() -> None:
    rig = Rig()
    rig.handle(happened.RegistryLost(1, "disk full"))
    (effect,) = rig.exits
    assert effect.code == 75
    assert "disk full" in effect.reason


def test_messages_of_strangers_are_dropped() -> None:
    rig = Rig()
    peer = rig.connect()
    peer.send(link.UpdateStatus("f", "t", "TASK_RUNNING", "TASK_RUNNING", b"", b"{}"))
    peer.send(link.Hello())
    assert rig.master.metrics["master/dropped_messages"] == 2


def test_a_timer_that_fires_too_early_does_no_harm() -> None:
    rig = Rig()
    framework, _ = running(rig)
    before = len(framework.events)
    rig.handle(TimerFired())
    assert len(framework.events) == before


def test_an_agent_that_is_marked_gone_while_it_comes_back_does_not_come_back() -> None:
    rig = Rig()
    _, agent = running(rig)
    silence(rig)
    rig.held_writes = []
    rig.operate_only({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": value(agent.id)}})
    again = rig.reregister(agent.id)
    assert again.of(link.RefuseAgent), "it shall try again when the decision is written"
    (sequence,) = rig.held_writes
    rig.held_writes = None
    rig.handle(happened.RegistryStored(sequence))
    assert rig.reregister(agent.id).of(link.ShutdownAgent)


def test_an_agent_that_is_being_written_off_twice_is_in_one_place() -> None:
    rig = Rig()
    framework, agent = running(rig)
    agent.close()
    rig.held_writes = []
    rig.advance(76)
    rig.operate_only({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": value(agent.id)}})
    sequences, rig.held_writes = rig.held_writes, None
    for sequence in sequences:
        rig.handle(happened.RegistryStored(sequence))
    assert rig.master.unreachable_agents == {}
    assert list(rig.master.gone_agents) == [agent.id]
    assert list(rig.registry) == [("gone", agent.id)]
    assert framework.states("t-1")[-1] == "TASK_UNREACHABLE"


def test_what_an_agent_runs_for_a_framework_that_nobody_knows_is_left_alone() -> None:
    rig = Rig()
    agent = rig.reregister("old-S7", tasks=[record_of("old-0001", "t-1", "old-S7")], frameworks=[b"no JSON"])
    agent.update("old-0001", "t-1", "TASK_RUNNING")
    assert agent.of(link.ShutdownFramework) == []
    assert agent.is_open
    assert rig.master.metrics["master/invalid_status_updates"] == 1


def test_operators_hear_of_tasks_that_came_back_and_of_those_that_did_not() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    framework.launch("t-1", "t-2")
    for task_id in ("t-1", "t-2"):
        agent.update(framework.id, task_id, "TASK_RUNNING")
    silence(rig)
    events = rig.watch()
    rig.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id)])
    added = [event["task_added"]["task"] for event in events if event["type"] == "TASK_ADDED"]
    updated = [event["task_updated"] for event in events if event["type"] == "TASK_UPDATED"]
    assert [(one["task_id"], one["state"]) for one in added] == [(value("t-1"), "TASK_RUNNING")]
    assert [(one["status"]["task_id"], one["state"]) for one in updated] == [(value("t-2"), "TASK_GONE")]
