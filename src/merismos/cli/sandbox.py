"""Reads a file of a task's sandbox from its agent, byte for byte."""

from __future__ import annotations

import base64
import json
from typing import NamedTuple

from merismos.cli.client import Client
from merismos.cli.errors import CommandError

READ_BYTES_MAX = 64 * 1024
_OK = 200
_NOT_FOUND = 404


class Piece(NamedTuple):
    """Some of a file, and how long the file is by now; None for one that isn't there."""

    data: bytes
    size: int | None


def path_of(framework_id: str, executor_id: str, container_id: str, name: str) -> str:
    """Return the virtual path of a file in a sandbox, in the latest run where the container isn't known.

    Shapes: the id of a nested container is `PARENT.OWN`.
    """
    run, _, nested = container_id.partition(".")
    inner = f"containers/{nested}/" if nested else ""
    return f"/frameworks/{framework_id}/executors/{executor_id}/runs/{run or 'latest'}/{inner}{name}"


def read_call(path: str, offset: int) -> bytes:
    """Return the body of the call that reads a piece of a file."""
    wanted = {"path": path, "offset": offset, "length": READ_BYTES_MAX}
    return json.dumps({"type": "READ_FILE", "read_file": wanted}).encode()


def piece_of(status: int, body: bytes) -> Piece:
    """Return the piece that an agent's answer holds.

    Errors: CommandError for any other answer than a piece or "not found".
    """
    if status == _NOT_FOUND:
        return Piece(b"", None)
    if status != _OK:
        raise CommandError(f"the agent answered {status} instead of a file: {body.decode('utf-8', 'replace').strip()}")
    found = json.loads(body)["read_file"]
    return Piece(base64.b64decode(found.get("data", "")), int(found.get("size", 0)))


def read(agent: Client, path: str, offset: int) -> Piece:
    """Return what a file has from `offset` on, at most `READ_BYTES_MAX`.

    Errors: CommandError.
    """
    answer = agent.ask("POST", "/api/v1", body=read_call(path, offset))
    return piece_of(answer.status, answer.body)
