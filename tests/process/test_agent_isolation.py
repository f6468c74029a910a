"""What an agent says at its start about isolation, and that it needs nothing of Linux where nothing is asked for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from merismos.daemons.process import EXIT_USAGE
from process.agent_process import RESOURCES, AgentUnderTest
from process.link_master import link_master, task

pytestmark = pytest.mark.process
HIDES_LINUX = """
import os, sys
for name in [one for one in dir(os) if one.startswith(("EFD_", "eventfd", "pidfd_", "sched_setaffinity", "waitid", "setns", "unshare"))]:
    delattr(os, name)
sys.platform = "other"
from merismos.daemons.agent import main
sys.exit(main())
"""


def refused(*flags: str, work_dir: Path) -> str:
    """Return what an agent says that doesn't start."""
    done = subprocess.run(
        [sys.executable, "-m", "merismos.daemons.agent", "--master=127.0.0.1:1", "--port=0", "--ip=127.0.0.1", RESOURCES,
         f"--work_dir={work_dir}", *flags],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == EXIT_USAGE, done.stderr
    return done.stderr


def test_an_agent_without_anything_of_linux_runs_tasks_and_says_what_it_does_not_enforce(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with link_master() as master:
            agent = AgentUnderTest(master, tmp_path / "w", (f"--cgroups_hierarchy={tmp_path}",))
            agent.program = ("-c", HIDES_LINUX)
            await agent.start()
            try:
                master.run(task("t", "echo hello"))
                assert (await master.end_of("t"))["state"] == "TASK_FINISHED"
                assert "tasks share CPU and memory without limits" in agent.said()
            finally:
                await agent.end()

    asyncio.run(scenario())


@pytest.mark.parametrize("isolation", ["cgroups/mem", "cgroups/all"])
def test_cgroups_that_are_not_there_are_an_error_that_says_what_and_how(tmp_path: Path, isolation: str) -> None:
    said = refused(f"--isolation={isolation}", f"--cgroups_hierarchy={tmp_path}", work_dir=tmp_path / "w")
    assert isolation in said
    assert f"no cgroups are mounted at {tmp_path}" in said
    assert "--cgroups_hierarchy" in said


def test_an_isolator_without_its_controller_is_an_error_that_names_both(tmp_path: Path) -> None:
    for name in ("freezer", "cpu", "cpuacct"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    said = refused("--isolation=cgroups/mem", f"--cgroups_hierarchy={tmp_path}", work_dir=tmp_path / "w")
    assert "--isolation names cgroups/mem, but the controller memory is not mounted" in said
    assert "mount -t cgroup -o memory" in said


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("--isolation=cgroups/cpu,posix/cpu", "exclude each other"),
        ("--isolation=disk/xfs", "is not supported: project quotas"),
        ("--launcher=windows", "give posix or linux"),
    ],
)
def test_flags_that_cannot_be_met_are_refused(tmp_path: Path, flag: str, text: str) -> None:
    assert text in refused(flag, work_dir=tmp_path / "w")


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("--cgroups_io_max=vda rbps=1", "write MAJOR:MINOR"),
        ("--cgroups_cpuset_cpus=all", "is no list of CPUs"),
        ('--allowed_devices={"allowed_devices":[{"device":{"path":"/no/device"},"access":{"read":true}}]}', "/no/device is no device"),
        ("--allowed_devices=[]", "no DeviceWhitelist in JSON"),
    ],
)  # fmt: skip
def test_limits_that_cannot_be_read_are_refused(tmp_path: Path, flag: str, text: str) -> None:
    for name in ("freezer", "pids"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    given = ("--isolation=cgroups/pids", f"--cgroups_hierarchy={tmp_path}", flag)
    assert text in refused(*given, work_dir=tmp_path / "w")
