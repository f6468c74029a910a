"""Files that tasks hold open and write to, kept within a bound."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from merismos.containers.log_rotation import LogBounds, rotate
from merismos.containers.log_rotator import LogRotator
from merismos.containers.log_settings import BYTES_MAX, settings_of
from unit.agent.rig import Rig, task

KEEP_ALL = 1000


@pytest.fixture(params=["here", "in_memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Give a directory on a disk, and one on a file system that can't cut a file at its begin."""
    if request.param == "here":
        yield tmp_path
    else:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
            yield Path(place)


def can_cut(folder: Path) -> bool:
    """Say whether the file system cuts a file at its begin: then the last byte stays in it."""
    (folder / "probe").write_bytes(bytes(8193))
    rotate(str(folder), "probe", LogBounds(4096, 0))
    left = (folder / "probe").stat().st_size
    (folder / "probe").unlink()
    return left > 0


def all_of(folder: Path, name: str = "stdout") -> bytes:
    older = sorted((int(path.suffix[1:]) for path in folder.glob(f"{name}.*")), reverse=True)
    parts = [folder / f"{name}.{number}" for number in older] + [folder / name]
    return b"".join(part.read_bytes() for part in parts)


def lines(first: int, last: int) -> bytes:
    return b"".join(b"%09d\n" % number for number in range(first, last))


def test_what_is_old_moves_on_and_the_writer_notices_nothing(folder: Path) -> None:
    with (folder / "stdout").open("ab", buffering=0) as file:
        for turn in range(5):
            file.write(lines(turn * 1000, (turn + 1) * 1000))
            assert rotate(str(folder), "stdout", LogBounds(8192, KEEP_ALL))
            assert (folder / "stdout").stat().st_size <= 8192
        assert all_of(folder) == lines(0, 5000)
        file.write(b"more")
    assert all_of(folder).endswith(b"4999\nmore")


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_no_more_files_stay_than_are_wanted_and_they_are_the_newest(folder: Path, kept: int) -> None:
    with (folder / "stdout").open("ab", buffering=0) as file:
        for turn in range(5):
            file.write(lines(turn * 1000, (turn + 1) * 1000))
            rotate(str(folder), "stdout", LogBounds(8192, kept))
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["stdout", *(f"stdout.{number}" for number in range(1, kept + 1))]
    assert lines(0, 5000).endswith(all_of(folder))


def test_a_file_that_grew_far_too_big_at_once_is_cut_down_to_the_bound(folder: Path) -> None:
    (folder / "stdout").write_bytes(lines(0, 100_000))
    rotate(str(folder), "stdout", LogBounds(8192, 1))
    assert (folder / "stdout").stat().st_size + (folder / "stdout.1").stat().st_size <= 2 * 8192
    assert lines(0, 100_000).endswith(all_of(folder))


def test_a_writer_that_goes_on_meanwhile_loses_nothing_where_the_file_system_can_cut(folder: Path) -> None:
    done = threading.Event()

    def write() -> None:
        with (folder / "stdout").open("ab", buffering=0) as file:
            for number in range(0, 40_000, 10):
                file.write(lines(number, number + 10))
        done.set()

    (folder / "stdout").touch()
    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        rotate(str(folder), "stdout", LogBounds(8192, KEEP_ALL))
    writer.join()
    if can_cut(folder):
        assert all_of(folder) == lines(0, 40_000)
    else:
        assert max(path.stat().st_size for path in folder.iterdir()) <= 3 * 8192


def test_a_small_file_stays_as_it_is(folder: Path) -> None:
    (folder / "stdout").write_bytes(bytes(8192))
    assert not rotate(str(folder), "stdout", LogBounds(8192, 1))
    assert [path.name for path in folder.iterdir()] == ["stdout"]


def test_nothing_that_a_task_lays_in_the_way_leads_out_of_its_sandbox(tmp_path: Path) -> None:
    sandbox, other = tmp_path / "s", tmp_path / "other"
    sandbox.mkdir()
    other.write_bytes(bytes(9000))
    bounds = LogBounds(4096, 1)
    (sandbox / "linked").symlink_to(other)
    with pytest.raises(OSError, match="symbolic links"):
        rotate(str(sandbox), "linked", bounds)
    (sandbox / "second").hardlink_to(other)
    assert not rotate(str(sandbox), "second", bounds)
    (sandbox / "inner").symlink_to(tmp_path)
    with pytest.raises(OSError, match="Not a directory"):
        rotate(str(sandbox / "inner"), "other", bounds)
    assert not rotate(str(sandbox / "inner" / "s"), "second", bounds), "a link further up"
    (sandbox / "stdout").write_bytes(bytes(9000))
    (sandbox / "stdout.rotating").symlink_to(other)
    (sandbox / "stdout.1").symlink_to(other)
    assert rotate(str(sandbox), "stdout", bounds)
    assert not (sandbox / "stdout.1").is_symlink()
    assert other.read_bytes() == bytes(9000)


