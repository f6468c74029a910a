"""The life of a command task: taken, launched, killed, ended, acknowledged, forgotten."""

from __future__ import annotations

import json

import pytest

from merismos.core.agent import effects, events
from merismos.protocol import link
from unit.agent.rig import FRAMEWORK, WALL_OFFSET_S, Rig, framework_info, seconds, task


def acknowledge(rig: Rig, update: link.UpdateStatus) -> None:
    rig.receive(link.AcknowledgeStatus(update.framework_id, update.task_id, update.uuid))


def test_a_task_gets_a_sandbox_and_then_its_process() -> None:
    rig = Rig.registered()
    rig.run(task("t", "echo hi"))
    sandbox, launch = rig.take()
    assert isinstance(sandbox, effects.CreateSandbox)
    assert isinstance(launch, effects.LaunchContainer)
    assert sandbox.directory == f"/w/slaves/S0/frameworks/F/executors/t/runs/{launch.container_id}"
    assert launch.directory == sandbox.directory
    assert launch.arguments == ["/bin/sh", "-c", "echo hi"]
    assert launch.argv0 == "sh"


def test_a_program_is_started_with_its_own_first_argument() -> None:
    rig = Rig.registered()
    rig.run(task("t", {"shell": False, "value": "/bin/echo", "arguments": ["echo", "a", "b"]}))
    launch = rig.last(effects.LaunchContainer)
    assert (launch.arguments, launch.argv0) == (["/bin/echo", "a", "b"], "echo")


def test_starting_and_running_go_out_one_after_the_other() -> None:
    rig = Rig.registered()
    rig.run(task("t"))
    rig.launched("t", pid=99)
    (starting,) = rig.sent(link.UpdateStatus)
    assert starting.state == "TASK_STARTING"
    rig.exited("t", 0)
    acknowledge(rig, starting)
    _, running = rig.sent(link.UpdateStatus)
    assert (running.state, running.latest_state) == ("TASK_RUNNING", "TASK_FINISHED")
    assert running.uuid != starting.uuid


def test_a_status_has_the_form_of_a_recorded_one() -> None:
    rig = Rig.registered()
    rig.run(task("t"))
    container = rig.container("t")
    rig.launched("t", pid=99)
    (update,) = rig.sent(link.UpdateStatus)
    head, _, tail = update.status.partition(b'"timestamp":')
    assert head == (
        b'{"task_id":{"value":"t"},"state":"TASK_STARTING","source":"SOURCE_EXECUTOR",'
        b'"agent_id":{"value":"S0"},"executor_id":{"value":"t"},'
    )
    timestamp, _, rest = tail.partition(b",")
    assert float(timestamp) == rig.now + WALL_OFFSET_S
    _, _, container_status = rest.partition(b'","container_status":')
    assert container_status == (
        b'{"container_id":{"value":"%s"},"network_infos":[{"ip_addresses":'
        b'[{"protocol":"IPv4","ip_address":"10.0.0.1"}]}],"executor_pid":99}}' % container.encode()
    )


def test_a_task_id_beyond_ascii_is_escaped() -> None:
    rig = Rig.registered()
    rig.run(task("aufgabe-ä"))
    rig.launched("aufgabe-ä")
    (update,) = rig.sent(link.UpdateStatus)
    assert update.status.isascii()
    assert json.loads(update.status)["task_id"]["value"] == "aufgabe-ä"


@pytest.mark.parametrize(
    ("status", "state", "message"),
    [
        (0, "TASK_FINISHED", "Command exited with status 0"),
        (3 << 8, "TASK_FAILED", "Command exited with status 3"),
        (9, "TASK_FAILED", "Command terminated with signal Killed"),
        (11 | 0x80, "TASK_FAILED", "Command terminated with signal Segmentation fault (core dumped)"),
        (15, "TASK_FAILED", "Command terminated with signal Terminated"),
        (36, "TASK_FAILED", "Command terminated with signal Real-time signal 2"),
    ],
)
def test_the_end_of_a_task_is_told_in_mesos_words(status: int, state: str, message: str) -> None:
    rig = Rig.registered()
    rig.run(task("t"))
    rig.launched("t")
    rig.exited("t", status)
    assert rig.acknowledge_all() == ["TASK_STARTING", "TASK_RUNNING", state]
    last = rig.updates()[-1]
    assert last["message"] == message
    assert "reason" not in last


