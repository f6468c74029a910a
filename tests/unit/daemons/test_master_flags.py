from __future__ import annotations

import pytest

from merismos.core.master.state import Config
from merismos.daemons.master_flags import EFFECTIVE, config_of
from merismos.shell.flag_tables import MASTER
from merismos.shell.flags import FlagError, parse


def config(*arguments: str) -> Config:
    return config_of(parse(MASTER, ["--registry=in_memory", *arguments], {}, effective=EFFECTIVE))


def test_the_limits_of_recovery_and_of_the_registry_have_mesos_defaults() -> None:
    plain = config()
    assert plain.agent_removal_interval_s == 0
    assert plain.recovery_agent_removal_limit == 1.0
    assert plain.registry_gc_interval_s == 900
    assert plain.registry_max_agent_age_s == 14 * 86_400
    assert plain.registry_max_agent_count == 102_400


def test_removals_are_spread_evenly_over_the_time_of_their_limit() -> None:
    assert config("--agent_removal_rate_limit=1/10mins").agent_removal_interval_s == 600
    assert config("--slave_removal_rate_limit=2/3hrs").agent_removal_interval_s == 5400


def test_the_recovery_limit_is_a_percentage() -> None:
    assert config("--recovery_agent_removal_limit=12.5%").recovery_agent_removal_limit == 0.125


@pytest.mark.parametrize("text", ["", "1", "0/1mins", "-1/1mins", "x/1mins", "1/soon", "1/0secs"])
def test_a_removal_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(FlagError, match="1/10mins"):
        config(f"--agent_removal_rate_limit={text}")


@pytest.mark.parametrize("text", ["", "50", "101%", "-1%", "x%", "5%%", "nan%"])
def test_a_recovery_limit_that_is_no_percentage_is_refused(text: str) -> None:
    with pytest.raises(FlagError, match="from 0% to 100%"):
        config(f"--recovery_agent_removal_limit={text}")


@pytest.mark.parametrize(
    ("notation", "alternatives"),
    [
        ("cpus:0.01|mem:32", [{"cpus": 10}, {"mem": 32_000}]),
        ("cpus:1;mem:64", [{"cpus": 1000, "mem": 64_000}]),
        ("", []),
    ],
)
def test_the_least_that_is_offered_is_read_from_its_flag(notation: str, alternatives: list[dict[str, int]]) -> None:
    assert config(f"--min_allocatable_resources={notation}").min_allocatable == alternatives


@pytest.mark.parametrize("notation", ["cpus", "cpus:[1-2]", "mem:32|cpus:much"])
def test_a_least_offer_that_cannot_be_read_is_refused(notation: str) -> None:
    with pytest.raises(FlagError, match="--min_allocatable_resources"):
        config(f"--min_allocatable_resources={notation}")
