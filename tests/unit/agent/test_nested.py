"""Containers that operators ask an agent's core for: nested, standalone and sessions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from merismos.core.agent import effects, events
from merismos.protocol import json as wire
from merismos.protocol import link
from merismos.protocol.v1 import agent as api
from unit.agent.rig import FRAMEWORK, Rig, task


def nested(parent: str, own: str) -> dict[str, Any]:
    return {"value": own, "parent": {"value": parent}}


class Operator:
    """Somebody who calls, and remembers the answers."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.requests = 0

    def call(self, kind: str, container_id: dict[str, Any], **fields: Any) -> int:  # noqa: ANN401 - fields of the call
        body = {"type": kind, kind.lower(): {"container_id": container_id, **fields}}
        self.requests += 1
        call = wire.decode(api.Call, json.dumps(body).encode())
        self.rig.handle(events.ContainerCalled(self.requests, call))
        return self.requests

    def answer(self, request: int) -> effects.AnswerContainerCall | None:
        found = [one for one in self.rig.of(effects.AnswerContainerCall) if one.request == request]
        assert len(found) <= 1, "a call is answered once"
        return found[0] if found else None

    def refused(self, request: int) -> tuple[int, str]:
        answer = self.answer(request)
        assert answer is not None
        return answer.status, answer.text

    def waited(self, request: int) -> int | None:
        answer = self.answer(request)
        assert answer is not None
        assert answer.answer is not None
        return answer.answer.exit_status


def ready(command: object = "sleep 9") -> tuple[Rig, Operator, str]:
    rig = Rig.registered()
    rig.run(task("t", command))
    rig.launched("t")
    rig.acknowledge_all()
    rig.take()
    return rig, Operator(rig), rig.container("t")


def launched(rig: Rig, operator: Operator, parent: str, own: str = "n") -> str:
    operator.call("LAUNCH_NESTED_CONTAINER", nested(parent, own), command={"value": "sleep 5"})
    path = f"{parent}.{own}"
    rig.handle(events.ContainerLaunched(path, 55))
    return path


def test_a_nested_container_runs_in_a_sandbox_within_its_parent_s_with_its_environment() -> None:
    rig, operator, parent = ready()
    request = operator.call("LAUNCH_NESTED_CONTAINER", nested(parent, "n"), command={"value": "echo hi"})
    launch = rig.last(effects.LaunchContainer)
    assert launch.container_id == f"{parent}.n"
    assert launch.directory.endswith(f"/executors/t/runs/{parent}/containers/n")
    assert "MESOS_TASK_ID=t" in launch.environment
    assert launch.environment[-1] == f"MESOS_SANDBOX={launch.directory}"
    assert launch.streams is None
    assert operator.answer(request) is None
    rig.handle(events.ContainerLaunched(launch.container_id, 55))
    assert operator.refused(request) == (200, "")


def test_waiting_answers_with_the_exit_status_before_and_after_the_end() -> None:
    rig, operator, parent = ready()
    path = launched(rig, operator, parent)
    early = operator.call("WAIT_NESTED_CONTAINER", nested(parent, "n"))
    assert operator.answer(early) is None
    rig.handle(events.ContainerExited(path, 3 << 8))
    assert operator.waited(early) == 768
    assert operator.waited(operator.call("WAIT_NESTED_CONTAINER", nested(parent, "n"))) == 768
    assert rig.last(effects.CollectContainer).container_id == path


def test_a_kill_is_sigkill_unless_a_signal_is_given() -> None:
    rig, operator, parent = ready()
    path = launched(rig, operator, parent)
    operator.call("KILL_NESTED_CONTAINER", nested(parent, "n"))
    operator.call("KILL_NESTED_CONTAINER", nested(parent, "n"), signal=10)
    assert rig.of(effects.SignalContainer) == [effects.SignalContainer(path, 9), effects.SignalContainer(path, 10)]


def test_only_what_has_ended_can_be_removed() -> None:
    rig, operator, parent = ready()
    path = launched(rig, operator, parent)
    wanted = nested(parent, "n")
    assert operator.refused(operator.call("REMOVE_NESTED_CONTAINER", wanted)) == (
        500,
        "Nested container has not terminated yet",
    )
    rig.handle(events.ContainerExited(path, 0))
    assert operator.refused(operator.call("REMOVE_NESTED_CONTAINER", wanted)) == (200, "")
    assert rig.last(effects.RemoveSandbox).directory.endswith("/containers/n")
    assert operator.refused(operator.call("WAIT_NESTED_CONTAINER", wanted)) == (
        404,
        f"Container {path} cannot be found",
    )


