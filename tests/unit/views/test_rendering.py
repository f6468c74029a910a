from __future__ import annotations

import json
import sys
import time

import pytest

from merismos.core.master.views import operator, v0
from merismos.core.master.views.rendering import SLICE_BYTES, Renderings, array, sliced
from merismos.protocol.v1 import master as wire
from unit.master.rig import Rig, Scheduler, framework_info, launch, task
from unit.views.scene import FLAGS, Scene, connect_agent, joined


def test_a_record_is_rendered_once_a_version() -> None:
    renderings, made = Renderings(), []

    def render() -> object:
        made.append(1)
        return {"n": len(made)}

    assert renderings.get("a", 1, render) == renderings.get("a", 1, render) == b'{"n":1}'
    assert renderings.get("a", 2, render) == b'{"n":2}'
    assert renderings.get("b", 2, render) == b'{"n":3}'


def test_the_oldest_renderings_go_when_there_are_too_many_bytes() -> None:
    renderings = Renderings(bytes_max=10)
    first = [renderings.get(key, 0, lambda: "1234") for key in range(3)]
    assert first == [b'"1234"'] * 3
    assert renderings.get(2, 0, lambda: "new") == b'"1234"'
    assert renderings.get(0, 0, lambda: "new") == b'"new"'


def test_parts_are_joined_into_slices_of_about_one_size() -> None:
    slices = list(sliced(b"x" * 1000 for _ in range(200)))
    assert b"".join(slices) == b"x" * 200_000
    assert all(SLICE_BYTES <= len(one) < SLICE_BYTES + 1000 for one in slices[:-1])


def test_an_array_of_nothing_is_an_array() -> None:
    assert b"".join(array([])) == b"[]"
    assert b"".join(array([b"1", b"2"])) == b"[1,2]"


@pytest.mark.parametrize("read", ["v0", "v1"])
def test_a_task_that_changed_is_shown_as_it_is_now(read: str) -> None:
    scene = Scene()

    def states() -> list[str]:
        if read == "v1":
            shown = scene.call("GET_TASKS")["get_tasks"]["tasks"]
        else:
            shown = scene.get("/tasks", {"task_id": "live-1"})["tasks"]
        (found,) = [one for one in shown if "live-1" in {one.get("id"), one.get("task_id", {}).get("value")}]
        return [found["state"], *(status["state"] for status in found["statuses"])]

    assert states() == ["TASK_RUNNING", "TASK_STARTING", "TASK_RUNNING"]
    scene.step("live-1", scene.live, "TASK_KILLING")
    assert states() == ["TASK_KILLING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"]


def test_a_status_that_replaces_one_of_its_state_is_shown() -> None:
    scene = Scene()
    for healthy in (True, False, True, False):
        scene.step("live-1", scene.live, "TASK_RUNNING", healthy=healthy)
        (shown,) = scene.get("/tasks", {"task_id": "live-1"})["tasks"]
        assert shown["statuses"][-1]["healthy"] is healthy


def big(tasks: int) -> tuple[Rig, Scheduler]:
    rig = Rig()
    connect_agent(rig, "big", 1)
    framework = rig.subscribe(framework_info("many"))
    while len(framework.record.tasks) < tasks:
        names = [f"t-{len(framework.record.tasks) + number}" for number in range(100)]
        rig.advance(2.0)
        offer = framework.offers()[0]
        need = "cpus:0.001;mem:0.1"
        framework.accept([offer], launch(*(task(name, offer, need=need) for name in names)))
    return rig, framework


def test_a_big_state_is_made_in_bounded_slices_and_in_reasonable_time() -> None:
    rig, framework = big(2000)
    reads = v0.Reads(rig.master, FLAGS)
    for path in ("/state", "/frameworks", "/state", "/tasks", "/state-summary"):
        start = time.perf_counter()
        slices = list(v0.ROUTES[path](reads, {"limit": "2000"}, rig.now))
        took_ms = (time.perf_counter() - start) * 1e3
        size = sum(map(len, slices))
        sys.stdout.write(f"{path}: {took_ms:.1f} ms for {size / 1e6:.2f} MB in {len(slices)} slices\n")
        assert max(map(len, slices)) < 2 * SLICE_BYTES
        json.loads(b"".join(slices))
    answer = operator.answer(reads, wire.Call(type=wire.Call_Type.GET_STATE), rig.now)
    assert answer is not None
    slices = list(answer)
    assert max(map(len, slices)) < 2 * SLICE_BYTES
    assert len(json.loads(b"".join(slices))["get_state"]["get_tasks"]["tasks"]) == len(framework.record.tasks) == 2000


@pytest.mark.parametrize("path", ["/state", "/frameworks"])
def test_a_framework_that_ends_while_an_answer_is_sent_is_in_it_once(path: str) -> None:
    rig, framework = big(500)
    reads = v0.Reads(rig.master, FLAGS)
    slices = v0.ROUTES[path](reads, {}, rig.now)
    head = next(slices)
    framework.call("TEARDOWN")
    answer = joined(iter([head, *slices]))
    assert [one["id"] for name in ("frameworks", "completed_frameworks") for one in answer[name]] == [framework.id]
    (shown,) = answer["frameworks"]
    lists = ("tasks", "unreachable_tasks", "completed_tasks")
    assert sorted(one["id"] for name in lists for one in shown[name]) == sorted(f"t-{number}" for number in range(500))
