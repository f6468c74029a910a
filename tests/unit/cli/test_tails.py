"""How a file is followed that grows and is rotated, and whom the command line asks for it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from merismos.cli.client import Client
from merismos.cli.commands.doctor import check_agent
from merismos.cli.errors import CommandError
from merismos.cli.follower import DIRECT, Follower, Source
from merismos.cli.sandbox import Piece, SandboxReader, Tail
from merismos.sdk.address import Address
from merismos.sdk.http import Answer

LIMIT_S = 30.0


class Disk:
    """Files that a test writes and rotates."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def read(self, path: str, offset: int) -> Piece:
        data = self.files.get(path)
        return Piece(b"", None) if data is None else Piece(data[offset : offset + 3], len(data))

    def rotate(self, kept: int) -> None:
        self.files["f.1"], self.files["f"] = self.files["f"][:kept], self.files["f"][kept:]


def drain(tail: Tail, disk: Disk) -> bytes:
    shown, more = b"", True
    while more:
        piece = disk.read(tail.path, tail.offset)
        shown += piece.data
        more = tail.take(piece)
    return shown


@pytest.mark.parametrize("read_before", range(11))
@pytest.mark.parametrize("rotated", [7, 10])
def test_nothing_is_lost_or_shown_twice_when_a_file_is_rotated_while_it_is_followed(
    read_before: int, rotated: int
) -> None:
    disk, tail = Disk(), Tail("f")
    disk.files["f"] = b"0123456789"[:read_before]
    shown = drain(tail, disk)
    disk.files["f"] = b"0123456789"
    if read_before <= 10 - rotated:
        shown += drain(tail, disk)  # what is rotated before it was ever looked at is in NAME.1, as for who comes later
    disk.rotate(rotated)
    shown += drain(tail, disk)
    disk.files["f"] += b"abc"
    shown += drain(tail, disk)
    assert shown == b"0123456789abc"


def test_a_file_that_was_emptied_without_a_copy_is_read_from_its_begin() -> None:
    disk, tail = Disk(), Tail("f")
    disk.files["f"] = b"0123"
    assert drain(tail, disk) == b"0123"
    disk.files["f"] = b"ab"
    assert drain(tail, disk) == b"ab"
    assert tail.found


def test_a_file_that_is_not_there_is_not_found() -> None:
    tail = Tail("f")
    assert drain(tail, Disk()) == b""
    assert not tail.found


class Said:
    """A master or an agent that answers as the test says."""

    def __init__(self, answer: Answer | CommandError) -> None:
        self.answer = answer
        self.targets: list[str] = []

    def ask(self, _method: str, target: str, *, body: bytes) -> Answer:
        assert json.loads(body)["type"] == "READ_FILE"
        self.targets.append(target)
        if isinstance(self.answer, CommandError):
            raise self.answer
        return self.answer


VIA = {"via": "1.1 merismos-master"}
FILE = json.dumps({"read_file": {"size": 2, "data": base64.b64encode(b"hi").decode()}}).encode()


def reader(master: Said, agent: Said) -> SandboxReader:
    return SandboxReader(cast("Client", master), "S1", cast("Client", agent))


def test_a_file_is_read_through_the_master_and_the_agent_is_left_alone() -> None:
    master, agent = Said(Answer(200, VIA, FILE)), Said(CommandError("no agent answers"))
    assert reader(master, agent).read("/f", 0) == Piece(b"hi", 2)
    assert master.targets == ["/agent/S1/api/v1"]
    master.answer = Answer(404, VIA, b"")
    assert reader(master, agent).read("/f", 0) == Piece(b"", None)
    assert agent.targets == []


@pytest.mark.parametrize("said", [Answer(404, {}, b"404 Not Found."), Answer(502, VIA, b"can't be reached")])
def test_where_the_master_can_not_help_the_agent_is_asked_and_goes_on_being_asked(said: Answer) -> None:
    master, agent = Said(said), Said(Answer(200, {}, FILE))
    reading = reader(master, agent)
    assert reading.read("/f", 0) == reading.read("/f", 0) == Piece(b"hi", 2)
    assert (len(master.targets), agent.targets) == (1, ["/api/v1", "/api/v1"])


def test_where_neither_can_help_both_reasons_are_told() -> None:
    master, agent = Said(Answer(504, VIA, b"agent S1 doesn't answer")), Said(CommandError("no agent answers at x"))
    with pytest.raises(CommandError, match="no agent answers at x; the master says: agent S1 doesn't answer"):
        reader(master, agent).read("/f", 0)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def test_who_follows_a_run_turns_to_the_master_where_the_agent_can_not_be_reached() -> None:
    targets: list[str] = []

    async def serve(reading: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reading.readuntil(b"\r\n\r\n"):
                targets.append(head.split()[1].decode())
                size = int(head.lower().partition(b"content-length: ")[2].split()[0])
                offset = json.loads(await reading.readexactly(size))["read_file"]["offset"]
                body = FILE if offset == 0 else b'{"read_file":{"size":2}}'
                writer.write(b"HTTP/1.1 200 OK\r\nVia: 1.1 m\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        except asyncio.IncompleteReadError:
            writer.close()

    async def scenario() -> bytes:
        shown: list[bytes] = []
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with asyncio.timeout(LIMIT_S), server:
            master = Source(Address("127.0.0.1", server.sockets[0].getsockname()[1]), "/agent/S1/api/v1")
            follower = Follower(lambda: [Source(Address("127.0.0.1", 1), DIRECT), master], "/f", shown.append)
            follower.end()
            await follower.run()
        return b"".join(shown)

    assert asyncio.run(scenario()) == b"hi"
    assert targets == ["/agent/S1/api/v1", "/agent/S1/api/v1"]


class Flags:
    """A master or an agent that tells an agent's flags, or can't be reached."""

    def __init__(self, *, answers: bool) -> None:
        self._answers = answers

    def get(self, target: str) -> dict[str, dict[str, str]]:
        if not self._answers:
            raise CommandError("no agent answers at h:5051")
        assert target.endswith("/flags")
        return {"flags": {"isolation": "cgroups/all"}}


@pytest.mark.parametrize(
    ("by_master", "direct", "said"),
    [
        (False, True, "h:5051 answers; its isolation is cgroups/all"),
        (True, False, "h:5051 answers through the master only; its isolation is cgroups/all"),
        (False, False, "no agent answers at h:5051, nor through the master; logs and output"),
    ],
)
def test_the_doctor_looks_at_an_agent_through_the_master_too(by_master: bool, direct: bool, said: str) -> None:
    clients = [cast("Client", Flags(answers=one)) for one in (by_master, direct)]
    found = check_agent(clients[0], {"id": "S1", "address": "h:5051"}, clients[1])
    assert found["finding"].startswith(said)
    assert found["state"] == ("ok" if by_master or direct else "warning")