def test_a_task_is_forgotten_once_its_last_update_is_acknowledged() -> None:
    rig = Rig.registered()
    rig.run(task("t"))
    rig.launched("t")
    rig.exited("t", 0)
    assert rig.state.task(FRAMEWORK, "t") is not None
    rig.acknowledge_all()
    assert rig.state.task(FRAMEWORK, "t") is None
    assert [done.task_id for done in rig.state.completed_frameworks[0].completed] == ["t"]


def test_a_framework_that_comes_back_keeps_its_completed_tasks() -> None:
    rig = Rig.registered()
    for task_id in ("t-1", "t-2"):
        rig.run(task(task_id))
        rig.launched(task_id)
        rig.exited(task_id, 0)
        rig.acknowledge_all()
    assert [done.task_id for done in rig.state.completed_frameworks[0].completed] == ["t-1", "t-2"]
    assert len(rig.state.completed_frameworks) == 1


def test_only_so_many_ended_tasks_of_a_framework_are_remembered() -> None:
    rig = Rig.registered(completed_executors_max=3)
    for number in range(5):
        rig.run(task(f"t-{number}"))
        rig.launched(f"t-{number}")
        rig.exited(f"t-{number}", 0)
        rig.acknowledge_all()
    assert [done.task_id for done in rig.state.completed_frameworks[0].completed] == ["t-2", "t-3", "t-4"]


# ------------------------------------------------------------------ what can't be run


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (task("t", None, executor={"executor_id": {"value": "e"}}), "'ExecutorInfo.command' must be set"),
        (task("t", {"shell": True}), "the command has no value"),
        (task("t", "echo a\0b"), "NUL character"),
        (
            task("t", {"value": "env", "environment": {"variables": [{"name": "A=B", "value": "c"}]}}),
            "'A=B' can't be the name",
        ),
        (
            task("t", {"value": "env", "environment": {"variables": [{"name": "S", "type": "SECRET"}]}}),
            "is a secret; it needs --isolation=environment_secret",
        ),
        (
            task("t", container={"type": "DOCKER", "docker": {"image": "alpine"}}),
            "None of the enabled containerizers (mesos) could create a container for the task",
        ),
        (
            task("t", container={"type": "MESOS", "mesos": {"image": {"type": "DOCKER"}}}),
            "images are off on this agent: start it with --image_providers",
        ),
        (
            task(
                "t", container={"type": "MESOS", "volumes": [{"mode": "RW", "container_path": "/x", "host_path": "/y"}]}
            ),
            "needs --isolation=filesystem/linux on this agent",
        ),
        (b'{"task_id":{"value":"t"}}', "name"),
    ],
)
def test_what_this_agent_cannot_run_is_refused_before_anything_starts(raw: bytes, said: str) -> None:
    rig = Rig.registered()
    rig.run(raw)
    assert not rig.of(effects.LaunchContainer)
    (status,) = rig.updates()
    assert status["state"] == "TASK_ERROR"
    assert status["reason"] == "REASON_TASK_INVALID"
    assert status["source"] == "SOURCE_AGENT"
    assert said in status["message"]
    assert rig.acknowledge_all() == ["TASK_ERROR"]
    assert len(rig.state.updates) == 0


def test_a_task_with_an_id_that_leads_elsewhere_is_refused() -> None:
    rig = Rig.registered()
    rig.run(task("../../etc"))
    assert not rig.of(effects.CreateSandbox)
    assert rig.updates()[0]["state"] == "TASK_ERROR"


def test_a_task_that_runs_already_is_not_started_twice() -> None:
    rig = Rig.registered()
    rig.run(task("t"))
    rig.run(task("t"))
    assert len(rig.of(effects.LaunchContainer)) == 1


