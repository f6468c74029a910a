"""What a container left is removed, whatever it did to its directories."""

from __future__ import annotations

from pathlib import Path

import pytest

from merismos.containers.removal import remove_tree


def test_directories_that_were_closed_are_removed_and_links_are_not_followed(tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "kept").write_text("x")
    beside.chmod(0o500)
    tree = tmp_path / "tree"
    (tree / "a/b/c").mkdir(parents=True)
    (tree / "a/link").symlink_to(beside)
    for closed in (tree / "a/b", tree / "a", tree):
        closed.chmod(0)
    remove_tree(tree)
    assert not tree.exists()
    assert (beside / "kept").exists()
    assert beside.stat().st_mode & 0o777 == 0o500


def test_what_is_not_there_needs_no_removal(tmp_path: Path) -> None:
    remove_tree(tmp_path / "nothing")


def test_what_stays_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(OSError, match="file"):
        remove_tree(file)
