"""What a task must be to be launched on an offer.

Rules: the checks run in Mesos' order and speak its words; each returns a message or None. They run for every task, so what most
tasks don't have costs one comparison, and what is asked for in the same bytes is judged once (`demand_of`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from merismos.core.master.validate.checks import fault_of_check, fault_of_health_check
from merismos.model.ids import validate_id
from merismos.model.rejection import Rejection
from merismos.model.resource_json import decode_messages, decode_resources
from merismos.model.resource_protocol import decode_protocol, format_resources
from merismos.model.resource_use import validate_one_revocability, validate_unique_persistence, validate_use
from merismos.model.resources import EMPTY, Resources
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.master.state import Agent, Framework
    from merismos.protocol.thin import ThinContainerInfo, ThinExecutorInfo, ThinTaskInfo

NO_RESOURCES: Final = "Task uses no resources"
_REMEMBERED_MAX: Final = 8192
_REMEMBERED_BYTES_MAX: Final = 2048


class Demand(msgspec.Struct, gc=False):
    """What a list of Resource messages asks for.

    Shapes: `role` is the one role that the entries say they are allocated to, empty when they say nothing; `fault` why nobody
    can ask for this, whoever it is and whatever is offered.
    """

    resources: Resources
    role: str = ""
    fault: str | None = None


def demand_of(raw: bytes) -> Demand:
    """Return what the JSON of a list of Resource messages asks for; the same object for the same bytes."""
    return _remembered(raw) if len(raw) <= _REMEMBERED_BYTES_MAX else _judge(raw)


def _judge(raw: bytes) -> Demand:
    decoded = decode_resources(raw)
    if isinstance(decoded, Rejection):
        return Demand(EMPTY, "", decoded.message)
    resources, roles = decoded.resources, decoded.allocation_roles
    if not resources:
        return Demand(EMPTY, "", NO_RESOURCES)
    if len(roles) > 1:
        named = ", ".join(roles)
        return Demand(
            EMPTY, "", f"The resources have multiple allocation roles ({named}) but only one allocation role is allowed"
        )
    for judge, words in (
        (validate_use, "Task uses invalid resources: "),
        (validate_unique_persistence, "Task uses duplicate persistence ID: "),
        (validate_one_revocability, "Task mixes revocable and non-revocable resources: "),
    ):
        rejection = judge(resources)
        if rejection is not None:
            return Demand(EMPTY, "", words + rejection.message)
    return Demand(resources, roles[0] if roles else "")


_NO_OPTIONS = (None, None, None)
_remembered = lru_cache(maxsize=_REMEMBERED_MAX)(_judge)


def fault_of_task(
    view: ThinTaskInfo,
    framework: Framework,
    agent: Agent,
    demand: Demand,
    *,
    in_group: bool = False,
    may_lack_command: bool = False,
) -> str | None:
    """Return why a task can't be launched on `agent`, whatever is left of the offer; None when it can."""
    task_id = view.task_id.value
    fault = validate_id(task_id)
    if fault is not None:
        return fault
    if (
        task_id in framework.tasks
        or task_id in framework.unreachable_tasks
        or (agent.strays and (framework.id, task_id) in agent.strays)
    ):
        return f"Task has duplicate ID: {task_id}"
    if view.agent_id.value != agent.id:
        return f"Task uses invalid agent {view.agent_id.value} while agent {agent.id} is expected"
    options = (view.kill_policy, view.max_completion_time, view.container)
    if view.limits or options != _NO_OPTIONS:
        fault = _fault_of_options(view, demand, in_group=in_group)
        if fault is not None:
            return fault
    if view.check is not None:
        fault = fault_of_check(view.check)
        if fault is not None:
            return f"Task uses invalid check: {fault}"
    if view.health_check is not None:
        fault = fault_of_health_check(view.health_check)
        if fault is not None:
            return f"Task uses invalid health check: {fault}"
    if demand.fault is not None:
        return demand.fault
    if (view.command is None) == (view.executor is None) and not may_lack_command:
        return "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"
    return None if view.executor is None else fault_of_executor(view.executor, framework)


def name_role(view: ThinTaskInfo, role: str, fault: str) -> str:
    """Return `fault` as Mesos words it: it prints the resources of a task as allocated to the offer's role in any case."""
    if not fault.startswith("Resource '"):
        return fault
    messages = decode_messages(bytes(view.resources))
    if isinstance(messages, Rejection):
        return messages.message
    rejection = decode_protocol(messages, allocation_role=role)
    return rejection.message if isinstance(rejection, Rejection) else fault


def _fault_of_options(view: ThinTaskInfo, demand: Demand, *, in_group: bool) -> str | None:
    policy = view.kill_policy
    if policy is not None and policy.grace_period is not None and policy.grace_period.nanoseconds < 0:
        return "Task's 'kill_policy.grace_period' must be non-negative"
    if view.max_completion_time is not None and view.max_completion_time.nanoseconds < 0:
        return "Task's `max_completion_time` must be non-negative"
    if not in_group and not shares_cgroups(view.container):
        return "Only tasks in a task group may have 'share_cgroups' set to 'false'"
    return _fault_of_limits(view.limits, demand)


def _fault_of_limits(limits: dict[str, mesos.Value_Scalar], demand: Demand) -> str | None:
    for name, limit in limits.items():
        requested = demand.resources.quantities().get(name)
        if name not in {"cpus", "mem"}:
            return f"Task's limits can be set for cpus and mem only, not for {name}"
        if requested is None:
            return f"Task's limit of {name} is set but no {name} are requested"
        if not limit.value * 1000 >= requested:
            return f"Task's limit of {name} is less than the {name} that it requests"
    return None


def shares_cgroups(container: ThinContainerInfo | None) -> bool:
    """Say whether a container is in its parent's cgroup, as each is that doesn't say otherwise."""
    return container is None or container.linux_info is None or container.linux_info.share_cgroups


def fault_of_executor(executor: ThinExecutorInfo, framework: Framework) -> str | None:
    """Return why a LAUNCH can't start this executor, None when it can."""
    fault = fault_of_executor_id(executor, framework)
    if fault is not None:
        return fault
    if executor.type is mesos.ExecutorInfo_Type.DEFAULT:
        return "'ExecutorInfo.type' must be 'CUSTOM' for LAUNCH; launch default executors with LAUNCH_GROUP"
    if executor.command is None:
        return "'ExecutorInfo.command' must be set for 'CUSTOM' executor"
    return None


def fault_of_executor_id(executor: ThinExecutorInfo, framework: Framework) -> str | None:
    """Return what is wrong with an executor of whatever type."""
    fault = validate_id(executor.executor_id.value)
    if fault is not None:
        return f"Executor ID is invalid: {fault}"
    if executor.framework_id is not None and executor.framework_id.value != framework.id:
        return f"ExecutorInfo has an invalid FrameworkID (Actual: {executor.framework_id.value} vs Expected: {framework.id})"
    period = executor.shutdown_grace_period
    if period is not None and period.nanoseconds < 0:
        return "ExecutorInfo's 'shutdown_grace_period' must be non-negative"
    return None


def fault_of_size(total: Resources, role: str, available: Resources, offered_role: str) -> str:
    """Return that `total`, allocated to `role`, doesn't fit into what is left of the offer."""
    wanted = format_resources(total, allocation_role=role or offered_role)
    left = format_resources(available, allocation_role=offered_role)
    return f"Total resources {wanted} required by task and its executor is more than available {left}"