def test_one_bad_task_does_not_keep_the_others_from_running() -> None:
    rig = Rig.registered()
    rig.run(task("good-1"), task("bad", {"shell": True}), task("good-2"))
    assert [launch.directory.split("/")[7] for launch in rig.of(effects.LaunchContainer)] == ["good-1", "good-2"]


def test_a_task_written_loosely_is_normalised() -> None:
    rig = Rig.registered()
    resource = {"name": "cpus", "type": "SCALAR", "scalar": {"value": "0.5"}}
    rig.run(task("t", resources=resource, labels=None))
    (taken,) = rig.state.tasks()
    scalar = taken.info.resources[0].scalar
    assert scalar is not None
    assert scalar.value == 0.5


def test_resources_are_allocated_to_the_role_of_the_offer() -> None:
    rig = Rig.registered()
    rig.run(task("t"), role="eng/web")
    (taken,) = rig.state.tasks()
    allocation = taken.info.resources[0].allocation_info
    assert allocation is not None
    assert allocation.role == "eng/web"


# ------------------------------------------------------------------ environment and user


def test_a_task_sees_what_mesos_tells_its_tasks() -> None:
    rig = Rig.registered(environment=["REGION=eu"])
    rig.run(
        task("t", {"value": "env", "environment": {"variables": [{"name": "A", "value": "b"}]}}),
        framework=framework_info(checkpoint=True),
    )
    launch = rig.last(effects.LaunchContainer)
    variables = dict(entry.split("=", 1) for entry in launch.environment)
    assert variables == {
        "A": "b",
        "LIBPROCESS_IP": "10.0.0.1",
        "LIBPROCESS_PORT": "0",
        "MESOS_AGENT_ENDPOINT": "10.0.0.1:5051",
        "MESOS_ALLOCATION_ROLE": "eng",
        "MESOS_CHECKPOINT": "1",
        "MESOS_DIRECTORY": launch.directory,
        "MESOS_EXECUTOR_ID": "t",
        "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD": "5secs",
        "MESOS_FRAMEWORK_ID": "F",
        "MESOS_HTTP_COMMAND_EXECUTOR": "0",
        "MESOS_RECOVERY_TIMEOUT": "15mins",
        "MESOS_SANDBOX": launch.directory,
        "MESOS_SLAVE_ID": "S0",
        "MESOS_SLAVE_PID": "slave(1)@10.0.0.1:5051",
        "MESOS_SUBSCRIPTION_BACKOFF_MAX": "2secs",
        "MESOS_TASK_ID": "t",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "REGION": "eu",
    }


def test_the_frameworks_variable_wins_over_the_agents() -> None:
    rig = Rig.registered(environment=["A=agent"])
    rig.run(task("t", {"value": "env", "environment": {"variables": [{"name": "A", "value": "task"}]}}))
    assert dict(entry.split("=", 1) for entry in rig.last(effects.LaunchContainer).environment)["A"] == "task"


@pytest.mark.parametrize(
    ("switch", "command_user", "expected"), [(True, "bob", "bob"), (True, None, "root"), (False, "bob", None)]
)
def test_a_task_runs_as_its_own_user_or_its_frameworks_where_switching_is_on(
    *, switch: bool, command_user: str | None, expected: str | None
) -> None:
    rig = Rig.registered(switch_user=switch)
    rig.run(task("t", {"value": "id", "user": command_user}))
    assert rig.last(effects.LaunchContainer).user == expected
    assert rig.last(effects.CreateSandbox).user == expected


# ------------------------------------------------------------------ failing to launch


def test_uris_are_fetched_before_the_launch() -> None:
    rig = Rig.registered()
    rig.run(task("t", {"value": "true", "uris": [{"value": "http://x/a"}]}))
    fetch = rig.last(effects.FetchUris)
    assert [uri.value for uri in fetch.uris] == ["http://x/a"]
    assert not rig.of(effects.LaunchContainer)
    rig.handle(events.UrisFetched(fetch.container_id))
    assert rig.last(effects.LaunchContainer).container_id == fetch.container_id


