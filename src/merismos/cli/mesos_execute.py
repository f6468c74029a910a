"""The `mesos-execute` command: runs one command as Mesos' own tool does, with its flags and its words.

Rules: the exit code is the task's, unless `--mesos_exit_code` asks for Mesos' way, which is 0 whatever became of the task.
Source: the recorded output of mesos-execute, and the names of its flags.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from typing import Final

from merismos.cli.runner import NOT_RUN, killed_code
from merismos.model.rejection import Rejection
from merismos.model.resource_notation import parse_resources
from merismos.model.resources import Resources
from merismos.protocol.v1 import mesos
from merismos.sdk.address import AddressError
from merismos.sdk.framework import CAPABILITIES, Framework, FrameworkError, user_name
from merismos.sdk.offer import Offer
from merismos.sdk.task import Task
from merismos.sdk.update import Update
from merismos.shell.flags import Flag, FlagError, Flags, Kind, parse, table_of, usage

FAILOVER_S: Final = 60.0
_MILLI: Final = 1000

FLAGS: Final = table_of(
    [
        Flag("appc_image", Kind.TEXT, None, "The root filesystem of LXC to run in, by its name or directory."),
        Flag("checkpoint", Kind.SWITCH, "false", "Ask for checkpoints; here every task has them."),
        Flag("command", Kind.TEXT, None, "The command to run."),
        Flag("containerizer", Kind.TEXT, "mesos", "The containerizer; only mesos is there yet."),
        Flag(
            "content_type",
            Kind.TEXT,
            "protobuf",
            "The encoding of the scheduler's calls; JSON is used whatever it says.",
        ),
        Flag(
            "docker_image",
            Kind.TEXT,
            None,
            "The image to run in; with --no-shell and without a command, what it runs by itself.",
        ),
        Flag("env", Kind.TEXT, None, "The command's environment, as a JSON object."),
        Flag("framework_capabilities", Kind.TEXT, None, "Capabilities of the framework, separated by commas."),
        Flag("help", Kind.SWITCH, "false", "Print the flags and exit."),
        Flag("kill_after", Kind.DURATION, None, "Time after which the task is killed."),
        Flag("master", Kind.TEXT, None, "The master, host:port."),
        Flag(
            "mesos_exit_code", Kind.SWITCH, "false", "Exit with 0 whatever becomes of the task, as Mesos does (ours)."
        ),
        Flag("name", Kind.TEXT, None, "The name of the command; it is the task's id too."),
        Flag("networks", Kind.TEXT, None, "Names of CNI networks to join, separated by commas."),
        Flag("principal", Kind.TEXT, None, "The principal of the framework."),
        Flag("resources", Kind.TEXT, "cpus:1;mem:128", "The resources of the task."),
        Flag("role", Kind.TEXT, "*", "The role of the framework."),
        Flag("secret", Kind.TEXT, None, "The secret of the principal."),
        Flag(
            "shell",
            Kind.SWITCH,
            "true",
            "Run the command by the shell; otherwise its words are the program and its arguments.",
        ),
        Flag("task", Kind.TEXT, None, "A whole TaskInfo, as JSON."),
        Flag("task_group", Kind.TEXT, None, "A task group, as JSON; not there yet."),
        Flag("user", Kind.TEXT, None, "The user of the framework (ours)."),
        Flag("volumes", Kind.TEXT, None, "Volumes of the container; not there yet."),
    ]
)
EFFECTIVE: Final = frozenset(
    {
        "appc_image",
        "checkpoint",
        "command",
        "content_type",
        "docker_image",
        "env",
        "framework_capabilities",
        "help",
        "kill_after",
        "master",
        "mesos_exit_code",
        "name",
        "networks",
        "principal",
        "resources",
        "role",
        "secret",
        "shell",
        "user",
    }
)
REFUSED: Final = ("task", "task_group", "volumes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    try:
        flags = parse(FLAGS, sys.argv[1:] if arguments is None else arguments, os.environ, effective=EFFECTIVE)
        if flags.on("help"):
            sys.stdout.write(usage("mesos-execute", FLAGS))
            return 0
        for warning in flags.warnings:
            sys.stderr.write(f"mesos-execute: {warning}\n")
        return asyncio.run(Execution(flags).run())
    except (FlagError, AddressError) as error:
        sys.stderr.write(f"mesos-execute: {error}\n")
        return 1
    except FrameworkError as error:
        sys.stderr.write(f"mesos-execute: {error}\n")
        return NOT_RUN
    except KeyboardInterrupt:
        return 130


class Execution:
    """One command, from its offer to its end."""

    def __init__(self, flags: Flags) -> None:
        self._task = task_of(flags)
        self._kill_after_s = flags.seconds("kill_after") if flags.given("kill_after") else None
        self._always_0 = flags.on("mesos_exit_code")
        self._agent_id = ""
        self._last: Update | None = None
        self._killing: asyncio.TimerHandle | None = None
        self._kills: set[asyncio.Task[None]] = set()
        self._framework = Framework(
            self._task.name,
            master=flags.text("master"),
            roles=[flags.text("role") or "*"],
            user=flags.text("user") or user_name(),
            capabilities=[*CAPABILITIES, *more_capabilities(flags)],
            failover_timeout_s=FAILOVER_S,
            principal=flags.text("principal"),
            secret=flags.text("secret"),
        )
        self._framework.on_subscribed(self._on_subscribed)
        self._framework.on_offer(self._on_offer)
        self._framework.on_update(self._on_update)
        self._framework.on_disconnected(self._on_disconnected)

    async def run(self) -> int:
        """Run it; return the exit code."""
        try:
            await self._framework.run()
        finally:
            if self._killing is not None:
                self._killing.cancel()
        return self._exit_code()

    def _on_subscribed(self, framework_id: str) -> None:
        say(f"Subscribed with ID {framework_id}")

    def _on_offer(self, offer: Offer) -> None:
        if not self._agent_id and offer.fits(self._task):
            offer.launch(self._task)
            self._agent_id = offer.agent_id
            say(f"Submitted task '{self._task.id}' to agent '{offer.agent_id}'")

    def _on_update(self, update: Update) -> None:
        say(words_of(update))
        self._last = update
        if update.is_terminal:
            self._framework.stop()
        elif update.state == "TASK_RUNNING" and self._kill_after_s is not None and self._killing is None:
            self._killing = asyncio.get_running_loop().call_later(self._kill_after_s, self._kill)

    def _on_disconnected(self, reason: str) -> None:
        sys.stderr.write(f"mesos-execute: no subscription at {reason}; trying again\n")

    def _kill(self) -> None:
        say(f"Asking to kill task '{self._task.id}'")
        task = asyncio.create_task(self._framework.kill(self._task.id))
        self._kills.add(task)
        task.add_done_callback(self._kills.discard)

    def _exit_code(self) -> int:
        last = self._last
        if self._always_0 or last is None:
            return 0
        if last.state == "TASK_KILLED":
            return killed_code(last)
        if last.exit_code is not None:
            return last.exit_code
        return 0 if last.state == "TASK_FINISHED" else NOT_RUN


def say(text: str) -> None:
    """Write a line at once, also into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def words_of(update: Update) -> str:
    """Return what is said of an update."""
    lines = [f"Received status update {update.state} for task '{update.task_id}'"]
    if update.message:
        lines.append(f"  message: '{update.message}'")
    if update.status.source is not None:
        lines.append(f"  source: {update.status.source}")
    if update.reason:
        lines.append(f"  reason: {update.reason}")
    return "\n".join(lines)


