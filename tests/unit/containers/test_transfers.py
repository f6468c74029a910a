"""URIs of other schemes than HTTP's: FTP from a server of the test's own, the rest by a stand-in for the Hadoop client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from merismos.containers.transfers import BROKEN, TransferError, Transfers, find_hadoop

LIMIT_S = 30.0


def ignore(_size: int) -> None:
    return


class FtpServer:
    """As much of an FTP server as a client in passive mode needs."""

    def __init__(self, body: bytes, *, announced: int | None = None) -> None:
        self.body = body
        self.announced = len(body) if announced is None else announced
        self.said: list[str] = []
        self._data: asyncio.Server | None = None
        self._serving: list[asyncio.Task[None]] = []

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.append(asyncio.create_task(self.serve(reader, writer)))

    async def over(self) -> None:
        await asyncio.gather(*self._serving)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while line := (await reader.readline()).decode().strip():
            self.said.append(line)
            verb, _, rest = line.partition(" ")
            writer.write(await self._answer(verb, rest))
        writer.close()
        await writer.wait_closed()

    async def _answer(self, verb: str, rest: str) -> bytes:
        if verb == "PASV":
            self._data = await asyncio.start_server(self._sending, "127.0.0.1", 0)
            high, low = divmod(self._data.sockets[0].getsockname()[1], 256)
            return f"227 Entering Passive Mode (127,0,0,1,{high},{low}).\r\n".encode()
        if verb == "SIZE":
            return f"213 {self.announced}\r\n".encode() if rest == "dir/a b" else b"550 no such file\r\n"
        if verb == "RETR":
            return b"150 it comes\r\n226 done\r\n"
        return {"USER": b"331 password?\r\n", "PASS": b"230 in\r\n", "TYPE": b"200 ok\r\n"}.get(verb, b"502 what?\r\n")

    def _sending(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.append(asyncio.create_task(self._send(reader, writer)))

    async def _send(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.body)
        writer.close()
        await writer.wait_closed()
        assert self._data is not None
        self._data.close()


def by_ftp(server: FtpServer, path: str, target: Path) -> None:
    async def run() -> None:
        listening = await asyncio.start_server(server.connected, "127.0.0.1", 0)
        transfers = Transfers(5.0)
        async with asyncio.timeout(LIMIT_S), listening:
            port = listening.sockets[0].getsockname()[1]
            try:
                await transfers.bring(f"ftp://me:s%40cret@127.0.0.1:{port}{path}", target, None, ignore)
            finally:
                await transfers.close()
                await server.over()

    asyncio.run(run())


def test_a_file_comes_by_ftp(tmp_path: Path) -> None:
    server = FtpServer(b"by ftp\n" * 1000)
    by_ftp(server, "/dir/a%20b", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == server.body
    assert server.said[:3] == ["USER me", "PASS s@cret", "TYPE I"]
    assert "RETR dir/a b" in server.said


def test_a_file_that_ends_early_or_isnt_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="3 of 9 bytes came"):
        by_ftp(FtpServer(b"abc", announced=9), "/dir/a%20b", tmp_path / "got")
    with pytest.raises(BROKEN, match="550 no such file"):
        by_ftp(FtpServer(b""), "/none", tmp_path / "other")


Hadoop = Callable[[str], str]


@pytest.fixture
def hadoop(tmp_path: Path) -> Hadoop:
    """Make a Hadoop client: a script, called as `hadoop fs -copyToLocal SOURCE TARGET`."""

    def make(script: str) -> str:
        program = tmp_path / "home" / "bin" / "hadoop"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        found = find_hadoop(str(tmp_path / "home"), {})
        assert found is not None
        return found

    return make


def by_hadoop(program: str, target: Path, stall_timeout_s: float, room: Callable[[int], None] = ignore) -> None:
    async def run() -> None:
        transfers = Transfers(stall_timeout_s, hadoop=program)
        try:
            async with asyncio.timeout(LIMIT_S):
                await transfers.bring("hdfs://name:8020/data", target, None, room)
        finally:
            await transfers.close()

    asyncio.run(run())


def test_other_schemes_come_by_the_hadoop_client(tmp_path: Path, hadoop: Hadoop) -> None:
    program = hadoop('echo "$1 $2 $3" > "$4"')
    by_hadoop(program, tmp_path / "got", 20.0)
    assert (tmp_path / "got").read_text() == "fs -copyToLocal hdfs://name:8020/data\n"


def test_what_the_hadoop_client_says_is_why_it_failed(tmp_path: Path, hadoop: Hadoop) -> None:
    with pytest.raises(TransferError, match="No such file: hdfs://name:8020/data"):
        by_hadoop(hadoop('echo "No such file: $3" >&2; exit 1'), tmp_path / "got", 20.0)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_hadoop_client_that_brings_nothing_more_is_ended(tmp_path: Path, hadoop: Hadoop) -> None:
    program = hadoop(f'echo begun > "$4._COPYING_"; echo $$ > {tmp_path}/pid; exec sleep 1000')
    with pytest.raises(TimeoutError):
        by_hadoop(program, tmp_path / "got", 0.4)
    assert not (tmp_path / "got").exists()
    pid = (tmp_path / "pid").read_text().strip()
    assert not Path(f"/proc/{pid}").exists()


def test_a_hadoop_client_is_looked_for_at_home_and_on_the_path(tmp_path: Path, hadoop: Hadoop) -> None:
    program = hadoop("true")
    assert find_hadoop(None, {"PATH": f"/none:{Path(program).parent}"}) == program
    assert find_hadoop(None, {"PATH": str(tmp_path)}) is None
    assert find_hadoop(None, {"PATH": "/none", "HADOOP_HOME": str(tmp_path / "home")}) == program
    assert find_hadoop("/given", {"HADOOP_HOME": str(tmp_path / "home")}) == "/given/bin/hadoop"
