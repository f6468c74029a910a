"""`merismos up --masters 3 --zk` and `merismos chaos`: whoever is killed, the work goes on, and nothing of it all stays."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.zookeeper_server import why_not
from process.cli.commands import WAIT_S_MAX, Going
from process.cli.home import NAP, Home, at_home
from process.cli.test_readme import block

pytestmark = [
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.xdist_group("cli"),
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="what is left is looked for in /proc"),
    pytest.mark.timeout(120),
]
READY_S_MAX = 15.0


@pytest.fixture
def home() -> Iterator[Home]:
    if why_not():
        pytest.skip(why_not())
    with at_home() as home:
        yield home


def printed_in_the_readme() -> list[list[str]]:
    """Return the words of the three lines of the README, without the `merismos` before them."""
    return [shlex.split(line, comments=True)[1:] for line in block("Kill the leader", "sh").splitlines()]


def tick_after(run: Going, ticks: int) -> int:
    """Wait until the task has ticked on; return how often it has."""
    run.out(f"tick {ticks + 2}\n")
    return int(re.findall(r"tick (\d+)\n", run.said["out"])[-1])


def test_whoever_is_killed_the_task_goes_on_and_down_leaves_nothing(home: Home) -> None:
    up, run, chaos = printed_in_the_readme()
    assert (up[0], run[0], chaos) == ("up", "run", ["chaos", "kill", "leader"])
    began_at = time.monotonic()
    said = home.merismos(*up, "--master-port=0", "--detach")
    assert time.monotonic() - began_at < READY_S_MAX
    assert said.code == 0, said
    assert "is up: ZooKeeper, 3 masters and 2 agents" in said.out
    assert re.search(r"http://\S+ +master-\d leads\n", said.out)
    assert "merismos chaos kill leader" in said.out
    assert len(home.pids()) == 6
    clock = f"echo pid $$; i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.2; done & {NAP}"
    with home.merismos.going("run", "--name", "clock", "--", clock) as run_:
        ticks = tick_after(run_, 0)
        pid = int(re.findall(r"pid (\d+)\n", run_.said["out"])[0])
        leaders = [home.merismos(*chaos, "-o", "json").json() for _ in range(2)]
        assert all(one["killed"] != one["leader"] and one["agents"] == 2 for one in leaders)
        assert leaders[1]["killed"] == leaders[0]["leader"]
        ticks = tick_after(run_, ticks)
        agent = home.merismos("chaos", "kill", "agent", "-o", "json").json()
        (task,) = home.merismos("ps", "-o", "json").json()
        assert (agent["tasks"], agent["kept"], task["agent_id"]) == ([task["id"]], [task["id"]], agent["agent_id"])
        assert task["state"] == "TASK_RUNNING"
        os.kill(pid, 0)
        tick_after(run_, ticks)
        assert run_.said["out"].count("pid ") == 1, "the task never started again"
        assert home.merismos("down").code == 0
    home.check_that_nothing_is_left()


def test_what_is_killed_or_deposed_is_started_again_however_often_and_ctrl_c_leaves_nothing(home: Home) -> None:
    with home.merismos.going("up", "--zk", "--masters=2", "--agents=1", "--master-port=0", "-o", "json") as up:
        said = json.loads(up.out("\n"))
        standby = next(name for name, address in said["masters"].items() if address != said["master"])
        killed = home.merismos("chaos", "kill", standby)
        assert (killed.code, killed.out) == (0, "")
        assert f"killed {standby}, a master that stood by" in killed.err
        assert "leads as before" in killed.err
        for _ in range(6):
            before = {"agent-1": home.pids()["agent-1"]}
            os.kill(before["agent-1"], signal.SIGKILL)
            home.wait_for_others(before)
        zookeeper = {"zookeeper": home.pids()["zookeeper"]}
        os.kill(zookeeper["zookeeper"], signal.SIGKILL)
        home.wait_for_others(zookeeper)
        assert home.merismos("run", "--", "echo", "on").out == "on\n", "what was suspended goes on"
        up.interrupt()
        assert up.ended() == 0
        assert "agent-1 was ended by SIGKILL; starting it again" in up.said["err"]
    home.check_that_nothing_is_left()


def test_a_leader_that_exits_with_75_since_it_was_stopped_for_too_long_is_started_again(home: Home) -> None:
    with home.merismos.going("up", "--zk", "--masters=2", "--agents=1", "--master-port=0", "-o", "json") as up:
        said = json.loads(up.out("\n"))
        (leader,) = (name for name, address in said["masters"].items() if address == said["master"])
        stopped = {leader: home.pids()[leader]}
        os.kill(stopped[leader], signal.SIGSTOP)
        other = next(address for address in said["masters"].values() if address != said["master"])
        wait_until_it_leads(home, other)
        os.kill(stopped[leader], signal.SIGCONT)
        home.wait_for_others(stopped)
        assert home.merismos("run", "--", "echo", "on").out == "on\n"
        up.interrupt()
        assert up.ended() == 0
        assert f"{leader} ended with code 75; starting it again" in up.said["err"]
    home.check_that_nothing_is_left()


def wait_until_it_leads(home: Home, master: str) -> None:
    """Ask this master alone until it leads; one that stands by would send the question to a stopped leader."""
    deadline = time.monotonic() + WAIT_S_MAX
    while not leads(master):
        assert time.monotonic() < deadline, home.pids()
        os.sched_yield()


def leads(master: str) -> bool:
    connection = http.client.HTTPConnection(master, timeout=WAIT_S_MAX)
    try:
        connection.request("GET", "/slaves")
        return connection.getresponse().status == http.HTTPStatus.OK
    finally:
        connection.close()


def test_a_zookeeper_whose_up_was_killed_is_taken_away_by_down(home: Home) -> None:
    up = home.up("--zk", "--masters=1", "--agents=1")
    os.kill(up["pid"], signal.SIGKILL)
    assert home.merismos("down").code == 0
    home.check_that_nothing_is_left()


def test_a_single_master_that_is_killed_leads_again_with_its_agent_and_what_is_unknown_is_not_killed(
    home: Home,
) -> None:
    home.up()
    said = home.merismos("chaos", "kill", "leader", "-o", "json").json()
    assert (said["killed"], said["leader"], said["agents"]) == ("master", "master", 1)
    unknown = home.merismos("chaos", "kill", "agent-7")
    assert unknown.code == 2
    assert "the cluster has no 'agent-7'" in unknown.err
    assert "Did you mean agent-1" in unknown.err
    foreign = home.merismos("chaos", "kill", "leader", "--master", up_there := "10.0.0.1:5050")
    assert (foreign.code, up_there in foreign.err) == (2, False)
    assert home.merismos("down").code == 0
    none = home.merismos("chaos", "kill", "leader")
    assert none.code == 1
    assert "no cluster of `merismos up` runs on this machine" in none.err
    assert "merismos up --masters 3 --zk" in none.err


def test_what_zk_lacks_is_said_with_the_command_that_mends_it(home: Home) -> None:
    several = home.merismos("up", "--masters=3")
    assert several.code == 1
    assert "merismos up --masters 3 --zk" in several.err
    home.merismos.environment["PATH"] = str(home.temporary)
    missing = home.merismos("up", "--zk")
    assert missing.code == 1
    assert "apt-get install zookeeper" in missing.err
    home.check_that_nothing_is_left()
