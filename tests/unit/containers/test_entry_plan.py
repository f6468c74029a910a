"""The way of a process to where it belongs: the order of its steps, the command that takes them, what excludes what."""

from __future__ import annotations

import subprocess

from merismos.core.containers.entry_plan import Command, Rank, Step, plan_entry
from merismos.model.rejection import Rejection

CGROUP = Step(Rank.CGROUP, "cgroups/cpu", ("a", "--"), "echo cgroup $1; shift 2; ")
NAMESPACES = Step(Rank.NAMESPACES, "namespaces/ipc", ("env", "SEEN=yes"))
FILES = Step(Rank.FILES, "filesystem/linux", ("x y",), 'echo files "$1" $SEEN; shift; ')
MORE_FILES = Step(Rank.FILES, "namespaces/ipc", (), "echo more; ")
RIGHTS = Step(Rank.RIGHTS, "posix", ("nice", "-n", "1", "--"))


def command_of(*steps: Step, arguments: tuple[str, ...] = ("/bin/echo", "the task"), argv0: str = "echo") -> Command:
    found = plan_entry(steps, arguments, argv0)
    assert isinstance(found, Command), found
    return found


def test_without_steps_a_command_is_its_own() -> None:
    assert command_of() == (["/bin/echo", "the task"], "echo")


def test_steps_are_taken_by_their_rank_and_then_the_task_begins() -> None:
    command = command_of(RIGHTS, FILES, CGROUP, NAMESPACES, MORE_FILES)
    done = subprocess.run(command.arguments, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.splitlines() == ["cgroup a", "files x y yes", "more", "the task"]


def test_lines_that_follow_each_other_are_one_shell() -> None:
    assert command_of(CGROUP, FILES).arguments.count("/bin/sh") == 1
    assert command_of(CGROUP, NAMESPACES, FILES).arguments.count("/bin/sh") == 2


def test_a_task_has_its_own_name_after_a_line_of_shell() -> None:
    command = command_of(CGROUP, arguments=("/bin/sh", "-c", "echo $0"), argv0="called")
    done = subprocess.run(command.arguments, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.splitlines() == ["cgroup a", "called"]


def test_two_programs_of_one_rank_exclude_each_other_by_name() -> None:
    other = NAMESPACES._replace(isolator="network/other")
    found = plan_entry((NAMESPACES, other), ["true"], "true")
    assert isinstance(found, Rejection)
    assert "'namespaces/ipc' and 'network/other' exclude each other" in found.message


def test_programs_of_one_isolator_follow_each_other_as_they_come() -> None:
    inner = NAMESPACES._replace(words=("env", "SEEN=later"))
    command = command_of(NAMESPACES, inner, arguments=("sh", "-c", "echo $SEEN"), argv0="sh")
    assert subprocess.check_output(command.arguments, text=True, timeout=20) == "later\n"


def test_a_line_of_shell_takes_the_steps_right_before_it_in_its_own_shell() -> None:
    step = CGROUP._replace(commands=("echo cgroup a", "echo cgroup b || exit 125"))
    line = ("/bin/sh", "-c", "# a comment\necho $0 $#")
    command = command_of(step, arguments=line, argv0="called")
    assert command == (["/bin/sh", "-c", f"echo cgroup a; echo cgroup b || exit 125; {line[-1]}"], "called")
    done = subprocess.run(
        [command.argv0, *command.arguments[1:]], executable="/bin/sh", capture_output=True, check=True
    )
    assert done.stdout.splitlines() == [b"cgroup a", b"cgroup b", b"called 0"]
    for other in (FILES, RIGHTS):  # one that needs arguments, and one after which the line has another's rights
        apart = command_of(step, other, arguments=line, argv0="sh").arguments
        assert apart[-len(line) :] == list(line)
