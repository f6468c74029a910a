"""Checks and health checks of command tasks, as an agent's core runs them."""

from __future__ import annotations

from typing import Any

import pytest

from merismos.core.agent import effects, events
from merismos.protocol import link
from unit.agent.rig import FRAMEWORK, Rig, framework_info, task

HEALTH = {
    "type": "COMMAND",
    "command": {"value": "true"},
    "delay_seconds": 1,
    "interval_seconds": 2,
    "timeout_seconds": 5,
    "grace_period_seconds": 0,
    "consecutive_failures": 2,
}
CHECK = {
    "type": "COMMAND",
    "command": {"command": {"value": "exit 7", "environment": {"variables": [{"name": "A", "value": "b"}]}}},
    "delay_seconds": 1,
    "interval_seconds": 2,
    "timeout_seconds": 5,
}


def running(**fields: Any) -> Rig:  # noqa: ANN401 - fields of a TaskInfo
    rig = Rig.registered()
    rig.run(task("t", "sleep 9", **fields), framework=framework_info("TASK_KILLING_STATE"))
    rig.launched("t")
    rig.acknowledge_all()
    rig.take()
    return rig


def end_run(rig: Rig, status: int) -> None:
    rig.handle(events.ContainerExited(rig.last(effects.LaunchContainer).container_id, status))
    rig.acknowledge_all()


def test_a_health_check_begins_after_its_delay_in_the_surroundings_of_its_task() -> None:
    rig = running(health_check=HEALTH)
    rig.advance(0.9)
    assert not rig.of(effects.LaunchContainer)
    rig.advance(0.2)
    launch = rig.last(effects.LaunchContainer)
    assert launch.arguments == ["/bin/sh", "-c", "true"]
    assert launch.container_id != rig.container("t")
    assert launch.directory.endswith(f"/executors/t/runs/{rig.container('t')}")
    assert "MESOS_TASK_ID=t" in launch.environment


def test_the_first_pass_is_told_and_those_after_it_are_not() -> None:
    rig = running(health_check=HEALTH)
    rig.advance(1)
    end_run(rig, 0)
    (told,) = rig.updates()
    assert (told["state"], told["healthy"]) == ("TASK_RUNNING", True)
    assert told["reason"] == "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED"
    rig.take()
    rig.advance(2)
    end_run(rig, 0)
    assert not rig.updates()
    assert len(rig.of(effects.LaunchContainer)) == 1


def test_so_many_failures_in_a_row_end_the_task_and_each_is_told() -> None:
    rig = running(health_check=HEALTH)
    for _ in range(2):
        rig.advance(2)
        end_run(rig, 1 << 8)
    first, second, killing = rig.updates()
    assert [first["healthy"], second["healthy"], killing["healthy"]] == [False, False, False]
    assert [first["state"], second["state"], killing["state"]] == ["TASK_RUNNING", "TASK_RUNNING", "TASK_KILLING"]
    assert rig.last(effects.SignalContainer) == effects.SignalContainer(rig.container("t"), 15)
    rig.exited("t", 15)
    killed = rig.updates()[-1]
    assert (killed["state"], killed["healthy"]) == ("TASK_KILLED", False)
    assert "reason" not in killed
    rig.take()
    rig.advance(60)
    assert not rig.of(effects.LaunchContainer)


def test_failures_within_the_grace_period_are_not_counted() -> None:
    rig = running(health_check={**HEALTH, "grace_period_seconds": 10, "consecutive_failures": 1})
    for _ in range(3):
        rig.advance(2)
        end_run(rig, 1 << 8)
    assert not rig.updates()
    rig.advance(6)
    end_run(rig, 1 << 8)
    assert [told["healthy"] for told in rig.updates()] == [False, False]


def test_a_run_that_takes_too_long_is_killed_and_counts_as_failed() -> None:
    rig = running(health_check={**HEALTH, "consecutive_failures": 1})
    rig.advance(1)
    run_id = rig.last(effects.LaunchContainer).container_id
    rig.advance(5)
    signals = rig.of(effects.SignalContainer)
    assert signals == [effects.SignalContainer(run_id, 9), effects.SignalContainer(rig.container("t"), 15)]
    rig.handle(events.ContainerExited(run_id, 9))
    rig.acknowledge_all()
    assert [told["state"] for told in rig.updates()] == ["TASK_RUNNING", "TASK_KILLING"]
    assert rig.last(effects.CollectContainer).container_id == run_id


def test_a_check_tells_what_it_finds_and_never_kills() -> None:
    rig = running(check=CHECK)
    for status in (7 << 8, 7 << 8, 9):
        rig.advance(2)
        end_run(rig, status)
    told = rig.updates()
    assert [one["check_status"] for one in told] == [
        {"type": "COMMAND", "command": {"exit_code": 7}},
        {"type": "COMMAND", "command": {}},
    ]
    assert {one["reason"] for one in told} == {"REASON_TASK_CHECK_STATUS_UPDATED"}
    assert "A=b" in rig.last(effects.LaunchContainer).environment
    assert rig.state.task(FRAMEWORK, "t") is not None


def test_states_other_than_running_say_of_a_check_only_that_there_is_one() -> None:
    rig = Rig.registered()
    rig.run(task("t", "true", check=CHECK))
    rig.launched("t")
    rig.advance(1)
    end_run(rig, 7 << 8)
    rig.exited("t", 0)
    rig.acknowledge_all()
    empty = {"type": "COMMAND", "command": {}}
    assert [(one["state"], one["check_status"]) for one in rig.updates()] == [
        ("TASK_STARTING", empty),
        ("TASK_RUNNING", empty),
        ("TASK_RUNNING", {"type": "COMMAND", "command": {"exit_code": 7}}),
        ("TASK_FINISHED", empty),
    ]


