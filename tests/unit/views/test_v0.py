from __future__ import annotations

from typing import Any

import pytest

from merismos.core.master.views import v0
from unit.master.rig import Rig, framework_info
from unit.views.scene import EXECUTOR, FLAGS, LABELS, Scene, joined

TASK_KEYS = {"id", "name", "framework_id", "executor_id", "slave_id", "state", "resources", "role", "statuses"}


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def test_an_empty_cluster_has_all_lists(scene: Scene) -> None:
    rig = Rig()
    reads = v0.Reads(rig.master, FLAGS)
    state = joined(v0.ROUTES["/state"](reads, {}, rig.now))
    lists = {name for name, value in state.items() if value == []}
    assert lists == {
        "slaves", "recovered_slaves", "frameworks", "completed_frameworks", "orphan_tasks", "unregistered_frameworks",
    }  # fmt: skip
    assert set(scene.get("/state")) - set(state) == {"cluster"}
    assert joined(v0.ROUTES["/state-summary"](reads, {}, rig.now)) == {
        "hostname": "localhost", "slaves": [], "frameworks": [],
    }  # fmt: skip
    assert joined(v0.ROUTES["/tasks"](reads, {}, rig.now)) == {"tasks": []}
    assert joined(v0.ROUTES["/roles"](reads, {}, rig.now)) == {"roles": []}
    assert joined(v0.ROUTES["/weights"](reads, {}, rig.now)) == []


def test_the_state_names_its_leader_and_flags(scene: Scene) -> None:
    state = scene.get("/state")
    assert state["leader"] == state["pid"] == "master@127.0.0.1:5050"
    assert state["leader_info"]["hostname"] == "localhost"
    assert state["leader_info"]["port"] == 5050
    assert state["flags"] == FLAGS
    assert (state["activated_slaves"], state["deactivated_slaves"], state["unreachable_slaves"]) == (1.0, 0.0, 1.0)


def test_a_framework_over_http_has_no_pid(scene: Scene) -> None:
    state = scene.get("/state")
    assert all("pid" not in framework for framework in state["frameworks"] + state["completed_frameworks"])


def test_a_framework_shows_its_roles_as_it_knows_them(scene: Scene) -> None:
    shown = {framework["name"]: framework for framework in scene.get("/frameworks")["frameworks"]}
    assert shown["live"]["roles"] == ["golden"]
    assert "role" not in shown["live"]
    assert shown["legacy"]["role"] == "old"
    assert "roles" not in shown["legacy"]


def test_one_framework_or_agent_can_be_asked_for(scene: Scene) -> None:
    answer = scene.get("/frameworks", {"framework_id": scene.ended.id})
    assert answer["frameworks"] == []
    assert [framework["name"] for framework in answer["completed_frameworks"]] == ["ended"]
    assert scene.get("/slaves", {"slave_id": "nobody"})["slaves"] == []
    assert [agent["hostname"] for agent in scene.get("/slaves", {"slave_id": scene.agent.id})["slaves"]] == ["first"]


def test_an_agent_shows_what_it_has_and_what_is_used(scene: Scene) -> None:
    (agent,) = scene.get("/slaves")["slaves"]
    assert agent["pid"] == "slave(1)@127.0.0.1:5051"
    assert agent["attributes"] == {"rack": "r1", "zone": "z1"}
    assert agent["resources"] == {"cpus": 4.0, "disk": 4096.0, "gpus": 0.0, "mem": 2048.0, "ports": "[31000-31999]"}
    assert agent["used_resources"] == {"cpus": 0.3, "disk": 32.0, "gpus": 0.0, "mem": 96.0}
    assert agent["used_resources_full"][0] == {
        "name": "cpus", "type": "SCALAR", "scalar": {"value": 0.3}, "role": "*", "allocation_info": {"role": "golden"},
    }  # fmt: skip


def test_a_task_shows_what_clients_read(scene: Scene) -> None:
    (task,) = scene.get("/tasks", {"task_id": "live-1"})["tasks"]
    assert set(task) == TASK_KEYS | {"labels"}
    assert task["executor_id"] == ""
    assert task["labels"] == LABELS["labels"]
    assert task["resources"] == {"cpus": 0.1, "disk": 0.0, "gpus": 0.0, "mem": 32.0}
    status = task["statuses"][-1]
    assert set(status) == {"state", "timestamp", "container_status"}
    assert "executor_pid" not in status["container_status"]


