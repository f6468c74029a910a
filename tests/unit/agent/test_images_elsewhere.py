"""Images of custom executors, and of containers that operators ask for: pulled for, launched in, let go of."""

from __future__ import annotations

from typing import Any

import pytest

from merismos.core.agent import effects, events
from merismos.core.containers.image_config import ImageConfig
from merismos.core.containers.image_plan import Mount, PulledImage
from merismos.protocol import link
from unit.agent.executor_rig import ExecutorRig, job
from unit.agent.rig import FRAMEWORK, framework_info, task
from unit.agent.test_images import PULLED, container
from unit.agent.test_nested import Operator, nested

NOTHING = PulledImage([], ImageConfig())


def with_executor(**fields: Any) -> ExecutorRig:  # noqa: ANN401 - any of AgentSettings
    rig = ExecutorRig.registered(images=True, **fields)
    assert isinstance(rig, ExecutorRig)
    return rig


def pulled(rig: ExecutorRig, image: PulledImage = PULLED) -> effects.LaunchContainer:
    rig.handle(events.ImagePulled(rig.of(effects.PullImage)[-1].container_id, image))
    return rig.last(effects.LaunchContainer)


# ------------------------------------------------------------------ custom executors


def test_an_executor_waits_for_its_image_and_its_files_and_runs_in_the_image_s_root() -> None:
    rig = with_executor(domain_socket="/w/executors.sock")
    command = {"shell": False, "arguments": ["mine"], "uris": [{"value": "/f"}]}
    rig.run(job("t", container=container(), command=command))
    (pull,) = rig.of(effects.PullImage)
    rig.handle(events.UrisFetched(pull.container_id))
    assert not rig.of(effects.LaunchContainer)
    launch = pulled(rig)
    assert launch.executor == (FRAMEWORK, "e")
    assert launch.arguments == ["entry", "mine"]
    environment = dict(variable.split("=", 1) for variable in launch.environment)
    assert environment["MESOS_SANDBOX"] == "/mnt/mesos/sandbox"
    assert environment["MESOS_DOMAIN_SOCKET"] == "/mnt/mesos/agent/executors.sock"
    assert environment["PATH"] == "/own"
    assert launch.root is not None
    assert launch.root.mounts == [Mount("host", "/mnt/mesos/agent", "/w/executors.sock.d", read_only=True)]
    rig.handle(events.ContainerLaunched(launch.container_id, 4711))
    rig.subscribe()
    assert rig.delivered() == ["t"]


@pytest.mark.parametrize("what", ["image", "nothing to run", "sandbox", "launch"])
def test_an_executor_that_cannot_be_had_fails_its_tasks_and_lets_its_image_go(what: str) -> None:
    rig = with_executor()
    rig.run(job("t", container=container(), command={"shell": False}))
    (pull,) = rig.of(effects.PullImage)
    cid = pull.container_id
    if what == "launch":
        pulled(rig)
    rig.handle(
        {
            "image": events.ImagePullFailed(cid, "gone"),
            "nothing to run": events.ImagePulled(cid, NOTHING),
            "sandbox": events.ContainerLaunchFailed(cid, "gone"),
            "launch": events.ContainerLaunchFailed(cid, "gone"),
        }[what]
    )
    (status,) = rig.updates()
    assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED")
    assert [effect.container_id for effect in rig.of(effects.AbortFetch)] == [cid]
    before = len(rig.of(effects.LaunchContainer))
    rig.handle(events.ImagePulled(cid, PULLED) if what == "sandbox" else events.ImagePullFailed(cid, "late"))
    assert len(rig.of(effects.LaunchContainer)) == before


def test_an_executor_s_last_task_is_killed_while_the_image_is_pulled() -> None:
    rig = with_executor()
    rig.run(job("t", container=container()))
    (pull,) = rig.of(effects.PullImage)
    rig.receive(link.KillTask(FRAMEWORK, "t", None))
    assert pull.container_id in [effect.container_id for effect in rig.of(effects.AbortFetch)]
    assert not rig.state.executors