def test_a_failed_fetch_fails_the_task_without_it_ever_starting() -> None:
    rig = Rig.registered()
    rig.run(task("t", {"value": "true", "uris": [{"value": "http://x/a"}]}))
    rig.handle(events.FetchFailed(rig.container("t"), "Failed to fetch all URIs for container 'c': 404"))
    (status,) = rig.updates()
    assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED")
    assert status["message"] == "Failed to launch container: Failed to fetch all URIs for container 'c': 404"
    assert status["source"] == "SOURCE_AGENT"
    assert "container_status" not in status


def test_a_command_that_cannot_be_executed_ends_like_one_that_exits_with_1() -> None:
    rig = Rig.registered()
    rig.run(task("t"))
    rig.handle(events.ContainerLaunchFailed(rig.container("t"), "No such file or directory", exec_failed=True))
    assert rig.acknowledge_all() == ["TASK_STARTING", "TASK_RUNNING", "TASK_FAILED"]
    assert rig.updates()[-1]["message"] == "Command exited with status 1"


def test_tasks_whose_supervisor_died_fail_and_those_that_are_being_fetched_for_go_on() -> None:
    rig = Rig.registered()
    rig.run(task("runs"), task("fetches", {"value": "true", "uris": [{"value": "http://x/a"}]}))
    rig.launched("runs")
    rig.handle(events.ContainersLost("the supervisor ended with signal 9"))
    assert rig.acknowledge_all() == ["TASK_STARTING", "TASK_RUNNING", "TASK_FAILED"]
    assert rig.updates()[-1]["reason"] == "REASON_EXECUTOR_TERMINATED"
    rig.handle(events.UrisFetched(rig.container("fetches")))
    assert rig.last(effects.LaunchContainer).directory.split("/")[7] == "fetches"


# ------------------------------------------------------------------ kill


def kill(rig: Rig, task_id: str = "t", grace_s: float | None = None) -> None:
    rig.receive(link.KillTask(FRAMEWORK, task_id, grace_s))


def signals(rig: Rig) -> list[int]:
    return [effect.signal for effect in rig.of(effects.SignalContainer)]


def running_rig(raw: bytes | None = None, **settings: object) -> Rig:
    rig = Rig.registered(**settings)
    rig.run(raw or task("t"))
    rig.launched("t")
    rig.acknowledge_all()
    rig.take()
    return rig


def test_a_killed_task_gets_term_and_after_its_grace_kill() -> None:
    rig = running_rig(task("t", kill_policy={"grace_period": seconds(3)}))
    kill(rig)
    assert signals(rig) == [15]
    rig.advance(2.9)
    assert signals(rig) == [15]
    rig.advance(0.2)
    assert signals(rig) == [15, 9]
    rig.exited("t", 9)
    (status,) = rig.updates()
    assert (status["state"], status["message"]) == ("TASK_KILLED", "Command terminated with signal Killed")


def test_without_a_kill_policy_the_agents_grace_counts() -> None:
    rig = running_rig(kill_grace_s=7.0)
    kill(rig)
    rig.advance(6.9)
    assert signals(rig) == [15]
    rig.advance(0.2)
    assert signals(rig) == [15, 9]


def test_the_grace_of_the_kill_call_overrides_the_task() -> None:
    rig = running_rig(task("t", kill_policy={"grace_period": seconds(100)}))
    kill(rig, grace_s=1.0)
    rig.advance(1.1)
    assert signals(rig) == [15, 9]


def test_a_second_kill_does_not_extend_the_grace_but_may_shorten_it() -> None:
    rig = running_rig(kill_grace_s=10.0)
    kill(rig)
    rig.advance(4.0)
    kill(rig)
    rig.advance(1.0)
    kill(rig, grace_s=2.0)
    rig.advance(0.1)
    assert signals(rig) == [15, 9]


def test_a_task_that_ends_in_time_is_not_signalled_again() -> None:
    rig = running_rig()
    kill(rig)
    rig.exited("t", 15)
    rig.advance(100.0)
    assert signals(rig) == [15]


