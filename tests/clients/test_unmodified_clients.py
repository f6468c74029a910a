"""Third-party Mesos clients, as their registries serve them, do their work on a real cluster of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from clients.conftest import Client

pytestmark = [
    pytest.mark.clients,
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("clients"),
]


def test_pymesos_launches_tasks_and_learns_how_each_ended(client: Client) -> None:
    lines = client.python("pymesos_scheduler.py")
    assert "failing TASK_FAILED Command exited with status 3" in lines
    assert sorted(line.split()[:2] for line in lines) == [
        ["failing", "TASK_FAILED"],
        ["first", "TASK_FINISHED"],
        ["second", "TASK_FINISHED"],
        ["third", "TASK_FINISHED"],
    ]


def test_an_executor_on_pymesos_runs_two_tasks_echoes_a_message_and_leaves(client: Client) -> None:
    lines = client.python("pymesos_executor.py")
    states = [line.split()[:2] for line in lines if line.split()[0] in {"short", "long"}]
    assert [state for name, state in states if name == "short"] == ["TASK_RUNNING", "TASK_FINISHED"]
    assert [state for name, state in states if name == "long"] == ["TASK_RUNNING", "TASK_KILLED"]
    assert "long TASK_KILLED as asked" in lines
    assert "message hello" in lines
    assert lines[-1] == "lost echo 0"


def test_the_operator_client_of_pymesos_reads_the_master(client: Client) -> None:
    (line,) = client.python("pymesos_operator.py")
    assert "healthy=True" in line
    assert "agents=2" in line


def test_avmesos_finds_the_master_by_url_and_finishes_its_tasks(client: Client) -> None:
    lines = client.python("avmesos_scheduler.py")
    for task in ("left", "right"):
        states = [line.split()[1] for line in lines if line.startswith(f"{task} ")]
        assert states == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]


def test_mesos_framework_of_npm_finishes_a_task_and_kills_another(client: Client) -> None:
    lines = [line for line in client.node("mesos_framework_scheduler.js") if line.split()[:1] in (["short"], ["long"])]
    assert [line for line in lines if line.startswith("short ")][-1] == "short TASK_FINISHED"
    assert [line for line in lines if line.startswith("long ")][-1] == "long TASK_KILLED"
    assert "long TASK_RUNNING" in lines
