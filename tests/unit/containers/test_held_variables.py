"""Variables that concern loader and shell are kept from what runs before a task."""

from __future__ import annotations

import subprocess

import pytest

from merismos.containers.held_variables import hold
from merismos.core.containers.entry_plan import Command, plan_entry


def test_what_concerns_nobody_else_stays_as_it_is() -> None:
    assert hold(["PATH=/bin", "A=b=c", "LDX=1"]) == (["PATH=/bin", "A=b=c", "LDX=1"], [])


def test_what_was_kept_aside_is_given_back_as_it_was() -> None:
    value = "a $HOME `id` \" ' \\ b=c"
    environment, steps = hold(["PATH=/usr/bin:/bin", "LD_AUDIT=", f"ENV={value}", "ENV=later", f"BASH_ENV={value}"])
    assert not [one for one in environment if one.startswith(("LD_", "ENV", "BASH_"))]
    command = plan_entry(steps, ["/usr/bin/env"], "env")
    assert isinstance(command, Command)
    given = dict(one.split("=", 1) for one in environment)
    found = subprocess.check_output(command.arguments, env=given, text=True, timeout=20).splitlines()
    assert {f"BASH_ENV={value}", "LD_AUDIT=", "ENV=later"} <= set(found)
    assert not [one for one in found if "HELD" in one]


def test_a_function_of_a_shell_is_refused() -> None:
    with pytest.raises(ValueError, match="functions of a shell"):
        hold(["BASH_FUNC_x%%=() { id; }"])
