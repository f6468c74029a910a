"""From flags to LXC: what is named first has the images, and what can't be is said with what to write."""

from __future__ import annotations

import pytest

from merismos.core.containers.lxc_plan import LxcSettings
from merismos.daemons.agent_lxc import lxc_settings
from merismos.daemons.agent_settings import EFFECTIVE
from merismos.shell import flag_tables
from merismos.shell.flags import FlagError, Flags, parse


def flags(*given: str) -> Flags:
    return parse(flag_tables.AGENT, ["--work_dir=/w", *given], {}, effective=EFFECTIVE)


@pytest.mark.parametrize(
    ("names", "first"), [("mesos,lxc", False), ("lxc,mesos", True), ("lxc", True), ("docker,lxc", True), ("docker,mesos,lxc", False)]
)  # fmt: skip
def test_images_are_lxcs_where_it_comes_before_mesos(names: str, first: bool) -> None:
    assert lxc_settings(flags(f"--containerizers={names}")) == LxcSettings("/var/lib/lxc", first)


def test_an_agent_has_no_lxc_unless_it_is_named() -> None:
    assert lxc_settings(flags()) is None


@pytest.mark.parametrize("path", ["relative", "/", "/a/../b"])
def test_a_path_that_cannot_be_lxcs_is_refused(path: str) -> None:
    with pytest.raises(FlagError, match="--lxc_path="):
        lxc_settings(flags("--containerizers=mesos,lxc", f"--lxc_path={path}"))