@pytest.mark.parametrize(
    ("kind", "container_id", "fields", "answer"),
    [
        (
            "LAUNCH_NESTED_CONTAINER",
            nested("nope", "x"),
            {"command": {"value": "true"}},
            (400, "Parent container nope does not exist"),
        ),
        (
            "LAUNCH_NESTED_CONTAINER",
            {"value": "x"},
            {"command": {"value": "true"}},
            (
                400,
                "Failed to validate agent::Call: Expecting 'launch_nested_container.container_id.parent' to be present",
            ),
        ),
        ("WAIT_CONTAINER", {"value": "no"}, {}, (404, "Container no cannot be found")),
        ("KILL_CONTAINER", {"value": "no"}, {}, (404, "Container no cannot be found")),
        ("REMOVE_CONTAINER", {"value": "no"}, {}, (404, "Container no cannot be found")),
        (
            "LAUNCH_CONTAINER",
            {"value": "a/b"},
            {"command": {"value": "true"}},
            (
                400,
                "Failed to validate agent::Call: 'launch_container.container_id' is invalid: 'a/b' contains invalid characters",
            ),
        ),
        (
            "LAUNCH_CONTAINER",
            {"value": "a.b"},
            {"command": {"value": "true"}},
            (
                400,
                "Failed to validate agent::Call: 'launch_container.container_id' is invalid: '.' is not allowed in it",
            ),
        ),
        (
            "LAUNCH_CONTAINER",
            {"value": "a"},
            {},
            (400, "Failed to validate agent::Call: Expecting 'launch_container.command' to be present"),
        ),
    ],
)
def test_a_call_that_can_not_be_met_is_answered_in_mesos_words(
    kind: str, container_id: dict[str, Any], fields: dict[str, Any], answer: tuple[int, str]
) -> None:
    rig, operator, _ = ready()
    assert operator.refused(operator.call(kind, container_id, **fields)) == answer
    assert not rig.of(effects.LaunchContainer)


def test_a_container_that_runs_is_not_launched_a_second_time_and_one_that_ended_is() -> None:
    rig, operator, parent = ready()
    path = launched(rig, operator, parent)
    rig.take()
    again = operator.call("LAUNCH_NESTED_CONTAINER", nested(parent, "n"), command={"value": "true"})
    assert operator.refused(again)[0] == 202
    assert not rig.of(effects.LaunchContainer)
    rig.handle(events.ContainerExited(path, 0))
    operator.call("LAUNCH_NESTED_CONTAINER", nested(parent, "n"), command={"value": "true"})
    assert rig.last(effects.LaunchContainer).container_id == path


def test_what_is_nested_ends_with_its_parent_and_is_forgotten() -> None:
    rig, operator, parent = ready()
    child = launched(rig, operator, parent)
    operator.call("LAUNCH_NESTED_CONTAINER", {"value": "g", "parent": nested(parent, "n")}, command={"value": "true"})
    rig.handle(events.ContainerLaunched(f"{child}.g", 56))
    waiting = operator.call("WAIT_NESTED_CONTAINER", nested(parent, "n"))
    rig.exited("t", 0)
    killed = [one.container_id for one in rig.of(effects.SignalContainer)]
    assert killed == [child, f"{child}.g"]
    for path in killed:
        rig.handle(events.ContainerExited(path, 9))
    assert operator.waited(waiting) == 9
    assert not rig.state.nested
    assert not [key for key, _ in rig.killed() if key.startswith("nested/")]


def test_a_session_runs_in_the_sandbox_of_its_parent_and_ends_with_its_connection() -> None:
    rig, operator, parent = ready()
    size = {"tty_info": {"window_size": {"rows": 30, "columns": 100}}}
    request = operator.call(
        "LAUNCH_NESTED_CONTAINER_SESSION",
        nested(parent, "s"),
        command={"value": "sh"},
        container={"type": "MESOS", **size},
    )
    launch = rig.last(effects.LaunchContainer)
    assert launch.streams == effects.Streams((30, 100))
    assert launch.directory.endswith(f"/runs/{parent}")
    assert not rig.of(effects.CreateSandbox)
    rig.handle(events.ContainerLaunched(launch.container_id, 55))
    rig.handle(events.ContainerCallerGone(request))
    assert rig.last(effects.SignalContainer) == effects.SignalContainer(launch.container_id, 9)
    rig.handle(events.ContainerExited(launch.container_id, 9))
    assert rig.last(effects.EndStreams).container_id == launch.container_id
    assert operator.waited(operator.call("WAIT_NESTED_CONTAINER", nested(parent, "s"))) == 9


def test_a_session_that_ended_by_itself_is_not_killed_when_its_connection_closes() -> None:
    rig, operator, parent = ready()
    request = operator.call("LAUNCH_NESTED_CONTAINER_SESSION", nested(parent, "s"), command={"value": "true"})
    rig.handle(events.ContainerLaunched(f"{parent}.s", 55))
    rig.handle(events.ContainerExited(f"{parent}.s", 0))
    rig.handle(events.ContainerCallerGone(request))
    assert not rig.of(effects.SignalContainer)


