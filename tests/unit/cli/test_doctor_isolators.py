"""What `merismos doctor` and an agent's start say of isolators that a machine can't have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from merismos.adapters.linux.isolator_detection import ISOLATORS, obstacle
from merismos.cli.commands.doctor import check_machine


def test_a_program_that_is_missing_is_named_with_how_to_get_it() -> None:
    why = obstacle("posix/rlimits", which=lambda _: None)
    assert why == "there is no prlimit on this machine; apt-get install util-linux coreutils"


@pytest.mark.skipif(os.geteuid() != 0, reason="an agent that isn't root can't have them")
def test_a_kernel_without_namespaces_is_named(tmp_path: Path) -> None:
    why = obstacle("namespaces/pid", which=lambda name: name, proc=tmp_path)
    assert why == "the kernel has no pid namespaces; it needs one with CONFIG_NAMESPACES"


def test_the_doctor_says_of_each_isolator_that_it_can_be_had_or_why_not() -> None:
    findings = {one["what"]: one for one in check_machine()}
    ready = findings["isolators"]["finding"]
    for name in ISOLATORS:
        assert (name in ready) is (name not in findings)