def test_what_an_executor_s_container_cannot_have_is_refused_before_anything_is_pulled() -> None:
    rig = with_executor()
    rig.run(job("t", container=container(tty_info={})))
    (status,) = rig.updates()
    assert status["state"] == "TASK_ERROR"
    assert "terminals of containers are not supported yet" in status["message"]
    assert not rig.of(effects.PullImage)


# ------------------------------------------------------------------ nested and standalone


def ready(**fields: Any) -> tuple[ExecutorRig, Operator, str]:  # noqa: ANN401 - fields of TaskInfo
    rig = with_executor(switch_user=True)
    rig.run(task("t", "sleep 9", **fields), framework=framework_info(user="nobody"))
    if fields:
        pulled(rig)
    rig.launched("t")
    rig.acknowledge_all()
    rig.take()
    return rig, Operator(rig), rig.container("t")


def test_a_nested_container_is_answered_once_it_runs_in_its_image_as_its_parent_s_user() -> None:
    rig, operator, parent = ready()
    volumes = [
        {
            "mode": "RW",
            "container_path": "/c",
            "source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": "p"}},
        }
    ]
    request = operator.call(
        "LAUNCH_NESTED_CONTAINER", nested(parent, "n"), command={"shell": False}, container=container(volumes=volumes)
    )
    assert not rig.of(effects.LaunchContainer)
    assert operator.answer(request) is None
    launch = pulled(rig)
    assert (launch.arguments, launch.user, launch.inside) == (["entry", "cmd"], "nobody", "")
    home = rig.state.frameworks[FRAMEWORK].tasks["t"].directory
    assert launch.directory == f"{home}/containers/n"
    assert launch.root is not None
    assert launch.root.image_user == "", "an image takes rights away, and gives none"
    assert launch.root.mounts == [Mount("sandbox", "/c", "p", home)]
    rig.handle(events.ContainerLaunched(launch.container_id, 55))
    assert operator.refused(request) == (200, "")
    inner = operator.call("LAUNCH_NESTED_CONTAINER", nested(parent, "x"), command={"value": "x"})
    assert operator.answer(inner) is None
    deep = {"value": "deep", "parent": nested(parent, "n")}
    operator.call("LAUNCH_NESTED_CONTAINER", deep, command={"value": "x"})
    assert rig.last(effects.LaunchContainer).inside == f"{parent}.n"


def test_a_parent_s_volume_of_a_standalone_container_is_its_own_and_not_the_agent_s_directory() -> None:
    rig = with_executor()
    operator = Operator(rig)
    volumes = [
        {
            "mode": "RW",
            "container_path": "/c",
            "source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": "meta"}},
        }
    ]
    operator.call("LAUNCH_CONTAINER", {"value": "a"}, command={"value": "x"}, container=container(volumes=volumes))
    launch = pulled(rig)
    assert launch.root is not None
    assert launch.root.mounts == [Mount("sandbox", "/c", "meta", "/w/containers/a")]


