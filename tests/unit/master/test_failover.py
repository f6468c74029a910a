from __future__ import annotations

import msgspec

from merismos.core.master import effects as do
from merismos.core.master import events as happened
from merismos.core.master.recovery import window_s
from merismos.core.master.state import Config
from merismos.protocol import link
from unit.master.rig import Rig, agent_info, framework_info, record_of, running, value

Registry = list[tuple[str, str, bytes]]


def admitted(count: int) -> Registry:
    return [("agents", f"old-S{number}", agent_info()) for number in range(count)]


def limited(**flags: float) -> Config:
    config = Config()
    for name, setting in flags.items():
        assert hasattr(config, name)
        setattr(config, name, setting)
    return config


def successor(rig: Rig, config: Config | None = None) -> Rig:
    """The next leader, over the registry of the one before."""
    return Rig(config, registry=[(*key, content) for key, content in rig.registry.items()])


def returned(rig: Rig, number: int = 0, *, failover_s: float = 60.0) -> None:
    info = msgspec.json.encode(framework_info(id=value("old-0001"), failover_timeout=failover_s))
    rig.reregister(
        f"old-S{number}",
        pid=f"slave(1)@127.0.0.1:{6000 + number}",
        tasks=[record_of("old-0001", f"t-{number}", f"old-S{number}")],
        frameworks=[info],
    )


def test_nobody_is_given_up_before_the_reregistration_timeout() -> None:
    rig = Rig(registry=admitted(2))
    returned(rig, 0)
    rig.advance(599)
    assert list(rig.master.recovered_agents) == ["old-S1"]
    rig.advance(2)
    assert list(rig.master.unreachable_agents) == ["old-S1"]
    assert list(rig.master.agents) == ["old-S0"]
    assert rig.exits == []


def test_a_master_that_misses_too_many_agents_stops_and_removes_nothing() -> None:
    rig = Rig(limited(recovery_agent_removal_limit=0.5), registry=admitted(4))
    before = dict(rig.registry)
    returned(rig, 0, failover_s=3600.0)
    rig.advance(601)
    (exit_,) = rig.exits
    assert exit_.code == 1
    assert "3 of 4 agents" in exit_.reason
    assert "--recovery_agent_removal_limit=50%" in exit_.reason
    assert rig.registry == before
    assert len(rig.master.recovered_agents) == 3
    rig.advance(3600)
    assert rig.master.unreachable_agents == {}


def test_a_master_that_misses_as_many_agents_as_allowed_goes_on() -> None:
    rig = Rig(limited(recovery_agent_removal_limit=0.5), registry=admitted(4))
    returned(rig, 0)
    returned(rig, 1)
    rig.advance(601)
    assert rig.exits == []
    assert list(rig.master.unreachable_agents) == ["old-S2", "old-S3"]


def test_missing_agents_are_given_up_no_faster_than_the_rate_limit() -> None:
    rig = Rig(limited(agent_removal_interval_s=60.0), registry=admitted(3))
    rig.advance(601)
    assert list(rig.master.unreachable_agents) == ["old-S0"]
    returned(rig, 1)
    rig.advance(60)
    assert list(rig.master.unreachable_agents) == ["old-S0", "old-S2"]
    assert list(rig.master.agents) == ["old-S1"]
    rig.advance(40)
    assert list(rig.master.unreachable_agents) == ["old-S0", "old-S2"]


def test_the_rate_limit_holds_back_task_lost_and_an_agent_that_returns_costs_nothing() -> None:
    rig = Rig(limited(agent_removal_interval_s=600.0))
    first = rig.agent()
    first.close()
    rig.advance(80)
    assert list(rig.master.unreachable_agents) == [first.id]
    agent = rig.agent(pid="slave(1)@127.0.0.1:5052")
    framework = rig.subscribe(framework_info(capabilities=(), role="golden"))
    framework.launch("t-1")
    agent.update(framework.id, "t-1", "TASK_RUNNING")
    agent.close()
    rig.advance(300)
    assert framework.states("t-1") == ["TASK_RUNNING"]
    again = rig.reregister(agent.id, pid="slave(1)@127.0.0.1:5052", tasks=[record_of(framework.id, "t-1", agent.id)])
    rig.advance(1)
    assert again.record.link == again.link
    assert rig.master.metrics["master/slave_unreachable_canceled"] == 1
    again.close()
    rig.advance(700)
    assert framework.states("t-1") == ["TASK_RUNNING", "TASK_LOST"]


