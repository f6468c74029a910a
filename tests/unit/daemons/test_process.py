"""What a daemon does to its process before it serves."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from merismos.daemons.process import write_port


def test_a_port_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.write_text("what was there before")
    write_port(path, 5050)
    assert path.read_text() == "5050\n"
    assert [one.name for one in tmp_path.iterdir()] == ["port"]


def test_a_port_file_that_is_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_port(path, 5050)
        assert os.read(reader, 64) == b"5050\n"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(path.stat().st_mode)
