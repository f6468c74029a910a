"""How an agent becomes known to its master, and what it does when it loses it."""

from __future__ import annotations

import pytest

from merismos.core.agent import effects, events
from merismos.protocol import link
from unit.agent.rig import Rig, framework_info, seconds, task


def test_an_agent_opens_a_link_to_the_first_master_at_once_and_asks_for_an_id() -> None:
    rig = Rig()
    rig.handle(events.MasterDetected("m:5050"))
    assert rig.last(effects.OpenLink).address == "m:5050"
    rig.open_link()
    (introduction,) = rig.sent(link.RegisterAgent)
    assert introduction.pid == "slave(1)@10.0.0.1:5051"
    assert b'"hostname":"host"' in introduction.info


def test_the_id_that_the_master_gives_is_written_down() -> None:
    rig = Rig()
    rig.handle(events.MasterDetected("m:5050"))
    rig.open_link()
    rig.receive(link.AgentRegistered("S7"))
    assert rig.last(effects.OpenCheckpoints).agent_id == "S7"
    assert rig.state.registration.agent_id == "S7"


def test_a_lost_link_is_opened_again_after_a_part_of_the_backoff() -> None:
    rig = Rig.registered(registration_backoff_s=2.0)
    rig.handle(events.LinkClosed(rig.state.registration.link, "cut"))
    assert not rig.of(effects.OpenLink)
    due = rig.machine.next_deadline()
    assert due is not None
    assert 0.2 <= due - rig.now <= 2.0
    rig.advance(2.0)
    assert len(rig.of(effects.OpenLink)) == 1


def test_the_backoff_doubles_with_each_failure_up_to_a_minute() -> None:
    rig = Rig.registered(registration_backoff_s=1.0)
    limits = []
    for attempt in range(10):
        rig.handle(events.LinkClosed(rig.state.registration.link, "refused"))
        due = rig.machine.next_deadline()
        assert due is not None
        limit = min(2.0**attempt, 60.0)
        assert limit / 10 <= due - rig.now <= limit
        limits.append(due - rig.now)
        rig.advance(limit)
    assert max(limits) > 10.0


def test_two_agents_that_lose_their_master_together_return_at_different_instants() -> None:
    dues = set()
    for seed in range(20):
        rig = Rig.registered(registration_backoff_s=1.0)
        rig.handle(events.Started(seed, 0.0))
        rig.handle(events.LinkClosed(rig.state.registration.link, "cut"))
        dues.add(rig.machine.next_deadline())
    assert len(dues) == 20


def test_an_agent_that_comes_back_brings_its_tasks_and_their_frameworks() -> None:
    rig = Rig.registered()
    rig.run(task("t-1"), task("t-2"))
    rig.launched("t-1")
    rig.handle(events.LinkClosed(rig.state.registration.link, "cut"))
    rig.advance(2.0)
    rig.open_link()
    (back,) = rig.sent(link.ReregisterAgent)
    assert back.agent_id == "S0"
    assert [(record.task, record.role, record.state) for record in back.tasks] == [
        (task("t-1"), "eng", "TASK_RUNNING"),
        (task("t-2"), "eng", "TASK_STAGING"),
    ]
    assert back.tasks[0].status
    assert back.frameworks == [framework_info()]


def test_tasks_go_on_while_the_link_is_down_and_report_once_it_is_up() -> None:
    rig = Rig.registered()
    rig.run(task("t"))
    rig.handle(events.LinkClosed(rig.state.registration.link, "cut"))
    rig.launched("t")
    rig.exited("t", 0)
    assert not rig.sent(link.UpdateStatus)
    rig.advance(2.0)
    rig.open_link()
    rig.receive(link.AgentRegistered("S0"))
    assert rig.acknowledge_all() == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]


