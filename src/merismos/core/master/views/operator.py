"""The operator API's reads: `answer` returns the Response as JSON slices, a refusal, or None for a call that isn't a read.

Rules: protobuf answers are made from the same JSON by the shell, so that both say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from merismos.core.master.views import maintenance, metrics, snapshot, values
from merismos.core.master.views.quota import quota_status
from merismos.core.master.views.rendering import encode, sliced
from merismos.core.master.views.roles import roles_v1

if TYPE_CHECKING:
    from merismos.core.master.views.v0 import Reads
    from merismos.protocol.v1 import master as operator

Read = Callable[["Reads", "operator.Call", float], Iterator[bytes]]


def answer(reads: Reads, call: operator.Call, now: float) -> Iterator[bytes] | None:
    """Return the JSON of the Response to a read, None where the call isn't one."""
    name = str(call.type)
    read = READS.get(name)
    if read is None:
        return None
    separator = f',"{name.lower()}":'.encode()

    def response() -> Iterator[bytes]:
        yield f'{{"type":"{name}"'.encode()
        before = separator
        for part in read(reads, call, now):
            yield before + part
            before = b""
        yield b"}"

    return sliced(response())


def subscribed(reads: Reads) -> Iterator[bytes]:
    """Yield the SUBSCRIBED event that opens an operator's stream, the whole state in it."""
    yield b'{"type":"SUBSCRIBED","subscribed":{"get_state":'
    yield from snapshot.get_state(reads.master, reads.renderings)
    yield b',"heartbeat_interval_seconds":' + encode(reads.master.config.heartbeat_s) + b"}}"


def _get_health(_reads: Reads, _call: operator.Call, _now: float) -> Iterator[bytes]:
    yield b'{"healthy":true}'


def _get_flags(reads: Reads, _call: operator.Call, _now: float) -> Iterator[bytes]:
    yield encode({"flags": [{"name": name, "value": value} for name, value in reads.flags.items()]})


def _get_version(_reads: Reads, _call: operator.Call, _now: float) -> Iterator[bytes]:
    yield encode({"version_info": values.version_info()})


def _get_metrics(reads: Reads, _call: operator.Call, now: float) -> Iterator[bytes]:
    found = {**metrics.snapshot(reads.master, now), **reads.timings()}
    yield encode({"metrics": [{"name": name, "value": value} for name, value in found.items()]})


def _get_logging_level(reads: Reads, _call: operator.Call, _now: float) -> Iterator[bytes]:
    yield encode({"level": reads.logging_level})


def _get_state(reads: Reads, _call: operator.Call, _now: float) -> Iterator[bytes]:
    return snapshot.get_state(reads.master, reads.renderings)


def _get_agents(reads: Reads, _call: operator.Call, _now: float) -> Iterator[bytes]:
    return snapshot.get_agents(reads.master)


def _get_frameworks(reads: Reads, _call: operator.Call, _now: float) -> Iterator[bytes]:
    return snapshot.get_frameworks(reads.master)


def _get_executors(reads: Reads, _call: operator.Call, _now: float) -> Iterator[bytes]:
    return snapshot.get_executors(reads.master)


def _get_operations(_reads: Reads, _call: operator.Call, _now: float) -> Iterator[bytes]:
    yield b"{}"


def _get_tasks(reads: Reads, _call: operator.Call, _now: float) -> Iterator[bytes]:
    return snapshot.get_tasks(reads.master, reads.renderings)


def _get_roles(reads: Reads, _call: operator.Call, _now: float) -> Iterator[bytes]:
    roles = roles_v1(reads.master)
    yield encode({"roles": roles} if roles else {})


def _get_weights(reads: Reads, _call: operator.Call, _now: float) -> Iterator[bytes]:
    weights = [{"weight": weight, "role": role} for role, weight in sorted(reads.master.weights.items())]
    # As in Mesos: no weights, no field.
    if weights:
        yield encode({"weight_infos": weights})


def _get_master(reads: Reads, _call: operator.Call, _now: float) -> Iterator[bytes]:
    master = reads.master
    started = values.wall_s(master, master.started_at)
    yield encode({"master_info": values.master_info(master), "start_time": started, "elected_time": started})


def _get_maintenance_status(reads: Reads, _call: operator.Call, _now: float) -> Iterator[bytes]:
    yield encode({"status": maintenance.status(reads.master)})


def _get_maintenance_schedule(reads: Reads, _call: operator.Call, _now: float) -> Iterator[bytes]:
    yield encode({"schedule": reads.master.maintenance.schedule})


def _get_quota(reads: Reads, _call: operator.Call, _now: float) -> Iterator[bytes]:
    yield encode({"status": quota_status(reads.master)})


READS: dict[str, Read] = {
    "GET_HEALTH": _get_health,
    "GET_FLAGS": _get_flags,
    "GET_VERSION": _get_version,
    "GET_METRICS": _get_metrics,
    "GET_LOGGING_LEVEL": _get_logging_level,
    "GET_STATE": _get_state,
    "GET_AGENTS": _get_agents,
    "GET_FRAMEWORKS": _get_frameworks,
    "GET_EXECUTORS": _get_executors,
    "GET_OPERATIONS": _get_operations,
    "GET_TASKS": _get_tasks,
    "GET_ROLES": _get_roles,
    "GET_WEIGHTS": _get_weights,
    "GET_MASTER": _get_master,
    "GET_MAINTENANCE_STATUS": _get_maintenance_status,
    "GET_MAINTENANCE_SCHEDULE": _get_maintenance_schedule,
    "GET_QUOTA": _get_quota,
}
