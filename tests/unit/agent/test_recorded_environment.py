"""What a command task sees, against the environment that a real Mesos gave to one."""

from __future__ import annotations

import json
from pathlib import Path

from merismos.core.agent import effects
from unit.agent.rig import Rig, framework_info, task

OURS_TOO = {"MESOS_TASK_ID"}
OF_THE_SHELL = {"PWD"}


def test_a_task_sees_every_variable_that_mesos_gives_and_one_more(recordings: Path) -> None:
    recorded = json.loads((recordings / "executor/sandboxes_and_environment.json").read_text())
    stdout = recorded["executors"]["env-1"]["files"]["stdout"]
    theirs = dict(line.split("=", 1) for line in stdout.splitlines() if "=" in line)
    rig = Rig.registered()
    rig.run(task("env-1"), framework=framework_info(checkpoint=True), role="golden")
    ours = dict(entry.split("=", 1) for entry in rig.last(effects.LaunchContainer).environment)
    assert set(ours) - OURS_TOO == set(theirs) - OF_THE_SHELL
    same = ("PATH", "LIBPROCESS_PORT", "MESOS_ALLOCATION_ROLE", "MESOS_CHECKPOINT", "MESOS_EXECUTOR_ID")
    for name in (
        *same,
        "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD",
        "MESOS_HTTP_COMMAND_EXECUTOR",
        "MESOS_RECOVERY_TIMEOUT",
    ):
        assert ours[name] == theirs[name]


def test_sandboxes_lie_where_mesos_puts_them(recordings: Path) -> None:
    recorded = json.loads((recordings / "executor/sandboxes_and_environment.json").read_text())
    theirs = recorded["executors"]["env-1"]["sandbox"].split("/")[-8:]
    rig = Rig.registered()
    rig.run(task("env-1"))
    ours = rig.last(effects.CreateSandbox).directory.split("/")[-8:]
    assert [ours[index] for index in (0, 2, 4, 5, 6)] == [theirs[index] for index in (0, 2, 4, 5, 6)]
    assert len(ours[7]) == len(theirs[7])
