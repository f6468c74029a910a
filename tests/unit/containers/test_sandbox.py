"""Sandboxes on disk, laid out as Mesos does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from merismos.containers.sandbox import Sandboxes, find_user


def run_of(work_dir: Path, container_id: str, task_id: str = "t") -> Path:
    return work_dir / "slaves/S0/frameworks/F/executors" / task_id / "runs" / container_id


def test_a_run_is_made_with_a_link_to_the_latest(tmp_path: Path) -> None:
    sandboxes = Sandboxes(str(tmp_path))
    for container_id in ("c-1", "c-2"):
        sandboxes.create(str(run_of(tmp_path, container_id)), None)
    latest = run_of(tmp_path, "latest")
    assert latest.readlink() == run_of(tmp_path, "c-2")
    assert run_of(tmp_path, "c-1").stat().st_mode & 0o777 == 0o750


def test_a_run_is_made_although_somebody_removed_the_directories_above(tmp_path: Path) -> None:
    sandboxes = Sandboxes(str(tmp_path))
    sandboxes.create(str(run_of(tmp_path, "c-1")), None)
    sandboxes.remove(str(run_of(tmp_path, "c-1")))
    assert not (tmp_path / "slaves/S0/frameworks").exists()
    sandboxes.create(str(run_of(tmp_path, "c-2")), None)
    assert run_of(tmp_path, "c-2").is_dir()


def test_removing_one_run_leaves_the_others(tmp_path: Path) -> None:
    sandboxes = Sandboxes(str(tmp_path))
    for container_id in ("c-1", "c-2"):
        sandboxes.create(str(run_of(tmp_path, container_id)), None)
        (run_of(tmp_path, container_id) / "stdout").write_text("x")
    sandboxes.remove(str(run_of(tmp_path, "c-2")))
    assert run_of(tmp_path, "c-1").is_dir()
    assert not run_of(tmp_path, "latest").is_symlink()


def test_what_can_not_be_removed_is_counted(tmp_path: Path) -> None:
    sandboxes = Sandboxes(str(tmp_path))
    sandboxes.create(str(run_of(tmp_path, "c-1")), None)
    run_of(tmp_path, "c-2").write_text("no directory")
    for container_id in ("c-1", "c-2"):
        sandboxes.remove(str(run_of(tmp_path, container_id)))
    assert (sandboxes.removals_succeeded, sandboxes.removals_failed) == (1, 1)


def test_the_runs_of_before_are_found_with_their_ages(tmp_path: Path) -> None:
    sandboxes = Sandboxes(str(tmp_path))
    sandboxes.create(str(run_of(tmp_path, "c-1")), None)
    os.utime(run_of(tmp_path, "c-1"), (0, 0))
    ((directory, age_s),) = sandboxes.find_old()
    assert directory == str(run_of(tmp_path, "c-1"))
    assert age_s > 86400


def test_a_user_that_is_not_there_is_named_with_what_to_do() -> None:
    with pytest.raises(LookupError, match=r"user 'nobody-at-all' does not exist.*--no-switch_user"):
        find_user("nobody-at-all")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_sandbox_belongs_to_its_user(tmp_path: Path) -> None:
    Sandboxes(str(tmp_path)).create(str(run_of(tmp_path, "c")), "nobody")
    assert run_of(tmp_path, "c").stat().st_uid == find_user("nobody").pw_uid
