"""Archives unpack into the sandbox and nowhere else, and not without bound."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from merismos.containers import extraction
from merismos.containers.extraction import Budget, ExtractionError, extract, is_archive


def never() -> bool:
    return False


def make_tar(path: Path, *members: tarfile.TarInfo, data: bytes = b"hello\n") -> Path:
    mode = "w:gz" if path.suffix in {".gz", ".tgz"} else "w:xz" if path.suffix in {".xz", ".txz"} else "w"
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for member in members:
            member.size = len(data) if member.isfile() else 0
            tar.addfile(member, io.BytesIO(data) if member.isfile() else None)
    return path


def link_member(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = target
    return member


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz", "a.tar.xz", "a.txz"])
def test_a_tar_unpacks_beside_itself_and_stays(tmp_path: Path, name: str) -> None:
    archive = make_tar(tmp_path / name, tarfile.TarInfo("inner/hello.txt"))
    extract(archive, tmp_path, never)
    assert (tmp_path / "inner/hello.txt").read_bytes() == b"hello\n"
    assert archive.exists()


def test_a_zip_unpacks_with_its_executable_bits(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as made:
        entry = zipfile.ZipInfo("bin/run.sh")
        entry.external_attr = 0o755 << 16
        made.writestr(entry, "#!/bin/sh\n")
        made.mkdir("empty")
    extract(archive, tmp_path, never)
    assert (tmp_path / "bin/run.sh").stat().st_mode & stat.S_IXUSR
    assert (tmp_path / "empty").is_dir()


def test_a_gz_unpacks_to_its_name_without_the_ending(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"hello\n"))
    extract(tmp_path / "a.txt.gz", tmp_path, never)
    assert (tmp_path / "a.txt").read_bytes() == b"hello\n"


@pytest.mark.parametrize(
    "member",
    [
        tarfile.TarInfo("../out"),
        tarfile.TarInfo("a/../../out"),
        link_member("link", "/etc/passwd", tarfile.SYMTYPE),
        link_member("link", "../../out", tarfile.SYMTYPE),
        link_member("link", "../out", tarfile.LNKTYPE),
        link_member("device", "", tarfile.CHRTYPE),
    ],
)
def test_a_tar_that_reaches_out_of_the_sandbox_is_refused(tmp_path: Path, member: tarfile.TarInfo) -> None:
    sandbox = tmp_path / "sandbox"
    sandbox.mkdir()
    archive = make_tar(sandbox / "a.tar", member)
    with pytest.raises(ExtractionError):
        extract(archive, sandbox, never)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sandbox"]


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/../../out"])
def test_a_zip_that_reaches_out_of_the_sandbox_is_refused(tmp_path: Path, name: str) -> None:
    sandbox = tmp_path / "sandbox"
    sandbox.mkdir()
    with zipfile.ZipFile(sandbox / "a.zip", "w") as made:
        made.writestr(name, "x")
    with pytest.raises(ExtractionError, match="outside of the sandbox"):
        extract(sandbox / "a.zip", sandbox, never)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sandbox"]


def test_a_zip_does_not_write_through_a_link_that_an_earlier_archive_made(tmp_path: Path) -> None:
    sandbox = tmp_path / "sandbox"
    sandbox.mkdir()
    (sandbox / "out").symlink_to(tmp_path)
    with zipfile.ZipFile(sandbox / "a.zip", "w") as made:
        made.writestr("out/x", "x")
    with pytest.raises(ExtractionError, match="outside of the sandbox"):
        extract(sandbox / "a.zip", sandbox, never)


def test_what_grows_beyond_its_budget_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "bomb.gz"
    archive.write_bytes(gzip.compress(b"\0" * 1000))
    budget = Budget(archive, never)
    assert budget.bytes_max == extraction.BYTES_FREE
    budget.take_bytes(extraction.BYTES_FREE)
    with pytest.raises(ExtractionError, match="grows beyond"):
        budget.take_bytes(1)


def test_an_archive_that_is_none_is_named(tmp_path: Path) -> None:
    for name in ("a.tar", "a.zip", "a.gz"):
        (tmp_path / name).write_bytes(b"no archive")
        with pytest.raises(ExtractionError, match=name):
            extract(tmp_path / name, tmp_path, never)


def test_an_unpacking_that_is_cancelled_stops(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar", tarfile.TarInfo("x"))
    with pytest.raises(ExtractionError, match="cancelled"):
        extract(archive, tmp_path, lambda: True)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("name", "answer"), [("a.tar.bz2", True), ("a.zip", True), ("a.gz", True), ("a.txt", False), ("tar", False)]
)
def test_an_archive_is_told_by_its_name(name: str, *, answer: bool) -> None:
    assert is_archive(name) is answer
