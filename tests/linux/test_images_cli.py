"""`merismos run --image` and `mesos-execute --docker_image` on a real cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from linux.image_agent import make_images, why_not
from process.cli.commands import Commands
from process.sessions.cluster import Cluster

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.fixture
def merismos(tmp_path: Path) -> Iterator[Commands]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    flags = (
        "--image_providers=docker", f"--docker_registry={make_images(tmp_path)}", f"--docker_store_dir={tmp_path / 'store'}",
    )  # fmt: skip
    with Cluster(tmp_path / "c", agents=(flags,)) as cluster:
        yield Commands(f"127.0.0.1:{cluster.port}")


def test_a_command_runs_in_an_image_with_its_output_and_exit_code(merismos: Commands, tmp_path: Path) -> None:
    ended = merismos("run", "--image", "shell", "--", "sh", "-c", "echo $FROM_IMAGE; exit 3")
    assert (ended.code, ended.out) == (3, "1\n"), ended
    own = merismos("run", "--image", "server", "--user", "root")
    assert (own.code, own.out) == (0, "entry cmd\n"), own
    (tmp_path / "shared").mkdir()
    shared = merismos(
        "run", "--image", "shell", "-v", f"{tmp_path / 'shared'}:/x:ro", "-v", "kept:/y", "--", "touch /y/f /x/f"
    )
    assert shared.code == 1
    assert "/x/f: Read-only file system" in shared.err
    wrong = merismos("run", "--image", "shell", "--volume", "nonsense", "--", "true")
    assert (wrong.code, "PATH:TARGET" in wrong.err) == (2, True)
