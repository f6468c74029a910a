"""Custom executors: started, subscribed, handed tasks, killed, gone."""

from __future__ import annotations

import json

import pytest

from merismos.core.agent import effects, events
from merismos.core.agent.executors_state import ExecutorPhase
from merismos.core.agent.views import metrics, v0, v1
from merismos.core.agent.views.records import used_resources
from merismos.protocol import link
from unit.agent.executor_rig import ExecutorRig, executor_info, job, update
from unit.agent.rig import FRAMEWORK, WALL_OFFSET_S, framework_info, seconds, task


def test_an_executor_is_started_once_for_all_the_tasks_that_name_it() -> None:
    rig = ExecutorRig.registered()
    rig.run(job("a"), job("b"))
    (launch,) = rig.of(effects.LaunchContainer)
    assert launch.arguments == ["/bin/sh", "-c", "./executor"]
    assert launch.executor == (FRAMEWORK, "e")
    assert "MESOS_EXECUTOR_ID=e" in launch.environment
    assert not [one for one in launch.environment if one.startswith(("MESOS_TASK_ID", "MESOS_ALLOCATION_ROLE"))]
    assert launch.directory.endswith(f"/frameworks/F/executors/e/runs/{launch.container_id}")
    assert rig.delivered() == []


def test_tasks_wait_until_the_executor_has_subscribed() -> None:
    rig = ExecutorRig.with_executor(job("a"), job("b"))
    (subscribed,) = rig.heard("SUBSCRIBED")
    assert subscribed.subscribed is not None
    assert subscribed.subscribed.executor_info.executor_id.value == "e"
    assert subscribed.subscribed.framework_info.id.value == FRAMEWORK
    assert subscribed.subscribed.agent_info.id.value == "S0"
    assert subscribed.subscribed.container_id.value == rig.executor().container_id
    assert rig.delivered() == ["a", "b"]
    rig.run(job("c"), starts=[])
    assert rig.delivered() == ["a", "b", "c"]


def test_an_executor_and_its_tasks_are_charged_once_each() -> None:
    rig = ExecutorRig.with_executor(job("a"), job("b"))
    assert used_resources(rig.state).quantities() == {"cpus": 700}
    rig.update("a", "TASK_FINISHED", 1)
    assert used_resources(rig.state).quantities() == {"cpus": 600}


def test_an_update_reaches_the_scheduler_with_what_only_the_agent_knows() -> None:
    rig = ExecutorRig.with_executor(job("a"))
    request = rig.update("a", "TASK_RUNNING", 1, message="hello", data="cGF5bG9hZA==")
    assert rig.answer(request) == (202, "")
    (sent,) = rig.sent(link.UpdateStatus)
    assert (sent.state, sent.uuid) == ("TASK_RUNNING", bytes([1] * 16))
    status = json.loads(sent.status)
    assert list(status) == [
        "task_id", "state", "message", "source", "data", "agent_id", "executor_id", "timestamp", "uuid", "container_status"
    ]  # fmt: skip
    assert status["executor_id"] == {"value": "e"}
    assert status["timestamp"] == rig.now + WALL_OFFSET_S
    assert status["container_status"] == {
        "container_id": {"value": rig.executor().container_id},
        "network_infos": [{"ip_addresses": [{"protocol": "IPv4", "ip_address": "10.0.0.1"}]}],
        "executor_pid": 4711,
    }
    assert rig.acknowledged() == [("a", 1)]


def test_an_update_that_comes_again_is_acknowledged_and_not_sent_again() -> None:
    rig = ExecutorRig.with_executor(job("a"))
    rig.update("a", "TASK_RUNNING", 1)
    rig.update("a", "TASK_RUNNING", 1)
    assert rig.acknowledged() == [("a", 1), ("a", 1)]
    assert rig.acknowledge_all() == ["TASK_RUNNING"]


def test_a_second_terminal_update_is_dropped_and_acknowledged() -> None:
    rig = ExecutorRig.with_executor(job("a"))
    rig.update("a", "TASK_KILLED", 1)
    rig.update("a", "TASK_FINISHED", 2)
    assert rig.acknowledge_all() == ["TASK_KILLED"]
    rig.update("a", "TASK_FINISHED", 3)
    assert rig.acknowledged() == [("a", 1), ("a", 2), ("a", 3)]
    assert rig.acknowledge_all() == ["TASK_KILLED"]