def test_a_session_in_an_image_has_its_terminal_and_its_parent_s_sandbox() -> None:
    rig, operator, parent = ready(container=container())
    size = {"tty_info": {"window_size": {"rows": 30, "columns": 100}}}
    request = operator.call(
        "LAUNCH_NESTED_CONTAINER_SESSION", nested(parent, "s"), command={"value": "sh"}, container=container(**size)
    )
    launch = pulled(rig)
    assert launch.streams == effects.Streams((30, 100))
    assert launch.directory.endswith(f"/runs/{parent}")
    assert not rig.of(effects.CreateSandbox)
    rig.handle(events.ContainerLaunched(launch.container_id, 55))
    assert operator.refused(request) == (200, "")


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (lambda cid: events.ImagePullFailed(cid, "gone"), "Failed to launch container: gone"),
        (lambda cid: events.ImagePulled(cid, NOTHING), "Failed to launch container: neither the task nor its image"),
        (lambda cid: events.ContainerLaunchFailed(cid, "no disk"), "Failed to launch container: no disk"),
    ],
)
def test_a_nested_container_whose_image_cannot_be_had_is_answered_so_and_may_be_asked_for_again(
    event: Any,  # noqa: ANN401 - a lambda
    said: str,
) -> None:
    rig, operator, parent = ready()
    ask = {"command": {"shell": False}, "container": container()}
    request = operator.call("LAUNCH_NESTED_CONTAINER", nested(parent, "n"), **ask)
    rig.handle(event(f"{parent}.n"))
    status, text = operator.refused(request)
    assert status == 500
    assert text.startswith(said)
    assert [effect.container_id for effect in rig.of(effects.AbortFetch)] == [f"{parent}.n"]
    operator.call("LAUNCH_NESTED_CONTAINER", nested(parent, "n"), **ask)
    assert len(rig.of(effects.PullImage)) == 2


@pytest.mark.parametrize("how", ["killed", "parent ends", "agent stops", "caller gone"])
def test_a_container_that_waits_for_its_image_is_let_go_of_when_nobody_wants_it(how: str) -> None:
    rig, operator, parent = ready()
    kind = "LAUNCH_NESTED_CONTAINER_SESSION" if how == "caller gone" else "LAUNCH_NESTED_CONTAINER"
    request = operator.call(kind, nested(parent, "n"), command={"value": "x"}, container=container())
    if how == "killed":
        assert operator.refused(operator.call("KILL_NESTED_CONTAINER", nested(parent, "n"))) == (200, "")
    elif how == "parent ends":
        rig.exited("t", 0)
    elif how == "agent stops":
        rig.handle(events.StopRequested("SIGUSR1"))
    else:
        rig.handle(events.ContainerCallerGone(request))
    assert [effect.container_id for effect in rig.of(effects.AbortFetch)] == [f"{parent}.n"]
    assert not rig.state.nested
    if how != "caller gone":
        assert operator.refused(request) == (500, "Failed to launch container: killed before it started")
    rig.handle(events.ImagePulled(f"{parent}.n", PULLED))
    assert not rig.of(effects.LaunchContainer)


def test_the_next_agent_knows_that_a_nested_container_has_files_of_its_own() -> None:
    rig, operator, parent = ready()
    operator.call("LAUNCH_NESTED_CONTAINER", nested(parent, "n"), command={"value": "x"}, container=container())
    launch = pulled(rig)
    rig.handle(events.ContainerLaunched(launch.container_id, 55))
    held = [events.HeldContainer(path, 1) for path in (parent, f"{parent}.n")]
    after = ExecutorRig.after(rig, *held)
    asking = Operator(after)
    asking.call("LAUNCH_NESTED_CONTAINER", {"value": "deep", "parent": nested(parent, "n")}, command={"value": "x"})
    assert after.last(effects.LaunchContainer).inside == f"{parent}.n"


def test_a_supervisor_s_death_ends_no_container_that_only_waits_for_its_image() -> None:
    rig = with_executor()
    operator = Operator(rig)
    request = operator.call("LAUNCH_CONTAINER", {"value": "a"}, command={"value": "x"}, container=container())
    rig.handle(events.ContainersLost("it died"))
    assert operator.answer(request) is None
    assert pulled(rig).container_id == "a"


def test_what_is_nested_takes_no_network_of_its_own() -> None:
    rig, operator, parent = ready()
    rig.state.settings.networks = True
    refused = operator.call(
        "LAUNCH_NESTED_CONTAINER",
        nested(parent, "n"),
        command={"value": "x"},
        container=container(network_infos=[{"name": "other"}]),
    )
    status, text = operator.refused(refused)
    assert status == 400
    assert "what is nested is in its parent's network" in text
