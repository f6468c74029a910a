"""From an agent's flags to what isolates its containers.

Rules: what was asked for by name is there or the agent doesn't start; of `cgroups/all` it takes what the machine can, and says what
that is. Without cgroups nothing is limited, and the log says so.
Errors: FlagError, with what to change.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from pathlib import Path

import structlog

from merismos.adapters.linux import cgroup_detection, detection
from merismos.adapters.linux.cgroups import Cgroups, CgroupUsage
from merismos.adapters.linux.cgroups_v1 import CgroupsV1
from merismos.adapters.linux.cgroups_v2 import CgroupsV2
from merismos.containers.disk_quota import DiskQuota
from merismos.containers.port_watch import PortWatch
from merismos.core.agent.state import Agent, AgentSettings
from merismos.core.agent.views.records import resources_of
from merismos.core.containers.cgroup_plan import CgroupSettings, Throttle
from merismos.core.containers.device_plan import BASE, entries_of
from merismos.core.containers.isolation import DISK, PORTS, Isolation, parse_isolation
from merismos.core.containers.net_class_plan import SECOND_MAX, NetClasses
from merismos.core.kernel import Event
from merismos.daemons.agent_devices import allowed_nodes
from merismos.model.ranges import Ranges, parse_ranges
from merismos.model.rejection import Rejection
from merismos.shell.flags import FlagError, Flags

_MB = 1 << 20
_THROTTLE = re.compile(r"(\d+:\d+)((?: (?:rbps|wbps|riops|wiops)=\d+)+)")
_HANDLE = re.compile(r"0x[0-9a-fA-F]{1,4}")
_HANDLES = re.compile(rf"{_HANDLE.pattern},{_HANDLE.pattern}")
_CPUS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
_UNLIMITED = "tasks share CPU and memory without limits"


def cgroup_settings(flags: Flags) -> CgroupSettings | None:
    """Return what the agent's cgroups shall do, None where it makes none."""
    isolation = isolation_of(flags)
    if isolation.launcher == "posix":
        return None
    hierarchy, root = _hierarchy(flags), _root(flags)
    version = cgroup_detection.version_of(hierarchy)
    fault = cgroup_detection.obstacle_of_launcher(hierarchy, version, root)
    if fault is not None:
        raise FlagError(f"--launcher=linux, which {_asker(isolation.names)} needs: {fault}")
    active = []
    for isolator in isolation.cgroups:
        fault = cgroup_detection.obstacle(hierarchy, version, isolator, root)
        if fault is None:
            active.append(isolator)
        elif not isolation.everything:
            raise FlagError(f"--isolation names cgroups/{isolator}, but {fault}")
    return CgroupSettings(
        version=version,
        isolators=tuple(active),
        enable_cfs=flags.on("cgroups_enable_cfs"),
        limit_swap=flags.on("cgroups_limit_swap"),
        revocable_cpu_low_priority=flags.on("revocable_cpu_low_priority"),
        pids_max=flags.whole("cgroups_pids_max"),
        cpuset_cpus=_cpus(flags),
        throttles=_throttles(flags),
        devices=(*BASE, *entries_of(allowed_nodes(flags))),
        net_classes=net_classes_of(flags) if "net_cls" in active else None,
        mem_total_mb=detection.memory_bytes() // _MB,
    )


def isolation_of(flags: Flags) -> Isolation:
    """Return which isolators are asked for."""
    isolation = parse_isolation(flags.text("isolation") or "", flags.text("launcher") or "posix")
    if isinstance(isolation, Rejection):
        raise FlagError(isolation.message)
    return isolation


def open_cgroups(flags: Flags, settings: AgentSettings) -> Cgroups | None:
    """Make the root of the containers' cgroups, and say what isolates them.

    Errors: FlagError where that can't be had.
    """
    log = structlog.get_logger()
    wanted = settings.cgroups
    if wanted is None:
        how = "for limits: --isolation=cgroups/cpu,cgroups/mem, as root"
        log.info("isolation", launcher="posix", active=flags.text("isolation"), missing=_UNLIMITED, how=how)
        return None
    kind = CgroupsV1 if wanted.version == 1 else CgroupsV2
    cgroups = kind(_hierarchy(flags), _root(flags), wanted.isolators)
    try:
        cgroups.prepare()
    except OSError as error:
        raise FlagError(f"--cgroups_root={cgroups.root}: {error.strerror or error}; {_remedy(error)}") from error
    names = ",".join(f"cgroups/{one}" for one in wanted.isolators)
    missing = [one for one in cgroup_detection.ISOLATORS if one not in wanted.isolators]
    version, where = wanted.version, f"{cgroups.hierarchy}, below {cgroups.root}"
    log.info("isolation", launcher="linux", cgroups=version, where=where, active=names, not_active=",".join(missing))
    return cgroups