def test_an_executor_can_not_speak_for_a_task_that_is_not_its_own() -> None:
    rig = ExecutorRig.with_executor(job("a"))
    rig.run(job("other", "e-2"), task("command"))
    for task_id in ("other", "command", "nobody"):
        request = rig.update(task_id, "TASK_FINISHED", 1)
        status, text = rig.answer(request)
        assert status == 400
        assert f"Task '{task_id}' is not a task of executor 'e'" in text
    assert rig.sent(link.UpdateStatus) == []
    assert rig.state.counters.invalid_status_updates == 3


def test_a_call_of_an_unknown_framework_or_executor_is_refused() -> None:
    rig = ExecutorRig.with_executor(job("a"))
    assert rig.answer(rig.subscribe(framework_id="nope")) == (400, "Framework cannot be found")
    assert rig.answer(rig.subscribe("nope")) == (400, "Executor cannot be found")
    assert rig.answer(rig.call("HEARTBEAT", "nope")) == (400, "Executor cannot be found")


def test_an_executor_that_is_not_subscribed_may_say_nothing() -> None:
    rig = ExecutorRig.registered()
    rig.run(job("a"))
    assert rig.answer(rig.update("a", "TASK_RUNNING", 1)) == (403, "Executor is not subscribed")
    assert rig.sent(link.UpdateStatus) == []


def test_an_executor_that_never_subscribes_is_killed_and_its_tasks_fail() -> None:
    rig = ExecutorRig.registered(executor_registration_timeout_s=60.0)
    rig.run(job("a"))
    container_id = rig.executor().container_id
    rig.handle(events.ContainerLaunched(container_id, 4711))
    rig.advance(59.0)
    assert not rig.of(effects.SignalContainer)
    rig.advance(1.0)
    assert rig.last(effects.SignalContainer) == effects.SignalContainer(container_id, 9)
    rig.handle(events.ContainerExited(container_id, 9))
    (status,) = rig.updates()
    assert (status["state"], status["reason"], status["source"]) == (
        "TASK_FAILED",
        "REASON_EXECUTOR_REGISTRATION_TIMEOUT",
        "SOURCE_AGENT",
    )
    assert status["message"] == "Executor did not register within 1mins"
    assert rig.sent(link.ExitedExecutor) == [link.ExitedExecutor(FRAMEWORK, "e", 9)]


def test_an_executor_that_dies_takes_its_tasks_along_and_the_master_hears_its_status() -> None:
    rig = ExecutorRig.with_executor(job("a"), job("b"))
    rig.update("a", "TASK_RUNNING", 1)
    rig.update("b", "TASK_FINISHED", 2)
    rig.acknowledge_all()
    rig.take()
    container_id = rig.executor().container_id
    rig.handle(events.ContainerExited(container_id, 3 << 8))
    assert rig.sent(link.ExitedExecutor) == [link.ExitedExecutor(FRAMEWORK, "e", 3 << 8)]
    (status,) = rig.updates()
    assert (status["task_id"]["value"], status["state"], status["message"], status["reason"]) == (
        "a",
        "TASK_FAILED",
        "Executor terminated",
        "REASON_EXECUTOR_TERMINATED",
    )
    assert status["executor_id"] == {"value": "e"}
    assert "container_status" not in status
    rig.acknowledge_all()
    assert rig.state.frameworks == {}
    (gone,) = rig.state.completed_frameworks[0].completed_executors
    assert [task.task_id for task in gone.completed] == ["b", "a"]
    assert rig.state.executors == {}


def test_an_executor_that_ended_may_not_come_back() -> None:
    rig = ExecutorRig.with_executor(job("a"))
    rig.handle(events.ContainerExited(rig.executor().container_id, 0))
    assert rig.answer(rig.subscribe()) == (400, "Executor cannot be found")


def test_an_executor_whose_command_is_not_there_fails_its_tasks() -> None:
    rig = ExecutorRig.registered()
    rig.run(job("a"))
    rig.handle(events.ContainerLaunchFailed(rig.executor().container_id, "no such file", exec_failed=True))
    (status,) = rig.updates()
    assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED")
    assert status["message"] == "Failed to launch container: no such file"
    assert rig.sent(link.ExitedExecutor)[0].status == 1 << 8


def test_a_kill_is_passed_on_with_the_grace_that_the_scheduler_gave() -> None:
    rig = ExecutorRig.with_executor(job("a"), job("b"))
    rig.receive(link.KillTask(FRAMEWORK, "a"))
    rig.receive(link.KillTask(FRAMEWORK, "b", 2.0))
    first, second = (event.kill for event in rig.heard("KILL"))
    assert first is not None
    assert second is not None
    assert first.kill_policy is None
    assert second.kill_policy.grace_period.nanoseconds == 2_000_000_000
    assert rig.sent(link.UpdateStatus) == []


