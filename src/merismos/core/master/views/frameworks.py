"""A framework in the v1 operator form and in the v0 form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from merismos.core.master.views import values
from merismos.core.master.views.agents import inverse_offer_v1, offer_v1
from merismos.core.master.views.rendering import array, encode
from merismos.core.master.views.tasks import task_v0_json
from merismos.model.resource_protocol import to_protocol
from merismos.model.resource_v0 import to_v0
from merismos.protocol import json
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import master as operator
from merismos.protocol.v1 import mesos, scheduler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from merismos.core.master.state import Executor, Framework, Master
    from merismos.core.master.views.rendering import Renderings

FrameworkV1 = operator.Response_GetFrameworks_Framework


def framework_v1(master: Master, framework: Framework) -> FrameworkV1:
    """Return the Framework message of GET_FRAMEWORKS and FRAMEWORK_ADDED."""
    return FrameworkV1(
        framework_info=framework.info,
        active=framework.active,
        connected=framework.stream is not None,
        recovered=framework.recovered,
        registered_time=values.time_info(master, framework.registered_at),
        reregistered_time=values.time_info(
            master, framework.registered_at if framework.reregistered_at is None else framework.reregistered_at
        ),
        unregistered_time=None
        if framework.unregistered_at is None
        else values.time_info(master, framework.unregistered_at),
        offers=[offer_v1(offer) for offer in framework.offers.values()],
        inverse_offers=[inverse_offer_v1(one) for one in framework.inverse_offers.values()],
        allocated_resources=values.by_role_v1(values.used(framework)),
        offered_resources=values.by_role_v1(values.offered(framework)),
        offer_constraints=framework.offer_constraints or scheduler.OfferConstraints(),
    )


def executor_v1(executor: Executor) -> mesos.ExecutorInfo:
    """Return an executor's own ExecutorInfo with its resources as allocated."""
    info = _info_of(executor)
    info.resources = to_protocol(executor.resources, allocation_role=executor.role)
    info.framework_id = mesos.FrameworkID(value=executor.framework_id)
    return info


def _info_of(executor: Executor) -> mesos.ExecutorInfo:
    """Return an ExecutorInfo; one that doesn't decode (only part of it is checked) is cut down to its id."""
    try:
        return json.decode(mesos.ExecutorInfo, executor.info)
    except DecodeError:
        return mesos.ExecutorInfo(executor_id=mesos.ExecutorID(value=executor.id))


def framework_summary_v0(framework: Framework) -> dict[str, Any]:
    """Return the fields that /state and /state-summary share."""
    fields: dict[str, Any] = {
        "id": framework.id,
        "name": framework.info.name,
    }
    # mesos-dns dies on an empty pid, and every framework here speaks HTTP: there is none to print.
    fields |= {
        "used_resources": to_v0(values.total_of(values.used(framework))),
        "offered_resources": to_v0(values.total_of(values.offered(framework))),
        "capabilities": [str(capability.type) for capability in framework.info.capabilities],
        "hostname": framework.info.hostname or "",
        "webui_url": framework.info.webui_url or "",
        "active": framework.active,
        "connected": framework.stream is not None,
        "recovered": framework.recovered,
    }
    return fields


def _head_v0(master: Master, framework: Framework) -> dict[str, Any]:
    info = framework.info
    used = values.total_of(values.used(framework))
    fields = framework_summary_v0(framework) | {
        "user": info.user,
        "failover_timeout": info.failover_timeout,
        "checkpoint": info.checkpoint,
        "registered_time": values.wall_s(master, framework.registered_at),
        "unregistered_time": 0.0
        if framework.unregistered_at is None
        else values.wall_s(master, framework.unregistered_at),
    }
    if info.principal is not None:
        fields["principal"] = info.principal
    if framework.reregistered_at is not None:
        fields["reregistered_time"] = values.wall_s(master, framework.reregistered_at)
    fields["resources"] = to_v0(used + values.total_of(values.offered(framework)))
    if framework.multi_role:
        fields["roles"] = framework.roles
    else:
        fields["role"] = framework.roles[0] if framework.roles else "*"
    return fields


def _tail_v0(framework: Framework) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "offers": [
            {
                "id": offer.id,
                "framework_id": framework.id,
                "allocation_info": {"role": offer.role},
                "slave_id": offer.agent.id,
                "resources": to_v0(offer.resources),
            }
            for offer in framework.offers.values()
        ],
        "executors": [_executor_v0(executor, agent_id) for (agent_id, _), executor in framework.executors.items()],
    }
    if framework.info.labels is not None:
        fields["labels"] = framework.info.labels.labels
    fields["offer_constraints"] = framework.offer_constraints or scheduler.OfferConstraints()
    return fields


def _executor_v0(executor: Executor, agent_id: str) -> dict[str, Any]:
    info = _info_of(executor)
    command = info.command
    return {
        "executor_id": executor.id,
        "name": info.name or "",
        "framework_id": executor.framework_id,
        "command": {
            "argv": command.arguments if command is not None else [],
            "uris": command.uris if command is not None else [],
        }
        | ({"value": command.value} if command is not None and command.value is not None else {}),
        "resources": to_v0(executor.resources),
        "role": executor.role,
        "type": str(info.type) if info.type is not None else "CUSTOM",
        "slave_id": agent_id,
    }


def framework_v0(master: Master, framework: Framework, renderings: Renderings) -> Iterator[bytes]:
    """Yield the framework object of /state and /frameworks, its tasks slice by slice."""
    # The lists are copied at once: between two slices a task may move from one to another.
    lists = {
        "tasks": list(framework.tasks.values()),
        "unreachable_tasks": list(framework.unreachable_tasks.values()),
        "completed_tasks": list(framework.completed_tasks.values()),
    }
    yield encode(_head_v0(master, framework))[:-1]
    for name, tasks in lists.items():
        yield f',"{name}":'.encode()
        yield from array(task_v0_json(renderings, task) for task in tasks)
    yield b"," + encode(_tail_v0(framework))[1:]
