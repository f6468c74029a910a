"""Reads a file of a task's sandbox, byte for byte, through the master or from its agent.

Rules: what is rotated away while it is followed is read from `NAME.1`, where the part that the file lost begins: nothing is shown
twice, and nothing is lost unless the log is rotated twice between two reads.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, NamedTuple

from merismos.cli.errors import CommandError

if TYPE_CHECKING:
    from merismos.cli.client import Client

READ_BYTES_MAX = 64 * 1024
ROTATED = ".1"
_OK = 200
_NOT_FOUND = 404
_AGENT_NOT_REACHED = (502, 504)


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


def target_of(agent_id: str) -> str:
    """Return where a master serves an agent's operator API."""
    return f"/agent/{agent_id}/api/v1"


def is_relayed(status: int, headers: dict[str, str]) -> bool:
    """Say whether an answer of a master is its agent's."""
    return "via" in headers and status not in _AGENT_NOT_REACHED


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


class Tail:
    """How far a file is read that grows and is rotated.

    Shapes: `path` and `offset` say what to read next; `found` is whether there was such a file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.offset = 0
        self.found = False
        self._file = path

    def take(self, piece: Piece) -> bool:
        """Take what was read at `path` from `offset` on; say whether to read on at once."""
        rotated = self.path != self._file
        if piece.data:
            self.offset += len(piece.data)
        elif rotated:
            self.offset = max(self.offset - (piece.size or 0), 0) if piece.size else 0
            self.path = self._file
        elif piece.size is not None and piece.size < self.offset:
            self.path = self._file + ROTATED
            rotated = True
        self.found = self.found or piece.size is not None
        return rotated or bool(piece.data)


class SandboxReader:
    """Reads sandboxes of one agent: through the master where it relays, else from the agent itself."""

    def __init__(self, master: Client, agent_id: str, agent: Client) -> None:
        self._master = master
        self._target = target_of(agent_id)
        self._agent = agent
        self._direct = False

    def read(self, path: str, offset: int) -> Piece:
        """Return what a file has from `offset` on, at most `READ_BYTES_MAX`.

        Errors: CommandError, with what master and agent said.
        """
        call = read_call(path, offset)
        said = ""
        if not self._direct:
            answer = self._master.ask("POST", self._target, body=call)
            if is_relayed(answer.status, answer.headers):
                return piece_of(answer.status, answer.body)
            said = answer.text() if "via" in answer.headers else ""
        try:
            answer = self._agent.ask("POST", "/api/v1", body=call)
        except CommandError as error:
            if not said:
                raise
            raise CommandError(f"{error.what}; the master says: {said}", error.todo) from error
        self._direct = True
        return piece_of(answer.status, answer.body)
