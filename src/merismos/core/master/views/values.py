"""Small conversions that every view uses: wall times, resources in both formats, the master's own description."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from merismos.core.master.state import Agent
from merismos.model.resource_protocol import to_protocol
from merismos.model.resources import Resources, sum_of
from merismos.model.task_states import TERMINAL
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from collections.abc import Iterable

    from merismos.core.master.state import Framework, Master, Task

WIRE_VERSION = "1.12.0"  # the Mesos whose APIs we speak; clients compare it
BUILD_DATE = "2026-11-23 00:00:00 UTC"
BUILD_TIME_S = 1795392000.0
MASTER_CAPABILITIES = ("AGENT_UPDATE", "AGENT_DRAINING", "QUOTA_V2")


def wall_s(master: Master, at: float) -> float:
    """Return the wall time of an instant of the core.

    Units: seconds since the epoch.
    """
    return at + master.wall_offset_s


def time_info(master: Master, at: float) -> mesos.TimeInfo:
    """Return an instant of the core as a v1 TimeInfo."""
    return mesos.TimeInfo(nanoseconds=int(wall_s(master, at) * 1e9))


def version_info() -> mesos.VersionInfo:
    """Return what /version and GET_VERSION say."""
    return mesos.VersionInfo(
        version=WIRE_VERSION, build_date=BUILD_DATE, build_time=BUILD_TIME_S, build_user="merismos"
    )


def pid(master: Master) -> str:
    """Return the master's pid in libprocess' form, which clients parse."""
    return f"master@{master.ip}:{master.port}"


def master_info(master: Master) -> mesos.MasterInfo:
    """Return the MasterInfo of SUBSCRIBED and GET_MASTER."""
    return master_info_of(master.id, master.ip, master.port, master.hostname)


def master_info_of(master_id: str, ip: str, port: int, hostname: str) -> mesos.MasterInfo:
    """Return how a master introduces itself, also before it leads."""
    return mesos.MasterInfo(
        id=master_id,
        ip=int.from_bytes(ipaddress.IPv4Address(ip).packed, "little"),
        port=port,
        pid=f"master@{ip}:{port}",
        hostname=hostname,
        version=WIRE_VERSION,
        address=mesos.Address(hostname=hostname, ip=ip, port=port),
        capabilities=[
            mesos.MasterInfo_Capability(type=mesos.MasterInfo_Capability_Type(name)) for name in MASTER_CAPABILITIES
        ],
    )


def used(record: Agent | Framework) -> dict[str, Resources]:
    """Return what tasks and executors use on an agent or of a framework, by role."""
    return _used_by_role([record])


def used_by_role(master: Master) -> dict[str, Resources]:
    """Return what tasks and executors use in the whole cluster, by role."""
    return _used_by_role(master.agents.values())


def _used_by_role(records: Iterable[Agent | Framework]) -> dict[str, Resources]:
    parts: dict[str, list[Resources]] = {}
    for record in records:
        for task in _tasks_of(record):
            if task.state not in TERMINAL:
                parts.setdefault(task.role, []).append(task.resources)
        for executor in record.executors.values():
            parts.setdefault(executor.role, []).append(executor.resources)
    return {role: sum_of(resources) for role, resources in parts.items()}


def _tasks_of(record: Agent | Framework) -> Iterable[Task]:
    if isinstance(record, Agent):
        return (*record.tasks, *record.strays.values()) if record.strays else record.tasks
    return record.tasks.values()


def offered(record: Agent | Framework) -> dict[str, Resources]:
    """Return what is offered from an agent or to a framework, by role."""
    parts: dict[str, list[Resources]] = {}
    for offer in record.offers.values():
        parts.setdefault(offer.role, []).append(offer.resources)
    return {role: sum_of(resources) for role, resources in parts.items()}


def total_of(by_role: dict[str, Resources]) -> Resources:
    """Return the sum over all roles."""
    return sum_of(by_role.values())


def by_role_v1(by_role: dict[str, Resources]) -> list[mesos.Resource]:
    """Return per-role sums in the operator API's form: `role` "*" and the allocation's role."""
    return [entry for role, resources in by_role.items() for entry in operator_form(resources, role)]


def operator_form(resources: Resources, allocation_role: str | None = None) -> list[mesos.Resource]:
    """Return resources as operator answers print them: both formats at once, unreserved ones with `role` "*"."""
    return to_protocol(resources, allocation_role=allocation_role, endpoint=True)


def url_of(agent: Agent) -> mesos.URL:
    """Return where an agent's HTTP server is: the path is the first part of its pid, `slave(1)`."""
    return mesos.URL(
        scheme="http",
        address=mesos.Address(hostname=agent.info.hostname, ip=agent.ip, port=agent.port),
        path="/" + agent.pid.partition("@")[0],
    )
