from __future__ import annotations

import argparse

import pytest

from merismos.cli.arguments import COMMANDS, SHELLS, duration_s, flags_by_command, parse_arguments
from merismos.cli.commands import completion
from merismos.cli.commands.run import command_of, environment_of, name_of, uri_of
from merismos.cli.constraints import parse
from merismos.cli.errors import CommandError
from merismos.cli.mesos_execute import amounts_of


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["run", "--", "sh", "-c", "echo hello; exit 3"], ["sh", "-c", "echo hello; exit 3"]),
        (["run", "--cpus", "2", "--", "true", "--", "x"], ["true", "--", "x"]),
        (["run", "git", "checkout", "--", "file"], ["git", "checkout", "--", "file"]),
        (["run", "--mem", "64", "ls", "-l", "--cpus"], ["ls", "-l", "--cpus"]),
    ],
)
def test_what_follows_is_the_command_untouched(argv: list[str], command: list[str]) -> None:
    assert parse_arguments(argv).command == command


def test_master_and_output_may_stand_before_or_after_the_command() -> None:
    for argv in (["--master", "a:1", "-o", "json", "ps"], ["ps", "--master", "a:1", "--output", "json"]):
        arguments = parse_arguments(argv)
        assert (arguments.module, arguments.master, arguments.output) == ("ps", "a:1", "json")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["agnets"], "Did you mean agents"),
        (["ps", "--al"], "--all"),
        (["run", "--cpu", "1", "--", "true"], "--cpus"),
        (["up", "--agents", "0"], "number of agents"),
        (["up", "--masters", "0"], "number of masters"),
        (["chaos", "pat", "leader"], "kill"),
        (["up", "--master-port", "70000"], "is no port"),
        (["run", "--cpus", "nan", "--", "true"], "is no amount"),
        (["ps", "--", "x"], "runs nothing"),
        ([], "COMMAND"),
    ],
)
def test_a_mistake_is_answered_with_what_was_meant(argv: list[str], says: str) -> None:
    with pytest.raises(CommandError) as refused:
        parse_arguments(argv)
    assert refused.value.code == 2
    assert says in refused.value.text()


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("250ms", 0.25)])
def test_a_duration_has_a_unit_or_means_seconds(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "5 parsecs", "1h2"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        duration_s(text)


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_knows_every_command_and_every_flag(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    completion.run(argparse.Namespace(shell=shell))
    script = capsys.readouterr().out
    for name, flags in flags_by_command().items():
        assert name in script
        assert all(flag.lstrip("-") in script for flag in flags if flag.startswith("--"))
    assert set(flags_by_command()) == set(COMMANDS)
    (words,) = (line for line in script.splitlines() if "chaos" in line and "leader" in line)
    assert "kill leader agent" in words, "what stands for a name is no word to write"


def test_one_argument_with_a_blank_is_a_line_for_the_shell() -> None:
    assert command_of(["echo a | wc"]) == "echo a | wc"
    assert command_of(["true"]) == ["true"]
    assert command_of(["sh", "-c", "a b"]) == ["sh", "-c", "a b"]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["/usr/bin/python3", "x"], "python3"),
        (["echo a | wc"], "echo"),
        (["a b/c"], "a"),
        (["../.."], "task"),
        ([" "], "task"),
    ],
)
def test_a_command_without_a_name_is_named_after_its_program(words: list[str], name: str) -> None:
    assert name_of(words) == name


def test_a_path_becomes_a_file_uri_and_a_uri_stays() -> None:
    assert uri_of("http://h/f.tgz") == "http://h/f.tgz"
    assert uri_of("/etc/hosts") == "file:///etc/hosts"


def test_a_variable_is_given_or_taken_from_here_or_refused() -> None:
    assert environment_of(["A=b=c", "PATH"])["A"] == "b=c"
    assert environment_of(["PATH"])["PATH"]
    for wrong in ("=x", "NO_SUCH_VARIABLE_HERE"):
        with pytest.raises(CommandError):
            environment_of([wrong])


@pytest.mark.parametrize(
    ("rule", "value", "serves"),
    [
        ("rack=r1", "r1", True), ("rack=r1", "r2", False), ("rack=r1", None, False),
        ("rack!=r1", "r2", True), ("rack!=r1", "r1", False), ("rack!=r1", None, True),
        ("rack~r[12]", "r2", True), ("rack~r[12]", "r22", False), ("rack!~r[12]", "r3", True),
        ("rack", "x", True), ("rack", None, False), ("!rack", None, True), ("!rack", "x", False),
    ],
)  # fmt: skip
def test_a_constraint_says_which_agents_serve(rule: str, value: str | None, serves: bool) -> None:
    assert parse(rule).holds(value) is serves


@pytest.mark.parametrize("rule", ["", "=r1", "!rack=r1", "rack~("])
def test_what_is_no_constraint_is_refused(rule: str) -> None:
    with pytest.raises(CommandError, match="--constraint"):
        parse(rule)


def test_amounts_are_read_as_mesos_writes_them() -> None:
    assert amounts_of("cpus:0.5;mem(*):64;bugs:3") == {"cpus": 0.5, "mem": 64.0, "bugs": 3.0}
