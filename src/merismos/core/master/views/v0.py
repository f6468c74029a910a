"""The v0 reads of a master: /state, /state-summary, /slaves, /frameworks, /tasks, /roles and the small ones.

Rules: `ROUTES` maps a path to a function of `(reads, query, now)` that yields slices of JSON; the shell adds jsonp and gzip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from merismos.core.master.statuses import whole_statuses
from merismos.core.master.views import maintenance, values
from merismos.core.master.views.agents import agent_full_v0, agent_summary_v0
from merismos.core.master.views.frameworks import framework_summary_v0, framework_v0
from merismos.core.master.views.quota import quota_status
from merismos.core.master.views.rendering import Renderings, array, encode, sliced
from merismos.core.master.views.roles import roles_v0
from merismos.core.master.views.tasks import task_v0_json
from merismos.core.master.views.why import why

if TYPE_CHECKING:
    from merismos.core.master.state import Agent, Framework, Master, Task

TASKS_LIMIT_DEFAULT = 100
COUNTED_STATES = [
    "TASK_STAGING",
    "TASK_STARTING",
    "TASK_RUNNING",
    "TASK_KILLING",
    "TASK_FINISHED",
    "TASK_KILLED",
    "TASK_FAILED",
    "TASK_LOST",
    "TASK_ERROR",
    "TASK_UNREACHABLE",
]


class Reads:
    """What a read needs besides its query: the records, the kept renderings, the flags as printed, what the shell timed."""

    __slots__ = ("flags", "logging_level", "master", "renderings", "timings")

    def __init__(self, master: Master, flags: Mapping[str, str], renderings: Renderings | None = None) -> None:
        self.master = master
        self.flags = flags
        self.logging_level = 0
        self.renderings = renderings or Renderings()
        self.timings: Callable[[], Mapping[str, float]] = dict


def state(reads: Reads, _query: Mapping[str, str], _now: float) -> Iterator[bytes]:
    """Yield /state."""
    master = reads.master
    agents = list(master.agents.values())
    there = sum(agent.link is not None and agent.active for agent in agents)
    head: dict[str, Any] = version() | {
        "start_time": values.wall_s(master, master.started_at),
        "elected_time": values.wall_s(master, master.started_at),
        "id": master.id,
        "pid": values.pid(master),
        "hostname": master.hostname,
        "capabilities": list(values.MASTER_CAPABILITIES),
        "activated_slaves": float(there),
        "deactivated_slaves": float(len(agents) - there),
        "unreachable_slaves": float(len(master.unreachable_agents)),
        "leader": values.pid(master),
        "leader_info": {"id": master.id, "pid": values.pid(master), "port": master.port, "hostname": master.hostname},
    }
    if master.config.cluster:
        head["cluster"] = master.config.cluster
    head["flags"] = dict(reads.flags)
    yield encode(head)[:-1]
    yield b',"slaves":'
    yield from array(encode(agent_summary_v0(master, agent)) for agent in agents)
    yield b',"recovered_slaves":' + encode(list(master.recovered_agents.values()))
    yield b","
    yield from _framework_lists(reads, None)
    yield b',"orphan_tasks":[],"unregistered_frameworks":[]}'


def _framework_lists(reads: Reads, only: str | None) -> Iterator[bytes]:
    # Both lists are copied at once: between two slices a framework may move from one to the other.
    current, completed = (
        [framework for framework in known.values() if only in (None, framework.id)]
        for known in (reads.master.frameworks, reads.master.completed_frameworks)
    )
    yield b'"frameworks":'
    yield from _framework_list(reads, current)
    yield b',"completed_frameworks":'
    yield from _framework_list(reads, completed)


def _framework_list(reads: Reads, frameworks: list[Framework]) -> Iterator[bytes]:
    separator = b"["
    for framework in frameworks:
        yield separator
        yield from framework_v0(reads.master, framework, reads.renderings)
        separator = b","
    yield b"]" if separator == b"," else b"[]"


def frameworks(reads: Reads, query: Mapping[str, str], _now: float) -> Iterator[bytes]:
    """Yield /frameworks, one of them with `framework_id`."""
    yield b"{"
    yield from _framework_lists(reads, query.get("framework_id"))
    yield b',"unregistered_frameworks":[]}'


def state_summary(reads: Reads, _query: Mapping[str, str], _now: float) -> Iterator[bytes]:
    """Yield /state-summary: agents and frameworks with counts of tasks by state."""
    master = reads.master
    head: dict[str, Any] = {"hostname": master.hostname}
    if master.config.cluster:
        head["cluster"] = master.config.cluster
    by_agent = _tasks_by_agent(master)
    yield encode(head)[:-1] + b',"slaves":'
    yield from array(
        encode(
            agent_summary_v0(master, agent)
            | _counts(by_agent.get(agent.id, []))
            | {"framework_ids": _distinct(task.framework.id for task in by_agent.get(agent.id, []))}
        )
        for agent in list(master.agents.values())
    )
    yield b',"frameworks":'
    yield from array(
        encode(
            framework_summary_v0(framework)
            | _counts(_all_tasks(framework))
            | {"slave_ids": _distinct(task.agent.id for task in _all_tasks(framework))}
        )
        for framework in list(master.frameworks.values())
    )
    yield b"}"


def _tasks_by_agent(master: Master) -> dict[str, list[Task]]:
    by_agent: dict[str, list[Task]] = {}
    for framework in master.frameworks.values():
        for task in _all_tasks(framework):
            by_agent.setdefault(task.agent.id, []).append(task)
    return by_agent


def _all_tasks(framework: Framework) -> list[Task]:
    return [*framework.tasks.values(), *framework.unreachable_tasks.values(), *framework.completed_tasks.values()]


def _counts(tasks: list[Task]) -> dict[str, int]:
    counts = dict.fromkeys(COUNTED_STATES, 0)
    for task in tasks:
        if task.state in counts:
            counts[task.state] += 1
    return counts


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def slaves(reads: Reads, query: Mapping[str, str], _now: float) -> Iterator[bytes]:
    """Yield /slaves, one of them with `slave_id`."""
    master, only = reads.master, query.get("slave_id")
    agents: list[Agent] = [agent for agent in master.agents.values() if only is None or agent.id == only]
    yield b'{"slaves":'
    yield from array(encode(agent_full_v0(master, agent)) for agent in agents)
    yield b',"recovered_slaves":' + encode(list(master.recovered_agents.values())) + b"}"


def tasks(reads: Reads, query: Mapping[str, str], _now: float) -> Iterator[bytes]:
    """Yield /tasks: newest first unless `order=asc`, `limit` (100) from `offset`, narrowed by `framework_id` and `task_id`."""
    master = reads.master
    only_framework, only_task = query.get("framework_id"), query.get("task_id")
    found = [
        task
        for group in (master.frameworks, master.completed_frameworks)
        for framework in group.values()
        if only_framework in (None, framework.id)
        for task in _all_tasks(framework)
        if only_task in (None, task.id)
    ]
    found.sort(key=_first_seen, reverse=query.get("order") != "asc")
    offset, limit = _number(query, "offset", 0), _number(query, "limit", TASKS_LIMIT_DEFAULT)
    yield b'{"tasks":'
    yield from array(task_v0_json(reads.renderings, task) for task in found[offset : offset + limit])
    yield b"}"


class _Stamped(msgspec.Struct, gc=False):
    """The one field of a TaskStatus that /tasks sorts by."""

    timestamp: float = 0.0


_STAMPED = msgspec.json.Decoder(_Stamped, strict=False)


def _first_seen(task: Task) -> float:
    return _STAMPED.decode(whole_statuses(task)[0]).timestamp if task.statuses else 0.0


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else default


def roles(reads: Reads, _query: Mapping[str, str], _now: float) -> Iterator[bytes]:
    """Yield /roles."""
    yield encode({"roles": roles_v0(reads.master)})


def version() -> dict[str, Any]:
    """Return what /version says."""
    return {
        "version": values.WIRE_VERSION,
        "build_date": values.BUILD_DATE,
        "build_time": values.BUILD_TIME_S,
        "build_user": "merismos",
    }


def weights(reads: Reads, _query: Mapping[str, str], _now: float) -> Iterator[bytes]:
    """Yield /weights."""
    yield encode([{"role": role, "weight": weight} for role, weight in sorted(reads.master.weights.items())])


def quota(reads: Reads, _query: Mapping[str, str], _now: float) -> Iterator[bytes]:
    """Yield /quota."""
    yield encode(quota_status(reads.master))


def maintenance_schedule(reads: Reads, _query: Mapping[str, str], _now: float) -> Iterator[bytes]:
    """Yield /maintenance/schedule."""
    yield encode(reads.master.maintenance.schedule)


def maintenance_status(reads: Reads, _query: Mapping[str, str], _now: float) -> Iterator[bytes]:
    """Yield /maintenance/status."""
    yield encode(maintenance.status(reads.master))


def why_text(reads: Reads, query: Mapping[str, str], now: float) -> Iterator[bytes]:
    """Yield /why: which offers were considered for a task, framework or role, and why each didn't serve."""
    yield encode(why(reads.master, query, now))


def _constant(answer: object) -> Callable[[Reads, Mapping[str, str], float], Iterator[bytes]]:
    def read(_reads: Reads, _query: Mapping[str, str], _now: float) -> Iterator[bytes]:
        yield encode(answer)

    return read


def _sliced(
    read: Callable[[Reads, Mapping[str, str], float], Iterator[bytes]],
) -> Callable[[Reads, Mapping[str, str], float], Iterator[bytes]]:
    def slices(reads: Reads, query: Mapping[str, str], now: float) -> Iterator[bytes]:
        return sliced(read(reads, query, now))

    return slices


ROUTES: dict[str, Callable[[Reads, Mapping[str, str], float], Iterator[bytes]]] = {
    "/state": _sliced(state),
    "/state-summary": _sliced(state_summary),
    "/slaves": _sliced(slaves),
    "/frameworks": _sliced(frameworks),
    "/tasks": _sliced(tasks),
    "/roles": roles,
    "/weights": weights,
    "/quota": quota,
    "/maintenance/schedule": maintenance_schedule,
    "/maintenance/status": maintenance_status,
    "/version": _constant(version()),
    "/why": why_text,
}
