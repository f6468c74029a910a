"""What --isolation and --launcher ask for, and what they can't."""

from __future__ import annotations

import pytest

from merismos.core.containers.isolation import CGROUPS, Isolation, parse_isolation
from merismos.model.rejection import Rejection


def parsed(text: str, launcher: str = "posix") -> Isolation:
    found = parse_isolation(text, launcher)
    assert isinstance(found, Isolation), found
    return found


def refused(text: str, launcher: str = "posix") -> str:
    found = parse_isolation(text, launcher)
    assert isinstance(found, Rejection), found
    return found.message


def test_the_default_of_mesos_makes_no_cgroups() -> None:
    found = parsed("posix/cpu,posix/mem")
    assert (found.cgroups, found.launcher) == ((), "posix")


def test_short_names_stand_for_cpu_and_memory() -> None:
    assert parsed("cgroups").cgroups == ("cpu", "mem")
    assert parsed("process").names == ("posix/cpu", "posix/mem")


def test_isolators_of_cgroups_bring_the_linux_launcher_with_them() -> None:
    assert parsed(" cgroups/pids , filesystem/posix").launcher == "linux"
    assert parsed("filesystem/posix", "linux").launcher == "linux"


def test_all_is_every_isolator_of_cgroups() -> None:
    found = parsed("cgroups/all")
    assert (found.cgroups, found.everything) == (CGROUPS, True)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cgroups/cpu,posix/cpu", ("'posix/cpu'", "'cgroups/cpu'")),
        ("cgroups/all,cgroups/mem", ("'cgroups/mem'", "'cgroups/all'")),
        ("posix/mem,cgroups/all", ("'posix/mem'", "'cgroups/all'")),
    ],
)
def test_a_conflict_names_both(text: str, names: tuple[str, str]) -> None:
    assert all(name in refused(text) for name in names)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("network/port_mapping", "is not supported yet"),
        ("cgroups/gpu", "is not known; known are"),
        ("nonsense", "is not known"),
    ],
)
def test_an_isolator_that_is_not_there_is_refused_by_name(text: str, why: str) -> None:
    message = refused(text)
    assert f"'{text}'" in message
    assert why in message


def test_a_launcher_that_is_not_known_is_refused() -> None:
    assert "give posix or linux" in refused("", "windows")
