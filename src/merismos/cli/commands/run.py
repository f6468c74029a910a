"""`merismos run`: a command on the cluster, as if it ran here."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
from pathlib import Path

from merismos.cli import constraints
from merismos.cli.errors import USAGE, CommandError
from merismos.cli.reporter import JsonReporter, Reporter
from merismos.cli.runner import Runner
from merismos.sdk.address import AddressError
from merismos.sdk.framework import CAPABILITIES, Framework, user_name
from merismos.sdk.task import Task

FAILOVER_S = 30.0
_NAME_CHARACTERS_MAX = 40


def run(arguments: argparse.Namespace) -> int:
    """Run a command; return its exit code."""
    words: list[str] = arguments.command
    if not words and not arguments.image:
        raise CommandError("there is nothing to run", "Write: merismos run -- COMMAND ARGUMENT ...", code=USAGE)
    if arguments.image and arguments.rootfs:
        raise CommandError("--image and --rootfs exclude each other", "Leave one of them out", code=USAGE)
    for volume in arguments.volume:
        if not re.fullmatch(r"[^:]+:[^:]+(:r[ow])?", volume):
            raise CommandError(f"--volume {volume!r} is no volume", "Write PATH:TARGET or PATH:TARGET:ro", code=USAGE)
    reporter = JsonReporter() if arguments.output == "json" else Reporter()
    try:
        return asyncio.run(_run(arguments, words, reporter))
    except AddressError as error:
        raise CommandError(str(error), code=USAGE) from error


async def _run(arguments: argparse.Namespace, words: list[str], reporter: Reporter) -> int:
    name = arguments.name or name_of(words or [arguments.image.partition("@")[0].partition(":")[0]])
    rules = [constraints.parse(rule) for rule in arguments.constraint]
    task = Task(
        name=name,
        command=command_of(words),
        cpus=arguments.cpus,
        mem=arguments.mem,
        disk=arguments.disk,
        gpus=arguments.gpus,
        env=environment_of(arguments.env),
        uris=[uri_of(uri) for uri in arguments.uri],
        user=arguments.user,
        image=arguments.image or "",
        rootfs=arguments.rootfs or "",
        volumes=arguments.volume,
        networks=arguments.network,
        time_limit_s=arguments.timeout,
    )
    framework = Framework(
        name,
        master=arguments.master,
        roles=[arguments.role],
        user=arguments.user or user_name(),
        failover_timeout_s=FAILOVER_S,
        capabilities=[*CAPABILITIES, *(["GPU_RESOURCES"] if arguments.gpus else [])],
        offer_constraints=constraints.offer_constraints(rules, arguments.role),
    )
    return await Runner(framework, task, rules, reporter).run(arguments.wait)


def command_of(words: list[str]) -> str | list[str]:
    """Return a line for the shell where one argument has a blank in it, else the program and its arguments."""
    return words[0] if len(words) == 1 and re.search(r"\s", words[0]) else words


def name_of(words: list[str]) -> str:
    """Return a name for a command that was given none."""
    first = Path((words[0].split() or ["task"])[0]).name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", first)[:_NAME_CHARACTERS_MAX].strip(".-") or "task"


def environment_of(given: list[str]) -> dict[str, str]:
    """Return the variables that `--env` names; a name without a value is taken from here.

    Errors: CommandError.
    """
    found: dict[str, str] = {}
    for one in given:
        name, separator, value = one.partition("=")
        if not name:
            raise CommandError(
                f"--env {one!r} names no variable", "Write NAME=VALUE, or NAME to take it from here", code=USAGE
            )
        if not separator and name not in os.environ:
            raise CommandError(
                f"--env {name}: there is no such variable here", f"Set it, or write {name}=VALUE", code=USAGE
            )
        found[name] = value if separator else os.environ[name]
    return found


def uri_of(given: str) -> str:
    """Return a URI; a path on this machine becomes a file URI."""
    return given if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", given) else Path(given).absolute().as_uri()
