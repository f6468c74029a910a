"""Tasks of type DOCKER in the agent's core: launched, checked, killed, found again."""

from __future__ import annotations

import base64
import json
from typing import Any

from merismos.core.agent import effects, events
from merismos.core.agent.events import HeldContainer
from merismos.core.containers.docker_plan import DockerCreate, DockerExec, DockerSettings
from merismos.ports.checkpoints import Entries, apply
from merismos.protocol import link
from unit.agent.rig import FRAMEWORK, Rig, seconds, task

DOCKER = {"type": "DOCKER", "docker": {"image": "web:1"}}
SETTINGS = DockerSettings(work_dir="/w")


def docker_task(task_id: str = "t", **fields: Any) -> bytes:  # noqa: ANN401 - fields of TaskInfo
    return task(task_id, container=DOCKER, **fields)


def states(rig: Rig, task_id: str = "t") -> list[str]:
    return [update.state for update in rig.sent(link.UpdateStatus) if update.task_id == task_id]


def acknowledge(rig: Rig) -> None:
    update = rig.sent(link.UpdateStatus)[-1]
    rig.receive(link.AcknowledgeStatus(update.framework_id, update.task_id, update.uuid))


def running(data: bytes = b"", **fields: Any) -> tuple[Rig, str]:  # noqa: ANN401 - fields of TaskInfo
    rig = Rig.registered(docker=SETTINGS)
    rig.handle(events.ContainersRecovered("h"))
    rig.handle(events.DockerRecovered())
    rig.run(docker_task(**fields))
    container_id = rig.last(effects.LaunchContainer).container_id
    rig.handle(events.ContainerLaunched(container_id, 42, "172.17.0.2", data=data))
    return rig, container_id


def restarted(rig: Rig, **settings: Any) -> Rig:  # noqa: ANN401 - of AgentSettings
    """Another agent with what this one wrote down, under another supervisor."""
    kept: Entries = {}
    for checkpoint in rig.checkpoints:
        apply(kept, checkpoint.changes)
    started = events.Started(2, 1_000_000.0, checkpoints=tuple(kept.items()))
    again = Rig(started=started, now=rig.now, **{"docker": SETTINGS, **settings})
    again.handle(events.ContainersRecovered("another"))
    if "cleanup" not in settings:
        again.handle(events.MasterDetected("m:5050"))
        again.open_link()
        again.receive(link.AgentRegistered("S0"))
    return again


def test_a_task_is_dockers_and_has_its_own_address() -> None:
    rig, container_id = running()
    plan = rig.last(effects.LaunchContainer).docker
    assert isinstance(plan, DockerCreate)
    assert (plan.name, plan.image) == (f"mesos-{container_id}", "web:1")
    status = json.loads(rig.sent(link.UpdateStatus)[0].status)
    infos = status["container_status"]["network_infos"]
    assert infos[0]["ip_addresses"][0]["ip_address"] == "172.17.0.2"


def test_task_running_bears_what_docker_inspect_says_and_nobody_keeps_that() -> None:
    inspected = b'[{"Id":"abc"}]'
    rig, container_id = running(data=inspected)
    rig.acknowledge_all()
    (told,) = (status for status in rig.updates() if status["state"] == "TASK_RUNNING")
    assert base64.b64decode(told["data"]) == inspected
    assert told["labels"]["labels"] == [{"key": "Docker.NetworkSettings.IPAddress", "value": "172.17.0.2"}]
    assert [b'"data"' in status for status in rig.state.containers[container_id].statuses] == [False, False]


def test_an_agent_without_the_containerizer_of_a_task_says_so() -> None:
    rig = Rig.registered()
    rig.run(docker_task())
    assert "None of the enabled containerizers (mesos) could" in rig.sent(link.UpdateStatus)[-1].status.decode()
    rig = Rig.registered(docker=SETTINGS, native=False)
    rig.run(task("t"))
    assert "None of the enabled containerizers (docker) could" in rig.sent(link.UpdateStatus)[-1].status.decode()


def test_limits_of_other_tasks_still_need_cgroups() -> None:
    rig = Rig.registered(docker=SETTINGS)
    rig.run(task("t", limits={"cpus": {"value": 1}}))
    assert "limits need cgroups" in rig.sent(link.UpdateStatus)[-1].status.decode()


def test_a_supervisor_that_dies_takes_no_container_of_docker_along() -> None:
    rig, container_id = running()
    rig.handle(events.ContainersLost("it died"))
    rig.handle(events.ContainersRecovered("another"))
    assert container_id in rig.state.containers


def test_a_command_check_runs_in_the_container_and_one_over_http_asks_its_address() -> None:
    command = {"type": "COMMAND", "command": {"command": {"value": "true"}}, "delay_seconds": 0}
    health = {"type": "HTTP", "http": {"port": 80}, "delay_seconds": 0}
    rig, container_id = running(check=command, health_check=health)
    rig.advance(1.0)
    launched = rig.last(effects.LaunchContainer)
    assert isinstance(launched.docker, DockerExec)
    assert launched.docker.container_id == container_id
    assert rig.last(effects.ProbeHttp).url == "http://172.17.0.2:80/"


