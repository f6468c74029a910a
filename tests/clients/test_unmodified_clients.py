"""Third-party Mesos clients, as their registries serve them, do their work on a real cluster of ours."""

from __future__ import annotations

import json
import sys
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


def test_an_executor_on_pymesos_outlives_the_kill_of_its_agent_and_registers_anew(client: Client) -> None:
    lines = client.python("pymesos_survivor.py", sys.executable, "-m", "merismos.cli", "chaos", "kill", "agent")
    assert lines[0].split() == ["lasting", "TASK_RUNNING"]
    first, second = (line.split() for line in lines[1:3])
    assert (first[0], first[2:]) == ("PID", ["registered", "1"])
    assert second == [*first[:3], "2"]
    assert sorted(lines[3:]) == ["lasting TASK_FINISHED as told", "lost survivor 0"]


def test_the_operator_client_of_pymesos_reads_the_master(client: Client) -> None:
    (line,) = client.python("pymesos_operator.py")
    assert "healthy=True" in line
    assert "agents=2" in line


@pytest.mark.parametrize("library", ["avmesos", "mesoshttp"])
def test_avmesos_and_what_it_was_made_of_find_the_master_by_url_and_finish_their_tasks(
    client: Client, library: str
) -> None:
    lines = client.python("avmesos_scheduler.py", library)
    for task in ("left", "right"):
        states = [line.split()[1] for line in lines if line.startswith(f"{task} ")]
        assert states == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]


def test_a_job_on_task_processing_is_retried_timed_out_and_logged(client: Client) -> None:
    lines = client.python("task_processing_job.py")
    of = {
        name: [line.split()[1] for line in lines if line.startswith(f"{name} ")]
        for name in ("says", "flaky", "sleeper")
    }
    began = ["staging", "starting", "running"]
    assert of["says"] == [*began, "finished"]
    assert of["flaky"] == [*began, *began, "finished"]
    assert of["sleeper"] == [*began, "killed"]
    assert [line for line in lines if line.startswith("log ")] == [
        "log says stdout hello from yelp",
        "log says stderr aside",
    ]


def test_a_workflow_on_toil_runs_by_its_own_executor_and_tries_a_failed_job_again(client: Client) -> None:
    total, left = client.python("toil_workflow.py")
    assert total.startswith("total 14 in ")
    assert "/executors/toil-" in total, "in the sandbox of toil's executor"
    assert left == "tried twice: True, store left: False"


def test_avmesos_cli_lists_agents_frameworks_and_tasks_and_runs_commands_beside_a_task(client: Client) -> None:
    with client.running_task("sleeper") as task_id:
        agents = client.mesos_cli("agent", "list").stdout.splitlines()
        assert agents[0].split() == ["Agent", "ID", "Hostname", "Active"]
        assert [line.split()[-1] for line in agents[1:]] == ["True", "True"]
        assert "sleeper" in client.mesos_cli("framework", "list").stdout
        (_, row) = client.mesos_cli("task", "list").stdout.splitlines()
        assert row.split()[:2] == [task_id, "TASK_RUNNING"]
        assert json.loads(client.mesos_cli("task", "inspect", task_id).stdout)["state"] == "TASK_RUNNING"
        done = client.mesos_cli("task", "exec", task_id, "sh", "-c", "echo out; echo aside >&2; exit 7")
        assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "aside\n")
        done = client.mesos_cli("task", "exec", "-i", task_id, "cat", stdin="typed\n")
        assert (done.returncode, done.stdout) == (0, "typed\n")
        done = client.mesos_cli("task", "exec", "-i", "-t", task_id, "sh", "-c", "tty; exit 3", terminal=True)
        assert done.returncode == 3
        assert done.stdout.startswith("/dev/pts/")
        assert "launched without a TTY" in client.mesos_cli("task", "attach", task_id, terminal=True).stdout


def test_mesos_framework_of_npm_finishes_a_task_and_kills_another(client: Client) -> None:
    lines = [line for line in client.node("mesos_framework_scheduler.js") if line.split()[:1] in (["short"], ["long"])]
    assert [line for line in lines if line.startswith("short ")][-1] == "short TASK_FINISHED"
    assert [line for line in lines if line.startswith("long ")][-1] == "long TASK_KILLED"
    assert "long TASK_RUNNING" in lines
