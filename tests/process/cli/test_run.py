"""`merismos run` and `mesos-execute` on a real cluster."""

from __future__ import annotations

import signal
import tarfile
from pathlib import Path

import pytest

from process.cli.commands import Commands

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("cli")]


def test_the_output_and_the_exit_code_are_the_commands(merismos: Commands) -> None:
    ended = merismos("run", "--", "sh", "-c", "echo hello; echo oops >&2; exit 3")
    assert (ended.code, ended.out, ended.err) == (3, "hello\n", "oops\n")


def test_output_comes_while_the_command_runs_and_ctrl_c_ends_its_whole_tree(merismos: Commands) -> None:
    with merismos.going("run", "--name", "loop", "--", "echo begun; sleep 600 & sleep 600; wait") as run:
        run.out("begun\n")
        (task,) = [one for one in merismos("ps", "--output", "json").json() if one["name"] == "loop"]
        assert task["state"] == "TASK_RUNNING"
        run.interrupt()
        assert run.ended() == 128 + signal.SIGINT
        assert f"ending {task['id']}" in run.said["err"]
    (over,) = [one for one in merismos("ps", "-a", "-o", "json").json() if one["id"] == task["id"]]
    assert over["state"] == "TASK_KILLED"


def test_a_signal_that_ends_the_command_is_128_and_its_number(merismos: Commands) -> None:
    assert merismos("run", "--", "sh", "-c", "kill -USR1 $$").code == 128 + signal.SIGUSR1


def test_variables_and_files_reach_the_command(merismos: Commands, tmp_path: Path) -> None:
    (tmp_path / "inner").write_text("from the archive\n", encoding="utf-8")
    with tarfile.open(tmp_path / "files.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "inner", "inner")
    merismos.environment["TAKEN"] = "from here"
    flags = ("--env", "GIVEN=a b", "-e", "TAKEN", "--uri", str(tmp_path / "files.tar.gz"))
    ended = merismos("run", *flags, "--", "cat inner; echo $GIVEN, $TAKEN, $MESOS_TASK_ID")
    assert ended.code == 0, ended
    assert ended.out.startswith("from the archive\na b, from here"), ended
    missing = merismos("run", "--env", "NEVER_SET", "--", "true")
    assert missing.code == 2
    assert "there is no such variable here" in missing.err


def test_a_role_is_the_one_that_was_asked_for(merismos: Commands) -> None:
    with merismos.going("run", "--role", "heavy", "--", "echo $MESOS_ALLOCATION_ROLE; sleep 600") as run:
        run.out("heavy\n")
        roles = {role["name"]: role for role in merismos("roles", "-o", "json").json()}
        assert roles["heavy"]["used"]["cpus"] == 0.1
        assert roles["heavy"]["weight"] == 2.0


def test_a_constraint_chooses_the_agent(merismos: Commands) -> None:
    ended = merismos("run", "--constraint", "rack=r2", "--output", "json", "--", "true")
    (launched,) = [event for event in ended.events() if event["event"] == "launched"]
    assert launched["hostname"] == "there"


def test_a_program_is_told_everything_as_json_lines(merismos: Commands) -> None:
    ended = merismos("run", "--output", "json", "--", "sh", "-c", "echo hello; exit 3")
    events = ended.events()
    assert ended.code == 3
    assert [event["state"] for event in events if event["event"] == "update"] == [
        "TASK_STARTING",
        "TASK_RUNNING",
        "TASK_FAILED",
    ]
    assert [event["data"] for event in events if event["event"] == "output"] == ["hello\n"]
    assert events[-1] == {"event": "exit", "code": 3}


def test_what_fits_nowhere_says_why_it_waits_and_can_be_left(merismos: Commands) -> None:
    with merismos.going("run", "--name", "huge", "--cpus", "999", "--", "true") as run:
        said = run.err("waiting: ")
        assert "999" in said
        run.err("2 agents")
        assert "short of cpus" in merismos("why", "huge").out, "the master knows what is waited for"
        run.interrupt()
        assert run.ended() == 128 + signal.SIGINT
    gave_up = merismos("run", "--cpus", "999", "--wait", "100ms", "--", "true")
    assert gave_up.code == 125, gave_up
    assert "100ms" in gave_up.err or "0.1" in gave_up.err


def test_a_task_that_takes_too_long_is_124(merismos: Commands) -> None:
    ended = merismos("run", "--timeout", "200ms", "--", "sleep", "600")
    assert ended.code == 124, ended
    assert "--timeout" in ended.err


def test_a_command_that_is_not_there_says_so(merismos: Commands) -> None:
    ended = merismos("run", "--", "/no/such/program")
    assert ended.code != 0, ended
    assert "No such file or directory" in ended.err


def test_mesos_execute_says_mesos_words_and_exits_as_the_task(merismos: Commands) -> None:
    flags = (f"--master={merismos.environment['MERISMOS_MASTER']}", "--name=told", "--command=exit 5")
    ended = merismos(*flags, module="merismos.cli.mesos_execute")
    assert ended.code == 5, ended
    assert "Submitted task 'told' to agent '" in ended.out
    assert "Received status update TASK_FAILED for task 'told'" in ended.out
    assert "message: 'Command exited with status 5'" in ended.out
