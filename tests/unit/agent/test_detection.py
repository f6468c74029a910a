"""What a machine has, less Mesos' reserves."""

from __future__ import annotations

from pathlib import Path

import pytest

from merismos.adapters.linux import detection
from merismos.adapters.linux.usage import read_usage


@pytest.mark.parametrize(("total_mb", "left_mb"), [(16384, 15360), (2048, 1024), (2047, 1023), (512, 256), (0, 0)])
def test_a_reserve_is_kept_or_half_where_there_is_little(total_mb: int, left_mb: int) -> None:
    assert detection.less_reserve(total_mb, 1024) == left_mb


def test_what_is_given_is_not_detected(tmp_path: Path) -> None:
    found = detection.detect_missing({"cpus", "mem"}, str(tmp_path))
    assert [part.partition(":")[0] for part in found.split(";")] == ["disk", "ports"]
    assert found.endswith("ports:[31000-32000]")


def test_all_is_detected_where_nothing_is_given_even_before_the_directory_is_there(tmp_path: Path) -> None:
    found = detection.detect_missing(set(), str(tmp_path / "not" / "yet"))
    assert [part.partition(":")[0] for part in found.split(";")] == ["cpus", "mem", "disk", "ports"]


def test_the_used_part_of_a_disk_lies_between_none_and_all(tmp_path: Path) -> None:
    assert 0.0 <= detection.disk_used(str(tmp_path)) <= 1.0
    assert detection.disk_used(str(tmp_path / "missing")) == 0.0


def test_nobody_uses_nothing() -> None:
    assert read_usage(set()) == {}


def test_settings_that_keep_user_namespaces_for_root_are_named_with_what_to_do(tmp_path: Path) -> None:
    assert detection.obstacle_of_user_namespaces(tmp_path) is None
    for name, forbidding in (("user/max_user_namespaces", "0"), ("kernel/apparmor_restrict_unprivileged_userns", "1")):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{forbidding}\n")
        obstacle = detection.obstacle_of_user_namespaces(tmp_path)
        assert obstacle is not None
        assert f"{name.replace('/', '.')} is {forbidding}" in obstacle
        file.write_text("7\n")
        assert detection.obstacle_of_user_namespaces(tmp_path) is None
