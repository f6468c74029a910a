"""What operators and users hand in as text or as archives: taken, or refused in words, whatever it is."""

from __future__ import annotations

import contextlib
import io
import tarfile
import tempfile
import zipfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from merismos.containers.extraction import ExtractionError, extract
from merismos.containers.supervisor import FrameReader
from merismos.model.attributes import attributes_to_v0, parse_attributes
from merismos.model.rejection import Rejection
from merismos.shell.flag_tables import AGENT, MASTER
from merismos.shell.flags import FlagError, parse

NAMES = st.lists(st.sampled_from(["a", "b", "..", ".", "", "/", "link"]), max_size=4).map("/".join)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
MEMBERS = st.lists(st.tuples(NAMES, KINDS, NAMES), max_size=6)
ENDINGS = st.sampled_from([".tar", ".tgz", ".tar.bz2", ".txz", ".zip", ".gz"])
MODES = {".tar": "w", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".txz": "w:xz"}


def unpacked(name: str, data: bytes) -> None:
    """Unpack in a sandbox of its own; nothing but ExtractionError may come out, and nothing may lie beside the sandbox."""
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Path(folder, "sandbox")
        sandbox.mkdir()
        Path(folder, "a").write_text("outside", encoding="utf-8")
        archive = sandbox / f"archive{name}"
        archive.write_bytes(data)
        with contextlib.suppress(ExtractionError):
            extract(archive, sandbox, lambda: False)
        assert {entry.name for entry in Path(folder).iterdir()} == {"sandbox", "a"}
        assert Path(folder, "a").read_text(encoding="utf-8") == "outside"
        root = sandbox.resolve()
        assert all(entry.resolve().is_relative_to(root) for entry in sandbox.rglob("*") if not entry.is_symlink())


def archive_of(ending: str, members: list[tuple[str, bytes, str]]) -> bytes:
    stream = io.BytesIO()
    if ending in MODES:
        with tarfile.open(fileobj=stream, mode=MODES[ending]) as tar:  # type: ignore[call-overload]
            for name, kind, target in members:
                member = tarfile.TarInfo(name)
                member.type, member.linkname = kind, target
                member.size = 4 if kind == tarfile.REGTYPE else 0
                tar.addfile(member, io.BytesIO(b"evil"))
    else:
        with zipfile.ZipFile(stream, "w") as opened:
            for name in dict.fromkeys(name for name, _, _ in members):
                opened.writestr(name or "x", b"evil")
    return stream.getvalue()


@settings(max_examples=150, deadline=None)
@given(ENDINGS, MEMBERS)
def test_an_archive_of_any_entries_stays_in_its_sandbox(ending: str, members: list[tuple[str, bytes, str]]) -> None:
    unpacked(ending, archive_of(ending, members))


@settings(max_examples=150, deadline=None)
@given(ENDINGS, MEMBERS, st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4), st.floats(0, 1))
def test_a_damaged_archive_is_unpacked_or_refused(
    ending: str, members: list[tuple[str, bytes, str]], damage: list[tuple[float, int]], kept: float
) -> None:
    data = bytearray(archive_of(ending, members))
    for place, byte in damage:
        data[int(place * (len(data) - 1))] = byte
    unpacked(ending, bytes(data[: int(kept * len(data)) + 1]))


@given(ENDINGS, st.binary(max_size=200))
def test_any_bytes_are_an_archive_or_refused(ending: str, data: bytes) -> None:
    unpacked(ending, data)


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["a", ":", ";", "[", "1-2", "]", "{", ",", "}", "1e9", "nan"])).map("".join)
)
def test_any_text_is_attributes_or_a_rejection(text: str) -> None:
    found = parse_attributes(text)
    assert isinstance(found, Rejection) or isinstance(attributes_to_v0(found), dict)


@given(st.sampled_from([MASTER, AGENT]), st.data())
def test_any_command_line_is_flags_or_a_flag_error(table: dict[str, object], data: st.DataObject) -> None:
    names = st.sampled_from(sorted(table)) | st.text(max_size=8)
    values = st.text(max_size=12) | st.sampled_from(["true", "1", "1secs", "nan", "-1", "1e999secs", "9" * 400, "1GB"])
    words = st.builds("--{}={}".format, names, values) | st.builds("--no-{}".format, names) | st.text(max_size=8)
    arguments = data.draw(st.lists(words, max_size=4))
    with contextlib.suppress(FlagError):
        parse(table, arguments, {}, effective=table)  # type: ignore[arg-type]


@given(st.lists(st.binary(max_size=30)))
def test_any_bytes_of_a_supervisor_are_frames_or_wait_for_more(pieces: list[bytes]) -> None:
    reader = FrameReader()
    for piece in pieces:
        assert all(len(kind) <= 1 for kind, _ in reader.feed(piece))