def test_an_executor_shows_what_it_is(scene: Scene) -> None:
    (live,) = scene.get("/frameworks", {"framework_id": scene.live.id})["frameworks"]
    (executor,) = live["executors"]
    assert executor == {
        "executor_id": "ex",
        "name": "",
        "framework_id": scene.live.id,
        "command": {"argv": [], "uris": [], "value": EXECUTOR["command"]["value"]},  # type: ignore[index]
        "resources": {"cpus": 0.1, "disk": 32.0, "gpus": 0.0, "mem": 32.0},
        "role": "golden",
        "type": "CUSTOM",
        "slave_id": scene.agent.id,
    }


def names(answer: Any) -> list[str]:  # noqa: ANN401 - JSON
    return [task["id"] for task in answer["tasks"]]


NEWEST_FIRST = ["live-done", "in-ex", "live-1", "gone-quiet", "cut-off", "done-before"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, NEWEST_FIRST),
        ({"order": "asc"}, NEWEST_FIRST[::-1]),
        ({"order": "desc"}, NEWEST_FIRST),
        ({"order": "upwards"}, NEWEST_FIRST),
        ({"limit": "2"}, NEWEST_FIRST[:2]),
        ({"limit": "0"}, []),
        ({"limit": "many"}, NEWEST_FIRST),
        ({"limit": "-1"}, NEWEST_FIRST),
        ({"limit": "\u0663"}, NEWEST_FIRST),
        ({"offset": "4"}, NEWEST_FIRST[4:]),
        ({"offset": "100"}, []),
        ({"offset": "x"}, NEWEST_FIRST),
        ({"offset": "1", "limit": "2", "order": "asc"}, NEWEST_FIRST[::-1][1:3]),
        ({"task_id": "cut-off"}, ["cut-off"]),
        ({"task_id": "nobody"}, []),
        ({"framework_id": "nobody"}, []),
    ],
)
def test_tasks_are_listed_as_asked_for(query: dict[str, str], expected: list[str], scene: Scene) -> None:
    assert names(scene.get("/tasks", query)) == expected


def test_tasks_of_one_framework_are_listed(scene: Scene) -> None:
    assert names(scene.get("/tasks", {"framework_id": scene.ended.id})) == ["cut-off", "done-before"]
    assert names(scene.get("/tasks", {"framework_id": scene.ended.id, "task_id": "cut-off"})) == ["cut-off"]


def test_a_hundred_tasks_are_listed_unless_more_are_asked_for() -> None:
    assert v0.TASKS_LIMIT_DEFAULT == 100


def test_the_summary_counts_tasks_by_state(scene: Scene) -> None:
    summary = scene.get("/state-summary")
    by_name = {framework["name"]: framework for framework in summary["frameworks"]}
    live, (agent,) = by_name["live"], summary["slaves"]
    assert (live["TASK_RUNNING"], live["TASK_FINISHED"], live["TASK_UNREACHABLE"]) == (2, 1, 1)
    assert live["slave_ids"] == [scene.agent.id, scene.lost_id]
    assert (agent["TASK_RUNNING"], agent["TASK_FINISHED"]) == (2, 1)
    assert agent["framework_ids"] == [scene.live.id]
    assert by_name["legacy"]["TASK_RUNNING"] == 0


def test_roles_show_what_they_use(scene: Scene) -> None:
    roles = {role["name"]: role for role in scene.get("/roles")["roles"]}
    assert set(roles) == {"golden", "old"}
    golden = roles["golden"]
    assert golden["frameworks"] == [scene.live.id]
    assert golden["allocated"] == golden["quota"]["consumed"] == {"cpus": 0.3, "disk": 32.0, "mem": 96.0}
    assert golden["resources"] == {"cpus": 4.0, "disk": 4096.0, "mem": 2048.0, "ports": 1000.0}
    assert golden["weight"] == 1.0


def test_weights_are_listed() -> None:
    rig = Rig()
    rig.operate({"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": [{"role": "b", "weight": 2.5}]}})
    reads = v0.Reads(rig.master, FLAGS)
    assert joined(v0.ROUTES["/weights"](reads, {}, rig.now)) == [{"role": "b", "weight": 2.5}]
    (role,) = joined(v0.ROUTES["/roles"](reads, {}, rig.now))["roles"]
    assert (role["name"], role["weight"], role["frameworks"]) == ("b", 2.5, [])


def test_text_is_ascii_whatever_the_names() -> None:
    rig = Rig()
    rig.subscribe(framework_info("M\u00fcller \U0001f600"))
    reads = v0.Reads(rig.master, FLAGS)
    body = b"".join(v0.ROUTES["/state"](reads, {}, rig.now))
    assert body.isascii()
    assert joined(iter([body]))["frameworks"][0]["name"] == "M\u00fcller \U0001f600"
