"""`merismos run --rootfs`, `merismos exec` and `mesos-execute --appc_image` on a real cluster with LXC."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from linux.lxc_agent import NAME, make_rootfs, why_not
from process.cli.commands import Commands
from process.sessions.cluster import Cluster

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.fixture
def merismos(tmp_path: Path) -> Iterator[Commands]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    make_rootfs(tmp_path / "lxc" / NAME / "rootfs")
    flags = ("--containerizers=mesos,lxc", f"--lxc_path={tmp_path / 'lxc'}")
    with Cluster(tmp_path / "c", agents=(flags,)) as cluster:
        yield Commands(f"127.0.0.1:{cluster.port}")


def test_a_command_runs_in_a_root_of_lxc_and_exec_gets_in(merismos: Commands) -> None:
    ended = merismos("run", "--rootfs", NAME, "--", "sh", "-c", "echo $container; exit 3")
    assert (ended.code, ended.out) == (3, "lxc\n"), ended
    with merismos.going(
        "run", "--rootfs", NAME, "--name", "box", "--", "touch /tmp/here; echo up; exec sleep 600"
    ) as run:
        run.out("up\n")
        inside = merismos("exec", "box", "--", "sh", "-c", "ls /tmp; echo $container; exit 7")
        assert (inside.code, inside.out) == (7, "here\nlxc\n"), inside
    both = merismos("run", "--rootfs", NAME, "--image", "x", "--", "true")
    assert (both.code, "exclude each other" in both.err) == (2, True)


def test_mesos_execute_names_a_root_of_lxc_as_an_image_of_type_appc(merismos: Commands) -> None:
    flags = ("--name=t", "--command=test $container = lxc && exit 4", f"--appc_image={NAME}")
    ended = merismos(f"--master={merismos.environment['MERISMOS_MASTER']}", *flags, module="merismos.cli.mesos_execute")
    assert "TASK_FAILED" in ended.out, ended
    assert "Command exited with status 4" in ended.out