def test_the_registry_forgets_agents_that_are_too_old() -> None:
    rig = Rig()
    _, agent = running(rig)
    agent.close()
    rig.advance(14 * 86_400)
    assert ("unreachable", agent.id) in rig.registry
    rig.advance(2000)
    assert rig.master.unreachable_agents == {}
    assert all(table != "unreachable" for table, _ in rig.registry)


def test_the_registry_forgets_the_oldest_of_too_many_agents() -> None:
    gone: Registry = [("gone", f"old-S{number}", b"%d" % (1_000_000_000 - number)) for number in range(5)]
    rig = Rig(limited(registry_max_agent_count=2), registry=gone)
    rig.registry = {(table, key): content for table, key, content in gone}
    rig.advance(901)
    assert list(rig.master.gone_agents) == ["old-S0", "old-S1"]
    assert list(rig.registry) == [("gone", "old-S0"), ("gone", "old-S1")]


def test_a_framework_that_was_torn_down_cannot_come_back_after_a_failover() -> None:
    rig = Rig()
    framework, agent = running(rig)
    framework.call("TEARDOWN")
    new = successor(rig)
    info = msgspec.json.encode(framework_info(id=value(framework.id)))
    again = new.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id)], frameworks=[info])
    assert again.of(link.ShutdownFramework) == [link.ShutdownFramework(framework.id)]
    assert new.master.frameworks == {}
    late = new.subscribe(framework_info(id=value(framework.id)))
    assert late.of("ERROR")
    assert not late.is_open


def test_weights_set_at_run_time_survive_a_failover() -> None:
    rig = Rig()
    assert rig.operate(
        {"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": [{"role": "ads", "weight": 3.0}]}}
    ) == (200, "")
    config = Config()
    config.weights = {"ads": 2.0, "web": 1.5}
    assert successor(rig, config).master.weights == {"ads": 3.0, "web": 1.5}


def test_gone_agents_stay_gone_after_a_failover() -> None:
    rig = Rig()
    _, agent = running(rig)
    rig.operate({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": value(agent.id)}})
    again = successor(rig).reregister(agent.id)
    assert again.of(link.ShutdownAgent)
    assert not again.is_open


def test_unreachable_agents_stay_known_after_a_failover_and_may_return() -> None:
    rig = Rig()
    framework, agent = running(rig)
    agent.close()
    rig.advance(80)
    new = successor(rig)
    assert list(new.master.unreachable_agents) == [agent.id]
    info = msgspec.json.encode(framework_info(id=value(framework.id)))
    new.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id)], frameworks=[info])
    assert list(new.master.frameworks[framework.id].tasks) == ["t-1"]
    assert new.master.unreachable_agents == {}


def test_an_entry_of_the_registry_that_cannot_be_read_costs_nobody_anything() -> None:
    rig = Rig(
        registry=[("agents", "old-S0", b"{"), ("machines", "ads", b"{}"), ("nobody", "knows", b""), *admitted(2)[1:]]
    )
    assert list(rig.master.recovered_agents) == ["old-S1"]
    assert rig.master.metrics["registrar/entries_invalid"] == 2
    again = rig.reregister("old-S0", tasks=[], pid="slave(1)@127.0.0.1:6000")
    assert again.id == "old-S0"


def test_a_framework_that_stays_away_is_removed_its_failover_timeout_after_the_election() -> None:
    rig = Rig(registry=admitted(1))
    rig.advance(30)
    returned(rig, failover_s=60.0)
    rig.advance(29)
    assert list(rig.master.frameworks) == ["old-0001"]
    rig.advance(2)
    assert rig.master.frameworks == {}


def test_a_framework_without_failover_timeout_survives_a_failover_of_the_master() -> None:
    rig = Rig(registry=admitted(1))
    returned(rig, failover_s=0.0)
    rig.advance(10)
    framework = rig.subscribe(framework_info(id=value("old-0001"), failover_timeout=0.0))
    rig.advance(60)
    assert list(framework.record.tasks) == ["t-0"]