def test_a_check_that_nobody_could_be_asked_for_says_nothing_and_is_tried_again() -> None:
    health = {"type": "COMMAND", "command": {"value": "true"}, "delay_seconds": 0, "interval_seconds": 1}
    rig, container_id = running(health_check={**health, "consecutive_failures": 1, "grace_period_seconds": 0})
    for _ in range(3):
        rig.advance(1.0)
        run_id = rig.last(effects.LaunchContainer).container_id
        assert run_id != container_id
        rig.handle(events.ContainerLaunchFailed(run_id, "no answer", unasked=True))
    assert len(rig.of(effects.LaunchContainer)) >= 4
    assert rig.of(effects.SignalContainer) == []


def test_the_stop_timeout_is_the_grace_of_tasks_without_a_policy() -> None:
    settings = DockerSettings(work_dir="/w", stop_timeout_s=30.0)
    rig = Rig.registered(docker=settings)
    policy = {"grace_period": seconds(7)}
    rig.run(docker_task("plain"), docker_task("own", kill_policy=policy), task("native"))
    for effect, pid in zip(rig.of(effects.LaunchContainer), (1, 2, 3), strict=True):
        rig.handle(events.ContainerLaunched(effect.container_id, pid))
    for task_id in ("plain", "own", "native"):
        rig.receive(link.KillTask(FRAMEWORK, task_id))
    rig.done.clear()
    ended = {}
    for at in range(1, 31):
        rig.advance(1.0)
        for effect in rig.of(effects.SignalContainer):
            one = rig.state.containers[effect.container_id]
            ended.setdefault(one.task_id, at)
    assert ended == {"native": 5, "own": 7, "plain": 30}


# ------------------------------------------------------------------ after a restart


def test_a_container_that_docker_still_has_goes_on() -> None:
    before, container_id = running()
    rig = restarted(before)
    assert states(rig)[-1:] != ["TASK_FAILED"], "Docker hasn't said anything yet"
    rig.handle(events.DockerRecovered((HeldContainer(container_id, pid=42, ip="172.17.0.2"),)))
    assert rig.state.containers[container_id].ip == "172.17.0.2"
    assert rig.of(effects.LaunchContainer) == []
    assert rig.of(effects.SignalContainer) == []


def test_a_container_that_ended_meanwhile_tells_how() -> None:
    before, container_id = running()
    rig = restarted(before)
    rig.handle(events.DockerRecovered((HeldContainer(container_id, status=3 << 8),)))
    while states(rig)[-1] != "TASK_FAILED":
        acknowledge(rig)
    assert "Container exited with status 3" in rig.sent(link.UpdateStatus)[-1].status.decode()
    assert rig.of(effects.CollectContainer)


def test_a_container_that_docker_does_not_have_any_more_is_lost() -> None:
    before, container_id = running()
    rig = restarted(before)
    rig.handle(events.DockerRecovered())
    while states(rig)[-1] != "TASK_FAILED":
        acknowledge(rig)
    assert container_id not in rig.state.containers


def test_a_launch_that_docker_never_heard_of_begins_again_and_one_that_it_did_is_finished() -> None:
    before = Rig.registered(docker=SETTINGS)
    before.handle(events.ContainersRecovered("h"))
    before.run(docker_task("never"), docker_task("created"))
    never, created = (effect.container_id for effect in before.of(effects.LaunchContainer))
    rig = restarted(before)
    assert rig.of(effects.LaunchContainer) == []
    rig.handle(events.DockerRecovered((HeldContainer(created),)))
    assert sorted(one.container_id for one in rig.of(effects.LaunchContainer)) == sorted([never, created])


def test_a_kill_before_docker_answers_is_done_when_it_does() -> None:
    before, container_id = running()
    rig = restarted(before)
    rig.receive(link.KillTask(FRAMEWORK, "t"))
    rig.advance(60.0)
    rig.done.clear()
    rig.handle(events.DockerRecovered((HeldContainer(container_id, pid=42),)))
    rig.advance(0.0)
    assert [effect.signal for effect in rig.of(effects.SignalContainer)] == [15, 9]


def test_a_container_of_no_task_is_killed_unless_orphans_are_spared() -> None:
    for kill_orphans in (True, False):
        settings = DockerSettings(work_dir="/w", kill_orphans=kill_orphans)
        rig = Rig.registered(docker=settings)
        rig.handle(events.ContainersRecovered("h"))
        rig.handle(events.DockerRecovered((HeldContainer("stray", pid=7), HeldContainer("ended", status=0))))
        assert [one.container_id for one in rig.of(effects.SignalContainer)] == ["stray"] * kill_orphans
        assert [one.container_id for one in rig.of(effects.CollectContainer)] == ["ended"]


def test_cleanup_ends_dockers_containers_too_and_only_then_the_agent() -> None:
    before, container_id = running()
    rig = restarted(before, cleanup=True)
    assert rig.of(effects.Exit) == []
    rig.handle(events.DockerRecovered((HeldContainer(container_id, pid=42),)))
    rig.advance(0.0)
    assert rig.last(effects.SignalContainer).container_id == container_id
    rig.handle(events.ContainerExited(container_id, 9))
    assert rig.of(effects.Exit)