def _remedy(error: OSError) -> str:
    if error.errno == errno.EWOULDBLOCK:
        return "choose another --cgroups_root for this one"
    if error.errno == errno.EBUSY:
        return "a cgroup that holds processes can't have controllers below it; choose another --cgroups_root"
    return "run the agent as root, or give a --cgroups_root below which it may make cgroups"


def watches_of(flags: Flags, agent: Agent, post: Callable[[Event], None]) -> list[DiskQuota | PortWatch]:
    """Return what looks at containers again and again, as `--isolation` and the flags to enforce say."""
    names = isolation_of(flags).names
    watches: list[DiskQuota | PortWatch] = []
    if flags.on("enforce_container_disk_quota") and any(one in names for one in DISK):
        watches.append(DiskQuota(agent, post, flags.seconds("container_disk_watch_interval")))
    if flags.on("enforce_container_ports") and PORTS in names:
        watches.append(
            PortWatch(agent, post, flags.seconds("container_ports_watch_interval"), _watched_ports(flags, agent))
        )
    return watches


def _watched_ports(flags: Flags, agent: Agent) -> Ranges | None:
    """Return the ports that are looked at, None for all."""
    given = flags.text("container_ports_isolated_range")
    if given:
        try:
            return parse_ranges(given)
        except ValueError as error:
            raise FlagError(f"--container_ports_isolated_range: {error}") from error
    if flags.on("check_agent_port_range_only"):
        return resources_of(agent.settings.info.resources).ports
    return None


def measure_of(cgroups: Cgroups | None) -> Callable[[str], CgroupUsage] | None:
    """Return what tells the use of a container by its id, None where only /proc does."""
    return None if cgroups is None else cgroups.usage


def _hierarchy(flags: Flags) -> Path:
    return Path(flags.text("cgroups_hierarchy") or "/sys/fs/cgroup")


def _root(flags: Flags) -> str:
    return flags.text("cgroups_root") or "mesos"


def _asker(names: tuple[str, ...]) -> str:
    return ", ".join(name for name in names if name.startswith("cgroups/")) or "it"


def _cpus(flags: Flags) -> str:
    text = flags.text("cgroups_cpuset_cpus") or ""
    if text and _CPUS.fullmatch(text) is None:
        raise FlagError(f"--cgroups_cpuset_cpus={text} is no list of CPUs; write for example 0,2-3")
    return text


def _throttles(flags: Flags) -> tuple[Throttle, ...]:
    """Return the rates of --cgroups_io_max."""
    found = []
    for part in filter(None, (part.strip() for part in (flags.text("cgroups_io_max") or "").split(";"))):
        match = _THROTTLE.fullmatch(part)
        if match is None:
            raise FlagError(
                f"--cgroups_io_max: '{part}' can't be read; write MAJOR:MINOR and rbps=, wbps=, riops= or wiops= with numbers"
            )
        for pair in match[2].split():
            kind, _, rate = pair.partition("=")
            found.append(Throttle(match[1], kind, int(rate)))
    return tuple(found)


def net_classes_of(flags: Flags) -> NetClasses | None:
    """Return the classes of network traffic to give, None where the operator gives them."""
    primary, secondary = flags.text("cgroups_net_cls_primary_handle"), flags.text("cgroups_net_cls_secondary_handles")
    if primary is None:
        if secondary is not None:
            raise FlagError(
                "--cgroups_net_cls_secondary_handles needs --cgroups_net_cls_primary_handle, the first half"
            )
        return None
    words = "0x1,0xffff" if secondary is None else secondary
    if _HANDLE.fullmatch(primary) is None or _HANDLES.fullmatch(words) is None:
        raise FlagError(
            f"--cgroups_net_cls_primary_handle={primary} and --cgroups_net_cls_secondary_handles={words}: write halves of 16 bits, "
            "such as 0x10 and 0x1,0xfff"
        )
    first, last = (int(word, 16) for word in words.split(","))
    if not (int(primary, 16) > 0 and 0 < first <= last <= SECOND_MAX):
        raise FlagError(f"--cgroups_net_cls_secondary_handles={words} must rise from 0x1 or more, and no half may be 0")
    return NetClasses(int(primary, 16), first, last)