def test_a_suspended_master_offers_nothing_and_answers_503() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    (offer,) = framework.offers()
    framework.call("DECLINE", decline={"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 0}})
    seen = len(framework.of("OFFERS"))
    rig.handle(happened.CoordinationSuspended("ZooKeeper is away"))
    rig.advance(60)
    assert len(framework.of("OFFERS")) == seen
    assert framework.of("HEARTBEAT"), "the stream stays alive"
    status, body = framework.call("REVIVE")
    assert status == 503
    assert "ZooKeeper is away" in body
    assert rig.subscribe_only(framework_info("late")).status == 503
    gone = {"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": value(agent.id)}}
    assert rig.operate(gone)[0] == 503
    rig.handle(happened.CoordinationRestored())
    rig.advance(10)
    assert len(framework.of("OFFERS")) > seen


def test_a_suspended_master_writes_nothing_and_keeps_what_agents_say_in_order() -> None:
    rig = Rig()
    framework, agent = running(rig)
    before = dict(rig.registry)
    rig.handle(happened.CoordinationSuspended("ZooKeeper is away"))
    agent.update(framework.id, "t-1", "TASK_KILLING", uuid=b"1" * 16)
    agent.update(framework.id, "t-1", "TASK_KILLED", uuid=b"2" * 16)
    second = rig.agent(pid="slave(1)@127.0.0.1:5052")
    agent.close()
    rig.advance(600)
    assert rig.registry == before
    assert framework.states("t-1") == ["TASK_RUNNING"]
    assert second.messages == []
    assert list(rig.master.agents) == [agent.id]
    rig.handle(happened.CoordinationRestored())
    assert framework.states("t-1") == ["TASK_RUNNING", "TASK_KILLING", "TASK_KILLED"]
    assert second.id
    rig.advance(74)
    assert agent.id in rig.master.agents, "its patience begins when the master can see again"
    rig.advance(2)
    assert agent.id in rig.master.unreachable_agents


def test_nothing_is_sent_on_a_link_that_came_and_went_while_the_master_was_suspended() -> None:
    rig = Rig()
    _, agent = running(rig)
    agent.close()
    rig.handle(happened.CoordinationSuspended("ZooKeeper is away"))
    back = rig.connect()
    back.send(link.ReregisterAgent(agent.id, agent_info(), "1.12.0", "slave(1)@127.0.0.1:5051"))
    back.close()
    done = rig.handle(happened.CoordinationRestored())
    assert [effect for effect in done if isinstance(effect, do.SendToAgent | do.CloseLink)] == []


def test_a_master_that_lost_its_leadership_exits_for_its_supervisor() -> None:
    rig = Rig()
    rig.handle(happened.CoordinationSuspended("ZooKeeper is away"))
    rig.handle(happened.LeadershipLost("the session expired"))
    (exit_,) = rig.exits
    assert exit_.code == 75
    rig.agent()
    assert rig.registry == {}


def test_agents_return_over_a_window_that_grows_with_their_number() -> None:
    assert [window_s(count) for count in (0, 10, 2500, 10_000, 40_000)] == [0.5, 0.5, 0.5, 2.0, 8.0]


def test_a_launch_that_was_on_its_way_when_the_leader_died_can_be_reconciled() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    framework.launch("arrived", "lost")
    new = successor(rig)
    back = new.subscribe(framework_info(id=value(framework.id)))
    asked = {"tasks": [{"task_id": value(one), "agent_id": value(agent.id)} for one in ("arrived", "lost")]}
    back.call("RECONCILE", reconcile=asked)
    assert back.statuses() == [], "nothing is said before its agent is back"
    info = msgspec.json.encode(framework_info(id=value(framework.id)))
    new.reregister(agent.id, tasks=[record_of(framework.id, "arrived", agent.id)], frameworks=[info])
    back.call("RECONCILE", reconcile=asked)
    assert back.states("arrived") == ["TASK_RUNNING"]
    assert back.states("lost") == ["TASK_GONE"]


def test_an_update_in_flight_when_the_leader_died_arrives_through_the_next() -> None:
    rig = Rig()
    framework, agent = running(rig)
    new = successor(rig)
    info = msgspec.json.encode(framework_info(id=value(framework.id)))
    again = new.reregister(
        agent.id, tasks=[record_of(framework.id, "t-1", agent.id, "TASK_FINISHED")], frameworks=[info]
    )
    back = new.subscribe(framework_info(id=value(framework.id)))
    assert again.of(link.UpdateFramework), "the agent hears that the scheduler is back, and sends what is owed"
    again.update(framework.id, "t-1", "TASK_FINISHED")
    back.acknowledge(back.statuses()[-1])
    assert back.states("t-1") == ["TASK_FINISHED"]
    assert back.record.tasks == {}
    assert len(again.of(link.AcknowledgeStatus)) == 1


def test_a_task_whose_agents_removal_is_held_back_is_reconciled_as_unreachable() -> None:
    rig = Rig(limited(agent_removal_interval_s=86_400.0))
    rig.agent(pid="slave(1)@127.0.0.1:5052").close()
    rig.advance(80)
    framework, agent = running(rig)
    agent.close()
    rig.advance(80)
    framework.call("RECONCILE", reconcile={"tasks": [{"task_id": value("t-1"), "agent_id": value(agent.id)}]})
    assert framework.states("t-1") == ["TASK_RUNNING", "TASK_UNREACHABLE", "TASK_UNREACHABLE"]
