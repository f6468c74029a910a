"""`merismos doctor` says whether LXC can be had, and what its containers could be made of."""

from __future__ import annotations

from pathlib import Path

from merismos.cli.commands.doctor import check_lxc
from merismos.containers.lxc_programs import names_of_roots, obstacle_of_lxc


def test_what_is_missing_of_lxc_is_named_with_how_to_get_it() -> None:
    assert (
        obstacle_of_lxc(lambda _: None)
        == "there is no lxc-start or no lxc-attach or no nsenter; on Debian: apt-get install lxc util-linux"
    )
    found = check_lxc("there is none")
    assert (found["state"], found["finding"]) == ("ok", "an agent can't run containers of LXC here: there is none")


def test_only_what_has_a_root_filesystem_is_named(tmp_path: Path) -> None:
    for name in ("b/rootfs", "a/rootfs", "empty"):
        (tmp_path / name).mkdir(parents=True)
    assert names_of_roots(str(tmp_path)) == ["a", "b"]
    assert names_of_roots(str(tmp_path / "absent")) == []
