"""From an agent's flags to what it does with Docker."""

from __future__ import annotations

import pytest

from merismos.daemons.agent_docker import containerizers_of, docker_settings
from merismos.shell import flag_tables
from merismos.shell.flags import FlagError, Flags, parse


def flags(*given: str) -> Flags:
    return parse(flag_tables.AGENT, list(given), {}, effective=frozenset())


def test_docker_is_off_unless_it_is_named() -> None:
    assert containerizers_of(flags()) == ("mesos",)
    assert docker_settings(flags(), "/w") is None
    assert docker_settings(flags("--containerizers=docker,mesos"), "/w") is not None


def test_a_containerizer_that_is_not_known_is_named() -> None:
    with pytest.raises(FlagError, match="'rkt' is not known; give mesos, docker or lxc, or some of them"):
        containerizers_of(flags("--containerizers=mesos,rkt"))


def test_without_a_stop_timeout_tasks_have_the_grace_of_all_tasks() -> None:
    settings = docker_settings(flags("--containerizers=docker"), "/w")
    assert settings is not None
    assert (settings.stop_timeout_s, settings.kill_orphans) == (None, True)
    settings = docker_settings(
        flags("--containerizers=docker", "--docker_stop_timeout=7secs", "--no-docker_kill_orphans"), "/w"
    )
    assert settings is not None
    assert (settings.stop_timeout_s, settings.kill_orphans) == (7.0, False)
