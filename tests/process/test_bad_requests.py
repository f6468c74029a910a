"""Recorded requests that a real Mesos refused, sent to a real master of ours: the same status and the same words."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.process

HELD_ELSEWHERE = {
    "56_get_root": "the page is ours",
    "59_get_master": "the page is ours",
    "77_gzip_accept": "a state, compared by the wire tests",
    "79_jsonp": "a state, compared by the wire tests",
    "78_http10_like_nohost": "its version is ours",
    "80_keepalive_close": "its version is ours",
}


class Master:
    """A master process."""

    def __init__(self, work_dir: Path) -> None:
        arguments = ["--ip=127.0.0.1", "--port=0", f"--work_dir={work_dir}", "--hostname=localhost"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "merismos.daemons.master", *arguments], stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        self.port = int(json.loads(self.process.stdout.readline())["port"])

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def ask(self, data: bytes, *, slowly: bool) -> tuple[int, dict[str, str], bytes]:
        """Ask on a new connection; `slowly` on one that asked for something else before, which another lane serves."""
        with self.connect() as connection:
            if slowly:
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                assert read_answer(connection)[0] == 200
            connection.sendall(data)
            return read_answer(connection, head_only=data.startswith(b"HEAD "))

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def read_answer(connection: socket.socket, *, head_only: bool = False) -> tuple[int, dict[str, str], bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        assert piece, f"closed after {data!r}"
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    while not head_only and len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    return int(lines[0].split()[1]), headers, body


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Master]:
    running = Master(tmp_path_factory.mktemp("master"))
    yield running
    assert running.stop() == 0


def request_bytes(request: dict[str, Any], replaced: dict[str, str]) -> bytes:
    body = request["body"]
    text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
    for old, new in replaced.items():
        text = text.replace(old, new)
    headers = [(name, replaced.get(value, value)) for name, value in request["headers"] if name != "Content-Length"]
    if body is not None:
        headers.append(("Content-Length", str(len(text.encode()))))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{request['method']} {request['path']} HTTP/1.1\r\n{lines}\r\n{text}".encode()


def subscribe(master: Master) -> tuple[socket.socket, dict[str, str]]:
    """Open a stream and say what stands for the ids of the recorded session."""
    connection = master.connect()
    body = json.dumps(
        {
            "type": "SUBSCRIBE",
            "subscribe": {
                "framework_info": {
                    "user": "root",
                    "name": "n",
                    "roles": ["r"],
                    "capabilities": [{"type": "MULTI_ROLE"}],
                }
            },
        }
    )
    head = f"POST /api/v1/scheduler HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall((head + body).encode())
    data = b""
    while b'"framework_id"' not in data or b"\n" not in data.rpartition(b'"framework_id"')[2]:
        data += connection.recv(65536)
    stream_id = data.partition(b"Mesos-Stream-Id: ")[2].partition(b"\r\n")[0].decode()
    framework_id = data.partition(b'"framework_id":{"value":"')[2].partition(b'"')[0].decode()
    return connection, {
        "2fd9eabb-82c6-4807-8eff-07f7a6c62afa-0005": framework_id,
        "5d964083-6d70-40bc-9853-5651baad7f6a": stream_id,
    }


@pytest.mark.parametrize("slowly", [False, True], ids=["fast lane", "slow lane"])
def test_every_recorded_refusal_is_refused_in_the_same_words(master: Master, recordings: Path, slowly: bool) -> None:
    connection, replaced = subscribe(master)
    wrong: list[str] = []
    with connection:
        for path in sorted((recordings / "bad").glob("[0-9]*.json")):
            record = json.loads(path.read_text())
            if path.stem in HELD_ELSEWHERE or "raw" in record:
                continue
            status, headers, body = master.ask(request_bytes(record["request"], replaced), slowly=slowly)
            expected = record["response"]
            text = expected.get("body", "")
            for old, new in replaced.items():
                text = text.replace(old, new)
            is_stream = "closed" in expected
            is_binary = "body_json" in expected
            same_body = is_stream or is_binary or body.decode(errors="replace") == text
            names = {name.lower() for name, _ in expected["headers"]} - {"content-length"}
            ours = set(headers) - {"content-length"}
            if (status, same_body, ours) != (expected["status"], True, names):
                wrong.append(
                    f"{path.stem}: {status} {sorted(ours ^ names)} {body[:200]!r}; recorded {expected['status']} {text[:200]!r}"
                )
    assert not wrong, "\n".join(wrong)