def task_of(flags: Flags) -> Task:
    """Return the task that the flags describe.

    Errors: FlagError.
    """
    for refused in REFUSED:
        if flags.given(refused):
            raise FlagError(
                f"--{refused} can't be served by this version; run a plain command: --name=NAME --command=COMMAND"
            )
    name, command = flags.text("name"), flags.text("command")
    if not name:
        raise FlagError("--name is missing: write --name=NAME")
    image = flags.text("docker_image") or ""
    if not command and (not image or flags.on("shell")):
        raise FlagError("--command is missing: write --command=COMMAND, or --no-shell with a --docker_image")
    if image and flags.given("appc_image"):
        raise FlagError("--docker_image and --appc_image exclude each other: leave one out")
    if image and (flags.text("containerizer") or "mesos") != "mesos":
        raise FlagError("--containerizer: images are run by the mesos containerizer; leave the flag out")
    needs = amounts_of(flags.text("resources") or "")
    return Task(
        name=name,
        id=name,
        command=command if command and flags.on("shell") else (command or "").split(),
        image=image,
        rootfs=flags.text("appc_image") or "",
        networks=[one.strip() for one in (flags.text("networks") or "").split(",") if one.strip()],
        cpus=needs.pop("cpus", 0.0),
        mem=needs.pop("mem", 0.0),
        disk=needs.pop("disk", 0.0),
        gpus=needs.pop("gpus", 0.0),
        others=needs,
        env=environment_of(flags.text("env")),
    )


def amounts_of(text: str) -> dict[str, float]:
    """Return the scalar resources that `text` asks for, by name.

    Errors: FlagError.
    """
    found = parse_resources(text)
    if isinstance(found, Rejection):
        raise FlagError(f"--resources: {found.message}")
    assert isinstance(found, Resources), found
    if any(found.ranges(name) for name in found.names()):
        raise FlagError("--resources: ranges can't be asked for by this version; leave out what has [ ]")
    return {name: milli / _MILLI for name, milli in found.quantities().items()}


def environment_of(text: str | None) -> dict[str, str]:
    """Return the variables of a JSON object.

    Errors: FlagError.
    """
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise FlagError(f"--env is no JSON: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise FlagError('--env is no JSON object of strings; write for example --env=\'{"NAME":"value"}\'')
    return found


def more_capabilities(flags: Flags) -> list[str]:
    """Return the capabilities asked for beyond the usual ones.

    Errors: FlagError.
    """
    given = [one.strip() for one in (flags.text("framework_capabilities") or "").split(",") if one.strip()]
    known = set(mesos.FrameworkInfo_Capability_Type)
    for one in given:
        if one not in known:
            raise FlagError(
                f"--framework_capabilities: there is no capability {one}; there are {', '.join(sorted(known))}"
            )
    return [one for one in given if one not in CAPABILITIES]


if __name__ == "__main__":
    sys.exit(main())
