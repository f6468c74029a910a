from __future__ import annotations

import json
from pathlib import Path

from merismos.core.master.views import metrics
from merismos.shell.metrics_system import system_metrics
from unit.master.rig import Rig
from unit.views.scene import Scene

COUNTED_WHEN_IT_HAPPENS = {
    "master/task_dropped/source_master/reason_invalid_offers",
    "master/task_error/source_master/reason_task_invalid",
    "master/task_failed/source_executor/reason_max_completion_time_reached",
    "master/task_failed/source_slave/reason_container_launch_failed",
}


def test_every_recorded_metric_is_there(recordings: Path) -> None:
    recorded = json.loads((recordings / "v0" / "master_metrics_snapshot.json").read_text())["response"]["body_json"]
    scene = Scene()
    ours = set(metrics.snapshot(scene.rig.master, scene.rig.now)) | set(system_metrics())
    theirs = {name for name in recorded if not name.startswith(("frameworks/", "master/frameworks/"))}
    assert theirs - ours == COUNTED_WHEN_IT_HAPPENS


def test_every_recorded_metric_of_a_framework_is_there(recordings: Path) -> None:
    recorded = json.loads((recordings / "v0" / "master_metrics_snapshot.json").read_text())["response"]["body_json"]
    scene = Scene()
    head = f"master/frameworks/live/{scene.live.id}/"
    ours = {
        name.removeprefix(head) for name in metrics.snapshot(scene.rig.master, scene.rig.now) if name.startswith(head)
    }
    theirs = {name.split("/", 4)[4] for name in recorded if name.startswith("master/frameworks/")}
    assert ours == theirs


def test_a_cluster_in_which_nothing_happened_has_all_metrics_at_zero() -> None:
    rig = Rig()
    found = metrics.snapshot(rig.master, rig.now)
    assert {name for name, value in found.items() if value} == {"master/elected"}
    assert found["master/tasks_failed"] == found["master/outstanding_offers"] == 0.0
    assert list(found) == sorted(found)
    assert all(isinstance(value, float) for value in found.values())


def test_a_frameworks_name_is_quoted_in_its_metrics() -> None:
    rig = Rig()
    framework = rig.subscribe({"user": "root", "name": "a b/c"})
    assert metrics.snapshot(rig.master, rig.now)[f"master/frameworks/a%20b%2Fc/{framework.id}/subscribed"] == 1.0


def test_metrics_of_a_cluster() -> None:
    scene = Scene()
    found = metrics.snapshot(scene.rig.master, scene.rig.now)
    expected = {
        "master/cpus_total": 4.0,
        "master/cpus_used": 0.3,
        "master/cpus_percent": 0.075,
        "master/mem_used": 96.0,
        "master/slaves_active": 1.0,
        "master/slaves_unreachable": 1.0,
        "master/frameworks_active": 2.0,
        "master/tasks_running": 2.0,
        "master/tasks_unreachable": 1.0,
        "master/tasks_finished": 2.0,
        "master/tasks_killed": 1.0,
        "master/outstanding_offers": 1.0,
        "allocator/mesos/resources/cpus/total": 4.0,
        "allocator/mesos/resources/cpus/offered_or_allocated": 4.0,
        "allocator/mesos/quota/roles/golden/resources/cpus/consumed": 0.3,
        f"master/frameworks/live/{scene.live.id}/tasks/active/task_running": 2.0,
        f"master/frameworks/legacy/{scene.legacy.id}/roles/old/suppressed": 1.0,
    }
    assert {name: found[name] for name in expected} == expected
