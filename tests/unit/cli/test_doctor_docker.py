"""`merismos doctor` looks at Docker's socket, whatever is behind it, and never for long."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from merismos.cli.commands.doctor import check_docker


@contextmanager
def listening(answer: bytes | None) -> Iterator[str]:
    """A socket behind which somebody says this to the first who asks, or nothing at all."""
    with tempfile.TemporaryDirectory(prefix="mdoc") as folder, socket.socket(socket.AF_UNIX) as server:
        path = str(Path(folder, "s"))
        server.bind(path)
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer or b"")

        thread = threading.Thread(target=serve)
        if answer is not None:
            thread.start()
        try:
            yield path
        finally:
            if answer is not None:
                thread.join()


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\nOK", "ok", "--containerizers=mesos,docker"),
        (b"HTTP/1.0 404 Not Found\r\n\r\n", "warning", "no Docker Engine"),
        (None, "warning", "does not answer within 0.1 s"),
    ],
)
def test_the_doctor_says_what_is_behind_dockers_socket(answer: bytes | None, state: str, said: str) -> None:
    with listening(answer) as path:
        finding = check_docker(path, 0.1 if answer is None else 30.0)
    assert finding["state"] == state
    assert said in finding["finding"]


def test_the_doctor_needs_no_docker(tmp_path: Path) -> None:
    assert check_docker(str(tmp_path / "none"))["state"] == "absent"
    (tmp_path / "file").touch()
    finding = check_docker(str(tmp_path / "file"))
    assert (finding["state"], "can't be used" in finding["finding"]) == ("warning", True)
