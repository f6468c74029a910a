"""What the master's flags mean to its core."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from merismos.core.master.state import Config
from merismos.daemons.coordination import check_master
from merismos.model.quantities import parse_alternatives
from merismos.model.rejection import Rejection
from merismos.shell.flags import FlagError, Flags
from merismos.shell.logging import LEVELS
from merismos.shell.quantities import parse_duration_s

EFFECTIVE: Final = frozenset(
    {
        "advertise_ip",
        "advertise_port",
        "agent_ping_timeout",
        "agent_removal_rate_limit",
        "agent_reregister_timeout",
        "allocation_interval",
        "cluster",
        "external_log_file",
        "fair_sharing_excluded_resource_names",
        "filter_gpu_resources",
        "framework_sorter",
        "help",
        "hostname",
        "hostname_lookup",
        "ip",
        "log_dir",
        "logging_level",
        "master_contender",
        "master_detector",
        "max_agent_ping_timeouts",
        "max_completed_frameworks",
        "max_completed_tasks_per_framework",
        "max_operator_event_stream_subscribers",
        "max_unreachable_tasks_per_framework",
        "min_allocatable_resources",
        "offer_timeout",
        "port",
        "port_file",
        "quiet",
        "quorum",
        "record",
        "record_size",
        "registry",
        "recovery_agent_removal_limit",
        "registry_fetch_timeout",
        "registry_gc_interval",
        "registry_max_agent_age",
        "registry_max_agent_count",
        "role_sorter",
        "roles",
        "version",
        "weights",
        "whitelist",
        "work_dir",
        "zk",
        "zk_session_timeout",
    }
)
SORTERS: Final = ("drf", "random")
PORT_MAX: Final = 65535


def config_of(flags: Flags) -> Config:
    """Return the core's configuration.

    Errors: FlagError.
    """
    _check(flags)
    config = Config()
    config.agent_ping_timeout_s = flags.seconds("agent_ping_timeout")
    config.agent_removal_interval_s = _removal_interval_s(flags.text("agent_removal_rate_limit"))
    config.agent_reregister_timeout_s = flags.seconds("agent_reregister_timeout")
    config.allocation_interval_s = flags.seconds("allocation_interval")
    config.cluster = flags.text("cluster")
    config.fair_sharing_excluded = _names(flags.text("fair_sharing_excluded_resource_names"))
    config.filter_gpu_resources = flags.on("filter_gpu_resources")
    config.framework_sorter = flags.text("framework_sorter") or "drf"
    config.max_completed_frameworks = flags.whole("max_completed_frameworks")
    config.max_completed_tasks_per_framework = flags.whole("max_completed_tasks_per_framework")
    config.max_operator_streams = flags.whole("max_operator_event_stream_subscribers")
    config.max_unreachable_tasks_per_framework = flags.whole("max_unreachable_tasks_per_framework")
    config.min_allocatable = _alternatives(flags.text("min_allocatable_resources") or "")
    config.offer_timeout_s = flags.seconds("offer_timeout")
    config.pings_missed_max = flags.whole("max_agent_ping_timeouts")
    config.recovery_agent_removal_limit = _part(flags.text("recovery_agent_removal_limit"))
    config.registry_gc_interval_s = flags.seconds("registry_gc_interval")
    config.registry_max_agent_age_s = flags.seconds("registry_max_agent_age")
    config.registry_max_agent_count = flags.whole("registry_max_agent_count")
    config.role_sorter = flags.text("role_sorter") or "drf"
    config.roles = _names(flags.text("roles")) if flags.given("roles") else None
    config.weights = _weights(flags.text("weights"))
    config.whitelist = _whitelist(flags.text("whitelist"))
    return config


def _check(flags: Flags) -> None:
    check_master(flags)
    _one_of(flags, "logging_level", tuple(LEVELS))
    _one_of(flags, "role_sorter", SORTERS)
    _one_of(flags, "framework_sorter", SORTERS)
    if not 0 <= flags.whole("port") <= PORT_MAX:
        raise FlagError(f"--port={flags.whole('port')}: a port is a number from 0 to {PORT_MAX}")
    for name in (
        "agent_ping_timeout",
        "agent_reregister_timeout",
        "allocation_interval",
        "offer_timeout",
        "registry_gc_interval",
    ):
        if flags.seconds(name) <= 0:
            raise FlagError(f"--{name}: it must be longer than nothing, such as 1secs")
    for name in (
        "max_completed_frameworks",
        "max_completed_tasks_per_framework",
        "max_unreachable_tasks_per_framework",
        "registry_max_agent_count",
    ):
        if flags.whole(name) < 0:
            raise FlagError(f"--{name}: it can't be below 0")
    if flags.whole("max_agent_ping_timeouts") < 1:
        raise FlagError("--max_agent_ping_timeouts: it must be at least 1")


def _one_of(flags: Flags, name: str, allowed: tuple[str, ...]) -> None:
    value = flags.text(name)
    if value not in allowed:
        raise FlagError(f"--{name}={value}: take one of {', '.join(allowed)}")


def _names(text: str | None) -> list[str]:
    return [name for part in (text or "").split(",") if (name := part.strip())]


def _weights(text: str | None) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in _names(text):
        role, equals, number = part.partition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = 0.0
        if not role or not equals or not 0 < weight < float("inf"):
            raise FlagError(
                f"--weights: '{part}' is no weight; write role=number with a number above 0, such as ads=2,web=1"
            )
        weights[role] = weight
    return weights


def _alternatives(text: str) -> list[dict[str, int]]:
    found = parse_alternatives(text)
    if isinstance(found, Rejection):
        raise FlagError(f"--min_allocatable_resources: {found.message}; write for example cpus:0.01|mem:32")
    return found


def _removal_interval_s(text: str | None) -> float:
    """Return the time between two removals; 0 where they aren't limited."""
    if text is None:
        return 0.0
    number, _, duration = text.partition("/")
    try:
        permits, seconds = int(number), parse_duration_s(duration)
    except ValueError:
        permits, seconds = 0, 0.0
    if permits < 1 or seconds <= 0:
        raise FlagError(f"--agent_removal_rate_limit={text}: write a number of agents and a time, such as 1/10mins")
    return seconds / permits


def _part(text: str | None) -> float:
    number, percent, rest = (text or "").partition("%")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not percent or rest or not 0 <= value <= 100:  # noqa: PLR2004 - per cent
        raise FlagError(f"--recovery_agent_removal_limit={text}: write a percentage from 0% to 100%")
    return value / 100


def _whitelist(path: str | None) -> list[str] | None:
    if path is None or path == "*":
        return None
    try:
        return Path(path).read_text(encoding="utf-8").split()
    except (OSError, ValueError) as error:
        raise FlagError(f"--whitelist: {path} can't be read: {error}") from error