def test_tasks_of_a_framework_that_is_being_ended_are_named_to_no_other_master() -> None:
    rig = Rig.registered()
    rig.run(task("a"))
    rig.launched("a")
    rig.receive(link.ShutdownFramework("F"))
    rig.handle(events.LinkClosed(rig.state.registration.link, "cut"))
    rig.advance(60.0)
    rig.open_link()
    introduction = rig.sent(link.ReregisterAgent)[-1]
    assert (introduction.tasks, introduction.frameworks, introduction.executors) == ([], [], [])


def test_a_master_of_a_lower_epoch_is_no_leader_any_more() -> None:
    rig = Rig.registered()
    rig.handle(events.LinkClosed(rig.state.registration.link, "cut"))
    rig.advance(2.0)
    rig.open_link(epoch=0)
    assert not rig.sent(link.ReregisterAgent)
    assert rig.of(effects.CloseLink)
    rig.advance(10.0)
    rig.open_link(epoch=1)
    assert rig.sent(link.ReregisterAgent)


def test_messages_of_an_old_link_are_dropped() -> None:
    rig = Rig.registered()
    old = rig.state.registration.link
    rig.handle(events.LinkClosed(old, "cut"))
    rig.advance(2.0)
    rig.open_link()
    rig.receive(link.AgentRegistered("S0"))
    rig.take()
    rig.handle(events.LinkReceived(old, link.RunTasks("F", framework_info(), "eng", [task("t")], ["t"])))
    assert rig.take() == []


def test_a_task_that_comes_before_the_registration_is_not_run() -> None:
    rig = Rig()
    rig.handle(events.MasterDetected("m:5050"))
    rig.open_link()
    rig.run(task("t"))
    assert not rig.of(effects.LaunchContainer)


def test_a_ping_is_answered() -> None:
    rig = Rig.registered()
    rig.receive(link.Ping(42))
    assert rig.sent(link.Pong) == [link.Pong(42)]


def test_a_master_that_falls_silent_is_given_up_and_looked_for_again() -> None:
    rig = Rig.registered()
    rig.receive(link.Ping(1))
    rig.advance(74.0)
    assert not rig.of(effects.CloseLink)
    rig.advance(2.0)
    assert rig.of(effects.CloseLink)
    rig.advance(2.0)
    assert rig.of(effects.OpenLink)


def test_a_master_that_does_not_answer_the_introduction_is_tried_again() -> None:
    rig = Rig()
    rig.handle(events.MasterDetected("m:5050"))
    rig.open_link()
    rig.advance(32.0)
    assert len(rig.of(effects.OpenLink)) == 2


def test_an_agent_follows_the_master_to_another_address() -> None:
    rig = Rig.registered()
    rig.handle(events.MasterDetected("n:5050"))
    assert rig.of(effects.CloseLink)
    rig.advance(2.0)
    assert rig.last(effects.OpenLink).address == "n:5050"


def test_without_a_master_nothing_is_opened() -> None:
    rig = Rig.registered()
    rig.handle(events.MasterDetected(None))
    rig.advance(100.0)
    assert not rig.of(effects.OpenLink)


def test_a_refusal_for_now_is_tried_again() -> None:
    rig = Rig.registered()
    rig.receive(link.RefuseAgent("the registry is away"))
    rig.advance(2.0)
    assert rig.of(effects.OpenLink)
    assert not rig.of(effects.Exit)


@pytest.mark.parametrize("message", [link.RefuseAgent("marked gone", shutdown=True), link.ShutdownAgent("marked gone")])
def test_an_agent_that_must_go_ends_its_tasks_first(message: link.AnyMessage) -> None:
    rig = Rig.registered()
    rig.run(task("t"))
    rig.launched("t")
    rig.acknowledge_all()
    rig.receive(message)
    assert rig.last(effects.SignalContainer).signal == 15
    assert not rig.of(effects.Exit)
    rig.exited("t", 15)
    rig.acknowledge_all()
    assert rig.last(effects.Exit).code == 0


