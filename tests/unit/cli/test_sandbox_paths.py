"""Where the command line looks for a file of a task's sandbox."""

from __future__ import annotations

from merismos.cli.sandbox import path_of


def test_a_task_of_a_group_lies_within_its_executor_s_run() -> None:
    assert path_of("F", "pod", "run.own", "stdout") == "/frameworks/F/executors/pod/runs/run/containers/own/stdout"
    assert path_of("F", "t", "run", "stdout") == "/frameworks/F/executors/t/runs/run/stdout"
    assert path_of("F", "t", "", "stdout") == "/frameworks/F/executors/t/runs/latest/stdout"
