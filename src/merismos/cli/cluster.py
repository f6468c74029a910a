"""What a master knows, as rows for tables and JSON.

Rules: rows are made from the operator API's answers, which real Mesos gives too; the keys of a row are stable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from merismos.cli.errors import CommandError, nearest
from merismos.sdk.address import Address

if TYPE_CHECKING:
    from merismos.cli.client import Client

Row = dict[str, Any]
RowView = Mapping[str, Any]
_NANOSECONDS: Final = 1_000_000_000
_AGENT_PORT: Final = 5051
_ACTIVE: Final = ("pending_tasks", "tasks", "unreachable_tasks", "orphan_tasks")


def tasks(master: Client, *, completed: bool) -> list[Row]:
    """Return the tasks, oldest first."""
    found = master.call("GET_TASKS")
    names = {row["id"]: row["name"] for row in frameworks(master, completed=True)}
    hosts = {row["id"]: row["hostname"] for row in agents(master)}
    kinds = [*_ACTIVE, "completed_tasks"] if completed else list(_ACTIVE)
    rows = [_task(one, names, hosts) for kind in kinds for one in found.get(kind, [])]
    return sorted(rows, key=lambda row: row["started_at"] or 0.0)


def _task(task: Row, names: Row, hosts: Row) -> Row:
    statuses = task.get("statuses", [])
    framework_id, agent_id = _id(task, "framework_id"), _id(task, "agent_id")
    return {
        "id": _id(task, "task_id"),
        "name": task.get("name", ""),
        "state": task.get("state", ""),
        "framework_id": framework_id,
        "framework": names.get(framework_id, ""),
        "agent_id": agent_id,
        "hostname": hosts.get(agent_id, ""),
        "executor_id": _id(task, "executor_id") or _id(task, "task_id"),
        "container_id": _container_id(statuses),
        "resources": scalars(task.get("resources", [])),
        "started_at": statuses[0].get("timestamp") if statuses else None,
        "updated_at": statuses[-1].get("timestamp") if statuses else None,
        "message": statuses[-1].get("message", "") if statuses else "",
    }


def _container_id(statuses: list[Row]) -> str:
    named = (status.get("container_status", {}).get("container_id", {}) for status in reversed(statuses))
    found: Row = next((one for one in named if one), {})
    parent = _id(found, "parent")
    return f"{parent}.{found['value']}" if parent else found.get("value", "")


def agents(master: Client) -> list[Row]:
    """Return the agents that are registered, and those that a new leader awaits."""
    return agent_rows(master.call("GET_AGENTS"))


def agent_rows(found: RowView) -> list[Row]:
    """Return the agents of an answer to GET_AGENTS."""
    awaited = [{"agent_info": info} for info in found.get("recovered_agents", [])]
    return [*map(_agent, found.get("agents", [])), *({**_agent(one), "state": "recovered"} for one in awaited)]


def _agent(agent: Row) -> Row:
    info = agent["agent_info"]
    host, port = _host_of(agent.get("pid", ""), info)
    draining = agent.get("drain_info", {}).get("state", "")
    state = "active" if agent.get("active") else "inactive"
    return {
        "id": _id(info, "id"),
        "hostname": info.get("hostname", ""),
        "address": str(Address(host, port)),
        "state": draining.lower() or ("deactivated" if agent.get("deactivated") else state),
        "total": scalars(agent.get("total_resources", [])),
        "used": scalars(agent.get("allocated_resources", [])),
        "offered": scalars(agent.get("offered_resources", [])),
        "attributes": {one["name"]: _attribute(one) for one in info.get("attributes", [])},
        "version": agent.get("version", ""),
        "registered_at": _seconds(agent.get("reregistered_time") or agent.get("registered_time")),
    }


def _host_of(pid: str, info: Row) -> tuple[str, int]:
    host, _, port = pid.partition("@")[2].rpartition(":")
    return (
        (host.strip("[]"), int(port))
        if host and port.isdigit()
        else (info.get("hostname", ""), info.get("port", _AGENT_PORT))
    )


def frameworks(master: Client, *, completed: bool) -> list[Row]:
    """Return the frameworks."""
    found = master.call("GET_FRAMEWORKS")
    rows = [_framework(one, completed=False) for one in found.get("frameworks", [])]
    if completed:
        rows += [_framework(one, completed=True) for one in found.get("completed_frameworks", [])]
    return rows


def _framework(framework: Row, *, completed: bool) -> Row:
    info = framework["framework_info"]
    state = "active" if framework.get("active") else "inactive"
    if not framework.get("connected", True):
        state = "disconnected"
    return {
        "id": _id(info, "id"),
        "name": info.get("name", ""),
        "user": info.get("user", ""),
        "roles": info.get("roles") or [info.get("role", "*")],
        "state": "completed" if completed else state,
        "used": scalars(framework.get("allocated_resources", [])),
        "offered": scalars(framework.get("offered_resources", [])),
        "registered_at": _seconds(framework.get("reregistered_time") or framework.get("registered_time")),
    }


def _quantities(configs: Mapping[str, Any], role: str, field: str) -> dict[str, float]:
    scalars: Mapping[str, Any] = configs.get(role, {}).get(field, {})
    return {name: scalar["value"] for name, scalar in scalars.items()}


def roles(master: Client) -> list[Row]:
    """Return the roles that have a framework, a weight or a quota."""
    configs = {one["role"]: one for one in master.call("GET_QUOTA").get("status", {}).get("configs", [])}
    return [
        {
            "name": role.get("name", ""),
            "guarantees": _quantities(configs, role.get("name", ""), "guarantees"),
            "limits": _quantities(configs, role.get("name", ""), "limits"),
            "weight": role.get("weight", 1.0),
            "frameworks": [one["value"] for one in role.get("frameworks", [])],
            "used": scalars(role.get("resources", [])),
        }
        for role in master.call("GET_ROLES").get("roles", [])
    ]


def find(rows: list[Row], given: str, what: str) -> Row:
    """Return the row whose id is `given`, else the latest of that name, else the only one whose id begins with it.

    Errors: CommandError, with what may have been meant.
    """
    exact = [row for row in rows if row["id"] == given]
    if exact:
        return exact[-1]
    named = [row for row in rows if row["name"] == given]
    if named:
        return named[-1]
    close = [row for row in rows if row["id"].startswith(given)]
    if not close:
        raise CommandError(f"the master knows no {what} {given!r}", nearest(given, [row["id"] for row in rows]))
    if len({row["id"] for row in close}) > 1:
        shown = ", ".join(row["id"] for row in close[:5])
        raise CommandError(f"{given!r} may be any of {len(close)} {what}s", f"Say more of its id: {shown}")
    return close[-1]


def find_agent(rows: list[Row], given: str) -> Row:
    """Return the only agent whose id is or begins with `given`, or ends with it (`S3`), or that has this hostname.

    Errors: CommandError, with what may have been meant.
    """
    named = [row for row in rows if given == row["id"] or row["id"].endswith(f"-{given}")]
    named = named or [row for row in rows if row["hostname"] == given]
    named = named or [row for row in rows if row["id"].startswith(given)]
    if len(named) == 1:
        return named[0]
    if named:
        shown = ", ".join(row["id"] for row in named[:5])
        raise CommandError(f"{given!r} may be any of {len(named)} agents", f"Say which by its id: {shown}")
    raise CommandError(f"the master knows no agent {given!r}", nearest(given, [row["id"] for row in rows]))


def scalars(resources: list[Row]) -> dict[str, float]:
    """Return the sums of the scalar resources, by name."""
    sums: dict[str, int] = {}
    for resource in resources:
        if "scalar" in resource:
            sums[resource["name"]] = sums.get(resource["name"], 0) + round(resource["scalar"]["value"] * 1000)
    return {name: milli / 1000 for name, milli in sums.items()}


def amount_in(row: RowView, field: str, name: str) -> float:
    """Return how much of a scalar resource a row has in one of its fields."""
    return float(row[field].get(name, 0.0))


def texts_in(row: RowView, field: str) -> list[str]:
    """Return a row's list of texts."""
    return list(row[field])


def _attribute(attribute: Row) -> str:
    if "text" in attribute:
        return str(attribute["text"]["value"])
    if "scalar" in attribute:
        return f"{attribute['scalar']['value']:g}"
    ranges = ",".join(f"{one['begin']}-{one['end']}" for one in attribute.get("ranges", {}).get("range", []))
    return f"[{ranges}]" if ranges else "{" + ",".join(attribute.get("set", {}).get("item", [])) + "}"


def _id(holder: Row, field: str) -> str:
    return str(holder.get(field, {}).get("value", ""))


def _seconds(time: Row | None) -> float | None:
    return time["nanoseconds"] / _NANOSECONDS if time else None
