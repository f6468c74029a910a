"""What an image says about how it wants to be run, and what becomes of a task's command in it.

Rules: the table of Mesos' docker runtime. A shell line replaces all that the image says. A value replaces the image's entrypoint
and its arguments. Without a value, the image's entrypoint runs with the task's arguments, or with the image's own; an image
without an entrypoint runs its own command, with the task's arguments appended. A value's `arguments` begin with its argv[0]; without a value they don't.
Source: Mesos, docs/isolators/docker-runtime.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.model.rejection import Rejection

if TYPE_CHECKING:
    from merismos.protocol.v1 import mesos

SHELL = "/bin/sh"


class ImageConfig(msgspec.Struct, frozen=True):
    """The part of an image's configuration that its containers run by.

    Shapes: `env` are NAME=value; empty `working_dir` and `user` are unset.
    """

    entrypoint: list[str] = []
    cmd: list[str] = []
    env: list[str] = []
    working_dir: str = ""
    user: str = ""


def command_in_image(command: mesos.CommandInfo, image: ImageConfig) -> list[str] | Rejection:
    """Return the program and its arguments, or why nothing can be run."""
    if command.shell:
        if command.value is None:
            return Rejection("command_invalid", "the command is a shell line, and there is none: give it a value")
        return [SHELL, "-c", command.value]
    if command.value is not None:
        return [command.value, *command.arguments[1:]]
    if image.entrypoint:
        return [*image.entrypoint, *(command.arguments or image.cmd)]
    if image.cmd:
        return [*image.cmd, *command.arguments]
    return Rejection(
        "command_invalid", "neither the task nor its image says what to run: give the command a value, or a shell line"
    )