def test_a_framework_that_knows_task_killing_is_told() -> None:
    rig = Rig.registered()
    rig.run(task("t"), framework=framework_info("TASK_KILLING_STATE"))
    rig.launched("t")
    kill(rig)
    rig.exited("t", 15)
    assert rig.acknowledge_all() == ["TASK_STARTING", "TASK_RUNNING", "TASK_KILLING", "TASK_KILLED"]


def test_a_kill_while_fetching_ends_the_task_without_a_process() -> None:
    rig = Rig.registered()
    rig.run(task("t", {"value": "true", "uris": [{"value": "http://x/a"}]}))
    container = rig.container("t")
    kill(rig)
    assert rig.last(effects.AbortFetch).container_id == container
    (status,) = rig.updates()
    assert (status["state"], status["reason"]) == ("TASK_KILLED", "REASON_TASK_KILLED_DURING_LAUNCH")
    rig.handle(events.UrisFetched(container))
    assert not rig.of(effects.LaunchContainer)


def test_a_kill_between_launch_and_its_answer_reaches_the_process() -> None:
    rig = Rig.registered()
    rig.run(task("t"))
    kill(rig)
    assert signals(rig) == [15]
    rig.launched("t")
    rig.exited("t", 15)
    assert rig.acknowledge_all() == ["TASK_STARTING", "TASK_RUNNING", "TASK_KILLED"]


def test_a_kill_before_the_process_started_ends_the_task() -> None:
    rig = Rig.registered()
    rig.run(task("t"))
    kill(rig)
    rig.handle(events.ContainerLaunchFailed(rig.container("t"), "ended before it started"))
    assert rig.acknowledge_all() == ["TASK_KILLED"]


def test_a_task_that_finished_as_it_was_killed_is_killed() -> None:
    rig = running_rig()
    kill(rig)
    rig.exited("t", 0)
    assert rig.updates()[-1]["state"] == "TASK_KILLED"


def test_the_kill_of_a_task_whose_end_was_acknowledged_changes_nothing() -> None:
    rig = running_rig()
    rig.exited("t", 0)
    assert rig.acknowledge_all() == ["TASK_FINISHED"]
    rig.take()
    kill(rig)
    assert rig.updates() == []


def test_the_kill_of_a_task_that_is_not_here_is_answered() -> None:
    rig = Rig.registered()
    kill(rig, "nobody")
    assert rig.acknowledge_all() == ["TASK_DROPPED"]


def test_a_kill_of_a_task_whose_end_is_on_its_way_changes_nothing() -> None:
    rig = running_rig()
    rig.exited("t", 0)
    kill(rig)
    assert rig.acknowledge_all() == ["TASK_FINISHED"]


def test_a_task_that_takes_longer_than_it_said_fails() -> None:
    rig = running_rig(task("t", max_completion_time=seconds(10)))
    rig.advance(9.9)
    assert signals(rig) == []
    rig.advance(0.2)
    assert signals(rig) == [15]
    rig.exited("t", 15)
    (status,) = rig.updates()
    assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_MAX_COMPLETION_TIME_REACHED")


def test_a_task_that_ends_within_its_completion_time_is_left_alone() -> None:
    rig = running_rig(task("t", max_completion_time=seconds(10)))
    rig.exited("t", 0)
    rig.advance(20.0)
    assert signals(rig) == []


# ------------------------------------------------------------------ frameworks and what isn't there yet


def test_a_framework_that_is_shut_down_loses_its_tasks_and_is_owed_nothing() -> None:
    rig = Rig.registered()
    rig.run(task("t-1"), task("t-2", {"value": "true", "uris": [{"value": "http://x/a"}]}))
    rig.launched("t-1")
    rig.take()
    rig.receive(link.ShutdownFramework(FRAMEWORK))
    assert signals(rig) == [15]
    rig.exited("t-1", 15)
    rig.advance(1000.0)
    assert rig.sent(link.UpdateStatus) == []
    assert not rig.state.frameworks
    assert len(rig.state.completed_frameworks) == 1