@pytest.mark.parametrize(
    ("asked", "url"),
    [
        ({"port": 80}, "http://127.0.0.1:80/"),
        ({"port": 443, "scheme": "https", "path": "/up?a=b"}, "https://127.0.0.1:443/up?a=b"),
        ({"port": 80, "protocol": "IPv6"}, "http://[::1]:80/"),
    ],
)
def test_an_http_health_check_asks_the_loopback_address(asked: dict[str, Any], url: str) -> None:
    rig = running(health_check={**HEALTH, "type": "HTTP", "command": None, "http": asked})
    rig.advance(1)
    assert rig.last(effects.ProbeHttp).url == url
    rig.handle(events.ProbeEnded(rig.last(effects.ProbeHttp).probe_id, status_code=302))
    assert rig.updates()[-1]["healthy"] is True


def test_a_tcp_check_that_takes_too_long_is_aborted() -> None:
    rig = running(check={"type": "TCP", "tcp": {"port": 80}, "delay_seconds": 1, "timeout_seconds": 5})
    rig.advance(1)
    probe = rig.last(effects.ProbeTcp)
    assert (probe.ip, probe.port) == ("127.0.0.1", 80)
    rig.advance(5)
    assert rig.of(effects.AbortProbe) == [effects.AbortProbe(probe.probe_id)]
    rig.handle(events.ProbeEnded(probe.probe_id, connected=True))
    assert not rig.updates()
    rig.advance(10)
    rig.handle(events.ProbeEnded(rig.last(effects.ProbeTcp).probe_id, connected=False))
    assert rig.updates()[-1]["check_status"] == {"type": "TCP", "tcp": {"succeeded": False}}


def test_a_task_that_is_killed_is_checked_no_more() -> None:
    rig = running(health_check=HEALTH, check={"type": "TCP", "tcp": {"port": 80}, "delay_seconds": 1})
    rig.advance(1)
    run_id, probe_id = rig.last(effects.LaunchContainer).container_id, rig.last(effects.ProbeTcp).probe_id
    rig.receive(link.KillTask(FRAMEWORK, "t", 3.0))
    assert effects.SignalContainer(run_id, 9) in rig.done
    assert effects.AbortProbe(probe_id) in rig.done
    rig.take()
    rig.advance(2)
    assert not rig.of(effects.LaunchContainer)
    assert not rig.state.checks


def test_a_check_whose_command_can_not_start_has_no_outcome() -> None:
    rig = running(health_check={**HEALTH, "consecutive_failures": 1})
    rig.advance(1)
    run_id = rig.last(effects.LaunchContainer).container_id
    rig.handle(events.ContainerLaunchFailed(run_id, "no such file", exec_failed=True))
    assert rig.updates()[0]["healthy"] is False
    assert rig.last(effects.SignalContainer).signal == 15


def test_a_check_with_a_secret_is_refused_before_anything_is_started() -> None:
    variable = {"name": "KEY", "type": "SECRET", "secret": {"type": "VALUE", "value": {"data": "aa=="}}}
    rig = Rig.registered()
    rig.run(task("t", health_check={**HEALTH, "command": {"value": "x", "environment": {"variables": [variable]}}}))
    assert not rig.of(effects.LaunchContainer)
    assert rig.updates()[0]["state"] == "TASK_ERROR"


def test_a_check_that_begins_while_the_disk_is_slow_runs_once_it_has_written() -> None:
    rig = running(health_check={**HEALTH, "delay_seconds": 0})
    other = events.LinkReceived(rig.state.registration.link, link.KillTask(FRAMEWORK, "unknown", None))
    (checkpoint,) = [one for one in rig.machine.handle(other, rig.now) if isinstance(one, effects.Checkpoint)]
    rig.advance(0)
    assert not rig.of(effects.LaunchContainer), "what is not written down holds back all that follows"
    rig.handle(events.Checkpointed(checkpoint.sequence))
    assert rig.last(effects.LaunchContainer).container_id in rig.state.checks


def test_after_a_restart_the_checks_go_on_and_what_was_told_is_known() -> None:
    rig = running(health_check=HEALTH, check=CHECK)
    rig.advance(1)
    health_run, check_run = (launch.container_id for launch in rig.of(effects.LaunchContainer))
    rig.handle(events.ContainerExited(health_run, 0))
    rig.handle(events.ContainerExited(check_run, 7 << 8))
    rig.acknowledge_all()
    assert len(rig.updates()) == 2
    rig.advance(2)
    orphan = rig.last(effects.LaunchContainer).container_id
    again = Rig.after(rig, events.HeldContainer(rig.container("t"), 4711), events.HeldContainer(orphan, 4712))
    assert again.of(effects.SignalContainer) == [effects.SignalContainer(orphan, 9)]
    assert not [log for log in again.of(effects.Log) if log.level == "warning"]
    again.take()
    again.advance(1)
    assert len(again.of(effects.LaunchContainer)) == 2
    for launch, status in zip(again.of(effects.LaunchContainer), (0, 7 << 8), strict=True):
        again.handle(events.ContainerExited(launch.container_id, status))
    assert not again.updates()