def test_the_bound_holds_where_no_copy_can_be_made(folder: Path) -> None:
    (folder / "stdout").write_bytes(bytes(50_000))
    (folder / "stdout.1" / "full").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        rotate(str(folder), "stdout", LogBounds(8192, 1))
    assert (folder / "stdout").stat().st_size <= 8192
    assert sorted(path.name for path in folder.iterdir()) == ["stdout", "stdout.1"]


def test_parameters_and_a_task_s_environment_say_how_big_and_how_many() -> None:
    settings = settings_of({"max_stdout_size": "5MB", "logrotate_stdout_options": "rotate 9\nmissingok"})
    assert settings.stdout == LogBounds(5 << 20, 9)
    assert settings.stderr == LogBounds(BYTES_MAX, 1)
    mine = settings.of_task([("CONTAINER_LOGGER_MAX_STDOUT_SIZE", "1MB"), ("MAX_STDERR_SIZE", "x"), ("A", "b")])
    assert mine.stdout == LogBounds(1 << 20, 9)
    assert mine.stderr == settings.stderr
    other = settings_of({"environment_variable_prefix": "LOG_"})
    assert other.of_task([("LOG_LOGROTATE_STDERR_OPTIONS", "rotate 0")]).stderr.files_kept == 0
    assert other.of_task([("CONTAINER_LOGGER_MAX_STDOUT_SIZE", "1MB")]) == other


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"max_stdout_size": "5 megabytes"}, "is no amount of bytes"),
        ({"max_stderr_size": "4095B"}, "at least 4096B"),
        ({"logrotate_stdout_options": "rotate many"}, "'rotate many' isn't supported"),
        ({"logrotate_stdout_options": "compress"}, "'compress' isn't supported; 'rotate N' is"),
        ({"max_size": "5MB"}, "has no parameter 'max_size'"),
    ],
)
def test_what_the_logger_can_not_do_is_refused(parameters: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        settings_of(parameters)


class Scene:
    """An agent with one running task, its sandbox, and its rotator."""

    def __init__(self, work_dir: Path, **environment: str) -> None:
        self.rig = Rig.registered()
        self.rig.state.settings.work_dir = str(work_dir)
        variables = [{"name": name, "value": value} for name, value in environment.items()]
        self.rig.run(task("t", {"value": "true", "environment": {"variables": variables}}))
        (self.task,) = self.rig.state.containers.values()
        self.sandbox = Path(self.task.directory)
        self.sandbox.mkdir(parents=True)
        self.rotator = LogRotator(self.rig.state, settings_of({"max_stdout_size": "8KB", "max_stderr_size": "4KB"}))

    def look(self) -> None:
        asyncio.run(self.rotator.look_at_all())

    def sizes(self) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in sorted(self.sandbox.iterdir())}


def test_the_output_of_a_container_is_rotated_while_it_runs_and_once_after(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    (scene.sandbox / "stdout").write_bytes(bytes(10_000))
    (scene.sandbox / "stderr").write_bytes(bytes(4_000))
    scene.look()
    assert set(scene.sizes()) == {"stderr", "stdout", "stdout.1"}
    scene.rig.launched("t")
    (scene.sandbox / "stderr").write_bytes(bytes(5_000))
    scene.rig.exited("t", 0)
    scene.look()
    assert set(scene.sizes()) == {"stderr", "stderr.1", "stdout", "stdout.1"}
    (scene.sandbox / "stdout").write_bytes(bytes(10_000))
    scene.look()
    assert scene.sizes()["stdout"] == 10_000, "it is nobody's any more"


def test_a_task_s_own_environment_bounds_its_output(tmp_path: Path) -> None:
    scene = Scene(
        tmp_path, CONTAINER_LOGGER_MAX_STDOUT_SIZE="64KB", CONTAINER_LOGGER_LOGROTATE_STDERR_OPTIONS="rotate 2"
    )
    (scene.sandbox / "stdout").write_bytes(bytes(60_000))
    for _ in range(3):
        (scene.sandbox / "stderr").write_bytes(bytes(5_000))
        scene.look()
    assert set(scene.sizes()) == {"stderr", "stderr.1", "stderr.2", "stdout"}


def test_a_task_that_asks_for_what_can_not_be_is_told_before_it_starts(tmp_path: Path) -> None:
    rotator = Scene(tmp_path).rotator
    assert rotator.refusal(["A=b", "CONTAINER_LOGGER_MAX_STDOUT_SIZE=1MB"]) is None
    refusal = rotator.refusal(["CONTAINER_LOGGER_MAX_STDOUT_SIZE=lots"])
    assert refusal is not None
    assert refusal.endswith(
        "'lots' is no amount of bytes; write a whole number and one of B, KB, MB, GB, TB, such as 32MB"
    )


def test_a_work_directory_behind_a_link_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    scene = Scene(tmp_path / "link")
    (scene.sandbox / "stdout").write_bytes(bytes(10_000))
    scene.look()
    assert "stdout.1" in scene.sizes()
