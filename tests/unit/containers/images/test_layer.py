"""A layer unpacks into its own directory and nowhere else, whatever it says."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
from pathlib import Path

import pytest
import zstandard

from linux.image_builder import digest_of, entry, layer_of, link
from merismos.containers.images.layer import LayerError, unpack

BYTES_MAX = 10 << 20


def unpack_into(directory: Path, raw: bytes, *, blob: bytes | None = None, bytes_max: int = BYTES_MAX) -> Path:
    root = directory / "rootfs"
    root.mkdir()
    fd = os.open(root, os.O_RDONLY)
    try:
        unpack(io.BytesIO(raw if blob is None else blob), fd, digest_of(raw), bytes_max)
    finally:
        os.close(fd)
    return root


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_a_layer_unpacks_from_any_of_these_compressions(tmp_path: Path, compress: type[bytes]) -> None:
    raw = layer_of(
        entry("./etc/"), entry("etc/motd", b"hello\n", mode=0o640, mtime=1000), link("etc/issue", "/etc/motd")
    )
    root = unpack_into(tmp_path, raw, blob=compress(raw))
    assert (root / "etc/motd").read_bytes() == b"hello\n"
    assert stat.S_IMODE((root / "etc/motd").stat().st_mode) == 0o640
    assert (root / "etc/motd").stat().st_mtime == 1000
    assert (root / "etc/issue").readlink() == Path("/etc/motd"), (
        "a link counts from the container's root, so it stays as it is"
    )


def test_names_count_from_the_root_of_the_image(tmp_path: Path) -> None:
    root = unpack_into(tmp_path, layer_of(entry("/etc/absolute", b"in")))
    assert (root / "etc/absolute").read_bytes() == b"in"
    assert not Path("/etc/absolute").exists()


def test_modes_with_set_id_bits_and_hard_links_are_kept(tmp_path: Path) -> None:
    raw = layer_of(entry("bin/su", b"#!", mode=0o4755), link("bin/other", "bin/su", tarfile.LNKTYPE))
    root = unpack_into(tmp_path, raw)
    assert (root / "bin/su").stat().st_mode & stat.S_ISUID
    assert (root / "bin/other").stat().st_ino == (root / "bin/su").stat().st_ino


def test_a_later_entry_replaces_an_earlier_one_of_any_kind(tmp_path: Path) -> None:
    raw = layer_of(
        entry("a/"), entry("a/inner", b"1"), entry("a", b"file"), entry("b", b"file"), entry("b/"),
        link("c", "/etc"), entry("c/"), entry("c/inside", b"2"),
    )  # fmt: skip
    root = unpack_into(tmp_path, raw)
    assert (root / "a").read_bytes() == b"file"
    assert (root / "b").is_dir()
    assert (root / "c/inside").read_bytes() == b"2"
    assert not (root / "c").is_symlink()


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([entry("../outside", b"x")], "leads out of the image"),
        ([entry("a/../../outside", b"x")], "leads out of the image"),
        ([link("a", "/tmp"), entry("a/outside", b"x")], "lies below 'a', which is a link"),
        ([link("a", ".."), entry("a/outside", b"x")], "lies below 'a', which is a link"),
        ([entry("a", b"x"), entry("a/below", b"x")], "lies below 'a', which is a link or a file"),
        ([link("a", "/etc/passwd", tarfile.LNKTYPE)], "which the layer does not hold"),
        ([link("a", "../../etc/passwd", tarfile.LNKTYPE)], "leads out of the image"),
        ([link("l", "/etc"), link("a", "l/passwd", tarfile.LNKTYPE)], "lies below 'l', which is a link"),
        ([entry("sda", type=tarfile.BLKTYPE, devmajor=8)], "is a device"),
        ([entry("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)], "is a device"),
        ([entry("hidden", type=tarfile.CHRTYPE)], "is a device"),
        ([entry("etc/.wh...")], "hides nothing that can be hidden"),
        ([entry("etc/.wh.")], "hides nothing that can be hidden"),
        ([entry("big", b"\0" * (BYTES_MAX + 1))], f"grows beyond {BYTES_MAX} bytes"),
        ([entry(".wh...")], "hides nothing that can be hidden"),
        ([entry(".wh..")], "hides nothing that can be hidden"),
        ([link("a", ".", tarfile.LNKTYPE)], "links to the root"),
        ([link("a", "", tarfile.SYMTYPE)], "No such file"),
        ([entry("d/" * 257 + "f", b"x")], "lies 258 directories deep; 256 are taken"),
        ([entry("a", b"x", uid=1 << 40)], "than m"),
        ([entry("a", b"x", pax_headers={"mtime": "nan"})], "NaN|Invalid"),
        ([entry("a", b"x", pax_headers={"path": "a\0b"})], "null byte"),
        ([entry("n" * 300, b"x")], "name too long"),
        ([link("a", "b"), link("b", "a"), entry("a/c", b"x")], "lies below 'a', which is a link"),
    ],
)
def test_a_hostile_layer_is_refused(tmp_path: Path, entries: list[tuple[tarfile.TarInfo, bytes]], why: str) -> None:
    with pytest.raises(LayerError, match=why):
        unpack_into(tmp_path, layer_of(*entries))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rootfs"]


def test_devices_where_a_container_has_its_own_are_left_out(tmp_path: Path) -> None:
    raw = layer_of(
        entry("dev/"),
        entry("dev/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        entry("fifo", type=tarfile.FIFOTYPE),
    )
    root = unpack_into(tmp_path, raw)
    assert not list((root / "dev").iterdir())
    assert stat.S_ISFIFO((root / "fifo").stat().st_mode)


def test_a_small_layer_that_becomes_huge_is_refused(tmp_path: Path) -> None:
    blob = gzip.compress(layer_of(entry("zeros", b"\0" * (BYTES_MAX + 1))))
    assert len(blob) < 20_000
    with pytest.raises(LayerError, match="grows beyond"):
        unpack_into(tmp_path, b"", blob=blob)


def test_a_sparse_file_counts_as_what_it_becomes(tmp_path: Path) -> None:
    header = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "hole",
        "GNU.sparse.realsize": str(1 << 40),
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("x")
        member.pax_headers = header
        data = b"1\n0\n1\n".ljust(512, b"\0") + b"z"
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    with pytest.raises(LayerError, match="grows beyond"):
        unpack_into(tmp_path, made.getvalue())


def header_of(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """The header of an entry that says it has `size` bytes, whatever follows."""
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (header_of("a", (1 << 63) - 1), "unexpected end of data"),
        (header_of("a", 1 << 62) * 2 + b"\0" * 1024, "unexpected end of data"),
        (header_of("long", 1 << 40, tarfile.GNUTYPE_LONGNAME) + b"n" * (BYTES_MAX + 1), "grows beyond"),
        (header_of("pax", 1 << 40, tarfile.XHDTYPE) + b"9" * (BYTES_MAX + 1), "grows beyond"),
        (header_of("a", -(1 << 40)) + b"\0" * 1024, "seeking backwards is not allowed"),
    ],
)
def test_a_header_that_lies_about_what_follows_is_refused(tmp_path: Path, raw: bytes, why: str) -> None:
    with pytest.raises(LayerError, match=why):
        unpack_into(tmp_path, raw)


@pytest.mark.parametrize("frames", [1, 3])
def test_zstd_is_read_over_its_frames_and_bounded_as_any_other_compression(tmp_path: Path, frames: int) -> None:
    raw = layer_of(entry("zeros", b"\0" * (BYTES_MAX // 2)), entry("end", b"end\n"))
    size = -(-len(raw) // frames)
    blob = b"".join(zstandard.compress(raw[start : start + size]) for start in range(0, len(raw), size))
    assert len(blob) < 20_000
    assert (unpack_into(tmp_path, raw, blob=blob) / "end").read_bytes() == b"end\n"
    bomb = zstandard.compress(layer_of(entry("zeros", b"\0" * (BYTES_MAX + 1))))
    (tmp_path / "again").mkdir()
    with pytest.raises(LayerError, match="grows beyond"):
        unpack_into(tmp_path / "again", b"", blob=bomb)


def test_zstd_that_wants_more_memory_than_is_usual_is_refused(tmp_path: Path) -> None:
    magic, descriptor, window = b"\x28\xb5\x2f\xfd", b"\x00", bytes([(30 - 10) << 3])  # a window of 1 GiB
    with pytest.raises(LayerError, match="made for bigger machines"):
        unpack_into(tmp_path, b"", blob=magic + descriptor + window + b"\x01\x00\x00")


def test_an_old_sparse_file_counts_as_what_it_becomes(tmp_path: Path) -> None:
    header = bytearray(header_of("hole", 512, tarfile.GNUTYPE_SPARSE))
    header[386:398], header[398:410] = b"00000000000\0", b"00000001000\0"
    header[483:495] = b"77777777777\0"  # the size that it becomes, 8 GiB
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    with pytest.raises(LayerError, match="grows beyond"):
        unpack_into(tmp_path, bytes(header) + b"z" * 512 + b"\0" * 1024)


def test_what_hides_all_below_it_in_the_root_is_noted_there(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("attributes of overlayfs need root")
    root = unpack_into(tmp_path, layer_of(entry(".wh..wh..opq"), entry("own", b"1")))
    assert os.getxattr(root, "trusted.overlay.opaque") == b"y"
    assert sorted(path.name for path in root.iterdir()) == ["own"]


def test_a_layer_that_is_not_what_its_image_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match="as its image says"):
        unpack_into(tmp_path, b"another", blob=layer_of(entry("a", b"x")))


@pytest.mark.parametrize(
    "blob",
    [
        b"\x28\xb5\x2f\xfd and so on",
        zstandard.compress(b"no tar" * 99)[:-9],
        b"\x1f\x8bnonsense",
        b"no tar at all" * 100,
        b"\xfd7zXZ\0broken",
    ],
)
def test_what_is_no_layer_is_refused(tmp_path: Path, blob: bytes) -> None:
    with pytest.raises(LayerError):
        unpack_into(tmp_path, blob)


def test_a_layer_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    raw = layer_of(entry("a", os.urandom(100_000)))
    with pytest.raises(LayerError):
        unpack_into(tmp_path, raw, blob=gzip.compress(raw)[:-5000])


def test_attributes_that_overlayfs_obeys_are_not_taken_from_a_layer(tmp_path: Path) -> None:
    member, data = entry("d/")
    member.pax_headers = {"SCHILY.xattr.trusted.overlay.redirect": "/etc", "SCHILY.xattr.user.kept": "yes"}
    root = unpack_into(tmp_path, layer_of((member, data)))
    assert os.listxattr(root / "d") == ["user.kept"]