def test_a_kill_before_delivery_ends_the_task_and_an_executor_left_without_any() -> None:
    rig = ExecutorRig.registered()
    rig.run(job("a"), job("b"))
    rig.receive(link.KillTask(FRAMEWORK, "a"))
    assert not rig.of(effects.SignalContainer)
    rig.receive(link.KillTask(FRAMEWORK, "b"))
    assert rig.last(effects.SignalContainer).signal == 15
    rig.advance(5.0)
    assert rig.last(effects.SignalContainer).signal == 9
    assert [(status["state"], status["reason"]) for status in rig.updates()] == [
        ("TASK_KILLED", "REASON_TASK_KILLED_DURING_LAUNCH")
    ] * 2


def test_a_shutdown_gives_the_executor_its_grace_and_then_kills_the_tree() -> None:
    rig = ExecutorRig.with_executor(job("a", shutdown_grace_period=seconds(7)))
    rig.receive(link.ShutdownExecutor(FRAMEWORK, "e"))
    assert len(rig.heard("SHUTDOWN")) == 1
    rig.advance(6.9)
    assert not rig.of(effects.SignalContainer)
    rig.advance(0.1)
    assert rig.last(effects.SignalContainer).signal == 9
    rig.handle(events.ContainerExited(rig.executor().container_id, 9))
    assert rig.updates()[-1]["state"] == "TASK_FAILED"


def test_a_task_for_an_executor_that_is_being_shut_down_is_dropped() -> None:
    rig = ExecutorRig.with_executor(job("a"))
    rig.receive(link.ShutdownExecutor(FRAMEWORK, "e"))
    rig.run(job("b"), starts=[])
    assert rig.updates()[-1]["state"] == "TASK_DROPPED"
    assert rig.delivered() == ["a"]


def test_a_task_for_an_executor_that_the_master_takes_for_running_starts_no_other() -> None:
    rig = ExecutorRig.registered()
    rig.run(job("a"), starts=[])
    assert not rig.of(effects.LaunchContainer)
    assert rig.updates()[0]["state"] == "TASK_DROPPED"


def test_messages_go_both_ways() -> None:
    rig = ExecutorRig.with_executor(job("a"))
    rig.receive(link.MessageExecutor(FRAMEWORK, "e", b"down"))
    (event,) = rig.heard("MESSAGE")
    assert event.message is not None
    assert event.message.data == b"down"
    assert rig.answer(rig.call("MESSAGE", message={"data": "dXA="})) == (202, "")
    assert rig.sent(link.MessageFramework) == [link.MessageFramework(FRAMEWORK, "e", b"up")]


def test_an_executor_that_lost_its_connection_may_subscribe_again() -> None:
    rig = ExecutorRig.with_executor(job("a"), job("b"))
    rig.update("a", "TASK_RUNNING", 1)
    rig.handle(events.ExecutorStreamLost(rig.calls - 1))
    rig.receive(link.KillTask(FRAMEWORK, "a"))
    rig.run(job("c"), starts=[])
    again = rig.subscribe(tasks=[json.loads(job("b"))], updates=[update("b", "TASK_RUNNING", 2)])
    launched = [event.launch.task.task_id.value for event in rig.heard("LAUNCH", again) if event.launch is not None]
    assert launched == ["c"]
    assert [event.kill.task_id.value for event in rig.heard("KILL", again) if event.kill is not None] == ["a"]
    assert rig.acknowledged() == [("a", 1), ("b", 2)]
    assert [(sent.task_id, sent.state) for sent in rig.sent(link.UpdateStatus)] == [
        ("a", "TASK_RUNNING"),
        ("b", "TASK_RUNNING"),
    ]


def test_an_update_of_a_task_that_nobody_knows_any_more_is_acknowledged_and_dropped_when_its_executor_comes_back() -> (
    None
):
    rig = ExecutorRig.with_executor(job("a"))
    rig.handle(events.ExecutorStreamLost(rig.calls))
    rig.subscribe(updates=[update("long-over", "TASK_FINISHED", 3)])
    assert rig.acknowledged() == [("long-over", 3)]
    assert rig.sent(link.UpdateStatus) == []


def test_a_task_that_was_sent_in_vain_is_sent_again() -> None:
    rig = ExecutorRig.with_executor(job("a"))
    rig.handle(events.ExecutorStreamLost(rig.calls))
    again = rig.subscribe()
    assert len(rig.heard("LAUNCH", again)) == 1


def test_a_second_stream_takes_the_place_of_the_first() -> None:
    rig = ExecutorRig.with_executor(job("a"))
    first = rig.calls
    rig.subscribe(tasks=[json.loads(job("a"))])
    assert rig.of(effects.CloseExecutorStream) == [effects.CloseExecutorStream(first)]
    rig.handle(events.ExecutorStreamLost(first))
    assert rig.executor().stream == first + 1
    assert rig.delivered() == ["a"]


