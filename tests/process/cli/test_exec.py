"""`merismos exec`: beside a task, with its environment, in its sandbox, with our input and a terminal of our size."""

from __future__ import annotations

import os
import pty
import select
import struct
import subprocess
import sys
import time
from fcntl import ioctl
from termios import TIOCSWINSZ

import pytest

from process.cli.commands import WAIT_S_MAX, Commands

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("cli")]


def test_a_command_beside_a_task_has_its_sandbox_its_output_and_its_exit_code(merismos: Commands) -> None:
    with merismos.going("run", "--name", "host", "-e", "MARK=here", "--", "echo up; exec sleep 600") as run:
        run.out("up\n")
        ended = merismos("exec", "host", "--", "sh", "-c", "cat stdout; echo $MARK; echo oops >&2; exit 7")
        assert (ended.code, ended.out, ended.err) == (7, "up\nhere\n", "oops\n")
        killed = merismos("exec", "host", "--", "sh", "-c", "kill -9 $$")
        assert killed.code == 137
        missing = merismos("exec", "host", "--", "/no/such/program")
        assert missing.code == 127
    gone = merismos("exec", "host", "--", "true")
    assert gone.code == 1
    assert "knows no task 'host'" in gone.err


def test_input_is_passed_on_to_its_end(merismos: Commands) -> None:
    with merismos.going("run", "--name", "fed", "--", "echo up; exec sleep 600") as run:
        run.out("up\n")
        ended = subprocess.run(
            [sys.executable, "-m", "merismos.cli", "exec", "-i", "fed", "--", "sort"],
            input=b"b\na\n",
            capture_output=True,
            timeout=WAIT_S_MAX,
            check=False,
            env=merismos.environment,
        )
        assert (ended.returncode, ended.stdout) == (0, b"a\nb\n"), ended.stderr


def test_a_terminal_is_interactive_and_follows_our_size(merismos: Commands) -> None:
    with merismos.going("run", "--name", "shell", "--", "echo up; exec sleep 600") as run:
        run.out("up\n")
        ours, theirs = pty.openpty()
        ioctl(ours, TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        environment = {name: value for name, value in merismos.environment.items() if name not in {"LINES", "COLUMNS"}}
        process = subprocess.Popen(
            [sys.executable, "-m", "merismos.cli", "exec", "-it", "shell", "sh", "-c", "echo ready; exec sh"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
        )
        os.close(theirs)
        try:
            until(ours, b"ready\r\n")
            os.write(ours, b"stty size; echo 'ter''minal'\n")
            assert b"40 120" in until(ours, b"terminal\r\n")
            ioctl(ours, TIOCSWINSZ, struct.pack("HHHH", 50, 132, 0, 0))
            process.send_signal(
                28
            )  # a terminal tells who is in the foreground; this test's process is in no session of it
            os.write(ours, b"until [ \"$(stty size)\" = '50 132' ]; do sleep 0.05; done; echo 'fol''lowed'\n")
            until(ours, b"followed\r\n")
            os.write(ours, b"exit 5\n")
            assert process.wait(WAIT_S_MAX) == 5
        finally:
            process.kill()
            process.wait()
            os.close(ours)


def until(fd: int, text: bytes) -> bytes:
    """Read from a terminal until this comes; return all that came."""
    deadline = time.monotonic() + WAIT_S_MAX
    got = b""
    while text not in got:
        ready, _, _ = select.select([fd], [], [], max(deadline - time.monotonic(), 0))
        assert ready, f"{text!r} did not come: {got!r}"
        got += os.read(fd, 65536)
    return got
