"""Layers that are copied give the same root as layers that are stacked; users are looked up without leaving it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from linux.image_builder import digest_of, entry, layer_of, link
from merismos.adapters.linux.mounts import mounts_below, unmount_below
from merismos.containers.images.layer import unpack
from merismos.containers.images.rootfs import Provision, copy, find_image_user, overlay
from merismos.core.containers.oci_spec import ContainerUser

LOWER = layer_of(
    entry("a/"), entry("a/one", b"1", mode=0o4755), entry("a/two", b"2"), entry("b/"), entry("b/old", b"old"), entry("c", b"file"),
    entry("d/"), entry("d/deep/"), entry("d/deep/x", b"x"), entry("sticky/", mode=0o1777), link("l", "a"),
)  # fmt: skip
UPPER = layer_of(
    entry("a/"), entry("a/.wh.one"), entry("a/two", b"new"), entry("b/"), entry("b/.wh..wh..opq"), entry("b/new", b"new"),
    entry("c/"), entry("c/now", b"dir"), entry(".wh.d"), entry("l/"), entry("l/inside", b"!"),
)  # fmt: skip


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounts, owners and whiteouts need root")
    made = tmp_path / "bundle"
    made.mkdir()
    yield made
    unmount_below(made)
    assert mounts_below(made) == []


def unpacked(tmp_path: Path, *layers: bytes) -> list[Path]:
    found = []
    for number, raw in enumerate(layers):
        root = tmp_path / f"layer{number}"
        root.mkdir()
        fd = os.open(root, os.O_RDONLY)
        unpack(io.BytesIO(raw), fd, digest_of(raw), 1 << 20)
        os.close(fd)
        found.append(root)
    return found


@pytest.mark.parametrize("provision", [overlay, copy])
def test_an_upper_layer_hides_replaces_and_adds(tmp_path: Path, bundle: Path, provision: Provision) -> None:
    root = provision(unpacked(tmp_path, LOWER, UPPER), bundle)
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
    assert files == ["a", "a/two", "b", "b/new", "c", "c/now", "l", "l/inside", "sticky"]
    assert (root / "a/two").read_bytes() == b"new"
    assert (root / "sticky").stat().st_mode & 0o7777 == 0o1777
    (root / "a/mine").write_text("written")
    assert not (tmp_path / "layer1/a/mine").exists(), "layers are never written to"


def test_many_layers_are_stacked_too(tmp_path: Path, bundle: Path) -> None:
    layers = unpacked(tmp_path, *(layer_of(entry(f"f{number}", b"x")) for number in range(100)))
    root = overlay(layers, bundle)
    assert len(list(root.iterdir())) == 100


PASSWD = b"root:x:0:0::/:\nweb:x:1234:55::/:\nbroken:x:NaN:1::/:\n"
GROUP = b"staff:x:20:web,other\nops:x:21:\n"


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("web", ContainerUser(1234, 55, (20,))),
        ("1234", ContainerUser(1234, 55, (20,))),
        ("77", ContainerUser(77, 0)),
        ("web:ops", ContainerUser(1234, 21)),
        ("77:88", ContainerUser(77, 88)),
        ("root", ContainerUser(0, 0)),
    ],
)
def test_a_user_of_an_image_is_found_in_its_own_files(tmp_path: Path, named: str, expected: ContainerUser) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_bytes(PASSWD)
    (tmp_path / "etc/group").write_bytes(GROUP)
    assert find_image_user(tmp_path, named) == expected


@pytest.mark.parametrize("named", ["nobody-here", "broken", "web:nogroup", "root"])
def test_a_user_that_an_image_does_not_have_is_an_error(tmp_path: Path, named: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/group").write_bytes(GROUP)
    if named == "root":
        (tmp_path / "etc/passwd").symlink_to("/etc/passwd")
    else:
        (tmp_path / "etc/passwd").write_bytes(PASSWD)
    with pytest.raises(LookupError, match="the image wants to run"):
        find_image_user(tmp_path, named)
