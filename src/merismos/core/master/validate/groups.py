"""What a task group and its executor must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.master.validate.task import fault_of_executor_id, fault_of_task, shares_cgroups
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from collections.abc import Sequence

    from merismos.core.master.state import Agent, Framework
    from merismos.core.master.validate.task import Demand
    from merismos.protocol.thin import ThinExecutorInfo, ThinTaskInfo


def fault_of_group(
    executor: ThinExecutorInfo,
    views: Sequence[ThinTaskInfo],
    demands: Sequence[Demand],
    framework: Framework,
    agent: Agent,
) -> str | None:
    """Return why a group can't be launched on `agent`, whatever is left of the offer; None when it can."""
    if not views:
        return "Task group cannot be empty"
    fault = _fault_of_executor(executor, framework)
    if fault is not None:
        return fault
    is_custom = executor.type is mesos.ExecutorInfo_Type.CUSTOM
    seen: dict[str, None] = {}
    for view, demand in zip(views, demands, strict=True):
        fault = _fault_of_member(view) or fault_of_task(
            view, framework, agent, demand, in_group=True, may_lack_command=is_custom
        )
        if fault is None and view.task_id.value in seen:
            fault = f"Task has duplicate ID: {view.task_id.value}"
        if fault is not None:
            return f"Task '{view.task_id.value}' is invalid: {fault}"
        seen[view.task_id.value] = None
    return _fault_of_sharing(views)


def _fault_of_sharing(views: Sequence[ThinTaskInfo]) -> str | None:
    first = shares_cgroups(views[0].container)
    if any(shares_cgroups(view.container) is not first for view in views):
        return (
            "If set, the value of 'share_cgroups' must be the same for all "
            "tasks in each task group and under a single executor"
        )
    return None


def _fault_of_executor(executor: ThinExecutorInfo, framework: Framework) -> str | None:
    fault = fault_of_executor_id(executor, framework)
    if fault is not None:
        return fault
    if executor.type is None:
        return "'ExecutorInfo.type' must be set"
    if executor.type is mesos.ExecutorInfo_Type.UNKNOWN:
        return "Unknown executor type"
    if executor.type is mesos.ExecutorInfo_Type.CUSTOM:
        return _fault_of_custom_executor(executor)
    if executor.command is not None:
        return "'ExecutorInfo.command' must not be set for 'DEFAULT' executor"
    if executor.container is not None and executor.container.type is not mesos.ContainerInfo_Type.MESOS:
        return "'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor"
    return None


def _fault_of_custom_executor(executor: ThinExecutorInfo) -> str | None:
    if executor.command is None:
        return "'ExecutorInfo.command' must be set for 'CUSTOM' executor"
    if executor.container is not None and executor.container.type is mesos.ContainerInfo_Type.DOCKER:
        return "Docker ContainerInfo is not supported on the executor"
    return None


def _fault_of_member(view: ThinTaskInfo) -> str | None:
    if view.executor is not None:
        return "'TaskInfo.executor' must not be set"
    if view.container is not None and view.container.type is mesos.ContainerInfo_Type.DOCKER:
        return "Docker ContainerInfo is not supported on the task"
    if view.limits and shares_cgroups(view.container):
        return (
            "Resource limits may only be set for tasks within a task group when "
            "the 'share_cgroups' field is set to 'false'."
        )
    return None
