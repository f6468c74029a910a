"""The commands that look at a cluster and at what runs on it: ps, agents, frameworks, logs, kill, why, doctor, completion."""

from __future__ import annotations

import subprocess

import pytest

from process.cli.commands import Commands

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("cli")]


def test_tasks_agents_and_frameworks_are_listed_for_people_and_programs(merismos: Commands) -> None:
    with merismos.going("run", "--name", "seen", "--cpus", "0.5", "--mem", "64", "--", "echo up; sleep 600") as run:
        run.out("up\n")
        (task,) = [one for one in merismos("ps", "-o", "json").json() if one["name"] == "seen"]
        (row,) = [line for line in merismos("ps").out.splitlines() if task["id"] in line]
        assert row.split()[1:5] == ["TASK_RUNNING", "0.5", "64", "MB"]
        agents = merismos("agents", "-o", "json").json()
        assert sorted(agent["hostname"] for agent in agents) == ["here", "there"]
        (agent,) = [one for one in agents if one["id"] == task["agent_id"]]
        assert agent["used"] == {"cpus": 0.5, "mem": 64.0}
        assert "0.5 of 4" in merismos("agents").out
        (framework,) = [one for one in merismos("frameworks", "-o", "json").json() if one["name"] == "seen"]
        assert framework["id"] == task["framework_id"]
        assert framework["state"] == "active"
        assert "seen" in merismos("frameworks").out
    assert all(one["name"] != "seen" for one in merismos("ps", "-o", "json").json())
    assert "TASK_KILLED" in merismos("ps", "-a").out


def test_logs_follow_what_a_task_writes_to_its_end(merismos: Commands) -> None:
    script = "trap 'echo bye; exit 0' TERM; echo one; echo two >&2; while :; do sleep 0.05; done"
    with merismos.going("run", "--name", "writer", "--", script) as run:
        run.out("one\n")
        (task,) = [one for one in merismos("ps", "-o", "json").json() if one["name"] == "writer"]
        assert merismos("logs", "writer").out == "one\n"
        assert merismos("logs", "--stderr", task["id"]).out == "two\n"
        with merismos.going("logs", "-f", task["id"][:-2]) as logs:
            logs.out("one\n")
            assert merismos("kill", task["id"]).code == 0
            assert logs.ended() == 0
            assert logs.said["out"] == "one\nbye\n"
        assert run.ended() == 143, "a task that exits in its own way when it is told to was killed all the same"


def test_a_killed_task_ends_its_run_with_143_and_says_so(merismos: Commands) -> None:
    with merismos.going("run", "--name", "victim", "--", "echo up; exec sleep 600") as run:
        run.out("up\n")
        killed = merismos("kill", "victim")
        assert killed.code == 0
        assert "asked to end victim-" in killed.err
        assert run.ended() == 143
        assert "was killed" in run.said["err"]
    again = merismos("kill", "victim")
    assert again.code == 1
    assert "has ended already: TASK_KILLED" in again.err


def test_a_task_that_ignores_the_polite_signal_is_killed_after_its_grace(merismos: Commands) -> None:
    with merismos.going("run", "--name", "deaf", "--", "trap '' TERM; echo up; while :; do sleep 0.1; done") as run:
        run.out("up\n")
        assert merismos("kill", "--grace", "100ms", "deaf").code == 0
        assert run.ended() == 137


def test_why_explains_a_task_a_framework_and_a_role(merismos: Commands) -> None:
    with merismos.going("run", "--name", "wide", "--role", "hungry", "--cpus", "64", "--", "true") as run:
        run.err("waiting: ")
        for subject in ("wide", "hungry"):
            explained = merismos("why", subject, "--resources", "cpus:64")
            assert explained.code == 0, explained
            assert "cpus" in explained.out, explained
        answer = merismos("why", "-o", "json", "wide").json()
        assert answer["summary"]
    with merismos.going("run", "--name", "fine", "--", "echo up; sleep 600") as run:
        run.out("up\n")
        (task,) = [one for one in merismos("ps", "-o", "json").json() if one["name"] == "fine"]
        assert "TASK_RUNNING" in merismos("why", task["id"]).out or "runs" in merismos("why", task["id"]).out
    unknown = merismos("why", "no-such-thing")
    assert unknown.code == 1
    assert "knows no task, framework or role" in unknown.err


def test_doctor_finds_the_cluster_well(merismos: Commands) -> None:
    found = {one["what"]: one for one in merismos("doctor", "-o", "json").json()}
    assert found["master"]["state"] == "ok"
    assert found["agents"]["finding"] == "2 of 2 active"
    assert "2 of 2 active" in merismos("doctor").out


@pytest.mark.parametrize("typed", [("ru", "run"), ("frame", "frameworks")])
def test_the_completion_of_bash_completes(merismos: Commands, typed: tuple[str, str]) -> None:
    script = merismos("completion", "bash").out
    word, expected = typed
    asked = f"{script}\nCOMP_WORDS=(merismos {word}); COMP_CWORD=1; _merismos; echo ${{COMPREPLY[@]}}"
    said = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True, timeout=30)
    assert said.stdout.split() == [expected]


def test_what_was_mistyped_is_proposed(merismos: Commands) -> None:
    assert "Did you mean frameworks" in merismos("framework").err
    assert "Did you mean --follow" in merismos("logs", "--folow", "x").err
