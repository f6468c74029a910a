"""Files of sandboxes can be read by two names; nothing else of the machine can be read by any."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merismos.adapters.agent_http.files import READ_BYTES_MAX, FileRefused, SandboxFiles
from merismos.core.agent.state import Agent, AgentSettings
from merismos.protocol.v1 import mesos

RUN = "slaves/S0/frameworks/F/executors/t/runs/c"
VIRTUAL = "/frameworks/F/executors/t/runs/latest"


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    work_dir = tmp_path / "work"
    run = work_dir / RUN
    run.mkdir(parents=True)
    (run.parent / "latest").symlink_to(run)
    (run / "stdout").write_bytes(b"hello\n")
    (run / "sub").mkdir()
    (tmp_path / "secret").write_text("secret")
    (work_dir / "slaves/S0/secret").write_text("secret")
    return work_dir


@pytest.fixture
def files(work_dir: Path) -> SandboxFiles:
    return SandboxFiles(agent_of(work_dir))


def agent_of(work_dir: Path) -> Agent:
    info = mesos.AgentInfo(hostname="h")
    agent = Agent(AgentSettings(info=info, ip="10.0.0.1", port=1, pid="p", version="1", work_dir=str(work_dir)))
    agent.registration.agent_id = "S0"
    return agent


def refusal(files: SandboxFiles, path: str) -> tuple[int, str]:
    with pytest.raises(FileRefused) as caught:
        files.read(path, 0, -1)
    return caught.value.status, caught.value.text


def test_a_file_is_read_by_its_real_path_and_by_its_virtual_one(files: SandboxFiles, work_dir: Path) -> None:
    for path in (f"{work_dir}/{RUN}/stdout", f"{VIRTUAL}/stdout", "/frameworks/F/executors/t/runs/c/stdout"):
        assert files.read(path, 0, -1) == (b"hello\n", 6)


@pytest.mark.parametrize(
    ("offset", "length", "data"),
    [(0, 3, b"hel"), (2, 3, b"llo"), (6, 10, b""), (100, 1, b""), (-1, 5, b""), (1, -1, b"ello\n")],
)
def test_a_part_of_a_file_is_read(files: SandboxFiles, offset: int, length: int, data: bytes) -> None:
    assert files.read(f"{VIRTUAL}/stdout", offset, length) == (data, 6)


def test_one_read_is_bounded(files: SandboxFiles, work_dir: Path) -> None:
    (work_dir / RUN / "big").write_bytes(b"x" * 200_000)
    data, size = files.read(f"{VIRTUAL}/big", 0, 150_000)
    assert (len(data), size) == (READ_BYTES_MAX, 200_000)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "stdout",
        "/",
        "",
        "..",
        f"{VIRTUAL}/../../../../../../../../secret",
        f"{VIRTUAL}/../../../../../../secret",
        f"{VIRTUAL}/none",
        f"{VIRTUAL}/std\0out",
        "/frameworks/../../secret",
        "/frameworks/F",
        "/frameworks/F/executors/t/runs",
    ],
)
def test_what_is_no_file_of_a_sandbox_is_not_found(files: SandboxFiles, path: str) -> None:
    assert refusal(files, path) == (404, "")


def test_a_link_that_a_task_made_does_not_lead_out(files: SandboxFiles, work_dir: Path) -> None:
    for number, target in enumerate(("/etc/passwd", "../../../../../../../secret", str(work_dir.parent / "secret"))):
        (work_dir / RUN / f"link-{number}").symlink_to(target)
        assert refusal(files, f"{VIRTUAL}/link-{number}") == (404, "")
    (work_dir / RUN / "out").symlink_to("/etc")
    assert refusal(files, f"{VIRTUAL}/out/passwd") == (404, "")
    with pytest.raises(FileRefused):
        files.browse(f"{VIRTUAL}/out")


def test_a_link_inside_a_sandbox_is_followed(files: SandboxFiles, work_dir: Path) -> None:
    (work_dir / RUN / "link").symlink_to("stdout")
    assert files.read(f"{VIRTUAL}/link", 0, -1) == (b"hello\n", 6)


def test_a_directory_and_a_pipe_are_no_files_to_read(files: SandboxFiles, work_dir: Path) -> None:
    import os

    os.mkfifo(work_dir / RUN / "pipe")
    assert refusal(files, VIRTUAL) == (400, "Cannot read a directory.\n")
    assert refusal(files, f"{VIRTUAL}/pipe")[0] == 400


def test_a_directory_is_listed_under_the_name_that_was_asked_for(files: SandboxFiles) -> None:
    assert [entry.path for entry in files.browse(f"{VIRTUAL}/")] == [f"{VIRTUAL}/stdout", f"{VIRTUAL}/sub"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    parts=st.lists(st.sampled_from(["..", ".", "", "stdout", "sub", "runs", "secret", "F", "/", "latest"]), max_size=12)
)
def test_no_path_whatever_gets_at_what_lies_outside(files: SandboxFiles, parts: list[str]) -> None:
    try:
        data, _ = files.read(f"{VIRTUAL}/" + "/".join(parts), 0, -1)
    except FileRefused:
        return
    assert data == b"hello\n"
