"""What a service manager would kill with the agent's unit, and what it wouldn't: in cgroups of the test's own, with a stand-in for systemd-run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from linux.loops import in_a_loop
from process.agent_process import AgentUnderTest, agent_under_test
from process.link_master import task

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
PLACES = (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup"))
# as systemd-run --scope: itself in a new cgroup, and then the command, as the same process
RUN = """#!/bin/sh
echo "$@" >>{calls}
echo 0 >{scope}/cgroup.procs || exit 1
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""
ENTER = 'echo 0 >"$0/cgroup.procs" && PATH="$1:$PATH" && shift && exec "$@"'


class Manager(NamedTuple):
    """A unit, and the scope that the stand-in puts what it runs into."""

    unit: Path
    scope: Path
    programs: Path
    calls: Path

    def launcher(self) -> tuple[str, ...]:
        return ("/bin/sh", "-c", ENTER, str(self.unit), str(self.programs))

    def members(self, folder: Path) -> list[int]:
        return [int(line) for line in (folder / "cgroup.procs").read_text().split()]

    async def stop(self, agent: AgentUnderTest) -> None:
        """End the unit as a manager does that kills all that is in its cgroup."""
        for pid in self.members(self.unit):
            os.kill(pid, signal.SIGKILL)
        await agent.ended()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    place = next((one for one in PLACES if (one / "cgroup.procs").is_file() and os.access(one, os.W_OK)), None)
    if place is None:
        pytest.skip("cgroups can't be made here: run as root")
    name = f"merismos-test-{os.getpid()}"
    unit, scope = place / f"{name}.service", place / f"{name}.scope"
    for folder in (unit, scope):
        folder.mkdir()
    made = Manager(unit, scope, tmp_path / "bin", tmp_path / "calls")
    made.programs.mkdir()
    (made.programs / "systemd-run").write_text(RUN.format(calls=made.calls, scope=scope))
    (made.programs / "systemd-run").chmod(0o755)
    yield made
    for folder in (unit, scope):
        folder.rmdir()


@in_a_loop
async def test_tasks_and_what_holds_them_outlive_a_stop_that_kills_all_of_the_agents_unit(
    tmp_path: Path, manager: Manager
) -> None:
    flags = ("--systemd_enable_support", f"--systemd_runtime_directory={tmp_path}")
    async with agent_under_test(tmp_path / "w", *flags, launcher=manager.launcher()) as agent:
        agent.master.run(task("t", f"until [ -e {tmp_path}/go ]; do sleep 0.02; done"))
        pid = await agent.pid_of("t")
        (holder,) = agent.supervisors()
        assert agent.process is not None
        assert manager.members(manager.unit) == [agent.process.pid], "nobody but the agent is in its unit"
        assert {pid, holder} <= set(manager.members(manager.scope))
        assert (
            "--scope --quiet --collect --slice=mesos_executors.slice --property=Delegate=yes"
            in manager.calls.read_text()
        )
        await manager.stop(agent)
        await agent.start()
        assert agent.supervisors() == [holder]
        assert len(manager.calls.read_text().splitlines()) == 1, "what holds tasks is started once"
        (tmp_path / "go").touch()
        assert (await agent.master.end_of("t"))["state"] == "TASK_FINISHED"


@in_a_loop
async def test_without_systemd_the_flag_is_said_to_do_nothing(tmp_path: Path) -> None:
    flags = ("--systemd_enable_support", f"--systemd_runtime_directory={tmp_path / 'nowhere'}")
    async with agent_under_test(tmp_path / "w", *flags) as agent:
        agent.master.run(task("t", "true"))
        assert (await agent.master.end_of("t"))["state"] == "TASK_FINISHED"
        assert "--systemd_enable_support does nothing here" in agent.said()