def test_a_command_task_is_its_own_executor_to_be_shut_down() -> None:
    rig = running_rig()
    rig.receive(link.ShutdownExecutor(FRAMEWORK, "t"))
    assert signals(rig) == [15]


def test_a_task_group_is_refused_task_by_task() -> None:
    rig = Rig.registered()
    group = [task("a"), task("b")]
    rig.receive(link.RunTaskGroup(FRAMEWORK, framework_info(), "eng", b"{}", group))
    assert [(status["task_id"]["value"], status["state"]) for status in rig.updates()] == [
        ("a", "TASK_ERROR"),
        ("b", "TASK_ERROR"),
    ]


def test_a_frameworks_new_capabilities_count_from_then_on() -> None:
    rig = running_rig()
    rig.receive(link.UpdateFramework(framework_info("TASK_KILLING_STATE")))
    kill(rig)
    rig.exited("t", 15)
    assert rig.acknowledge_all() == ["TASK_KILLING", "TASK_KILLED"]


def test_what_is_not_acknowledged_goes_out_again_when_the_frameworks_scheduler_is_there_anew() -> None:
    rig = running_rig()
    rig.exited("t", 0)
    before = rig.updates()
    rig.receive(link.UpdateFramework(framework_info()))
    assert [status["uuid"] for status in rig.updates()[len(before) :]] == [before[-1]["uuid"]]


# ------------------------------------------------------------------ sandboxes


def test_a_sandbox_is_removed_when_it_was_kept_long_enough() -> None:
    rig = running_rig(gc_delay_s=3600.0)
    (one,) = rig.state.tasks()
    directory = one.directory
    rig.exited("t", 0)
    rig.acknowledge_all()
    rig.advance(3599.0)
    assert not rig.of(effects.RemoveSandbox)
    rig.advance(2.0)
    assert [effect.directory for effect in rig.of(effects.RemoveSandbox)] == [directory]


def removed(rig: Rig) -> list[str]:
    return [effect.directory for effect in rig.of(effects.RemoveSandbox)]


def test_sandboxes_of_earlier_runs_are_removed_by_their_age() -> None:
    rig = Rig.registered(gc_delay_s=100.0)
    rig.handle(events.Started(1, 0.0, (("/w/new", 40.0), ("/w/old", 500.0))))
    rig.advance(0.0)
    assert removed(rig) == ["/w/old"]
    rig.advance(61.0)
    assert removed(rig) == ["/w/old", "/w/new"]


def test_the_fuller_the_disk_the_sooner_sandboxes_go() -> None:
    rig = Rig.registered(gc_delay_s=100.0, gc_disk_headroom=0.1)
    rig.handle(events.Started(1, 0.0, (("/w/a", 45.0), ("/w/b", 30.0))))
    rig.handle(events.DiskMeasured(0.4))
    rig.advance(4.0)
    assert removed(rig) == []
    rig.advance(2.0)
    assert removed(rig) == ["/w/a"]
    rig.handle(events.DiskMeasured(0.95))
    rig.advance(0.0)
    assert removed(rig) == ["/w/a", "/w/b"]


def test_a_full_disk_is_emptied_at_a_bounded_pace() -> None:
    rig = Rig.registered(gc_delay_s=1000.0)
    rig.handle(events.Started(1, 0.0, tuple((f"/w/{number}", 10.0) for number in range(250))))
    rig.handle(events.DiskMeasured(1.0))
    rig.advance(0.0)
    assert len(removed(rig)) == 100
    rig.advance(2.5)
    assert len(removed(rig)) == 250


def test_the_same_seed_gives_the_same_transcript() -> None:
    transcripts = []
    for _ in range(2):
        rig = Rig.registered()
        rig.run(task("a"), task("b"), task("c"))
        for task_id in ("b", "a", "c"):
            rig.launched(task_id)
        rig.exited("b", 0)
        rig.acknowledge_all()
        transcripts.append(repr(rig.done))
    assert transcripts[0] == transcripts[1]
