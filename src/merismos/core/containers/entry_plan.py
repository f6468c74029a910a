"""How a process gets where it belongs before it becomes the task's: steps that isolators give, in one order, as one command.

Rules: a step is a program that runs what follows it, or a line of shell that takes its own words off its arguments. Steps that come
later are taken inside of what the earlier ones made; the user's rights are the last but the filter of system calls, so that all before has the agent's.
Nothing stays: each step becomes the next, and the last one the task. Lines that follow each other are one shell. A task that is a line of shell
itself takes the steps right before it in its own shell, which saves a third of what starting it costs: they stand before its first line, so that errors name the lines
that its author knows, and one that is no shell ends before anything ran. Two
isolators that both want to be the program of one rank exclude each other, and the refusal names them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from merismos.model.rejection import Rejection

_SHELL = ["/bin/sh", "-c"]


class Rank(enum.IntEnum):
    """When a step is taken."""

    STREAMS = 0
    CGROUP = 1
    NETWORK = 2
    NAMESPACES = 3
    FILES = 4
    LIMITS = 5
    RIGHTS = 6
    CALLS = 7
    TASK = 8


class Step(NamedTuple):
    """One step of the way; `isolator` is who wants it.

    Shapes: with a `script` the `words` are its arguments, which it shifts away; without, they are a program and its options. `commands` do the same as the
    script and need no arguments.
    """

    rank: Rank
    isolator: str
    words: tuple[str, ...]
    script: str = ""
    commands: Sequence[str] = ()


class Command(NamedTuple):
    """A program with its arguments, and the name that it is called by."""

    arguments: list[str]
    argv0: str


def plan_entry(steps: Iterable[Step], arguments: Sequence[str], argv0: str) -> Command | Rejection:
    """Return the command that takes the steps by their rank, those of one rank as they come, and then is `arguments`.

    Shapes: after a script the program must be a path, where nothing says which environment's PATH counts; after a program, that one looks for it.
    """
    ordered = sorted(steps, key=lambda step: step.rank)
    fault = _conflict_of(ordered)
    if fault is not None:
        return fault
    command = Command(list(arguments), argv0)
    lines: list[Step] = []
    for step in reversed(ordered):
        if step.script:
            lines.insert(0, step)
            continue
        command = _with_lines(lines, command)
        lines = []
        command = Command([*step.words, *command.arguments], PurePosixPath(step.words[0]).name)
    return _with_lines(lines, command)


def _with_lines(lines: Sequence[Step], command: Command) -> Command:
    if not lines:
        return command
    arguments, argv0 = command
    if (
        len(arguments) == len(_SHELL) + 1
        and arguments[: len(_SHELL)] == _SHELL
        and all(line.commands for line in lines)
    ):
        before = "".join(f"{one}; " for line in lines for one in line.commands)
        return Command([*_SHELL, before + arguments[-1]], argv0)
    script = "".join(line.script for line in lines)
    words = [word for line in lines for word in line.words]
    if PurePosixPath(arguments[0]).name == PurePosixPath(argv0).name:
        return Command([*_SHELL, f'{script}exec "$@"', "sh", *words, *arguments], "sh")
    # only bash can call a program by another name than its own; -p keeps it from BASH_ENV
    return Command(["/bin/bash", "-p", "-c", f'{script}exec -a "$0" "$@"', argv0, *words, *arguments], "bash")


def _conflict_of(steps: Iterable[Step]) -> Rejection | None:
    programs: dict[Rank, str] = {}
    for step in steps:
        if step.script:
            continue
        first = programs.setdefault(step.rank, step.isolator)
        if first != step.isolator:
            text = f"'{first}' and '{step.isolator}' exclude each other for one container; leave one of them out"
            return Rejection("isolation_conflict", text)
    return None