def test_a_framework_that_is_shut_down_hears_nothing_more_and_its_executor_goes() -> None:
    rig = ExecutorRig.with_executor(job("a"))
    rig.receive(link.ShutdownFramework(FRAMEWORK))
    assert len(rig.heard("SHUTDOWN")) == 1
    rig.update("a", "TASK_KILLED", 1)
    assert rig.acknowledged() == [("a", 1)]
    rig.handle(events.ContainerExited(rig.executor().container_id, 0))
    assert rig.sent(link.UpdateStatus) == []
    assert rig.state.frameworks == {}


def test_an_agent_that_stops_waits_for_its_executors() -> None:
    rig = ExecutorRig.with_executor(job("a"))
    rig.handle(events.StopRequested("SIGTERM"))
    assert len(rig.heard("SHUTDOWN")) == 1
    assert not rig.of(effects.Exit)
    rig.handle(events.ContainerExited(rig.executor().container_id, 0))
    rig.acknowledge_all()
    assert len(rig.of(effects.Exit)) == 1


def test_an_executor_is_named_when_the_agent_comes_back_to_a_master() -> None:
    rig = ExecutorRig.with_executor(job("a"))
    rig.handle(events.LinkClosed(rig.state.registration.link, "cut"))
    rig.advance(60.0)
    rig.open_link()
    (introduction,) = rig.sent(link.ReregisterAgent)
    (record,) = introduction.executors
    assert json.loads(record.executor) == executor_info()
    assert record.container_id == rig.executor().container_id
    assert [one.state for one in introduction.tasks] == ["TASK_STAGING"]
    assert introduction.frameworks == [framework_info()]


def test_an_executor_that_ends_while_the_master_takes_in_what_we_run_is_told_afterwards() -> None:
    rig = ExecutorRig.with_executor(job("a"))
    container_id = rig.executor().container_id
    rig.handle(events.LinkClosed(rig.state.registration.link, "cut"))
    rig.advance(60.0)
    rig.open_link()
    rig.handle(events.ContainerExited(container_id, 9))
    assert rig.sent(link.ExitedExecutor) == [], "before the master knows whom it is about"
    rig.receive(link.AgentRegistered("S0"))
    assert rig.sent(link.ExitedExecutor) == [link.ExitedExecutor(FRAMEWORK, "e", 9)]


def test_an_executor_is_shown_with_its_tasks() -> None:
    rig = ExecutorRig.with_executor(job("a", name="custom", source="src"), job("b", name="custom", source="src"))
    rig.update("a", "TASK_FINISHED", 1)
    rig.acknowledge_all()
    (info,) = v1.get_executors(rig.state).executors
    assert info.executor_info.executor_id.value == "e"
    tasks = v1.get_tasks(rig.state)
    assert [one.task_id.value for one in tasks.completed_tasks] == ["a"]
    assert [one.task_id.value for one in tasks.launched_tasks] == ["b"]
    assert tasks.queued_tasks == []
    (framework,) = v0.state(rig.state, {})["frameworks"]
    (executor,) = framework["executors"]
    assert (executor["id"], executor["name"], executor["source"]) == ("e", "custom", "src")
    assert [one["id"] for one in executor["tasks"]] == ["b"]
    assert [one["id"] for one in executor["completed_tasks"]] == ["a"]
    assert executor["tasks"][0]["executor_id"] == "e"
    assert metrics.snapshot(rig.state, rig.now, {})["slave/executors_running"] == 1.0
    assert rig.executor().phase is ExecutorPhase.RUNNING


@pytest.mark.parametrize(("state", "told"), [("", "TASK_KILLED"), ("TASK_GONE_BY_OPERATOR", "TASK_GONE_BY_OPERATOR")])
def test_a_kill_that_says_why_tells_so_whatever_the_executor_says(state: str, told: str) -> None:
    rig = ExecutorRig.with_executor(job("a"))
    rig.update("a", "TASK_RUNNING", 1)
    rig.receive(link.AcknowledgeStatus(FRAMEWORK, "a", bytes([1] * 16)))
    rig.receive(link.KillTask(FRAMEWORK, "a", 2.0, "REASON_AGENT_DRAINING", state))
    rig.update("a", "TASK_KILLED", 2)
    sent = rig.sent(link.UpdateStatus)[-1]
    assert (sent.state, json.loads(sent.status)["state"]) == (told, told)
    assert json.loads(sent.status)["reason"] == "REASON_AGENT_DRAINING"
