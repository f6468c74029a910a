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
        ("network/port_mapping", "is not supported: it needs a kernel"),
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


@pytest.mark.parametrize(
    "name",
    ["appc/runtime", "disk/xfs", "docker/volume", "filesystem/shared", "network/port_mapping", "volume/csi"],
)
def test_what_there_will_not_be_says_why_and_what_to_use(name: str) -> None:
    message = refused(name)
    assert f"'{name}' is not supported: " in message
    assert "; use " in message


@pytest.mark.parametrize("name", ["namespaces/pid", "namespaces/ipc"])
def test_namespaces_need_files_of_their_own_beside_them(name: str) -> None:
    assert f"'{name}' needs 'filesystem/linux'" in refused(name)
    assert name in parsed(f"{name},filesystem/linux").names


def test_limits_of_processes_and_cgroups_go_together() -> None:
    assert "posix/rlimits" in parsed("cgroups/all,posix/rlimits").names
