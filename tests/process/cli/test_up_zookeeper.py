"""`merismos up --masters 3 --zk` and `merismos chaos`: whoever is killed, the work goes on, and nothing of it all stays."""

from __future__ import annotations

import os
import re
import shlex
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.zookeeper_server import why_not
from process.cli.commands import Going
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


def test_a_standby_and_a_zookeeper_that_are_killed_are_started_again(home: Home) -> None:
    up = home.up("--agents=1", "--masters=2", "--zk")
    standby = next(name for name, address in up["masters"].items() if address != up["master"])
    killed = home.merismos("chaos", "kill", standby)
    assert (killed.code, killed.out) == (0, "")
    assert f"killed {standby}, a master that stood by" in killed.err
    assert "leads as before" in killed.err
    assert "all agents are with it" in killed.err
    zookeeper = home.pids()["zookeeper"]
    os.kill(zookeeper, signal.SIGKILL)
    home.wait_for_others({"zookeeper": zookeeper})
    assert home.merismos("run", "--", "echo", "on").out == "on\n", "what was suspended goes on"
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