def test_a_launch_that_fails_is_told_and_can_be_waited_for() -> None:
    rig, operator, parent = ready()
    request = operator.call("LAUNCH_NESTED_CONTAINER", nested(parent, "n"), command={"value": "true"})
    rig.handle(events.ContainerLaunchFailed(f"{parent}.n", "no such user"))
    assert operator.refused(request) == (500, "Failed to launch container: no such user")
    assert operator.waited(operator.call("WAIT_NESTED_CONTAINER", nested(parent, "n"))) == 256


def test_a_task_s_own_container_can_be_waited_for() -> None:
    rig, operator, container_id = ready()
    waiting = operator.call("WAIT_CONTAINER", {"value": container_id})
    rig.exited("t", 3 << 8)
    assert operator.waited(waiting) == 768


def test_standalone_and_nested_containers_are_taken_up_by_the_next_agent_and_sessions_are_not() -> None:
    rig, operator, parent = ready()
    kept = launched(rig, operator, parent)
    operator.call("LAUNCH_CONTAINER", {"value": "alone"}, command={"value": "sleep 9"})
    rig.handle(events.ContainerLaunched("alone", 77))
    assert rig.last(effects.CreateSandbox).directory == "/w/containers/alone"
    operator.call("LAUNCH_NESTED_CONTAINER_SESSION", nested(parent, "s"), command={"value": "sh"})
    rig.handle(events.ContainerLaunched(f"{parent}.s", 78))
    held = [events.HeldContainer(path, 1) for path in (parent, kept, "alone", f"{parent}.s")]
    after = Rig.after(rig, *held)
    assert after.of(effects.SignalContainer) == [effects.SignalContainer(f"{parent}.s", 9)]
    asking = Operator(after)
    first = asking.call("WAIT_CONTAINER", {"value": "alone"})
    second = asking.call("WAIT_NESTED_CONTAINER", nested(parent, "n"))
    after.handle(events.ContainerExited("alone", 0))
    after.handle(events.ContainerExited(kept, 1 << 8))
    assert (asking.waited(first), asking.waited(second)) == (0, 256)


def test_what_ended_while_the_agent_was_down_is_known_to_the_next() -> None:
    rig, operator, parent = ready()
    operator.call("LAUNCH_CONTAINER", {"value": "alone"}, command={"value": "sleep 9"})
    operator.call("LAUNCH_CONTAINER", {"value": "lost"}, command={"value": "sleep 9"})
    for path in ("alone", "lost"):
        rig.handle(events.ContainerLaunched(path, 77))
    after = Rig.after(rig, events.HeldContainer(parent, 1), events.HeldContainer("alone", 77, 2 << 8))
    asking = Operator(after)
    assert asking.waited(asking.call("WAIT_CONTAINER", {"value": "alone"})) == 512
    assert asking.waited(asking.call("WAIT_CONTAINER", {"value": "lost"})) == 9


def test_an_agent_that_is_ended_ends_standalone_containers_first() -> None:
    rig = Rig.registered()
    operator = Operator(rig)
    operator.call("LAUNCH_CONTAINER", {"value": "alone"}, command={"value": "sleep 9"})
    rig.handle(events.ContainerLaunched("alone", 77))
    rig.handle(events.StopRequested("SIGUSR1"))
    assert rig.last(effects.SignalContainer) == effects.SignalContainer("alone", 9)
    assert not rig.of(effects.Exit)
    rig.handle(events.ContainerExited("alone", 9))
    assert rig.of(effects.Exit)


def test_when_what_holds_the_containers_dies_all_who_wait_are_answered() -> None:
    rig, operator, parent = ready()
    launched(rig, operator, parent)
    requests = [
        operator.call("WAIT_NESTED_CONTAINER", nested(parent, "n")),
        operator.call("WAIT_CONTAINER", {"value": parent}),
    ]
    rig.handle(events.ContainersLost("gone"))
    assert [operator.waited(request) for request in requests] == [9, None]


def test_an_executor_s_end_ends_what_is_nested_in_it() -> None:
    rig = Rig.registered()
    executor = {"executor_id": {"value": "e"}, "command": {"value": "./executor"}}
    rig.run(task("t", None, executor=executor))
    (container_id,) = rig.state.executors
    rig.handle(events.ContainerLaunched(container_id, 50))
    operator = Operator(rig)
    path = launched(rig, operator, container_id)
    assert "MESOS_EXECUTOR_ID=e" in rig.last(effects.LaunchContainer).environment
    rig.handle(events.ContainerExited(container_id, 0))
    assert rig.last(effects.SignalContainer) == effects.SignalContainer(path, 9)
    assert rig.sent(link.ExitedExecutor)[0].framework_id == FRAMEWORK