def test_an_agent_that_is_stopped_says_goodbye_after_its_last_update_is_acknowledged() -> None:
    rig = Rig.registered()
    rig.run(task("t"))
    rig.launched("t")
    rig.acknowledge_all()
    rig.handle(events.StopRequested("SIGTERM"))
    rig.exited("t", 15)
    assert not rig.of(effects.Exit)
    rig.acknowledge_all()
    assert rig.sent(link.UnregisterAgent) == [link.UnregisterAgent("SIGTERM")]
    assert isinstance(rig.done[-1], effects.Exit)


def test_an_agent_that_is_stopped_waits_only_so_long_for_acknowledgements() -> None:
    rig = Rig.registered()
    rig.run(task("t"))
    rig.launched("t")
    rig.handle(events.StopRequested("SIGTERM"))
    rig.exited("t", 15)
    rig.advance(3.0)
    assert rig.of(effects.Exit)


def test_an_agent_without_tasks_or_master_stops_at_once() -> None:
    rig = Rig()
    rig.handle(events.StopRequested("SIGINT"))
    assert rig.of(effects.Exit)


def test_an_agent_that_is_told_twice_to_stop_waits_for_no_grace() -> None:
    rig = Rig.registered(kill_grace_s=30.0)
    rig.run(task("t"))
    rig.launched("t")
    rig.acknowledge_all()
    rig.handle(events.StopRequested("SIGINT"))
    rig.advance(1.0)
    assert [effect.signal for effect in rig.of(effects.SignalContainer)] == [15]
    rig.handle(events.StopRequested("SIGINT"))
    rig.advance(0.1)
    assert [effect.signal for effect in rig.of(effects.SignalContainer)] == [15, 9]


def test_a_long_grace_of_a_task_does_not_hold_the_agent_back() -> None:
    rig = Rig.registered(kill_grace_s=5.0)
    rig.run(task("t", kill_policy={"grace_period": seconds(3600)}))
    rig.launched("t")
    rig.acknowledge_all()
    rig.handle(events.StopRequested("SIGTERM"))
    rig.advance(5.1)
    assert [effect.signal for effect in rig.of(effects.SignalContainer)] == [15, 9]


def test_no_task_is_taken_while_the_agent_stops() -> None:
    rig = Rig.registered()
    rig.run(task("old"))
    rig.launched("old")
    rig.acknowledge_all()
    rig.handle(events.StopRequested("SIGTERM"))
    rig.take()
    rig.run(task("new"))
    assert not rig.of(effects.LaunchContainer)
    assert rig.updates()[-1]["state"] == "TASK_DROPPED"


def test_an_agent_introduces_itself_to_a_new_leader_at_a_random_instant_of_its_window() -> None:
    rig = Rig.registered()
    rig.handle(events.MasterDetected("n:5050"))
    rig.advance(60)
    rig.open_link(epoch=2, window_s=8.0)
    assert rig.sent(link.ReregisterAgent) == []
    rig.advance(8)
    (again,) = rig.sent(link.ReregisterAgent)
    assert again.agent_id == "S0"


def test_a_link_that_breaks_within_the_window_takes_the_introduction_with_it() -> None:
    rig = Rig.registered()
    rig.handle(events.MasterDetected("n:5050"))
    rig.advance(60)
    rig.open_link(epoch=2, window_s=8.0)
    rig.handle(events.LinkClosed(rig.last(effects.OpenLink).link, "cut"))
    rig.advance(8)
    assert rig.sent(link.ReregisterAgent) == []


def test_an_agent_goes_back_to_the_same_leader_without_waiting_for_a_window() -> None:
    rig = Rig.registered()
    rig.handle(events.LinkClosed(rig.state.registration.link, "cut"))
    rig.advance(60)
    rig.open_link(epoch=1, window_s=8.0)
    assert len(rig.sent(link.ReregisterAgent)) == 1
