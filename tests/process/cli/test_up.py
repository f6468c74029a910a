"""`merismos up` and `merismos down`: a whole cluster comes, and nothing of it stays, whatever was killed meanwhile."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from process.cli.commands import WAIT_S_MAX, Commands, Going

pytestmark = [
    pytest.mark.process,
    pytest.mark.xdist_group("cli"),
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="what is left is looked for in /proc"),
]
NAP = f"sleep {10**7 + os.getpid()}"  # a command line that no other run of these tests has
ESCAPED = f"cd /; setsid {NAP} & setsid env -i {NAP} & echo up; exec {NAP}"


class Home:
    """A user's own folders, and the commands of that user."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.merismos = Commands("")
        del self.merismos.environment["MERISMOS_MASTER"]
        self.merismos.environment |= {"MERISMOS_STATE_DIR": str(self.state), "TMPDIR": str(self.temporary)}

    def up(self, *flags: str) -> dict[str, Any]:
        """Start a cluster in the background; return what it says of itself."""
        said = self.merismos("up", "--detach", "--output", "json", "--agents=1", "--master-port=0", *flags).json()
        assert isinstance(said, dict)
        return said

    def processes(self) -> list[str]:
        """Return what runs in this home: by its variables, by its folder, and by how the tests' tasks are called."""
        return [f"{pid}: {_read(pid, 'cmdline')}" for pid in _numbers() if self._is_ours(pid)]

    def check_that_nothing_is_left(self) -> None:
        """Fail unless every process, file and socket is gone, soon."""
        deadline = time.monotonic() + WAIT_S_MAX
        while self.processes() and time.monotonic() < deadline:
            os.sched_yield()
        assert self.processes() == []
        assert list(self.temporary.iterdir()) == []
        assert not self.state.exists()
        assert str(self.temporary) not in Path("/proc/net/unix").read_text(encoding="utf-8")

    def _is_ours(self, pid: int) -> bool:
        if str(self.temporary) in _read(pid, "environ") or NAP in _read(pid, "cmdline"):
            return True
        try:
            return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(self.temporary)
        except OSError:
            return False


def _numbers() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace").replace("\0", " ").strip()
    except OSError:
        return ""


def pids_of(home: Home) -> dict[str, int]:
    found: dict[str, int] = json.loads((home.state / "up.json").read_text(encoding="utf-8"))["pids"]
    return found


@pytest.fixture
def home() -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="m-") as folder:
        home = Home(Path(folder))
        try:
            yield home
        finally:
            home.merismos("down")


def test_ctrl_c_ends_a_cluster_and_all_that_its_tasks_started(home: Home) -> None:
    with home.merismos.going("up", "--agents=2", "--master-port=0") as up:
        said = up.out("leaves nothing behind.\n")
        assert "a master and 2 agents" in said
        assert "http://127.0.0.1:" in said
        assert "merismos run -- " in said
        with home.merismos.going("run", "--", ESCAPED) as run:
            run.out("up\n")
            assert len(home.processes()) >= 9
            up.interrupt()
            assert up.ended() == 0
            assert run.ended() in {125, 137, 143}
    home.check_that_nothing_is_left()


def test_down_ends_a_detached_cluster_and_a_second_down_says_there_is_none(home: Home) -> None:
    up = home.up()
    assert [agent["state"] for agent in home.merismos("agents", "-o", "json").json()] == ["active"]
    second = home.merismos("up", "--master-port=0")
    assert second.code == 1
    assert f"a cluster of yours runs already at http://{up['master']}" in second.err
    assert "merismos down" in second.err
    assert home.merismos("down").code == 0
    home.check_that_nothing_is_left()
    again = home.merismos("down")
    assert (again.code, again.err) == (0, "no cluster of yours runs on this machine\n")


def test_a_killed_agent_and_a_killed_master_come_back_and_down_leaves_nothing(home: Home) -> None:
    home.up()
    with home.merismos.going("run", "--", ESCAPED) as run:
        run.out("up\n")
        killed = pids_of(home)
        for pid in killed.values():
            os.kill(pid, signal.SIGKILL)
        wait_for_others(home, killed)
        assert home.merismos("down").code == 0
        run.interrupt()
    home.check_that_nothing_is_left()


def wait_for_others(home: Home, killed: dict[str, int]) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while any(pids_of(home).get(name) in {pid, None} for name, pid in killed.items()):
        assert time.monotonic() < deadline, f"{killed} were not replaced: {pids_of(home)}"
        os.sched_yield()


@pytest.mark.parametrize("next_command", ["down", "up"])
def test_what_a_killed_up_left_behind_is_taken_away_by(home: Home, next_command: str) -> None:
    first = home.up()
    with home.merismos.going("run", "--", ESCAPED) as run:
        run.out("up\n")
        os.kill(first["pid"], signal.SIGKILL)
        if next_command == "up":
            assert home.up()["work_dir"] != first["work_dir"]
            assert not Path(first["work_dir"]).exists()
        assert home.merismos("down").code == 0
        run.interrupt()
    home.check_that_nothing_is_left()


def test_a_shell_that_looks_at_the_logs_is_not_ended_with_the_cluster(home: Home) -> None:
    up = home.up()
    pid, terminal = os.forkpty()
    if pid == 0:
        os.chdir(f"{up['work_dir']}/logs")
        os.execvp("cat", ["cat"])
    try:
        os.write(terminal, b"is there\n")
        assert os.read(terminal, 64)
        assert home.merismos("down").code == 0
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), "it was ended"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def test_a_port_that_is_taken_is_said_with_the_way_out(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = home.merismos("up", "--master-port", str(port))
    assert ended.code == 1
    assert f"port {port} of 127.0.0.1 is taken" in ended.err
    assert "--master-port" in ended.err
    home.check_that_nothing_is_left()


def test_an_interrupt_while_it_starts_leaves_nothing(home: Home) -> None:
    with home.merismos.going("up", "--master-port=0") as up:
        wait_for_folder(home, up)
        up.interrupt(signal.SIGTERM)
        assert up.ended() == 0
    home.check_that_nothing_is_left()


def wait_for_folder(home: Home, up: Going) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while not list(home.temporary.glob("merismos-*/logs/*.log")):
        assert time.monotonic() < deadline, up.said
        os.sched_yield()
