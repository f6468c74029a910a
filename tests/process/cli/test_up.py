"""`merismos up` and `merismos down`: a whole cluster comes, and nothing of it stays, whatever was killed meanwhile."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from process.cli.commands import WAIT_S_MAX, Going
from process.cli.home import NAP, Home, at_home

pytestmark = [
    pytest.mark.process,
    pytest.mark.xdist_group("cli"),
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="what is left is looked for in /proc"),
]
ESCAPED = f"cd /; setsid {NAP} & setsid env -i {NAP} & echo up; exec {NAP}"


@pytest.fixture
def home() -> Iterator[Home]:
    with at_home() as home:
        yield home


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
        killed = home.pids()
        for pid in killed.values():
            os.kill(pid, signal.SIGKILL)
        home.wait_for_others(killed)
        assert home.merismos("down").code == 0
        run.interrupt()
    home.check_that_nothing_is_left()


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
